"""Step 6, attempts: leased, what they are given, started, finished; and questions."""

from .fields import parse_time
from .tale import Attempt, Item, Question, Tale

_COST_MAX = 2**53 - 1


class Attempts(Tale):
    """The rules of `attempt.leased`, `attempt.started` and `attempt.finished`."""

    def leased(self, body: dict):
        """An item that is ready, by the next number, under a fence above all before, with its own locks."""
        item = self.living(body["item"])
        if item is None:
            return
        is_open = item.open() is not None
        self.rule("attempt", not is_open, "leased while an attempt is open")
        number = item.attempts[-1].leased["body"]["attempt"] if item.attempts else 0
        self.rule("attempt", body["attempt"] == number + 1, f"attempt {body['attempt']} after {number}")
        self.rule("attempt", not item.is_approval, f"a person decides {item.id}")
        self.rule("attempt", not self.stops(item), f"{item.id} was asked to stop")
        fences = [attempt.leased["body"]["fence"] for attempt in item.attempts]
        self.rule("fence", body["fence"] > max(fences, default=0), "not above all earlier fences of the item")
        self.rule("order", is_open or item.standing == "ready", f"leased, and {item.id} is {item.standing}")
        self.rule("order", self.undone(item) == 0, f"leased before all that {item.id} depends on is done")
        self.rule("order", self.hold is None, "leased while the run is held")
        self.rule("attempt", body["locks"] == item.spec["locks"], f"other locks than those of {item.id}")
        for key in body["locks"]:
            self.rule("attempt", self.locks.get(key, item.id) == item.id, f"the lock {key} is held")
            self.locks[key] = item.id
        self._check_inputs(item, body["inputs"])
        item.standing = "running"
        item.attempts.append(Attempt(self.values[self.at]))

    def _check_inputs(self, item: Item, inputs: list[dict]):
        """Each is what it says, none is given twice, and none is left out. `ref` is the plan's to say."""
        given, sound = set(), True
        for part in inputs:
            if part["use"] != "ref":
                found = self._input(item, part)
                sound &= self.rule("input", found is not None and found not in given, f"{part['digest']} is not such")
                given.add(found)
        patches = [name for name in item.depends_on if self.items[name].patch()]
        wanted = len(patches) + len(item.spec["needs"]) + (item.answer() is not None)
        # What is wrong with one, or with their order, is not said again of their number.
        if sound and self.undone(item) == 0:
            self.rule("input", len(given) == wanted, f"{len(given)} of {wanted} inputs are given")

    def _input(self, item: Item, part: dict) -> tuple | None:
        """Returns what an input is: the answer, the patch of a dependency, or a need by its name."""
        if part["use"] == "answer":
            return ("answer",) if (part["item"], part["digest"]) == (item.id, item.answer()) else None
        source = self.items.get(part["item"])
        if source is None or part["item"] not in item.depends_on or source.made is None:
            return None
        if part["done"] != source.done["seq"]:
            return None
        if part["use"] == "patch":
            digests = [source.patch()]
        else:
            digests = [output["digest"] for output in source.made["outputs"] if output["path"] == part["path"]]
        if part["digest"] not in digests:
            return None
        if "key" not in part:
            return ("patch", part["item"]) if part["use"] == "patch" else None
        need = {name: part[name] for name in ("key", "item", "use", "path") if name in part}
        return ("need", part["key"]) if need in item.spec["needs"] else None

    def _running(self, body: dict, verb: str) -> Item | None:
        item = self.living(body["item"])
        if item is None or not self.rule("attempt", item.open() is not None, f"{verb}, and no attempt is open"):
            return None
        lease = item.open().leased["body"]
        same = (body["attempt"], body["fence"]) == (lease["attempt"], lease["fence"])
        self.rule("fence", same, f"{verb} with other numbers than the lease")
        return item

    def started(self, body: dict):
        """Once, by the provider it was leased to."""
        item = self._running(body, "started")
        if item is None:
            return
        attempt = item.open()
        self.rule("attempt", attempt.started is None, "started twice")
        same = body["isolation"]["provider"] == attempt.leased["body"]["provider"]
        self.rule("attempt", same, "started by another provider")
        attempt.started = self.values[self.at]

    def finished(self, body: dict):
        """What was stopped ends so: whatever it brings is evidence, and no result."""
        self.cost = min(self.cost + body.get("usage", {}).get("cost_microusd", 0), _COST_MAX)
        item = self._running(body, "finished")
        if item is None:
            return
        attempt = item.open()
        worked = body["outcome"] in ("done", "needs_input")
        self.rule("attempt", attempt.started is not None or not worked, "worked without being started")
        wanted = "cancelled" if self.stops(item) else "failed" if attempt.expired else body["outcome"]
        self.rule("result", body["outcome"] == wanted, f"stopped, and ended {body['outcome']}")
        self.free(item)
        item.standing = "ended"
        attempt.finished = self.values[self.at]


