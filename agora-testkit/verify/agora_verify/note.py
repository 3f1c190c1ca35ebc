"""C2SP signed notes (§3): their form, and who signed them. All roles share these rules."""

import hashlib
import re
from dataclasses import dataclass

from .canon import INT_MAX
from .fields import decode_b64
from .keys import Key

_LINE = re.compile("\u2014 ([^ +]+) ([A-Za-z0-9+/]+=*)")
_NUMBER = re.compile("0|[1-9][0-9]{0,15}")


@dataclass(frozen=True)
class Note:
    """`text` is what is signed; `lines` are (key name, key id, signature)."""

    text: bytes
    lines: tuple[tuple[str, bytes, bytes], ...]

    def fields(self) -> list[str]:
        """Returns the text's lines."""
        return self.text.decode("utf-8").split("\n")[:-1]


@dataclass(frozen=True)
class Checkpoint:
    """A note whose text is origin, size and root."""

    note: Note
    origin: str
    size: int
    root: bytes


def parse_note(data: bytes, text_lines: int) -> Note | None:
    """Returns the note, or None unless `data` is one with this many lines of text."""
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if any((char < " " and char != "\n") or "\x7f" <= char <= "\x9f" for char in whole):
        return None
    parts = whole.split("\n")
    if parts.pop() != "" or len(parts) < text_lines + 1:
        return None
    texts, gap, lines = parts[:text_lines], parts[text_lines], parts[text_lines + 1 :]
    if gap != "" or "" in texts or len(lines) > 16:
        return None
    signatures = [_signature(line) for line in lines]
    if None in signatures:
        return None
    return Note("".join(line + "\n" for line in texts).encode("utf-8"), tuple(signatures))


def _signature(line: str) -> tuple[str, bytes, bytes] | None:
    match = _LINE.fullmatch(line)
    data = decode_b64(match[2]) if match else None
    if data is None or len(data) < 5 or any(char.isspace() for char in match[1]):
        return None
    return match[1], data[:4], data[4:]


def parse_checkpoint(data: bytes) -> Checkpoint | None:
    """Returns the checkpoint that `data` is, or None."""
    note = parse_note(data, 3)
    if note is None:
        return None
    origin, size, root = note.fields()
    root_hash = decode_b64(root)
    if number(size) is None or root_hash is None or len(root_hash) != 32:
        return None
    return Checkpoint(note, origin, number(size), root_hash)


def number(text: str) -> int | None:
    """Returns a decimal without leading zero, up to 2^53-1, or None."""
    value = int(text) if _NUMBER.fullmatch(text) else None
    return value if value is not None and value <= INT_MAX else None


def key_id(name: str, key: bytes) -> bytes:
    """Returns the first 4 bytes of SHA-256(key name || 0x0A || 0x01 || public key)."""
    return hashlib.sha256(name.encode("utf-8") + b"\n\x01" + key).digest()[:4]


def signers(note: Note, ring, role: str, name: str) -> tuple[list[Key], str | None]:
    """Returns the keys of `role` called `name` that signed the note, and the code of what is wrong (§9).

    Every line with the name and id of a known key must verify. Lines of keys that nobody named are ignored.
    """
    keys = [key for key in ring.of(role) if key.name == name and key.alg == "ed25519"]
    found = []
    for line_name, line_id, signature in note.lines:
        mine = [key for key in keys if key.name == line_name and key_id(name, key.key) == line_id]
        good = [key for key in mine if key.verifies(signature, note.text)]
        if mine and not good:
            return [], "checkpoint-signature"
        found += good
    if found:
        return found, None
    others = [key for key in ring.others(role) if key.alg == "ed25519"]
    if any(key.verifies(signature, note.text) for key in others for _, _, signature in note.lines):
        return [], "key-role"
    if any(line_name == name for line_name, _, _ in note.lines):
        return [], "key-unknown"
    return [], "checkpoint-unsigned"


def ignored_lines(note: Note, ring) -> int:
    """Returns how many signature lines are by keys that nobody named."""
    known = {(key.name, key_id(key.name, key.key)) for key in ring.keys if key.alg == "ed25519"}
    return sum((name, id_) not in known for name, id_, _ in note.lines)
