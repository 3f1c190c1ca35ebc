"""What each check came to (§9), kept by step and code, and printed as §10 says."""

CHECKPOINT = "checkpoint-format checkpoint-origin checkpoint-size checkpoint-root"
SIGNED = "checkpoint-signature key-role key-unknown checkpoint-unsigned key-window key-revoked"

# Every code, by the step that looks at it.
STEPS = {
    1: "bundle-unreadable policy-unreadable bundle-format bundle-limit bundle-encoding bundle-schema bundle-manifest",
    2: "policy-origin key-weak key-substituted",
    3: "entry-limit entry-encoding entry-schema entry-run entry-seq entry-prev entry-time",
    4: f"{CHECKPOINT} {SIGNED}",
    5: f"{CHECKPOINT} {SIGNED} log-inclusion log-consistency log-rollback log-fork log-unseen log-opened log-sealed"
    " log-resealed log-late key-rotation",
    6: "story-start story-end story-item story-attempt story-fence story-order story-input story-result"
    " story-question story-reference story-count",
    7: "registry-signature registry-digest registry-unlisted registry-rollback key-window key-revoked",
    8: "statement-missing statement-extra statement-payload statement-signature key-window key-revoked",
    9: "artifact-digest artifact-unreferenced",
    10: f"{CHECKPOINT} {SIGNED} anchor-receipt anchor-place anchor-bytes anchor-contested anchor-mode"
    " anchor-retention anchor-unchecked",
    11: "required-unmet",
}
STEPS = {step: codes.split() for step, codes in STEPS.items()}


class Report:
    """Collects what passed, failed and was left unchecked; nothing recorded is `none`."""

    def __init__(self):
        self._passed = set()
        self._failed = {}
        self._unchecked = {}
        self.notes = []
        self.could_not = False  # exit code 2 unless something failed

    def good(self, step: int, *codes: str):
        """There was something to check, and it was right."""
        self._passed.update((step, self._known(step, code)) for code in codes)

    def fail(self, step: int, code: str, where: str, detail: str):
        """Records a failure; all are kept."""
        self._failed.setdefault((step, self._known(step, code)), []).append((where, detail))

    def skip(self, step: int, codes, where: str, detail: str):
        """What could not be looked at: never a pass."""
        for code in [codes] if isinstance(codes, str) else codes:
            self._unchecked.setdefault((step, self._known(step, code)), (where, detail))

    def skip_steps(self, steps, why: str):
        """Leaves whole steps unchecked."""
        for step in steps:
            self.skip(step, STEPS[step], "", why)

    def judge(self, step: int, code: str, ok: bool, where: str, detail: str) -> bool:
        """Passes or fails `code`; returns `ok`."""
        if ok:
            self.good(step, code)
        else:
            self.fail(step, code, where, detail)
        return ok

    @staticmethod
    def _known(step: int, code: str) -> str:
        if code not in STEPS[step]:
            raise KeyError(f"{code} is not a code of step {step}")
        return code

    def failed(self, steps) -> bool:
        """Whether a check of these steps failed."""
        return any(step in steps for step, _ in self._failed)

    def broken(self) -> bool:
        """Whether the bundle's own bytes do not hold together (§10, integrity).

        Steps 1 to 9, and of step 10 what needs nothing but the bundle: a byte changed in an anchor shows only there.
        """
        own = {(10, code) for code in f"{CHECKPOINT} {SIGNED} anchor-receipt".split()}
        return any(step < 10 or (step, code) in own for step, code in self._failed)

    def failed_codes(self) -> list[str]:
        """Returns the codes that failed anywhere, sorted."""
        return sorted({code for _, code in self._failed})

    def rows(self) -> list[dict]:
        """Returns one row per code, and one more for each further failure of it, in the order of the steps."""
        rows = []
        for step, codes in STEPS.items():
            for code in codes:
                at = (step, code)
                for where, detail in self._failed.get(at, []):
                    rows.append(_row(code, "fail", where, detail))
                if at in self._failed:
                    continue
                if at in self._unchecked:
                    rows.append(_row(code, "unchecked", *self._unchecked[at]))
                else:
                    rows.append(_row(code, "pass" if at in self._passed else "none", "", ""))
        return rows


def _row(code: str, status: str, where: str, detail: str) -> dict:
    row = {"code": code, "status": status}
    if where:
        row["where"] = where
    if detail:
        row["detail"] = printable(detail)
    return row


def printable(text: str) -> str:
    """Returns `text` with everything but printable ASCII escaped."""
    return "".join(char if " " <= char <= "~" else char.encode("unicode_escape").decode("ascii") for char in text)
