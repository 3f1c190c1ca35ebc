"""What an entry may be (§2): the members of every entry, and the body that each type fixes."""

from .fields import (
    Mistyped, any_value, array, b64, boolean, digest, hash_, integer, just, name, one_of, origin, pattern,
    record, text, time, word,
)

# Why an attempt failed: the reasons of each class (docs/errors.md, "Failed attempts").
REASONS = {
    "input": "patch-conflict need-missing bad-input-key",
    "setup": "merge-conflict registry-revoked env-refused context-unmet runtime-missing runtime-version"
    " model-unmapped setup-failed setup-timeout",
    "integrity": "digest-mismatch blob-missing tree-mismatch path-refused outcome-invalid",
    "sandbox": "isolation-unavailable jail-failed",
    "auth": "secret-missing secret-denied credentials-rejected",
    "agent": "agent-exit no-result patch-refused capture-unreadable needs-input-malformed memory disk pids"
    " secret-in-patch",
    "verify": "rejected gate-failed",
    "timeout": "wall",
    "idle": "no-output",
    "capacity": "rate-limited overloaded quota no-room",
    "egress": "broker-lost bytes-exceeded canary",
    "budget": "cost tokens turns",
    "lost": "worker-lost",
    "provider": "launch-failed transfer-failed image-missing transport-expiry protocol-version worker-error",
    "cancelled": "caller operator policy shutdown",
}
REASONS = {class_: reasons.split() for class_, reasons in REASONS.items()}

classes = one_of(*REASONS)
role = one_of("log", "run", "attest", "registry-admin")
alg = one_of("ed25519", "ecdsa-p256")
custody = one_of("file", "passphrase", "kms", "offline")
actor = pattern(r"(?=.{1,4096}\Z)(engine|(human|agent|schedule|pattern):[!-~]+)", "an actor")


def _body(members: dict, rule=None):
    """A body: every one may hold `x`, which no rule reads."""
    return record({**members, "x?": any_value}, rule=rule)


def reason_fits(value, path):
    """A reason belongs to one class; the two stand together or not at all."""
    if ("class" in value) != ("reason" in value):
        raise Mistyped(f"{path}: class without reason, or reason without class")
    if "class" in value and value["reason"] not in REASONS[value["class"]]:
        raise Mistyped(f"{path}.reason: not a reason of its class")


def _finished_rule(value, path):
    """Class and reason exactly when failed, cancelled or lost; outputs ascending by path."""
    reason_fits(value, path)
    if ("class" in value) != (value["outcome"] in ("failed", "cancelled", "lost")):
        raise Mistyped(f"{path}.class: exactly when failed, cancelled or lost")
    paths = [output["path"] for output in value["outputs"]]
    if any(left >= right for left, right in zip(paths, paths[1:])):
        raise Mistyped(f"{path}.outputs: not ascending by path")


def _done_rule(value, path):
    if ("finished" in value) == ("answered" in value):
        raise Mistyped(f"{path}: exactly one of finished and answered")


def _added_rule(value, path):
    for index, item in enumerate(value["items"]):
        if any(use >= len(value["resolved"]) for use in item["uses"]):
            raise Mistyped(f"{path}.items[{index}].uses: beyond resolved")


def _leased_rule(value, path):
    if value["attempt"] == 0:
        raise Mistyped(f"{path}.attempt: counted from 1")


def _input_rule(value, path):
    """`ref` has neither item nor done, the others both; only an answer to the item's own question has no done.
    A path belongs to an output, and to it alone."""
    made = value["use"] != "ref"
    if made != ("item" in value) or (made != ("done" in value) and value["use"] != "answer"):
        raise Mistyped(f"{path}: item and done exactly when an item made it")
    _path_rule(value, path)


def _path_rule(value, path):
    if value["use"] != "ref" and ("path" in value) != (value["use"] == "output"):
        raise Mistyped(f"{path}.path: exactly when an output")


