"""Step 6, the run as a whole: what it consists of, what patterns add, holds, cancels, its end."""

from .tale import ENDS, Item, Tale


class Growth(Tale):
    """The rules of `items.added`, `pattern.failed`, `run.closed`, holds, cancels and `run.completed`."""

    def opened(self, body: dict):
        """Entry 0. Another is told of as `story-start`."""
        if self.at == 0:
            self.open_ended = body["open_ended"]

    def may_grow(self) -> bool:
        """Whether an extension is still taken. Of a run whose opening is not there, nobody knows."""
        return self.open_ended is not False and not self.closed

    def added(self, body: dict):
        """Items of the plan, of whoever extends it, or of a pattern; large ones come in several entries."""
        source = None
        if body["cause"] == "plan":
            self.rule("end", self.begins, "items of the plan after the run began")
        elif body["cause"] == "extend":
            self.rule("end", self.may_grow() and not self.run_cancelled, "growth of a run that takes none")
        else:
            source = self._pattern_answers(body)
        for spec in body["items"]:
            self._add(spec, body["resolved"], source)

    def _add(self, spec: dict, resolved: list, source: Item | None):
        if not self.rule("item", spec["id"] not in self.items, f"{spec['id']} is there already"):
            return
        for name in spec["depends_on"]:
            self.rule("item", name in self.items, f"{spec['id']} depends on {name}, which does not come before it")
        before = [name for name in dict.fromkeys(spec["depends_on"]) if name in self.items]
        self.items[spec["id"]] = item = Item(spec, resolved, before, source)
        if source:
            source.members.append(item)

    def _pattern_answers(self, body: dict) -> Item | None:
        """A pattern answers the end of an item: what had failed of it is made good."""
        source = self.items.get(body.get("source"))
        if not self.rule("item", source is not None, "a pattern answers an unknown item"):
            return None
        if self.growing is not source:
            over = source.has_an_end() and all(member.is_over() for member in source.members)
            self.rule("end", over and not self.run_cancelled, f"a pattern answers {source.id}, which has no such end")
        self.growing = source
        self.owing.discard(source.id)
        source.answered = True
        for item in [source, *source.members]:
            item.made_good |= item.standing == "failed"
        return source

    def stuck(self, body: dict):
        """`pattern` is NAME:ITEM; of one without an item nothing more is known."""
        self.pattern_failed = True
        _, colon, name = body["pattern"].partition(":")
        item = self.items.get(name)
        if not colon or not self.rule("item", item is not None, f"a pattern fails at the unknown item {name}"):
            return
        self.rule("end", item.has_an_end(), f"a pattern fails at {name}, which has no end to be answered")
        item.stuck = True
        self.owing.discard(name)

    def close(self, body: dict):
        """Nothing more will be added."""
        self.rule("end", self.may_grow(), "closed, and takes nothing anyway")
        self.closed = True

    def set_hold(self, body: dict):
        """One hold at a time."""
        self.rule("order", self.hold is None, "held already")
        self.hold = self.at
        if body["mode"] == "park":
            self.park = self.at

    def release(self, body: dict):
        """Of the hold in force."""
        if self.rule("reference", self.earlier(body["hold"], "hold.set") is not None, "no hold there"):
            self.rule("order", self.hold == body["hold"], "not the hold in force")
        self.hold = None

    def request_cancel(self, body: dict):
        """Of the run, an item, or the open attempt whose deadline passed."""
        if body["scope"] == "run":
            self.run_cancelled = True
            return
        item = self.living(body["item"])
        if item is None:
            return
        if body["scope"] == "item":
            item.cancelled = True
            return
        attempt = item.open()
        is_open = attempt is not None and attempt.leased["body"]["attempt"] == body["attempt"]
        self.rule("attempt", is_open, f"an attempt at {item.id} is stopped that is not open")
        stopped = self.stops(item) or (is_open and (attempt.expired or self.was_parked(attempt)))
        self.rule("attempt", not stopped, f"the attempt at {item.id} was stopped already")
        if item.attempts:
            item.attempts[-1].expired = True

    def complete(self, body: dict):
        """Everything has ended, nothing is owed, and the counts are those of the entries."""
        self.completed = body
        self.rule("end", self.open_ended is None or not self.may_grow(), "completed, and may grow")
        self.rule("end", not self.owing, f"completed, and the patterns of {sorted(self.owing)} owe it")
        self.rule("end", bool(self.items) or self.closed, "completed without items")
        counts = dict.fromkeys(ENDS.values(), 0)
        for name, item in self.items.items():
            if self.rule("item", item.is_over(), f"completed, and {name} is {item.standing}"):
                counts[item.standing] += 1
        for name, count in {**counts, "cost_microusd": self.cost, "outcome": self._outcome()}.items():
            self.rule("count", body[name] == count, f"{name} is {body[name]}, of the entries {count}")

    def _outcome(self) -> str:
        """`done` if no pattern failed and every item came well; else by whether the run was cancelled."""
        if not self.pattern_failed and all(_came_well(item) for item in self.items.values()):
            return "done"
        return "cancelled" if self.run_cancelled else "failed"


def _came_well(item: Item) -> bool:
    """Done, skipped by a pattern, or failed and made good."""
    by_design = item.standing == "skipped" and item.skipped_by == "pattern"
    return item.standing == "done" or by_design or (item.standing == "failed" and item.made_good)
