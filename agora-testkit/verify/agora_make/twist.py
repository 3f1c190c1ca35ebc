"""Random stories: a good run whose entries were dropped, doubled, moved or changed, by a writer that holds the keys."""

import copy
import random

from . import good
from .run import Run

STORIES = (
    good.hand_off, good.question, good.approval, good.rejected, good.cancelled, good.deadline, good.pattern,
    good.pattern_failed, good.extended, good.every_member, good.small_attempts,
)
# Members that only name bytes: no rule of the story reads them.
_LEFT = ("run.opened", "run.logged")
_WORDS = {
    "item.ready": {"cause": ("dependencies", "answer", "retry")},
    "item.skipped": {"cause": ("dependency", "pattern")},
    "items.added": {"cause": ("plan", "extend", "pattern")},
    "item.cancelled": {"proof": ("never_started", "absent", "forced")},
    "attempt.finished": {"outcome": ("done", "needs_input")},
    "question.asked": {"kind": ("input", "approval")},
    "question.answered": {"decision": ("answered", "approved", "rejected", "expired")},
    "run.completed": {"outcome": ("done", "failed", "cancelled")},
    "hold.set": {"mode": ("drain", "park")},
}
_UNREAD = ("target_digest", "message", "handle", "worker", "task", "text", "isolation", "log", "note", "x")


def twisted(chance: random.Random) -> tuple[Run, str]:
    """Returns a run that is sealed anew after one to three changes, and what they were."""
    make = chance.choice(STORIES)
    run = make()
    values = copy.deepcopy(run.values)
    done = [make.__name__]
    for _ in range(chance.randrange(1, 4)):
        done.append(_twist(chance, values))
    run.home.log.pop()
    times = [value["at"] for value in run.values]
    run.entries, run.values = [], []
    for place, value in enumerate(values):
        at = times[min(place, len(times) - 1)]
        run.add(value["type"], value["body"], value["actor"], value.get("auth"), at=at)
    run.seal(outcome=_outcome(values))
    return run, ", ".join(done)


def _outcome(values: list[dict]) -> str:
    ends = [value["body"]["outcome"] for value in values if value["type"] == "run.completed"]
    return ends[0] if ends else "done"


def _twist(chance: random.Random, values: list[dict]) -> str:
    at = chance.choice([place for place, value in enumerate(values) if value["type"] not in _LEFT])
    kind = chance.choice(("drop", "double", "move", "change", "change", "change"))
    what = f"{kind} {at} {values[at]['type']}"
    if kind == "drop":
        _shift(values, at, -1)
        del values[at]
    elif kind == "double":
        to = chance.randrange(at + 1, len(values) + 1)
        value = copy.deepcopy(values[at])
        _shift(values, to, 1)
        values.insert(to, value)
    elif kind == "move":
        value = values.pop(at)
        to = chance.randrange(1, len(values) + 1)
        values.insert(to, value)
        what += f" to {to}"
    else:
        what += _change(chance, values, at)
    return what


def _shift(values: list[dict], at: int, by: int):
    """What is named by position stays what it was."""
    for value in values:
        for member in ("finished", "answered", "asked", "request", "hold"):
            place = value["body"].get(member)
            if isinstance(place, int) and place >= at:
                value["body"][member] = place + by
        for part in value["body"].get("inputs", []):
            if part.get("done", 0) >= at:
                part["done"] += by


def _change(chance: random.Random, values: list[dict], at: int) -> str:
    """One member of a body, or of an element in it, gets the value that another has there, or a number beside."""
    places = [(values[at]["body"], name) for name in values[at]["body"] if name not in _UNREAD]
    for parts in values[at]["body"].values():
        if isinstance(parts, list):
            places += [(part, name) for part in parts if isinstance(part, dict) for name in part]
    if not places:
        return ""
    body, name = chance.choice(places)
    type_ = values[at]["type"]
    words = _WORDS.get(type_, {}).get(name)
    if words:
        body[name] = chance.choice(words)
        return f" {name} to {body[name]}"
    others = [
        copy.deepcopy(value["body"][name]) for value in values
        if name in value["body"] and (value["type"] == type_ or name not in ("outcome", "reason", "class", "kind"))
    ]
    if type(body[name]) is int:
        others += [body[name] + 1, max(body[name] - 1, 0), chance.randrange(len(values))]
    body[name] = chance.choice(others or [body[name]])
    return f" {name} to {str(body[name])[:60]}"
