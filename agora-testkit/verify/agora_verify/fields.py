"""Field types (§1) and what makes objects of them. A type is a function `(value, path, own)` that raises
`Mistyped`; `own` is the position of the entry a value stands in, which bounds a `seq`."""

import base64
import binascii
import datetime
import re

from .canon import INT_MAX


class Mistyped(ValueError):
    """A member that is missing, unknown or of another type; the message names its path."""


def _need(ok: bool, path: str, what: str):
    if not ok:
        raise Mistyped(f"{path or 'the object'}: {what}")


def pattern(regex: str, what: str):
    """A string that `regex` matches from end to end."""
    compiled = re.compile(regex)

    def check(value, path, own):
        _need(isinstance(value, str) and compiled.fullmatch(value) is not None, path, f"not {what}")

    return check


def one_of(*words: str):
    """One of these strings."""

    def check(value, path, own):
        _need(isinstance(value, str) and value in words, path, "not one of " + " ".join(words))

    return check


def just(value_wanted):
    """Exactly this value."""

    def check(value, path, own):
        _need(type(value) is type(value_wanted) and value == value_wanted, path, f"not {value_wanted}")

    return check


def array(element):
    """An array of `element`."""

    def check(value, path, own):
        _need(isinstance(value, list), path, "not an array")
        for index, part in enumerate(value):
            element(part, f"{path}[{index}]", own)

    return check


def record(members: dict, *, open_=False, rule=None):
    """An object of `members`; a name that ends in `?` may be absent. `open_` lets others be; `rule` sees the
    whole object and raises `Mistyped`."""
    required = {name for name in members if not name.endswith("?")}
    types = {name.rstrip("?"): type_ for name, type_ in members.items()}

    def check(value, path, own):
        _need(isinstance(value, dict), path, "not an object")
        for name in required:
            _need(name in value, path, f"{name} is missing")
        for name, part in value.items():
            if name in types:
                types[name](part, f"{path}.{name}" if path else name, own)
            else:
                _need(open_, path, "an unknown member")
        if rule is not None:
            rule(value, path)

    return check


def any_value(value, path, own):
    """What no rule reads."""


def string(value, path, own):
    """Any string."""
    _need(isinstance(value, str), path, "not a string")


def integer(value, path, own):
    """`int`: 0 to 2^53-1."""
    _need(type(value) is int and 0 <= value <= INT_MAX, path, "not an int")


def boolean(value, path, own):
    """`bool`."""
    _need(isinstance(value, bool), path, "not a bool")


def time(value, path, own):
    """`time`: UTC with six decimals, a real date."""
    _need(isinstance(value, str) and parse_time(value) is not None, path, "not a time")


def b64(value, path, own):
    """`b64`: standard, padded, spare bits zero."""
    _need(isinstance(value, str) and decode_b64(value) is not None, path, "not base64")


word = pattern(r"[a-z][a-z0-9_-]{0,63}", "a word")
name = pattern(r"[!-~]{1,4096}", "a name")
text = pattern(r"[ -~]{0,256}", "a text")
digest = pattern(r"sha256:[0-9a-f]{64}", "a digest")
hash_ = pattern(r"[0-9a-f]{64}", "a hash")
origin = pattern(r"(?=.{1,100}\Z)[a-z0-9.-]+(/[A-Za-z0-9._-]+)*", "an origin")

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def parse_time(value: str) -> datetime.datetime | None:
    """Returns the time, or None if `value` is not one."""
    if not _TIME.fullmatch(value):
        return None
    try:
        return datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        return None


def decode_b64(value: str) -> bytes | None:
    """Returns the bytes, or None if `value` is not their one spelling."""
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode("ascii") == value else None


def encode_b64(data: bytes) -> str:
    """Returns standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")
