"""Step 10: copies of log checkpoints kept elsewhere (§7)."""

import datetime
import hashlib

from . import merkle
from .context import Context
from .fields import decode_b64, parse_time
from .note import Checkpoint
from .registry import digest_of

_LIVE = ["anchor-bytes", "anchor-contested", "anchor-mode", "anchor-retention"]
_PLACE = ("account", "region", "bucket")


def check_anchors(context: Context):
    """Step 10: every anchor of the bundle, and what was fetched for one of them."""
    anchors = context.bundle["anchors"]
    taken = readable = True
    if context.fetched:
        taken = False
    sizes = []
    for index, (anchor, receipt) in enumerate(zip(anchors, context.receipts)):
        where = f"anchors[{index}]"
        note_bytes = decode_b64(anchor["checkpoint"])
        found = context.checkpoint(10, note_bytes, "log", f"{where}.checkpoint")
        if found:
            sizes.append(found.size)
        if found is None or receipt.value is None:
            context.report.skip(10, ["anchor-receipt", "anchor-place", *_LIVE], where, "it cannot be read")
            readable = False
            continue
        if _check_receipt(context, anchor, receipt, found, note_bytes, where):
            taken |= _check_place(context, receipt.value["body"], found, note_bytes, where)
    ascending = all(left <= right for left, right in zip(sizes, sizes[1:]))
    context.report.judge(1, "bundle-manifest", ascending, "anchors", "not ascending by size")
    if readable and not taken:
        context.report.fail(10, "anchor-place", "--anchor", "of no anchor in this bundle")


def _check_receipt(context: Context, anchor: dict, receipt, found: Checkpoint, note_bytes: bytes, where: str) -> bool:
    """`anchor-receipt`: it stands in B, is of note A, and A leads to B."""
    value, b = receipt.value, context.checkpoint_b
    ok = value["type"] == "anchor.receipt"
    if not context.report.judge(10, "anchor-receipt", ok, where, "not an anchor.receipt"):
        return False
    body = value["body"]
    same = body["size"] == found.size and body["root"] == found.root.hex() and body["note"] == digest_of(note_bytes)
    context.report.judge(10, "anchor-receipt", same, where, "not of this note")
    if b is None:
        context.report.skip(10, "anchor-receipt", where, "the log's checkpoint cannot be read")
        return False
    proof = [bytes.fromhex(hash_) for hash_ in anchor["proof"]]
    inside = merkle.included(receipt.leaf, value["seq"], b.size, proof, b.root)
    context.report.judge(10, "anchor-receipt", inside, where, "the receipt is not in the log")
    leads = context.proved.get((found.size, found.root), False)
    context.report.judge(10, "anchor-receipt", leads, where, "the note does not lead to the log's checkpoint")
    return True


def _check_place(context: Context, body: dict, found: Checkpoint, note_bytes: bytes, where: str) -> bool:
    """`anchor-place`; returns whether what was fetched belongs to this anchor."""
    report, place = context.report, body.get("place")
    row = _policy_row(context, body["anchor"])
    if body["kind"] == "local":
        ok = place is None and (row is None or row["kind"] == "local")
        report.judge(10, "anchor-place", ok, where, "a local anchor with a place elsewhere")
        return False
    key = anchor_key(context.log, found.size)
    if place is None or place["key"] != key:
        report.fail(10, "anchor-place", where, "no place, or another key than that of the checkpoint")
        return False
    known = _known_place(context, row, body, where)
    fetched = context.fetched
    if fetched is None or fetched["key"] != key:
        report.skip(10, ["anchor-unchecked", *_LIVE], where, "not fetched")
        report.notes.append(f"{where}: anchored as of the receipt, not re-checked")
        context.candidates |= known is not False and _covers(context, found)
        return False
    same = all(fetched[part] == place[part] for part in (*_PLACE, "version_id"))
    report.judge(10, "anchor-place", same, where, "fetched from another place")
    live = _check_live(context, fetched, row, note_bytes, where)
    if same and live and _covers(context, found):
        context.live |= known is True
        context.candidates |= known is None
    return True


def _policy_row(context: Context, name: str) -> dict | None:
    rows = context.policy.anchors if context.policy else ()
    return next((row for row in rows if row["name"] == name), None)


def _known_place(context: Context, row: dict | None, body: dict, where: str) -> bool | None:
    """Whether the place is the policy's; None if there is no policy to ask."""
    if context.policy is None:
        context.report.skip(10, "anchor-place", where, "no policy names the place")
        return None
    ok = row is not None and row["kind"] == body["kind"]
    ok = ok and all(row[part] == body["place"][part] for part in _PLACE)
    return context.report.judge(10, "anchor-place", ok, where, "not a place of the policy")


def _covers(context: Context, found: Checkpoint) -> bool:
    """Whether this anchor speaks for the whole of what the bundle shows."""
    if context.kind == "log":
        return True
    sealed_at = context.sealed_at()
    return sealed_at is not None and found.size > sealed_at


def _check_live(context: Context, fetched: dict, row: dict | None, note_bytes: bytes, where: str) -> bool:
    """What the service said: the bytes, the versions, the mode and how long it keeps them."""
    report = context.report
    ok = report.judge(10, "anchor-bytes", decode_b64(fetched["body"]) == note_bytes, where, "other bytes")
    ok &= report.judge(
        10, "anchor-contested", fetched["versions"] == [fetched["version_id"]], where, "another version is there"
    )
    ok &= report.judge(10, "anchor-mode", fetched["mode"] == "COMPLIANCE", where, f"mode {fetched['mode']}")
    until, modified = parse_time(fetched["retain_until"]), parse_time(fetched["last_modified"])
    days = row["retain_days"] if row else 0
    kept = until > parse_time(fetched["fetched_at"])
    kept = kept and (until - modified) >= datetime.timedelta(days=min(days, 999_999_999))
    ok &= report.judge(10, "anchor-retention", kept, where, "expired when fetched, or kept too short")
    if fetched["deleted"]:
        report.notes.append(f"{where}: a delete marker stands over it")
    report.good(10, "anchor-unchecked")
    return ok


def anchor_key(log: str, size: int) -> str:
    """Returns the key under which a log checkpoint is kept (§7)."""
    return f"agora/v1/{hashlib.sha256(log.encode('ascii')).hexdigest()}/{size:020}.note"
