"""Writes the frozen bundles: `python make.py DIR` makes `DIR/good`, `DIR/bad`, `DIR/policy`, `DIR/anchor`,
`DIR/trust.toml` and `DIR/expected.json`, always the same bytes."""

import json
import pathlib
import sys

from agora_make import attacks, forms, lies  # noqa: F401 (they register their cases)
from agora_make.case import CASES, Case, write
from agora_make.files import fetched, policy
from agora_make.good import all_good, anchored_run, busy_log, one_item
from agora_make.home import Home
from agora_verify.merkle import root
from agora_verify.verify import verify


def put(folder: pathlib.Path, name: str, data: bytes | str) -> str:
    """Writes a file; returns its name in `folder`."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data.encode("ascii") if isinstance(data, str) else data)
    return name


def row(folder: pathlib.Path, name: str, case: Case, variant: str = "") -> dict:
    """Writes what a case needs beside its bundle; returns its row of `expected.json`. `variant` tells apart the
    files of rows with one bundle."""
    stem = pathlib.Path(name).stem + variant
    wanted = {"file": name, "require": case.require, "codes": [case.code] if case.code else [], "exit": case.exit}
    if case.trust == policy(Home()):
        wanted["policy"] = "trust.toml"
    elif case.trust:
        wanted["policy"] = put(folder, f"policy/{stem}.toml", case.trust)
    if case.anchor:
        wanted["anchor"] = put(folder, f"anchor/{stem}.json", case.anchor)
    return wanted


def rows(folder: pathlib.Path) -> list[dict]:
    """Writes all bundles; a good one is verified with a policy and without."""
    found = []
    for stem, (bundle, home) in sorted(all_good().items()):
        name = put(folder, f"good/{stem}.json", write(bundle))
        found.append(row(folder, name, Case("", None, exit=0)))
        found.append(row(folder, name, Case("", None, policy(home), exit=0)))
    found += [row(folder, f"good/{stem}.json", case, "-strict") for stem, case in stricter()]
    home = anchored_run().home
    evident = Case("", None, policy(home), ["tamper-evident", "time-anchored"], fetched(home), 0)
    found.append(row(folder, "good/object-lock-anchor.json", evident))
    home = Home()
    for stem, make in sorted(CASES.items()):
        case = make()
        if case.data is not None:
            put(folder, f"bad/{stem}.json", case.data)
        found.append(row(folder, f"bad/{stem}.json", case))
    return found


def stricter() -> list[tuple[str, Case]]:
    """Good bundles that meet what an auditor has seen and requires: the twins of what is refused."""
    run, log, whole = one_item(), busy_log(), policy(Home())
    seen = [(size, root(run.home.leaves(size))) for size in (2, 3)]
    seen_log = [(size, root(log.leaves(size))) for size in (2, 5, len(log.log))]
    return [
        ("since", Case("", None, policy(run.home, seen=seen), exit=0)),
        ("log", Case("", None, policy(log, seen=seen_log, require={"completeness": "all-sealed"}), exit=0)),
        ("with-whole-log", Case("", None, whole, ["all-sealed", "fully-isolated", "secrets-sealed"], exit=0)),
        ("one-item", Case("", None, whole, ["whole-run", "recorded", "key-pinned", "tamper-detecting"], exit=0)),
    ]


def run(folder: pathlib.Path, wanted: dict) -> tuple[dict, int]:
    """Verifies one row of `expected.json`."""
    beside = [str(folder / wanted[part]) if part in wanted else None for part in ("policy", "anchor")]
    return verify(str(folder / wanted["file"]), beside[0], wanted["require"], beside[1])


def failed(document: dict) -> list[str]:
    """Returns the codes that failed, sorted."""
    return sorted({check["code"] for check in document["checks"] if check["status"] == "fail"})


def main() -> int:
    """Makes all, and writes down everything that this verifier finds in each."""
    if len(sys.argv) != 2:
        print("usage: make.py DIR", file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    put(folder, "trust.toml", policy(Home()))
    wanted = rows(folder)
    for part in wanted:
        document, _ = run(folder, part)
        part["failed"] = failed(document)
        if part["exit"] == 0:
            part["axes"] = document["axes"]
    put(folder, "expected.json", json.dumps(wanted, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