class Questions(Tale):
    """The rules of `question.asked`, `item.waiting` and `question.answered`."""

    def asked(self, body: dict):
        """An approval asks a person, an attempt asks for words."""
        item = self.living(body["item"])
        if item is None:
            return
        if item.is_approval:
            self._ask_a_person(item, body)
        else:
            self._ask_for_words(item, body)
        item.question = Question(self.values[self.at])

    def _ask_a_person(self, item: Item, body: dict):
        """Once, when it is ready; it shows the accepted patches of what it depends on."""
        first = item.question is None
        self.rule("question", first and item.standing == "ready", f"{item.id} is {item.standing}, and asks")
        plain = body["kind"] == "approval" and "finished" not in body and body["options"] == 0
        self.rule("question", plain, f"{item.id} asks for an approval, no more")
        if first:
            names = [name for name in dict.fromkeys(item.spec["depends_on"]) if name in self.items]
            shown = [patch for patch in (self.items[name].patch() for name in names) if patch]
            self.rule("question", body["subjects"] == shown, "shows other than the patches it depends on")

    def _ask_for_words(self, item: Item, body: dict):
        """Once, of its latest attempt, which ended so."""
        self.rule("question", body["kind"] == "input", "an attempt asks for an approval")
        position = body.get("finished")
        if position is not None:
            named = self.earlier(position, "attempt.finished", item.id)
            if not self.rule("reference", named is not None, "no end of an attempt at this item"):
                return
        end = item.ended()
        asks = end is not None and end["seq"] == position and end["body"]["outcome"] == "needs_input"
        first = item.question is None or end is None or item.question.asked["seq"] < end["seq"]
        self.rule("question", asks and first, f"the latest attempt at {item.id} does not ask")

    def waiting(self, body: dict):
        """For the item's own question, while it is open."""
        item = self.living(body["item"])
        if item is None:
            return
        named = self.earlier(body["asked"], "question.asked", item.id)
        question = item.question
        if self.rule("reference", named is not None, "no question of this item"):
            waits = question is not None and question.asked is named and not question.open
            self.rule("question", waits, f"{item.id} waits for what was asked before")
        if question:
            question.open = True
        item.standing = "waiting"

    def answered(self, body: dict):
        """The open question, in its own way, over its leaf."""
        asked = self.earlier(body["asked"], "question.asked")
        if not self.rule("reference", asked is not None, "no question there"):
            return
        self.rule("question", body["leaf"] == self.entries[asked["seq"]].leaf.hex(), "the leaf of another question")
        self.rule("question", self._may_decide(asked["body"], body["decision"]), f"{body['decision']} decides it not")
        item = self.items.get(asked["body"]["item"])
        mine = item is not None and item.question is not None and item.question.asked is asked
        is_open = mine and item.standing == "waiting" and item.question.open and item.question.answered is None
        self.rule("question", is_open, "the question is not open")
        if mine and item.question.answered is None:
            item.question.answered = self.values[self.at]

    def _may_decide(self, asked: dict, decision: str) -> bool:
        """Words are answered, approvals decided; what has a time expires, and not before it."""
        if decision == "expired":
            now = self.values[self.at]["at"]
            return "expires" in asked and parse_time(asked["expires"]) <= parse_time(now)
        return asked["kind"] == ("input" if decision == "answered" else "approval")
