"""Step 1: reads a bundle (§8) into typed JSON, and holds its summary against its content."""

import os

from . import canon
from .fields import (
    Mistyped, array, b64, boolean, decode_b64, digest, hash_, integer, name, one_of, origin, record, string,
)
from .policy import key_rule
from .report import Report
from .schema import alg, role

FORMAT = "agora-bundle/v1"
FILE_MAX = 4 * 2**30
ENTRIES_MAX = 4_000_000
PAYLOAD_MAX = 16 * 2**20
PROOF_MAX = 64
DEPTH_MAX = 12

_proof = array(hash_)
_logged = record({"entry": string, "proof": _proof})
_consistency = array(record({"from": integer, "proof": _proof}))
_anchors = array(record({"checkpoint": b64, "entry": string, "proof": _proof}))
_keys = array(record({"name": name, "role": role, "alg": alg, "key": b64}, rule=key_rule))

_RUN = record({
    "manifest": record({
        "format": string, "kind": string, "origin": origin, "run": name, "sealed": boolean,
        "entries": integer, "statements": integer, "artifacts": integer,
    }),
    "entries": array(string),
    "checkpoint": b64,
    "log": record({
        "checkpoint": b64, "opened": _logged, "sealed?": _logged, "consistency": _consistency,
        "entries?": array(string),
    }),
    "registry": record({"snapshot": b64, "note": b64}),
    "statements": array(record({
        "payload": b64, "payloadType": string, "signatures": array(record({"keyid": string, "sig": b64})),
    })),
    "anchors": _anchors,
    "artifacts": array(record({"digest": digest, "data": b64})),
    "keys": _keys,
})

_LOG = record({
    "manifest": record({"format": string, "kind": string, "origin": origin}),
    "log": record({"checkpoint": b64, "consistency": _consistency, "entries": array(string)}),
    "anchors": _anchors,
    "keys": _keys,
})


def read_file(path: str, report: Report) -> bytes | None:
    """Returns the bytes of the bundle, or None and what is wrong in `report`."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > FILE_MAX:
                report.fail(1, "bundle-limit", "", "a file of more than 4 GiB")
                return None
            data = file.read()
    except OSError as error:
        report.skip(1, "bundle-unreadable", "", str(error))
        report.could_not = True
        return None
    report.good(1, "bundle-unreadable")
    return data


def read_bundle(data: bytes, report: Report) -> dict | None:
    """Returns the bundle, or None where nothing of it can be used."""
    try:
        if not data.endswith(b"\n"):
            raise canon.NotCanonical("no LF at its end")
        value = canon.read_subset(data[:-1], DEPTH_MAX)
    except canon.NotCanonical as error:
        report.fail(1, "bundle-encoding", "", str(error))
        return None
    report.good(1, "bundle-encoding")
    if not _known_format(value, report):
        return None
    try:
        kind = value["manifest"]["kind"]
        one_of("run", "log")(kind, "manifest.kind", None)
        (_RUN if kind == "run" else _LOG)(value, "", None)
    except (Mistyped, KeyError) as error:
        report.fail(1, "bundle-schema", "", str(error))
        return None
    report.good(1, "bundle-schema")
    return value if _within_limits(value, report) else None


def _known_format(value: dict, report: Report) -> bool:
    """A format of another version is not wrong: it cannot be checked. One that names none has no schema."""
    manifest = value.get("manifest")
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(found, str):
        report.fail(1, "bundle-schema", "manifest.format", "missing, or not a string")
        return False
    if found != FORMAT:
        report.skip(1, "bundle-format", "manifest.format", found)
        report.could_not = True
        return False
    report.good(1, "bundle-format")
    return True


def _within_limits(value: dict, report: Report) -> bool:
    proofs = [part["proof"] for part in value["log"]["consistency"] + value["anchors"]]
    proofs += [value["log"][part]["proof"] for part in ("opened", "sealed") if part in value["log"]]
    entries = len(value.get("entries", [])) + len(value["log"].get("entries", []))
    payloads = [len(decode_b64(part["payload"])) for part in value.get("statements", [])]
    within = True
    for over, what in (
        (any(len(proof) > PROOF_MAX for proof in proofs), "a proof of more than 64 hashes"),
        (entries > ENTRIES_MAX, "more than 4,000,000 entries"),
        (any(size > PAYLOAD_MAX for size in payloads), "a payload of more than 16 MiB"),
    ):
        within &= report.judge(1, "bundle-limit", not over, "", what)
    return within


def check_manifest(bundle: dict, first_entry: dict | None, report: Report):
    """`bundle-manifest`: what the manifest says of the content, and the order of arrays.

    `first_entry` is entry 0 of the run if it is a `run.opened` that could be read. That the keys are those that
    signed is judged at the end, by `check_keys`. Statements have no order of their own: step 8 looks at them
    one by one, in the order of their `item.done`.
    """

    def hold(ok: bool, where: str, detail: str):
        report.judge(1, "bundle-manifest", ok, where, detail)

    manifest, log = bundle["manifest"], bundle["log"]
    hold(_ascending([part["from"] for part in log["consistency"]]), "log.consistency", "not ascending")
    hold(_ascending([(key["name"], key["key"]) for key in bundle["keys"]]), "keys", "not ascending")
    if manifest["kind"] == "log":
        return
    for count in ("entries", "statements", "artifacts"):
        hold(manifest[count] == len(bundle[count]), f"manifest.{count}", "another number is there")
    hold(_ascending([part["digest"] for part in bundle["artifacts"]]), "artifacts", "not ascending")
    hold(manifest["sealed"] == ("sealed" in log), "manifest.sealed", "does not fit log.sealed")
    if first_entry is None:
        report.skip(1, "bundle-manifest", "manifest", "entry 0 is not a run.opened that could be read")
    else:
        hold(manifest["origin"] == first_entry["body"]["log"], "manifest.origin", "entry 0 names another log")
        hold(manifest["run"] == first_entry["run"], "manifest.run", "entry 0 names another run")


def check_keys(bundle: dict, used: set, all_verified: bool, report: Report):
    """`bundle-manifest`: `keys` are exactly those that signed something here; judged only if all verified."""
    if not all_verified:
        report.skip(1, "bundle-manifest", "keys", "not every signature was verified")
        return
    listed = {(key["name"], key["role"], key["alg"], decode_b64(key["key"])) for key in bundle["keys"]}
    signed = {(key.name, key.role, key.alg, key.key) for key in used}
    ok = listed == signed
    report.judge(1, "bundle-manifest", ok, "keys", "not exactly those that signed something here")


def _ascending(values: list) -> bool:
    return all(left < right for left, right in zip(values, values[1:]))
