"""Step 11: axes, requirements and exit code (§9, §10)."""

from .context import Context
from .policy import AXES, AXIS_OF
from .report import Report

BELOW = "none"


def judge_axes(context: Context | None, report: Report) -> dict[str, str]:
    """Returns the value of each axis; `none` where there is nothing to judge, as in what is broken."""
    nothing = dict.fromkeys(AXES, BELOW)
    if report.broken():
        return {**nothing, "integrity": "broken", "tamper": "unproven"}
    if context is None:
        return nothing
    axes = {
        "integrity": "consistent",
        "authenticity": "key-pinned" if context.policy and context.all_verified else "self-asserted",
        "tamper": "unproven",
        "completeness": _completeness(context),
        "time": "time-anchored" if context.live and not report.failed(range(1, 11)) else "time-asserted",
        "isolation": _isolation(context),
        "credentials": _credentials(context),
        "authorisation": _authorisation(context),
    }
    if not report.failed(range(1, 11)):
        evident = context.live and axes["authenticity"] == "key-pinned"
        axes["tamper"] = "tamper-evident" if evident else "tamper-detecting"
    return axes


def judge_requirements(context: Context | None, report: Report, axes: dict, required: list[str]):
    """`required-unmet`: an axis is below, and nothing that is unchecked could change that."""
    for value in required:
        axis = AXIS_OF[value]
        values = AXES[axis]
        met = axes[axis] in values and values.index(axes[axis]) >= values.index(value)
        if met:
            report.good(11, "required-unmet")
        elif _could_be_met(context, axes, value):
            report.could_not = True
            report.skip(11, "required-unmet", axis, f"{axes[axis]}; {value} is required, and not all was checked")
        else:
            report.fail(11, "required-unmet", axis, f"{axes[axis]}, and {value} is required")


def _could_be_met(context: Context | None, axes: dict, value: str) -> bool:
    """Keys are unchecked without a policy, an anchor until what it keeps was fetched."""
    if axes["integrity"] == "broken":
        return False
    if context is None:
        return True
    keys = context.policy is not None and context.all_verified
    keys = keys or context.policy is None
    anchor = context.live or context.candidates
    return {"key-pinned": keys, "tamper-evident": keys and anchor, "time-anchored": anchor}.get(value, False)


def exit_code(report: Report) -> int:
    """1 if any check failed, else 2 if something asked for could not be checked, else 0."""
    if report.failed(range(1, 12)):
        return 1
    return 2 if report.could_not else 0


def unsealed_runs(context: Context) -> list[str]:
    """Returns the runs that the log opened and did not seal, in the order of their openings."""
    values = [entry.value for entry in context.log_entries or () if entry.value]
    sealed = {value["body"]["run"] for value in values if value["type"] == "run.sealed"}
    opened = [value["body"]["run"] for value in values if value["type"] == "run.opened"]
    return [run for run in dict.fromkeys(opened) if run not in sealed]


def _completeness(context: Context) -> str:
    if context.kind == "run" and not context.is_sealed:
        return "open-run"
    if context.log_entries is None:
        return "whole-run"
    return "whole-log" if unsealed_runs(context) else "all-sealed"


def _accepted(context: Context) -> list[dict]:
    return [attempt.started["body"] for _, _, attempt in context.story.accepted if attempt.started]


def _isolation(context: Context) -> str:
    """The weakest accepted attempt."""
    levels = AXES["isolation"]
    reports = [body["isolation"] for body in _accepted(context)] if context.story else []
    return levels[min(_level(isolation) for isolation in reports)] if reports else BELOW


def _level(isolation: dict) -> int:
    if isolation["profile"] == "none":
        return 0
    probes = isolation["probes"]
    return 2 if not isolation["weaker"] and not probes["failed"] and probes["passed"] > 0 else 1


def exposed_secrets(context: Context) -> list[str]:
    """Returns the names of secrets that a started attempt could read, sorted."""
    names = set()
    for body in _started(context):
        open_door = body["isolation"]["network"]["boundary"] == "security-group"
        names.update(secret["name"] for secret in body["secrets"] if open_door or secret["deliver"] != "broker")
    return sorted(names)


def _started(context: Context) -> list[dict]:
    values = [entry.value for entry in context.entries if entry.value]
    return [value["body"] for value in values if value["type"] == "attempt.started"]


def _credentials(context: Context) -> str:
    if not context.story or not _started(context):
        return BELOW
    return "secrets-exposed" if exposed_secrets(context) else "secrets-sealed"


def _authorisation(context: Context) -> str:
    """Every entry of a human, an agent or a schedule says how that was established."""
    entries = context.entries if context.kind == "run" else context.log_entries or []
    values = [entry.value for entry in entries if entry.value]
    spoken = [value for value in values if value["actor"].split(":")[0] in ("human", "agent", "schedule")]
    if not spoken or len(values) < len(entries):
        return BELOW
    return "recorded" if all("auth" in value for value in spoken) else "not-recorded"


def take_notes(context: Context, report: Report):
    """What a reader should know and no check decides (§10)."""
    for body in (entry.value["body"] for entry in context.entries if entry.value):
        if "proof" in body and body["proof"] == "forced":
            report.notes.append(f"{body['item']}: its end was forced, not proved")
        if "verify" in body and not body["verify"]["passed"]:
            report.notes.append(f"{body['item']}: its verify did not pass")
    if context.story:
        for name, item in context.story.items.items():
            for attempt in item.attempts:
                _note_models(name, attempt, report)
        counts = {}
        for body in _accepted(context):
            profile = f"{body['isolation']['provider']}/{body['isolation']['profile']}"
            counts[profile] = counts.get(profile, 0) + 1
        report.notes += [f"{count} accepted under {profile}" for profile, count in sorted(counts.items())]
    report.notes += [f"secret {name} could be read by an attempt" for name in exposed_secrets(context)]
    if context.ignored:
        report.notes.append(f"{context.ignored} signature lines of keys that nobody named were ignored")


def _note_models(name: str, attempt, report: Report):
    asked = attempt.leased["body"].get("model")
    reported = attempt.finished["body"]["models"] if attempt.finished else []
    for model in reported:
        if asked and model != asked:
            report.notes.append(f"{name}: {model} was reported where {asked} was requested")
