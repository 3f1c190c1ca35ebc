"""The steps of §9 in their order, and the report of §10."""

import hashlib
import json
import pathlib

from . import SPEC, VERSION, anchors, artifacts, bundle, journal, log, registry, statements, story, verdict
from .context import Context
from .fields import decode_b64
from .keys import Key, Ring
from .policy import Policy, Unreadable, read_fetched, read_policy
from .report import Report

UNSHOWN = (
    "This does not show that the work is right, that the host was honest before it wrote, that the holder of a key"
    " signed nothing false, which model really ran, or what deleted bytes said."
)


def verify(path: str, policy_path: str | None, required: list[str], anchor_path: str | None) -> tuple[dict, int]:
    """Verifies the bundle at `path`; returns the report as §10 has it, and the exit code."""
    report = Report()
    policy = _read_policy(policy_path, report)
    fetched = _read_fetched(anchor_path, report)
    data = bundle.read_file(path, report)
    value = bundle.read_bundle(data, report) if data is not None else None
    context = None
    if value is None:
        report.skip_steps(range(2, 11), "the bundle cannot be used")
    else:
        context = Context(value, report, policy, fetched)
        context.ring = _keys(context, policy_path)
        _steps(context)
        verdict.take_notes(context, report)
    wanted = ["consistent", *required, *(policy.require if policy else ())]
    axes = verdict.judge_axes(context, report)
    verdict.judge_requirements(context, report, axes, wanted)
    code = verdict.exit_code(report)
    return _document(data, context, report, axes, wanted, code), code


def _read_policy(path: str | None, report: Report) -> Policy | None:
    if path is None:
        return None
    try:
        policy = read_policy(path)
    except Unreadable as error:
        report.skip(1, "policy-unreadable", "", str(error))
        report.could_not = True
        return None
    report.good(1, "policy-unreadable")
    return policy


def _read_fetched(path: str | None, report: Report) -> dict | None:
    if path is None:
        return None
    try:
        return read_fetched(path)
    except Unreadable as error:
        report.skip(10, "anchor-unchecked", "--anchor", str(error))
        report.could_not = True
        return None


def _steps(context: Context):
    """Entries are read first: where signatures speak stands in them, and in note B."""
    journal.read_entries(context)
    log.check_log_checkpoint(context)
    is_run = context.kind == "run"
    if is_run:
        first = context.entries[0].value if context.entries else None
        opened = first if first and first["type"] == "run.opened" else None
        bundle.check_manifest(context.bundle, opened, context.report)
        log.check_run_checkpoint(context)
    else:
        bundle.check_manifest(context.bundle, None, context.report)
    log.check_log(context)
    if is_run:
        story.check_story(context)
        registry.check_registry(context)
        statements.check_statements(context)
        artifacts.check_artifacts(context)
    anchors.check_anchors(context)
    bundle.check_keys(context.bundle, context.used, context.all_verified, context.report)


def _keys(context: Context, policy_path: str | None) -> Ring | None:
    """Step 2: the policy's keys, or without one the bundle's. A policy that cannot be used gives none."""
    report, policy = context.report, context.policy
    given = [Key(row["name"], row["role"], row["alg"], decode_b64(row["key"])) for row in context.bundle["keys"]]
    if policy:
        ok = policy.origin == context.log
        report.judge(2, "policy-origin", ok, "", f"the policy is for {policy.origin}")
        if not ok:
            # It says nothing of this log's keys: the bundle's own are believed, self-asserted.
            policy = context.policy = None
            policy_path = None
    pinned = list(policy.keys) if policy else []
    for key in pinned + given:
        report.judge(2, "key-weak", not key.weak(), key.name, "no signature by it says anything")
    if policy is None:
        if policy_path is None:
            return Ring(given)
        report.skip(2, ["policy-origin", "key-substituted"], "", "the policy cannot be read")
        return None
    names = {key.name for key in pinned}
    for key in given:
        ok = key in pinned or key.name not in names
        report.judge(2, "key-substituted", ok, key.name, "not the policy's key of this name")
    return Ring(pinned)


def _document(data, context: Context | None, report: Report, axes: dict, required: list[str], code: int) -> dict:
    document = {
        "format": "agora-report/v1",
        "verifier": {"version": VERSION, "spec": SPEC, "binary": _own_digest()},
        "axes": axes,
        "required": required,
        "checks": report.rows(),
        "unsealed": verdict.unsealed_runs(context) if context else [],
        "notes": report.notes,
        "verdict": ("verified", "failed", "could-not-check")[code],
    }
    if data is not None:
        document["bundle"] = "sha256:" + hashlib.sha256(data).hexdigest()
    if context:
        document["origin"] = context.log
        if context.run is not None:
            document["run"] = context.run
    return document


def _own_digest() -> str:
    """The digest over the files of this package, by name."""
    hash_ = hashlib.sha256()
    for path in sorted(pathlib.Path(__file__).parent.glob("*.py")):
        hash_.update(path.read_bytes())
    return "sha256:" + hash_.hexdigest()


def to_json(document: dict) -> str:
    """Returns the report as one line of canonical JSON."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True)


def to_text(document: dict) -> str:
    """Returns the report for people; it says the same."""
    lines = [f"{part}: {document[part]}" for part in ("bundle", "origin", "run") if part in document]
    lines.append("")
    lines += [f"  {axis:<14} {value}" for axis, value in document["axes"].items()]
    lines.append("")
    counts = dict.fromkeys(("pass", "fail", "unchecked", "none"), 0)
    for row in document["checks"]:
        counts[row["status"]] += 1
        if row["status"] in ("fail", "unchecked"):
            found = (row["code"], row.get("where", ""), row.get("detail", ""))
            lines.append(f"  {row['status']:<9} " + "  ".join(part for part in found if part))
    lines.append("checks: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    lines.append("required: " + ", ".join(document["required"]))
    lines += [f"unsealed: {run}" for run in document["unsealed"]]
    lines += [f"note: {note}" for note in document["notes"]]
    lines += ["", f"verdict: {document['verdict']}", UNSHOWN]
    return "\n".join(lines)
