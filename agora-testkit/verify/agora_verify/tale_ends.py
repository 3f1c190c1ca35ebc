"""Step 6, what becomes of an item: ready, done, failed, tried again, skipped, cancelled, denied."""

from .tale import ENDS, Item, Tale

_UNDONE = ("failed", "lost", "cancelled")


class Ends(Tale):
    """The rules of `item.*` beside `item.waiting`."""

    def ready(self, body: dict):
        """By what it depends on, or by an answer. That it is tried again is said by `item.retried`."""
        item = self.living(body["item"])
        if item is None:
            return
        if body["cause"] == "dependencies":
            self.rule("order", item.standing == "pending", f"{item.id} is {item.standing}, and becomes ready")
            self.rule("order", self.undone(item) == 0, f"ready before all that {item.id} depends on is done")
        elif body["cause"] == "answer":
            said = item.question.answered if item.question and item.standing == "waiting" else None
            given = said is not None and said["body"]["decision"] == "answered"
            self.rule("question", given, "ready for an answer that was not given")
        else:
            self.rule("order", False, f"nothing makes {item.id} ready again")
        if item.standing in ("pending", "waiting"):
            item.standing = "ready"

    def done(self, body: dict):
        """Accepted: the latest attempt, or an approval. Nothing that was wrong about it was accepted."""
        item = self.living(body["item"])
        if item is None:
            return
        problems = self.problems
        if "finished" in body:
            item.made = self._latest_end(item, body["finished"], ("done",))
            self.rule("result", not self.stops(item), f"{item.id} was asked to stop")
        else:
            self._decided(item, body["answered"], ("approved",))
        self._end(item)
        attempt = item.attempts[-1] if item.attempts else None
        if self.problems == problems and attempt and attempt.started and attempt.finished:
            self.accepted.append((self.values[self.at], item, attempt))
        item.done = self.values[self.at]

    def failed(self, body: dict):
        """By its latest attempt, by a decision, or by nothing before it was leased."""
        item = self.living(body["item"])
        if item is None:
            return
        if "finished" in body and "answered" in body:
            self.rule("result", False, f"{item.id} failed twice at once")
        elif "finished" in body:
            self.rule("result", not self.stops(item), f"{item.id} was asked to stop, and failed instead")
            end = self._latest_end(item, body["finished"], _UNDONE)
            self._check_reason(end, body)
            parked = end is not None and end["outcome"] == "cancelled" and self._only_parked(item)
            self.rule("result", not parked, f"an attempt at {item.id} was parked, and the item failed of it")
        elif "answered" in body:
            self._decided(item, body["answered"], ("rejected", "expired"))
        else:
            self.rule("order", item.standing != "pending", f"{item.id} failed before it was ready")
            decided = item.standing not in ("ended", "waiting")
            self.rule("result", decided, f"{item.id} is {item.standing}, and failed by nothing")
        self._end(item)

    def retried(self, body: dict):
        """After an attempt that failed or was lost, or that a park stopped."""
        item = self.living(body["item"])
        if item is None:
            return
        self.rule("result", not self.stops(item), f"{item.id} was asked to stop, and is tried again")
        end = self._latest_end(item, body["finished"], _UNDONE)
        self._check_reason(end, body)
        stopped = end is not None and end["outcome"] == "cancelled" and not self._only_parked(item)
        self.rule("result", not stopped, f"an attempt at {item.id} was cancelled, and nobody parked it")
        if item.standing != "running":
            item.standing = "ready"

    def _only_parked(self, item: Item) -> bool:
        """Whether the latest attempt was stopped by a park, and by nothing else."""
        latest = item.attempts[-1] if item.attempts else None
        return latest is not None and not latest.expired and self.was_parked(latest)

    def skipped(self, body: dict):
        """Due to something that leads to it, and did not end well."""
        item = self.living(body["item"])
        if item is None:
            return
        self.rule("order", item.standing in ("pending", "running"), f"{item.id} is {item.standing}, and skipped")
        cause = self.known(body["due_to"])
        if cause:
            before = [self.items[name] for name in item.depends_on]
            leads = any(one is cause or one.due_to == cause.id for one in before)
            self.rule("order", leads, f"nothing leads from {cause.id} to {item.id}")
            if body["cause"] == "dependency":
                ended = cause.is_over() and cause.standing != "done"
            else:
                red = cause.made is not None and not cause.made.get("verify", {"passed": True})["passed"]
                ended = cause.standing == "failed" or (cause.standing == "done" and red)
            self.rule("order", ended, f"{item.id} is skipped due to {cause.id}, which is {cause.standing}")
            item.due_to = cause.id
            if body["cause"] == "pattern" and not cause.stuck and not cause.answered:
                self.owing.add(cause.id)
        item.skipped_by = body["cause"]
        self._end(item)

    def cancelled(self, body: dict):
        """By a request of the item or its run, with the proof that fits."""
        item = self.living(body["item"])
        if item is None:
            return
        request = self.earlier(body["request"], "cancel.requested")
        scope = request["body"]["scope"] if request else None
        ours = scope == "run" or (scope == "item" and request["body"]["item"] == item.id)
        self.rule("reference", ours, f"no request to cancel {item.id}")
        end = item.ended()
        if end is not None:
            self.rule("result", end["body"]["outcome"] == "cancelled", f"the attempt ended {end['body']['outcome']}")
            self.rule("result", body["request"] < end["seq"], "the attempt had ended before it was asked to stop")
        leased = item.attempts[-1].leased["seq"] if item.attempts else None
        fits = {
            "never_started": leased is None,
            "absent": leased is not None,
            # The operator's own word, while an attempt was not proved gone.
            "forced": end is not None and not (ours and scope == "run") and leased < body["request"],
        }
        self.rule("attempt", fits[body["proof"]], f"the proof {body['proof']} does not fit the attempts")
        self._end(item)

    def denied(self, body: dict):
        """By a rule; not instead of what an attempt brought."""
        item = self.living(body["item"])
        if item is None:
            return
        self.rule("result", item.ended() is None, f"an attempt at {item.id} ended, and the item is denied")
        self._end(item)

    def _end(self, item: Item):
        self.rule("item", item.open() is None, f"{item.id} ends during an attempt")
        self.free(item)
        item.standing = ENDS[self.values[self.at]["type"]]

    def _latest_end(self, item: Item, position: int, outcomes: tuple) -> dict | None:
        """Returns the body of the `attempt.finished` there; judged to be that of the latest attempt, not yet judged,
        with an outcome that allows what follows."""
        named = self.earlier(position, "attempt.finished", item.id)
        if not self.rule("reference", named is not None, f"no end of an attempt at {item.id} there"):
            return None
        self.rule("result", item.ended() is named, f"not the end that is to be judged of {item.id}")
        outcome = named["body"]["outcome"]
        self.rule("result", outcome in outcomes, f"by an attempt that ended {outcome}")
        return named["body"]

    def _check_reason(self, end: dict | None, body: dict):
        if end is not None:
            self.rule("result", end.get("reason") == body["reason"], "for another reason than the attempt's")

    def _decided(self, item: Item, position: int, decisions: tuple):
        """The item's question was decided there, in one of these ways."""
        answered = self.earlier(position, "question.answered")
        asked = self.earlier(answered["body"]["asked"], "question.asked", item.id) if answered else None
        if not self.rule("reference", asked is not None, f"no question of {item.id} was decided there"):
            return
        latest = item.question.answered if item.question else None
        fits = latest is answered and answered["body"]["decision"] in decisions
        self.rule("result", fits and item.standing == "waiting", f"no such decision about {item.id}")
