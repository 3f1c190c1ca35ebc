"""Step 7: the registry snapshot that the run was resolved from (§8, §9)."""

import hashlib

from . import canon
from .context import Context
from .fields import decode_b64
from .journal import all_readable
from .keys import key_name
from .note import Note, ignored_lines, number, parse_note, signers
from .report import STEPS

_FORMAT = "agora-registry/v1"
# A history this long may have lost its oldest.
_HISTORY_KEPT = 64


def digest_of(data: bytes) -> str:
    """Returns `sha256:` and the hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def check_registry(context: Context):
    """Step 7. Needs every entry of the run, as what was resolved stands there."""
    opened = context.entries[0].value if context.entries else None
    if not all_readable(context) or opened is None or opened["type"] != "run.opened":
        context.report.skip(7, STEPS[7], "entries", "an entry cannot be read, or there is no opening")
        context.all_verified = False
        return
    facts = opened["body"]["registry"]
    snapshot_bytes = decode_b64(context.bundle["registry"]["snapshot"])
    note_bytes = decode_b64(context.bundle["registry"]["note"])
    note = _registry_note(note_bytes)
    snapshot = _snapshot(snapshot_bytes)
    _check_note(context, note, facts)
    _check_digests(context, facts, snapshot_bytes, snapshot, note_bytes, note)
    _check_listed(context, snapshot)
    _check_newest(context, opened["body"]["log_seq"], facts)


def _registry_note(data: bytes) -> Note | None:
    """Five lines: format, registry id, version, the snapshot's digest, the previous one's or `-`."""
    note = parse_note(data, 5)
    if note is None:
        return None
    format_, registry, version, digest, previous = note.fields()
    ok = format_ == _FORMAT and number(version) is not None and _is_digest(digest)
    ok = ok and (previous == "-" or _is_digest(previous))
    return note if ok and registry.isascii() and registry.isalnum() else None


def _is_digest(text: str) -> bool:
    hex_ = text.removeprefix("sha256:")
    return text != hex_ and len(hex_) == 64 and all(char in "0123456789abcdef" for char in hex_)


def _snapshot(data: bytes) -> dict | None:
    """Returns the snapshot if what is read of it has the form it must have."""
    try:
        value = canon.read_wide(data)
    except canon.NotCanonical:
        return None
    entries = value.get("entries")
    if type(value.get("version")) is not int or not isinstance(entries, dict):
        return None
    rows = [row for kind in entries.values() for row in (kind.values() if isinstance(kind, dict) else [None])]
    return value if all(_entry_formed(row) for row in rows) else None


def _entry_formed(row) -> bool:
    if not isinstance(row, dict):
        return False
    history = row.get("history", [])
    rows = [row, *history] if isinstance(history, list) else [None]
    return all(isinstance(part, dict) and isinstance(part.get("digest"), str) for part in rows)


def _check_note(context: Context, note: Note | None, facts: dict):
    report = context.report
    if note is None:
        report.fail(7, "registry-signature", "registry.note", "not the note of a registry")
        context.all_verified = False
        return
    if context.ring is None:
        report.skip(7, ["registry-signature", "key-window", "key-revoked"], "registry.note", "no keys to go by")
        context.all_verified = False
        return
    context.ignored += ignored_lines(note, context.ring)
    name = key_name("registry-admin", context.log, registry=note.fields()[1])
    keys, wrong = signers(note, context.ring, "registry-admin", name)
    if wrong:
        report.fail(7, "registry-signature", "registry.note", f"not signed by {name} ({wrong})")
        context.all_verified = False
        return
    report.good(7, "registry-signature")
    context.used.update(keys)
    for key in keys:
        context.check_window(7, key, number(note.fields()[2]), "registry.note")


def _check_digests(context: Context, facts: dict, snapshot_bytes, snapshot, note_bytes, note):
    """`registry-digest`: the snapshot and the note are those of `run.opened`, and agree."""
    ok = snapshot is not None and digest_of(snapshot_bytes) == facts["digest"]
    ok = ok and snapshot["version"] == facts["version"]
    ok = ok and digest_of(note_bytes) == facts["note"]
    if note:
        ok = ok and note.fields()[2:4] == [str(facts["version"]), facts["digest"]]
    context.report.judge(7, "registry-digest", ok, "registry", "not what run.opened names, or the two disagree")


def _check_listed(context: Context, snapshot: dict | None):
    """`registry-unlisted`: everything resolved is in the snapshot."""
    if snapshot is None:
        context.report.skip(7, "registry-unlisted", "registry.snapshot", "it cannot be read")
        return
    for position, entry in enumerate(context.entries):
        if entry.value["type"] != "items.added":
            continue
        for resolved in entry.value["body"]["resolved"]:
            where = f"entries[{position}]"
            listed = _listed(snapshot, resolved)
            if listed is None:
                context.report.skip(7, "registry-unlisted", where, f"{resolved['name']}: its history is cut off")
            else:
                context.report.judge(7, "registry-unlisted", listed, where, f"{resolved['kind']} {resolved['name']}")


def _listed(snapshot: dict, resolved: dict) -> bool | None:
    """A capability may also be in its history; None if that may have lost it."""
    row = snapshot["entries"].get(resolved["kind"], {}).get(resolved["name"])
    if row is None:
        return False
    if row["digest"] == resolved["digest"]:
        return True
    if resolved["kind"] != "capability":
        return False
    history = [part["digest"] for part in row.get("history", [])]
    if resolved["digest"] in history:
        return True
    return False if len(history) < _HISTORY_KEPT else None


def _check_newest(context: Context, log_seq: int, facts: dict):
    """`registry-rollback`: with all entries of the log, the newest accepted before the run."""
    if context.log_entries is None:
        return
    before = context.log_entries[:log_seq]
    if any(entry.value is None for entry in before):
        context.report.skip(7, "registry-rollback", "log.entries", "an entry cannot be read")
        return
    accepted = [entry.value["body"] for entry in before if entry.value["type"] == "registry.accepted"]
    newest = {part: accepted[-1][part] for part in ("version", "digest", "note")} if accepted else None
    context.report.judge(7, "registry-rollback", newest == facts, "log.entries", "not the newest before the run")
