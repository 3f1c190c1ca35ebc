"""What the replay of a run knows (step 6): its items, attempts and questions, and how one thing is judged."""

from dataclasses import dataclass, field

from .context import Context

ENDS = {
    "item.done": "done", "item.failed": "failed", "item.skipped": "skipped", "item.cancelled": "cancelled",
    "item.denied": "denied",
}


@dataclass
class Attempt:
    """The entries of one attempt, as far as they are there. `expired`: its deadline was recorded as passed."""

    leased: dict
    started: dict | None = None
    finished: dict | None = None
    expired: bool = False


@dataclass
class Question:
    """A question. It is open while its item waits for it."""

    asked: dict
    open: bool = False
    answered: dict | None = None


@dataclass
class Item:
    """What is known of an item.

    `standing` is `pending`, `ready`, `running`, `ended` (its attempt, and what follows is yet to come), `waiting`, or
    how it ended. `depends_on` are those that came before it, each once; `source` is the item whose pattern added it;
    `members` those that its own pattern added, `answered` whether that went on, `stuck` whether it could not."""

    spec: dict
    resolved: list
    depends_on: list[str]
    source: "Item | None" = None
    standing: str = "pending"
    attempts: list[Attempt] = field(default_factory=list)
    question: Question | None = None
    cancelled: bool = False
    done: dict | None = None
    made: dict | None = None
    due_to: str | None = None
    skipped_by: str | None = None
    members: list["Item"] = field(default_factory=list)
    answered: bool = False
    stuck: bool = False
    made_good: bool = False

    @property
    def id(self) -> str:
        """Its name."""
        return self.spec["id"]

    @property
    def is_approval(self) -> bool:
        """Whether a person decides it: nothing of it is leased."""
        return self.spec["executor"] == "approval"

    def is_over(self) -> bool:
        """Whether nothing changes it any more."""
        return self.standing in ENDS.values()

    def open(self) -> Attempt | None:
        """Returns its open attempt."""
        return self.attempts[-1] if self.standing == "running" else None

    def ended(self) -> dict | None:
        """Returns the end of its latest attempt, while what follows from that is yet to come."""
        return self.attempts[-1].finished if self.standing == "ended" else None

    def patch(self) -> str | None:
        """Returns the digest of its accepted patch."""
        return self.made["patch"]["digest"] if self.made and "patch" in self.made else None

    def answer(self) -> str | None:
        """Returns the digest of the words that its next attempt takes up."""
        said = self.question.answered["body"] if self.question and self.question.answered else {}
        return said.get("answer") if said.get("decision") == "answered" else None

    def has_an_end(self) -> bool:
        """Whether its pattern may have something to say of it."""
        return self.standing in ("done", "failed") and not self.stuck


class Tale:
    """What all rules share. `at` is the position of the entry that is judged; `accepted` is (done entry, item,
    attempt) per accepted attempt, in order."""

    def __init__(self, context: Context):
        self.report = context.report
        self.entries = context.entries
        # A position is the place in the journal: where `seq` says another, step 3 has told so.
        self.values = [{**entry.value, "seq": place} for place, entry in enumerate(context.entries)]
        self.sealed = context.is_sealed
        self.at = 0
        self.problems = 0
        self.items: dict[str, Item] = {}
        self.locks: dict[str, str] = {}  # key to the item whose open attempt holds it
        self.accepted: list[tuple[dict, Item, Attempt]] = []
        self.open_ended: bool | None = None
        self.closed = self.run_cancelled = self.pattern_failed = False
        self.completed: dict | None = None
        self.hold: int | None = None
        self.park: int | None = None  # the last hold that also stopped what ran
        self.begins = True  # nothing but the opening and the plan's items came so far
        self.growing: Item | None = None  # what the entry before answers, if that added items of a pattern
        self.owing: set[str] = set()
        self.cost = 0

    def rule(self, code: str, ok: bool, detail: str) -> bool:
        """Judges one thing of the entry at hand; returns whether it holds."""
        where = f"entries[{self.at}]" if self.values else "entries"
        self.problems += not ok
        return self.report.judge(6, f"story-{code}", ok, where, detail)

    def known(self, name: str) -> Item | None:
        """Returns the item of this name."""
        item = self.items.get(name)
        self.rule("item", item is not None, f"unknown item {name}")
        return item

    def living(self, name: str) -> Item | None:
        """Returns the item of this name, if it has not ended."""
        item = self.known(name)
        if item is None:
            return None
        return item if self.rule("item", not item.is_over(), f"{name} is {item.standing} already") else None

    def earlier(self, position: int, type_: str, item: str | None = None) -> dict | None:
        """Returns the earlier entry at `position`, if it is of this type, and of this item if one is named."""
        value = self.values[position] if position < self.at else None
        if value is None or value["type"] != type_:
            return None
        return value if item is None or value["body"]["item"] == item else None

    def undone(self, item: Item) -> int:
        """Returns how many of those that an item depends on are not done."""
        return sum(self.items[name].standing != "done" for name in item.depends_on)

    def stops(self, item: Item) -> bool:
        """Whether the item was asked to stop, itself or with its run."""
        return self.run_cancelled or item.cancelled

    def was_parked(self, attempt: Attempt) -> bool:
        """Whether the run was parked while this attempt was open."""
        end = attempt.finished["seq"] if attempt.finished else self.at
        return self.park is not None and attempt.leased["seq"] < self.park < end

    def free(self, item: Item):
        """The locks of the item's attempt are free."""
        self.locks = {key: holder for key, holder in self.locks.items() if holder != item.id}
