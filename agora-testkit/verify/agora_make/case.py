"""What a bad bundle is: its bytes, what it is verified with, and what has to come of it."""

from dataclasses import dataclass, field

from agora_verify import canon, merkle

from .files import policy
from .home import Home


@dataclass
class Case:
    """A bundle beside its command line. `data` None: no such file. `trust` and `anchor` are the files' content."""

    code: str
    data: bytes | None
    trust: str | None = None
    require: list[str] = field(default_factory=list)
    anchor: bytes | None = None
    exit: int = 1


CASES: dict[str, object] = {}


def attack(name: str, code: str, exit_code: int = 1, pinned: bool = True):
    """Registers a function that returns a bundle, or a bundle and its home, or also members of `Case`.

    Without a home the policy is that of a fresh one, whose keys are the same. `pinned` False: without a policy.
    """

    def register(make):
        def case() -> Case:
            made = make()
            bundle, home, members = (*made, None, {})[:3] if isinstance(made, tuple) else (made, None, {})
            members = members or {}
            data = bundle if isinstance(bundle, bytes) or bundle is None else write(bundle)
            if pinned and "trust" not in members:
                members["trust"] = policy(home or Home())
            return Case(code, data, exit=exit_code, **members)

        if name in CASES:
            raise KeyError(name)
        CASES[name] = case
        return make

    return register


def write(bundle: dict) -> bytes:
    """Returns the file of a bundle."""
    return canon.write(bundle) + b"\n"


def recount(bundle: dict) -> dict:
    """Makes the manifest count what is there, as an attacker would."""
    for part in ("entries", "statements", "artifacts"):
        bundle["manifest"][part] = len(bundle[part])
    return bundle


def values(bundle: dict) -> list[dict]:
    """Returns the run's entries."""
    return [canon.read_subset(entry.encode("ascii"), 8) for entry in bundle["entries"]]


def rechain(entries: list[dict]) -> list[str]:
    """Numbers and chains entries anew; the first keeps its `prev`. Positions named in them are left alone."""
    texts = []
    prev = entries[0]["prev"]
    for seq, entry in enumerate(entries):
        data = canon.write({**entry, "seq": seq, "prev": prev})
        texts.append(data.decode("ascii"))
        prev = merkle.leaf(data).hex()
    return texts
