"""What the steps share: the bundle, the keys to go by, the report, and the check of a signed checkpoint."""

from dataclasses import dataclass, field

from . import merkle
from .keys import Ring, key_name
from .note import Checkpoint, ignored_lines, parse_checkpoint, signers
from .report import CHECKPOINT, SIGNED, Report


@dataclass
class Entry:
    """One entry as given. `value` is None if it is not canonical or not in its schema."""

    raw: bytes
    leaf: bytes
    value: dict | None


@dataclass
class Context:
    """One verification. `ring` is None if there are no keys to go by."""

    bundle: dict
    report: Report
    policy: object | None
    fetched: dict | None
    ring: Ring | None = None
    used: set = field(default_factory=set)
    all_verified: bool = True
    ignored: int = 0
    entries: list[Entry] = field(default_factory=list)
    log_entries: list[Entry] | None = None
    opened: Entry | None = None
    sealed: Entry | None = None
    receipts: list[Entry] = field(default_factory=list)
    checkpoint_b: Checkpoint | None = None
    proved: dict = field(default_factory=dict)  # (size, root) of older log checkpoints: consistent with B or not
    story: object | None = None
    live: bool = False  # an anchor that covers the seal was fetched and passed
    candidates: bool = False  # one may, and was not fetched

    @property
    def kind(self) -> str:
        """`run` or `log`."""
        return self.bundle["manifest"]["kind"]

    @property
    def log(self) -> str:
        """The log's origin."""
        return self.bundle["manifest"]["origin"]

    @property
    def run(self) -> str | None:
        """The run's id; None for a bundle of kind `log`."""
        return self.bundle["manifest"].get("run")

    @property
    def is_sealed(self) -> bool:
        """Whether the bundle says that its run is sealed."""
        return self.bundle["manifest"].get("sealed", False)

    def spoken_at(self) -> int | None:
        """Returns the log index at which the run's own signatures speak (§5), or None if it cannot be read."""
        if self.is_sealed:
            return self.sealed.value["seq"] if self.sealed and self.sealed.value else None
        return self.checkpoint_b.size - 1 if self.checkpoint_b else None

    def sealed_at(self) -> int | None:
        """Returns the log index of `run.sealed`, or None."""
        return self.spoken_at() if self.is_sealed else None

    def check_window(self, step: int, key, index: int | None, where: str):
        """`key-window`, `key-revoked`: where a signature speaks."""
        if index is None:
            self.report.skip(step, ["key-window", "key-revoked"], where, "where it speaks cannot be read")
            self.all_verified = False
            return
        wrong = key.stands_at(index)
        if wrong:
            self.report.fail(step, wrong, where, f"{key.name} signed what speaks at {index}")
            self.all_verified = False
        else:
            self.report.good(step, "key-window", "key-revoked")

    def check_signature(self, step: int, note, role: str, name: str, index: int | None, where: str):
        """The codes of a note's signature lines, and of the windows of the keys that signed."""
        if self.ring is None:
            self.report.skip(step, SIGNED.split(), where, "no keys to go by")
            self.all_verified = False
            return
        self.ignored += ignored_lines(note, self.ring)
        keys, wrong = signers(note, self.ring, role, name)
        if wrong:
            self.report.fail(step, wrong, where, f"not signed by {name}")
            self.all_verified = False
            return
        self.report.good(step, "checkpoint-signature", "key-role", "key-unknown", "checkpoint-unsigned")
        self.used.update(keys)
        for key in keys:
            self.check_window(step, key, index, where)

    def checkpoint(self, step: int, data: bytes, role: str, where: str) -> Checkpoint | None:
        """Reads and checks a checkpoint of the log, or of the run; returns it if it has the form of one."""
        found = parse_checkpoint(data)
        if found is None:
            self.report.fail(step, "checkpoint-format", where, "not a checkpoint")
            codes = f"{CHECKPOINT} {SIGNED}".split()
            self.report.skip(step, codes, where, "it has not the form of a checkpoint")
            self.all_verified = False
            return None
        self.report.good(step, "checkpoint-format")
        origin = self.log if role == "log" else f"{self.log}/run/{self.run}"
        self.report.judge(step, "checkpoint-origin", found.origin == origin, where, f"of {found.origin}")
        index = found.size - 1 if role == "log" else self.spoken_at()
        self.check_signature(step, found.note, role, key_name(role, self.log), index, where)
        return found

    def check_content(self, step: int, found: Checkpoint, entries: list[Entry], where: str):
        """With all entries at hand: size and root are theirs."""
        ok = found.size == len(entries)
        self.report.judge(step, "checkpoint-size", ok, where, f"of {found.size}, not of {len(entries)} entries")
        ok = found.root == merkle.root([entry.leaf for entry in entries])
        self.report.judge(step, "checkpoint-root", ok, where, "another root than that of the entries")
