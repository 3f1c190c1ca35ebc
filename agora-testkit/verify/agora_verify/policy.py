"""What the auditor brings: the trust policy (§5), and the file fetched from an anchor (§7)."""

import tomllib
from dataclasses import dataclass

from . import canon
from .fields import Mistyped, array, b64, boolean, decode_b64, hash_, integer, just, name, origin, record, string, time
from .keys import Key, Window, right_length
from .schema import alg, role

# Values of each axis, weak to strong (§10).
AXES = {
    "integrity": ("broken", "consistent"),
    "authenticity": ("self-asserted", "key-pinned"),
    "tamper": ("unproven", "tamper-detecting", "tamper-evident"),
    "completeness": ("open-run", "whole-run", "whole-log", "all-sealed"),
    "time": ("time-asserted", "time-anchored"),
    "isolation": ("not-isolated", "partly-isolated", "fully-isolated"),
    "credentials": ("secrets-exposed", "secrets-sealed"),
    "authorisation": ("not-recorded", "recorded"),
}
AXIS_OF = {value: axis for axis, values in AXES.items() for value in values}


def key_rule(value, path):
    """A key has the length of its algorithm, and only `attest` may be P-256."""
    if value["alg"] != "ed25519" and value["role"] != "attest":
        raise Mistyped(f"{path}.alg: not for this role")
    if not right_length(value["alg"], decode_b64(value["key"])):
        raise Mistyped(f"{path}.key: not a key of this algorithm")


def _require_rule(value, path):
    for axis, wanted in value.items():
        if wanted not in AXES[axis]:
            raise Mistyped(f"{path}.{axis}: not a value of this axis")


_POLICY = record({
    "v": just(1), "origin": origin,
    "key?": array(record({
        "name": name, "role": role, "alg": alg, "key": b64, "from": integer, "until?": integer, "last_good?": integer,
    }, rule=key_rule)),
    "anchor?": array(record({
        "name": name, "kind": name, "account": name, "region": name, "bucket": name, "retain_days": integer,
    })),
    "seen?": array(record({"size": integer, "root": hash_})),
    "require?": record({f"{axis}?": string for axis in AXES}, rule=_require_rule),
})

_FETCHED = record({
    "v": just(1), "account": name, "region": name, "bucket": name, "key": name, "version_id": name, "body": b64,
    "mode": name, "retain_until": time, "last_modified": time, "fetched_at": time, "versions": array(name),
    "deleted": boolean,
})


class Unreadable(Exception):
    """A file of the auditor's that cannot be used; the message says why."""


@dataclass(frozen=True)
class Policy:
    """A trust policy. `anchors` and `seen` are rows as they stand in the file."""

    origin: str
    keys: tuple[Key, ...]
    anchors: tuple[dict, ...]
    seen: tuple[tuple[int, bytes], ...]
    require: tuple[str, ...]


def read_policy(path: str) -> Policy:
    """Reads the policy; anything unknown in it refuses it."""
    try:
        with open(path, "rb") as file:
            value = tomllib.load(file)
        _POLICY(value, "", None)
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    return Policy(
        value["origin"],
        merge_rows(value.get("key", [])),
        tuple(value.get("anchor", [])),
        tuple((row["size"], bytes.fromhex(row["root"])) for row in value.get("seen", [])),
        tuple(value.get("require", {}).values()),
    )


def merge_rows(rows: list[dict]) -> tuple[Key, ...]:
    """Returns the keys of `rows`; rows of one key are its windows."""
    windows = {}
    for row in rows:
        key = Key(row["name"], row["role"], row["alg"], decode_b64(row["key"]))
        window = Window(row["from"], row.get("until"), row.get("last_good"))
        windows.setdefault(key, []).append(window)
    return tuple(Key(key.name, key.role, key.alg, key.key, tuple(found)) for key, found in windows.items())


def read_fetched(path: str) -> dict:
    """Reads what was fetched from an anchor: canonical JSON, and at most one LF after it."""
    try:
        with open(path, "rb") as file:
            data = file.read(2**24)
        value = canon.read_subset(data.removesuffix(b"\n"), 12)
        _FETCHED(value, "", None)
    except (OSError, ValueError) as error:
        raise Unreadable(str(error)) from error
    return value