def _cancel_rule(value, path):
    """A run has no item, an item no attempt, an attempt both."""
    members = {"run": (False, False), "item": (True, False), "attempt": (True, True)}[value["scope"]]
    if members != ("item" in value, "attempt" in value):
        raise Mistyped(f"{path}: item and attempt do not fit the scope")


registry_ref = record({"version": integer, "digest": digest, "note": digest})
_artifact = {"digest": digest, "size_bytes": integer}
_lease = {"item": name, "attempt": integer, "fence": integer}
_usage = record(
    {f"{part}?": integer for part in ("input_tokens", "cached_tokens", "output_tokens", "cost_microusd", "turns")}
)
_place = record({**{part: name for part in ("account", "region", "bucket", "key", "version_id")}, "retain_until": time})

_target = record({"name": name, "provider": word, "digest": digest, "image?": digest})
_item = record(
    {
        "id": name, "digest": digest, "executor": name, "depends_on": array(name),
        "needs": array(record(
            {"key": name, "item": name, "use": one_of("patch", "output", "answer"), "path?": name}, rule=_path_rule
        )),
        "locks": array(name), "uses": array(integer), "x?": any_value,
    }
)
_input = record(
    {
        "use": one_of("patch", "output", "answer", "ref"), "digest": digest, "item?": name, "done?": integer,
        "key?": name, "path?": name,
    },
    rule=_input_rule,
)
_isolation = record(
    {
        "provider": word, "profile": name, "weaker": array(text),
        "probes": record({"failed": array(name), "passed": integer}, open_=True),
        "network": record({"mode": word, "boundary": word}, open_=True),
    },
    open_=True,
)
_secret = record({"name": name, "deliver": one_of("broker", "file", "env"), "version?": name})

RUN_BODIES = {
    "run.opened": _body({
        "log": origin, "log_seq": integer, "plan": digest, "queue": name, "registry": registry_ref,
        "targets": array(_target), "tools?": digest, "agora": name, "open_ended": boolean,
        "base?": record({"workspace": name, "tree": digest, "commit?": name, "dirty": boolean}),
        "budget?": record({"microusd?": integer, "tokens?": integer, "wall_ms?": integer}),
        "retain_days?": integer,
    }),
    "items.added": _body({
        "cause": one_of("plan", "extend", "pattern"), "source?": name,
        "resolved": array(record({"kind": word, "name": name, "digest": digest})), "items": array(_item),
    }, _added_rule),
    "run.logged": _body({"size": integer, "root": hash_, "sig": b64}),
    "item.ready": _body({"item": name, "cause": one_of("dependencies", "answer", "retry")}),
    "attempt.leased": _body({
        **_lease, "target": name, "target_digest": digest, "provider": word, "message?": digest, "model?": name,
        "inputs": array(_input), "locks": array(name), "deadline": time, "reserved_microusd?": integer,
    }, _leased_rule),
    "attempt.started": _body({
        **_lease, "handle": name, "isolation": _isolation, "image?": digest,
        "worker": record({"version": name, "digest": digest}), "task": digest, "secrets": array(_secret),
    }),
    "attempt.finished": _body({
        **_lease, "outcome": one_of("done", "failed", "needs_input", "cancelled", "lost"), "duration_ms": integer,
        "outputs": array(record({**_artifact, "path": name})), "models": array(name),
        "class?": classes, "reason?": word, "exit_code?": integer, "signal?": integer,
        "start_tree?": digest, "result_tree?": digest,
        "patch?": record({**_artifact, "files": integer, "flags": array(word)}), "draft?": record(_artifact),
        "verify?": record({"passed": boolean, "report": digest}), "usage?": _usage, "usage_broker?": _usage,
        "log?": record({**_artifact, "truncated": boolean}), "report?": digest,
        "egress?": record({"allowed": integer, "refused": integer, "canaries": integer, "records": digest}),
    }, _finished_rule),
    "item.done": _body({"item": name, "finished?": integer, "answered?": integer}, _done_rule),
    "item.failed": _body({
        "item": name, "class": classes, "reason": word, "detail?": text, "finished?": integer, "answered?": integer,
    }, reason_fits),
    "item.retried": _body({
        "item": name, "finished": integer, "class": classes, "reason": word, "not_before": time,
    }, reason_fits),
    "item.waiting": _body({"item": name, "asked": integer}),
    "item.skipped": _body({"item": name, "cause": one_of("dependency", "pattern"), "due_to": name}),
    "item.cancelled": _body({
        "item": name, "request": integer, "proof": one_of("never_started", "absent", "forced"),
    }),
    "item.denied": _body({"item": name, "rule": name, "policy": digest}),
    "question.asked": _body({
        "item": name, "kind": one_of("input", "approval"), "text": digest, "options": integer,
        "subjects": array(digest), "finished?": integer, "expires?": time,
    }),
    "question.answered": _body({
        "asked": integer, "leaf": hash_, "decision": one_of("answered", "approved", "rejected", "expired"),
        "answer?": digest,
    }),
    "hold.set": _body({"mode": one_of("drain", "park"), "reason": word, "note?": digest}),
    "hold.released": _body({"hold": integer}),
    "cancel.requested": _body({
        "scope": one_of("run", "item", "attempt"), "item?": name, "attempt?": integer,
        "via": one_of("mcp", "cli", "schedule", "engine"), "reason": word, "note?": digest,
    }, _cancel_rule),
    "pattern.failed": _body({"pattern": name, "reason": word}),
    "run.closed": _body({}),
    "run.completed": _body({
        "outcome": one_of("done", "failed", "cancelled"),
        **{count: integer for count in ("done", "failed", "skipped", "cancelled", "denied", "cost_microusd")},
    }),
}

