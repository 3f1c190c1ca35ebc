"""Strict canonical JSON (§1): the subset of entries and bundles, and the wider form of a registry snapshot."""

import json
import re

INT_MAX = 2**53 - 1

_PRINTABLE = re.compile(rb"[ -~]*")


class NotCanonical(ValueError):
    """Bytes that are not in the canonical form which their format asks for."""


def read_subset(data: bytes, depth_max: int):
    """Returns the object that `data` holds in the subset of §1; refuses every other spelling.

    Writing the parsed value again and comparing leaves one spelling for white space, member order, repeated
    names and numbers. What writing cannot show (escapes, bounds, null, depth) is looked at by itself.
    """
    if not _PRINTABLE.fullmatch(data):
        raise NotCanonical("a byte outside 0x20-0x7E")
    text = data.decode("ascii")
    if "\\" in text.replace("\\\\", "").replace('\\"', ""):
        raise NotCanonical("an escape other than of quote and backslash")
    value = _parse(text, _natural)
    if not isinstance(value, dict):
        raise NotCanonical("not an object")
    _walk(value, 1, depth_max)
    _refuse_null(value)
    if write(value) != data:
        raise NotCanonical("not the canonical spelling")
    return value


def read_wide(data: bytes):
    """Returns the object that `data` holds as RFC 8785 writes it, with integers only."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotCanonical("not UTF-8") from error
    value = _parse(text, _integer)
    if not isinstance(value, dict):
        raise NotCanonical("not an object")
    _walk(value, 1, 128)
    try:
        same = _write_wide(value).encode("utf-8") == data
    except UnicodeEncodeError as error:
        raise NotCanonical("a lone surrogate") from error
    if not same:
        raise NotCanonical("not the canonical spelling")
    return value


def write(value) -> bytes:
    """Returns the canonical bytes of a value of the subset."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")


def _write_wide(value) -> str:
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(_write_wide(name) + ":" + _write_wide(value[name]) for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_write_wide(element) for element in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _parse(text: str, number):
    try:
        return json.loads(text, parse_int=number, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotCanonical("not JSON of this form") from error


def _refuse(text: str):
    raise ValueError(text[:20])


def _natural(text: str) -> int:
    """Numbers of the subset: `0|[1-9][0-9]*` up to 2^53-1."""
    if text.startswith("-"):
        _refuse(text)
    return _integer(text)


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 17 else _refuse(text)
    if abs(value) > INT_MAX:
        _refuse(text)
    return value


def _refuse_null(value):
    if value is None:
        raise NotCanonical("null")
    if isinstance(value, (dict, list)):
        for element in value.values() if isinstance(value, dict) else value:
            _refuse_null(element)


def _walk(value, depth: int, depth_max: int):
    if isinstance(value, (dict, list)):
        if depth > depth_max:
            raise NotCanonical(f"nested deeper than {depth_max}")
        for element in value.values() if isinstance(value, dict) else value:
            _walk(element, depth + 1, depth_max)
