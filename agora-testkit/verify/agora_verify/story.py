"""Step 6: replays the run's entries (§2, §9). Each entry is judged against what came before it, and then taken
as it stands, so that one wrong fact is told once and not by all that follow."""

from dataclasses import dataclass, field

from .context import Context
from .journal import all_readable
from .report import STEPS

_ENDS = {
    "item.done": "done", "item.failed": "failed", "item.skipped": "skipped", "item.cancelled": "cancelled",
    "item.denied": "denied",
}


@dataclass
class Attempt:
    """The entries of one attempt, as far as they are there."""

    leased: dict
    started: dict | None = None
    finished: dict | None = None


@dataclass
class Item:
    """What is known of an item. `source` is who added it, `end` the entry that ended it."""

    spec: dict
    resolved: list
    source: str | None
    attempts: list[Attempt] = field(default_factory=list)
    open: Attempt | None = None
    answer: str | None = None
    end: dict | None = None

    def latest_finish(self) -> dict | None:
        """Returns the `attempt.finished` of the latest attempt, if it is over."""
        return self.attempts[-1].finished if self.attempts else None


@dataclass
class Question:
    """A question, until it is answered."""

    asked: dict
    leaf: str
    open: bool = True


class Story:
    """A replay. `accepted` is (done entry, item, attempt) per accepted attempt, in order."""

    def __init__(self, context: Context):
        self.report = context.report
        self.entries = context.entries
        # A position is the place in the journal: where `seq` says another, step 3 has told so.
        self.values = [{**entry.value, "seq": place} for place, entry in enumerate(context.entries)]
        self.sealed = context.is_sealed
        self.items: dict[str, Item] = {}
        self.questions: dict[int, Question] = {}
        self.growth: list[tuple[int, str | None]] = []  # position and source of what patterns added
        self.accepted: list[tuple[dict, Item, Attempt]] = []
        self.closed = self.completed = False
        self.pattern_failed = self.run_cancelled = False
        self.cost = 0

    def fail(self, value: dict | None, code: str, detail: str):
        where = f"entries[{value['seq']}]" if value else "entries"
        self.report.fail(6, code, where, detail)

    def saw(self, *codes: str):
        """There was something for these codes to judge."""
        self.report.good(6, *codes)

    def replay(self):
        """Replays all entries, then asks what only the whole can tell."""
        self.saw("story-start", "story-end")
        for position, value in enumerate(self.values):
            if (value["type"] == "run.opened") != (position == 0):
                self.fail(value, "story-start", "entry 0 has to be the only run.opened")
            if self.completed:
                self.fail(value, "story-end", "after run.completed")
            handler = self.HANDLERS.get(value["type"])
            if handler:
                handler(self, value, value["body"])
        if not self.values:
            self.fail(None, "story-start", "no entries")
        if self.sealed and not self.completed:
            self.fail(None, "story-end", "sealed without run.completed")
        self._check_names()

    def _item(self, value: dict, name: str) -> Item | None:
        """Returns the item that an entry speaks of: a known one that has not ended."""
        item = self.items.get(name)
        if item is None:
            self.fail(value, "story-item", f"unknown item {name}")
        elif item.end:
            self.fail(value, "story-item", f"after the end of {name}")
        return item

    def _at(self, position: int, type_: str, item: str | None = None) -> dict | None:
        """Returns the entry at `position` if it is of this type, and of this item if one is named."""
        value = self.values[position] if position < len(self.values) else None
        if value is None or value["type"] != type_:
            return None
        return value if item is None or value["body"].get("item") == item else None

    # Growth

    def _items_added(self, value: dict, body: dict):
        self.saw("story-item")
        if self.closed and body["cause"] != "pattern":
            self.fail(value, "story-end", "growth after run.closed")
        if body["cause"] == "pattern":
            self.growth.append((value["seq"], body.get("source")))
            if body.get("source") not in self.items:
                self.fail(value, "story-item", "a pattern answers an unknown item")
        for spec in body["items"]:
            if spec["id"] in self.items:
                self.fail(value, "story-item", f"{spec['id']} is there already")
            else:
                self.items[spec["id"]] = Item(spec, body["resolved"], body.get("source"))

    def _check_names(self):
        """Every item that another one names is there: several `items.added` may make up one growth."""
        for item in self.items.values():
            names = item.spec["depends_on"] + [need["item"] for need in item.spec["needs"]]
            for name in names:
                if name not in self.items:
                    self.fail(None, "story-item", f"{item.spec['id']} names the unknown item {name}")

    # Attempts

    def _leased(self, value: dict, body: dict):
        item = self._item(value, body["item"])
        if item is None:
            return
        self.saw("story-attempt", "story-fence")
        if item.open:
            self.fail(value, "story-attempt", "leased while an attempt is open")
        if body["attempt"] != len(item.attempts) + 1:
            self.fail(value, "story-attempt", f"attempt {body['attempt']} after {len(item.attempts)}")
        if any(body["fence"] <= earlier.leased["body"]["fence"] for earlier in item.attempts):
            self.fail(value, "story-fence", "not above all earlier fences of the item")
        for name in item.spec["depends_on"]:
            self.saw("story-order")
            if not self._done(name):
                self.fail(value, "story-order", f"leased before {name} is done")
        for input_ in body["inputs"]:
            self.saw("story-input")
            if not self._input_fits(item, input_):
                self.fail(value, "story-input", f"no accepted result gave {input_['digest']}")
        item.open = Attempt(value)
        item.attempts.append(item.open)

    def _done(self, name: str) -> dict | None:
        item = self.items.get(name)
        return item.end if item and item.end and item.end["type"] == "item.done" else None

    def _input_fits(self, item: Item, input_: dict) -> bool:
        """An input is the accepted patch, output or answer of the direct dependency it names. An answer without
        `done` is the latest one to a question of the item itself."""
        if input_["use"] == "ref":
            return True
        if "done" not in input_:
            return input_["item"] == item.spec["id"] and item.answer == input_["digest"]
        done = self._done(input_["item"])
        if input_["item"] not in item.spec["depends_on"] or done is None or done["seq"] != input_["done"]:
            return False
        if input_["use"] == "answer":
            answered = self._at(done["body"].get("answered", len(self.values)), "question.answered")
            return answered is not None and answered["body"].get("answer") == input_["digest"]
        attempt = self._accepted_of(self.items[input_["item"]], done)
        made = attempt.finished["body"] if attempt else {"outputs": []}
        if input_["use"] == "patch":
            return made.get("patch", {}).get("digest") == input_["digest"]
        return any((part["path"], part["digest"]) == (input_["path"], input_["digest"]) for part in made["outputs"])

    def _accepted_of(self, item: Item, done: dict) -> Attempt | None:
        """Returns the attempt that an `item.done` accepted: the one it names, or the one its question names."""
        position = done["body"].get("finished")
        if position is None:
            question = self._question_of(item, done["body"]["answered"])
            position = question.asked["body"].get("finished") if question else None
        return next((a for a in item.attempts if a.finished and a.finished["seq"] == position), None)

    def _running(self, value: dict, body: dict, verb: str) -> Item | None:
        item = self._item(value, body["item"])
        if item is None:
            return None
        if item.open is None:
            self.fail(value, "story-attempt", f"{verb} without a lease")
            return None
        lease = item.open.leased["body"]
        if (body["attempt"], body["fence"]) != (lease["attempt"], lease["fence"]):
            self.fail(value, "story-fence", f"{verb} with other numbers than the lease")
        return item

    def _started(self, value: dict, body: dict):
        item = self._running(value, body, "started")
        if item is None:
            return
        if item.open.started:
            self.fail(value, "story-attempt", "started twice")
        if body["isolation"]["provider"] != item.open.leased["body"]["provider"]:
            self.fail(value, "story-attempt", "started by another provider")
        item.open.started = item.open.started or value

    def _finished(self, value: dict, body: dict):
        self.cost += body.get("usage", {}).get("cost_microusd", 0)
        item = self._running(value, body, "finished")
        if item is None:
            return
        if body["outcome"] == "done" and not item.open.started:
            self.fail(value, "story-attempt", "done without being started")
        item.open.finished = value
        item.open = None

    # Ends

    def _end(self, value: dict, body: dict):
        item = self._item(value, body["item"])
        if item is None:
            return
        if item.open:
            self.fail(value, "story-item", "ended during an attempt")
        check = self.END_CHECKS.get(value["type"])
        if check:
            check(self, value, body, item)
        if item.end is None:
            item.end = value
            if value["type"] == "item.done":
                attempt = self._accepted_of(item, value)
                if attempt:
                    self.accepted.append((value, item, attempt))

    def _check_finish(self, value: dict, item: Item, outcomes: tuple):
        """`story-result`: by the item's latest attempt, with an outcome that allows it."""
        self.saw("story-result")
        latest = item.latest_finish()
        if latest is None or latest["seq"] != value["body"]["finished"]:
            self.fail(value, "story-result", "not by the item's latest attempt")
        elif latest["body"]["outcome"] not in outcomes:
            self.fail(value, "story-result", f"by an attempt that ended {latest['body']['outcome']}")

    def _question_of(self, item: Item, position: int) -> Question | None:
        answered = self._at(position, "question.answered")
        question = self.questions.get(answered["body"]["asked"]) if answered else None
        return question if question and question.asked["body"]["item"] == item.spec["id"] else None

    def _check_answer(self, value: dict, item: Item, decisions: tuple):
        """`story-result`: by an answer to the item, about its latest attempt if it had one."""
        self.saw("story-result")
        question = self._question_of(item, value["body"]["answered"])
        latest = item.latest_finish()
        if question is None:
            self.fail(value, "story-result", "not by an answer to this item")
        elif self.values[value["body"]["answered"]]["body"]["decision"] not in decisions:
            self.fail(value, "story-result", "by a decision that does not allow it")
        elif question.asked["body"].get("finished") != (latest["seq"] if latest else None):
            self.fail(value, "story-result", "the answer is not about the item's latest attempt")

    def _check_done(self, value: dict, body: dict, item: Item):
        if "finished" in body:
            self._check_finish(value, item, ("done",))
        else:
            self._check_answer(value, item, ("approved",))

    def _check_failed(self, value: dict, body: dict, item: Item):
        if "answered" in body:
            self._check_answer(value, item, ("rejected", "expired"))
            if "finished" in body:
                self._check_finish(value, item, ("done", "needs_input"))
        elif "finished" in body:
            self._check_finish(value, item, ("failed", "cancelled", "lost"))

    def _check_cancelled(self, value: dict, body: dict, item: Item):
        """`story-reference`: the request is of this item, or of the run."""
        self.saw("story-reference")
        request = self._at(body["request"], "cancel.requested")
        if request is None or request["body"].get("item", body["item"]) != body["item"]:
            self.fail(value, "story-reference", "no request to cancel this item")

    def _check_skipped(self, value: dict, body: dict, item: Item):
        if body["due_to"] not in self.items:
            self.fail(value, "story-item", f"due to the unknown item {body['due_to']}")

    def _retried(self, value: dict, body: dict):
        item = self._item(value, body["item"])
        if item:
            self._check_finish(value, item, ("failed", "cancelled", "lost"))

    # Questions, holds, cancels

    def _asked(self, value: dict, body: dict):
        item = self._item(value, body["item"])
        if item and "finished" in body:
            self.saw("story-reference")
        if item and "finished" in body and not self._at(body["finished"], "attempt.finished", body["item"]):
            self.fail(value, "story-reference", "no attempt of this item")
        self.questions[value["seq"]] = Question(value, self.entries[value["seq"]].leaf.hex())

    def _answered(self, value: dict, body: dict):
        self.saw("story-question")
        question = self.questions.get(body["asked"])
        if question is None or not question.open:
            self.fail(value, "story-question", "no open question there")
        elif question.leaf != body["leaf"]:
            self.fail(value, "story-question", "the leaf of another question")
        if question:
            question.open = False
            item = self._item(value, question.asked["body"]["item"])
            if item:
                item.answer = body.get("answer")

    def _waiting(self, value: dict, body: dict):
        self.saw("story-reference")
        if self._item(value, body["item"]) and not self._at(body["asked"], "question.asked", body["item"]):
            self.fail(value, "story-reference", "no question of this item")

    def _released(self, value: dict, body: dict):
        self.saw("story-reference")
        if not self._at(body["hold"], "hold.set"):
            self.fail(value, "story-reference", "no hold there")

    def _ready(self, value: dict, body: dict):
        self._item(value, body["item"])

    def _cancel(self, value: dict, body: dict):
        if body["scope"] == "run":
            self.run_cancelled = True
        else:
            self._item(value, body["item"])

    def _pattern_failed(self, value: dict, body: dict):
        self.pattern_failed = True

    def _closed(self, value: dict, body: dict):
        self.closed = True

    # The whole

    def _completed(self, value: dict, body: dict):
        self.completed = True
        self.saw("story-count")
        counts = dict.fromkeys(_ENDS.values(), 0)
        for name, item in self.items.items():
            if item.end is None:
                self.fail(value, "story-item", f"{name} has no end")
            else:
                counts[_ENDS[item.end["type"]]] += 1
        wanted = {**counts, "cost_microusd": self.cost, "outcome": self._outcome()}
        for name, count in wanted.items():
            if body[name] != count:
                self.fail(value, "story-count", f"{name} is {body[name]}, of the entries {count}")

    def _outcome(self) -> str:
        """`done` if no pattern failed and every item came well; else by whether the run was cancelled."""
        if not self.pattern_failed and all(self._came_well(item) for item in self.items.values()):
            return "done"
        return "cancelled" if self.run_cancelled else "failed"

    def _came_well(self, item: Item) -> bool:
        """Done, skipped by a pattern, or failed and made good: a pattern added more for it, or for its source."""
        if item.end is None:
            return False
        if item.end["type"] == "item.failed":
            sources = {item.spec["id"], item.source} - {None}
            return any(at > item.end["seq"] and source in sources for at, source in self.growth)
        if item.end["type"] == "item.skipped":
            return item.end["body"]["cause"] == "pattern"
        return item.end["type"] == "item.done"

    HANDLERS = {
        "items.added": _items_added, "item.ready": _ready, "attempt.leased": _leased, "attempt.started": _started,
        "attempt.finished": _finished, "item.retried": _retried, "item.waiting": _waiting,
        **dict.fromkeys(_ENDS, _end), "question.asked": _asked, "question.answered": _answered,
        "hold.released": _released, "cancel.requested": _cancel, "pattern.failed": _pattern_failed,
        "run.closed": _closed, "run.completed": _completed,
    }
    END_CHECKS = {
        "item.done": _check_done, "item.failed": _check_failed, "item.cancelled": _check_cancelled,
        "item.skipped": _check_skipped,
    }


def check_story(context: Context):
    """Step 6. Needs every entry of the run to be canonical and in its schema."""
    if not all_readable(context):
        context.report.skip(6, STEPS[6], "entries", "an entry cannot be read")
        return
    context.story = Story(context)
    context.story.replay()