_key = {"name": name, "role": role, "alg": alg, "key": b64, "custody": custody}

LOG_BODIES = {
    "log.opened": _body({"format": just("agora-log/v1"), "keys": array(record(_key))}),
    "run.opened": _body({"run": name, "plan": digest, "registry": registry_ref, "first": hash_}),
    "run.sealed": _body({
        "run": name, "opened": integer, "size": integer, "root": hash_,
        "outcome": one_of("done", "failed", "cancelled"),
    }),
    "key.added": _body(_key),
    "key.rotated": _body({**_key, "old": b64, "sig_old": b64, "sig_new": b64}),
    "key.revoked": _body({"role": role, "name": name, "key": b64, "last_good": integer, "reason": word}),
    "registry.accepted": _body({"version": integer, "digest": digest, "note": digest}),
    "registry.refused": _body({"version?": integer, "digest?": digest, "reason": word}),
    "anchor.receipt": _body({
        "anchor": name, "kind": word, "size": integer, "root": hash_, "note": digest, "place?": _place,
    }),
    "clock.jump": _body({"by_ms": integer, "back": boolean}),
}

_AUTH = record({"how": word, "policy": digest, "rule": name})
_ENVELOPE = {
    "v": just(1), "type": any_value, "seq": integer, "prev": hash_, "at": time, "actor": actor, "auth?": _AUTH,
    "body": any_value,
}
_ENVELOPES = {"run": record({**_ENVELOPE, "run": name}), "log": record(_ENVELOPE)}
_BODIES = {"run": RUN_BODIES, "log": LOG_BODIES}


def check_entry(value: dict, journal: str):
    """Raises `Mistyped` unless `value` is an entry of `journal`, which is `run` or `log`."""
    _ENVELOPES[journal](value, "", None)
    bodies = _BODIES[journal]
    if not isinstance(value["type"], str) or value["type"] not in bodies:
        raise Mistyped("type: not one of this journal")
    bodies[value["type"]](value["body"], "body", value["seq"])
    if journal == "log" and (value["type"] == "log.opened") != (value["seq"] == 0):
        raise Mistyped("type: log.opened stands at 0, and only there")
