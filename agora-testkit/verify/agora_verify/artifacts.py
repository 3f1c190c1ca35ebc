"""Step 9: the bytes that a bundle brings along (§8)."""

from .context import Context
from .fields import decode_b64
from .journal import all_readable
from .registry import digest_of


def check_artifacts(context: Context):
    """Step 9: each is what its digest says, and an entry names it."""
    referenced = _referenced(context) if all_readable(context) else None
    for artifact in context.bundle["artifacts"]:
        digest, where = artifact["digest"], f"artifacts {artifact['digest']}"
        ok = digest_of(decode_b64(artifact["data"])) == digest
        context.report.judge(9, "artifact-digest", ok, where, "the bytes have another digest")
        if referenced is None:
            context.report.skip(9, "artifact-unreferenced", "entries", "an entry cannot be read")
        else:
            context.report.judge(9, "artifact-unreferenced", digest in referenced, where, "no entry names it")


def _referenced(context: Context) -> set[str]:
    """Patches, drafts, outputs, logs, reports and messages, and nothing else."""
    found = set()
    for entry in context.entries:
        body = entry.value["body"]
        if entry.value["type"] == "attempt.leased":
            found.add(body.get("message"))
        elif entry.value["type"] == "attempt.finished":
            parts = [body.get("patch"), body.get("draft"), body.get("log"), *body["outputs"]]
            found.update(part["digest"] for part in parts if part)
            found.update((body.get("report"), body.get("verify", {}).get("report")))
    return found - {None}
