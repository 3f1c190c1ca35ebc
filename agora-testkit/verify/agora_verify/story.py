"""Step 6: replays the run's entries by the table of `docs/audit.md`, "The story". Each entry is judged by what came
before it, and then taken as it stands, so that one wrong fact is told once and not by all that follow."""

from .context import Context
from .journal import all_readable
from .report import STEPS
from .tale_attempts import Attempts, Questions
from .tale_ends import Ends
from .tale_growth import Growth


class Story(Growth, Attempts, Questions, Ends):
    """A replay: each type of entry to its rules."""

    def replay(self):
        """Replays all entries, then asks what only the whole can tell."""
        self.rule("start", bool(self.values), "no entries")
        for position, value in enumerate(self.values):
            self.at = position
            self._entry(value)
        self.rule("end", self.completed is not None or not self.sealed, "sealed without run.completed")

    def _entry(self, value: dict):
        type_, body = value["type"], value["body"]
        is_opening = type_ == "run.opened"
        self.rule("start", is_opening == (self.at == 0), "entry 0 has to be the only run.opened")
        if not self.rule("end", self.completed is None, "after run.completed"):
            return
        growing = self.growing
        if type_ in self.HANDLERS:
            self.HANDLERS[type_](self, body)
        if self.growing is growing and not (type_ == "items.added" and body["cause"] == "pattern"):
            self.growing = None
        self.begins = self.begins and (is_opening or (type_ == "items.added" and body["cause"] == "plan"))

    HANDLERS = {
        "run.opened": Growth.opened, "items.added": Growth.added, "pattern.failed": Growth.stuck,
        "run.closed": Growth.close, "hold.set": Growth.set_hold, "hold.released": Growth.release,
        "cancel.requested": Growth.request_cancel, "run.completed": Growth.complete,
        "attempt.leased": Attempts.leased, "attempt.started": Attempts.started, "attempt.finished": Attempts.finished,
        "question.asked": Questions.asked, "item.waiting": Questions.waiting, "question.answered": Questions.answered,
        "item.ready": Ends.ready, "item.done": Ends.done, "item.failed": Ends.failed, "item.retried": Ends.retried,
        "item.skipped": Ends.skipped, "item.cancelled": Ends.cancelled, "item.denied": Ends.denied,
    }


def check_story(context: Context):
    """Step 6. Needs every entry of the run to be canonical and in its schema."""
    if not all_readable(context):
        context.report.skip(6, STEPS[6], "entries", "an entry cannot be read")
        return
    context.story = Story(context)
    context.story.replay()
