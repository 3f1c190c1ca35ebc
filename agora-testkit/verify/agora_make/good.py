"""Good bundles: one story each (§12). Each function makes a home of its own, so that all stand alone."""

import datetime

from agora_verify.fields import decode_b64, encode_b64
from agora_verify.note import parse_checkpoint

from .home import Home, digest
from .run import AUTH, BARE, HUMAN, STRICT, Run, log_bundle
from .signing import Signer, note

PLACE = {
    "account": "111122223333", "region": "eu-central-1", "bucket": "evidence", "version_id": "v-1",
    "retain_until": "2036-11-20T18:07:00.000000Z",
}


def begin(home: Home | None = None, name: str = "r-1", items=None, approvals=(), needs=None, **changes) -> Run:
    """A run that is opened, planned and stands in a signed log."""
    run = Run(home or Home(), name, **changes)
    run.items_added(items or {"a": []}, actor=HUMAN, approvals=approvals, needs=needs)
    run.logged()
    return run


def end(run: Run, outcome: str = "done", **changes) -> Run:
    """Completes and seals."""
    run.complete(outcome, **changes)
    run.seal()
    return run


def one_item(home: Home | None = None, name: str = "r-1") -> Run:
    """One item, one attempt."""
    run = begin(home, name)
    run.ready("a")
    run.attempt("a")
    run.done("a")
    return end(run)


def hand_off() -> Run:
    """`b` works on what `a` made, and needs a second attempt; what it asks for by name and a pinned input are handed
    on too."""
    needs = [
        {"key": "from-a", "item": "a", "use": "patch"},
        {"key": "notes", "item": "a", "use": "output", "path": "notes.md"},
    ]
    run = begin(items={"a": [], "b": ["a"]}, needs={"b": needs})
    run.ready("a")
    run.attempt("a")
    run.done("a")
    run.ready("b")
    inputs = [*run.inputs_of("b"), {"use": "ref", "digest": digest("pinned"), "key": "style-guide"}]
    run.lease("b", inputs)
    run.start("b")
    retry(run, "b", run.finish("b", "failed", ("agent", "agent-exit"), exit_code=3))
    run.attempt("b", inputs)
    run.done("b")
    return end(run)


def retry(run: Run, item: str, finished: int) -> int:
    """Tries an item again."""
    body = run.values[finished]["body"]
    return run.add("item.retried", {
        "item": item, "finished": finished, "class": body["class"], "reason": body["reason"],
        "not_before": "2026-11-20T18:08:00.000000Z",
    })


def ask(run: Run, item: str, kind: str, **body) -> int:
    """Asks about an item; a person to approve shows what it depends on."""
    if kind == "approval":
        if item not in run.was_ready:
            run.ready(item)
        body = {"options": 0, "subjects": [part["digest"] for part in run.inputs_of(item)], **body}
    asked = run.add("question.asked", {
        "item": item, "kind": kind, "text": digest(f"question of {item}"), "options": 2, "subjects": [], **body,
    })
    run.add("item.waiting", {"item": item, "asked": asked})
    return asked


def answer(run: Run, asked: int, decision: str, **changes) -> int:
    """Answers a question."""
    body = {"asked": asked, "leaf": run.leaf(asked).hex(), "decision": decision, "answer": digest("answer")}
    return run.add("question.answered", {**body, **changes}, HUMAN, AUTH)


def question() -> Run:
    """An attempt asks, is answered, and the next ones are given the answer: one fails, the last does the work."""
    run = begin()
    run.ready("a")
    run.lease("a")
    run.start("a")
    finished = run.finish("a", "needs_input", draft=run.blob("draft of a\n"))
    answer(run, ask(run, "a", "input", finished=finished), "answered")
    run.ready("a", "answer")
    run.lease("a")
    run.start("a")
    retry(run, "a", run.finish("a", "failed", ("agent", "agent-exit"), exit_code=1))
    run.attempt("a")
    run.done("a")
    return end(run)


def approval() -> Run:
    """An approval between two items: asked without an attempt, and shown what it is about. The plan's items stand in
    several entries."""
    run = Run(Home())
    run.items_added({"a": []}, actor=HUMAN)
    run.items_added({"ok": ["a"]}, actor=HUMAN, approvals=["ok"])
    run.items_added({"b": ["a", "ok"]}, actor=HUMAN)
    run.logged()
    run.ready("a")
    run.attempt("a")
    run.done("a")
    run.ready("ok")
    answered = answer(run, ask(run, "ok", "approval"), "approved")
    run.end("item.done", "ok", answered=answered)
    run.ready("b")
    run.attempt("b")
    run.done("b")
    return end(run)


def rejected() -> Run:
    """An approval that is rejected; what depends on it is skipped."""
    run = begin(items={"ok": [], "b": ["ok"]}, approvals=["ok"])
    answered = answer(run, ask(run, "ok", "approval"), "rejected")
    run.end("item.failed", "ok", answered=answered, **{"class": "verify", "reason": "rejected"})
    run.end("item.skipped", "b", cause="dependency", due_to="ok")
    return end(run, "failed")


def cancelled() -> Run:
    """Parked and tried again, then the run is cancelled: one item in an attempt, one never started."""
    run = begin(items={"a": [], "b": ["a"]})
    run.ready("a")
    hold = run.add("hold.set", {"mode": "park", "reason": "maintenance"}, HUMAN, AUTH)
    run.add("hold.released", {"hold": hold}, HUMAN, AUTH)
    run.lease("a")
    run.start("a")
    park = run.add("hold.set", {"mode": "park", "reason": "maintenance"}, HUMAN, AUTH)
    retry(run, "a", run.finish("a", "cancelled", ("cancelled", "operator")))
    run.add("hold.released", {"hold": park}, HUMAN, AUTH)
    run.lease("a")
    run.start("a")
    request = run.add("cancel.requested", {"scope": "run", "via": "cli", "reason": "operator"}, HUMAN, AUTH)
    run.finish("a", "cancelled", ("cancelled", "operator"), signal=15)
    run.end("item.cancelled", "a", request=request, proof="absent")
    run.end("item.cancelled", "b", request=request, proof="never_started")
    return end(run, "cancelled")


def deadline() -> Run:
    """A deadline that passed is a cancel of the attempt by the engine; the item then fails."""
    run = begin()
    run.ready("a")
    run.lease("a")
    run.start("a")
    run.add("cancel.requested", {
        "scope": "attempt", "item": "a", "attempt": 1, "via": "engine", "reason": "deadline",
    })
    finished = run.finish("a", "failed", ("timeout", "wall"))
    run.end("item.failed", "a", finished=finished, **{"class": "timeout", "reason": "wall"})
    return end(run, "failed")


def pattern() -> Run:
    """What `a` made does not pass its verify: `rest` is skipped, and a pattern adds `check`, which fails and is made
    good by another."""
    run = begin(items={"a": [], "rest": ["a"]})
    run.ready("a")
    run.attempt("a", verify={"passed": False, "report": digest("verify")})
    run.done("a")
    run.end("item.skipped", "rest", cause="pattern", due_to="a")
    by = {"cause": "pattern", "source": "a", "actor": "pattern:review"}
    run.items_added({"check": ["a"]}, **by)
    run.ready("check")
    run.lease("check")
    run.start("check")
    finished = run.finish("check", "failed", ("verify", "gate-failed"))
    run.end("item.failed", "check", finished=finished, **{"class": "verify", "reason": "gate-failed"})
    run.items_added({"mend": ["a"]}, **by)
    run.ready("mend")
    run.attempt("mend")
    run.done("mend")
    return end(run)


def pattern_failed() -> Run:
    """A pattern that could not go on: the run fails, though every item is done."""
    run = begin()
    run.ready("a")
    run.attempt("a")
    run.done("a")
    run.add("pattern.failed", {"pattern": "review:a", "reason": "rounds"})
    return end(run, "failed")


def closed_empty() -> Run:
    """An open-ended run that was closed before anything was added."""
    run = Run(Home(), open_ended=True)
    run.add("run.closed", {}, HUMAN, AUTH)
    return end(run)


def extended() -> Run:
    """An open-ended run: extended by an agent, then closed."""
    run = begin(open_ended=True)
    run.ready("a")
    run.attempt("a", isolation=BARE)
    run.done("a")
    run.items_added({"b": ["a"]}, cause="extend", actor="agent:planner")
    run.add("run.closed", {}, "agent:planner", AUTH)
    run.ready("b")
    run.attempt("b")
    run.done("b")
    return end(run)


def open_run() -> Run:
    """A run in the middle of an attempt."""
    run = begin()
    run.ready("a")
    run.lease("a")
    run.start("a")
    return run


def rotated() -> Run:
    """Log and run keys are rotated while the run goes on."""
    home = Home()
    run = begin(home)
    home.rotate("log", "second")
    run.ready("a")
    run.attempt("a")
    home.rotate("run", "second")
    home.rotate("attest", "second")
    run.done("a")
    return end(run)


def local_anchor() -> Run:
    """The log is also kept beside the store, before and after the seal."""
    home = Home()
    home.anchor("local")
    run = one_item(home)
    home.anchor("local")
    return run


def anchored_run() -> Run:
    """The log is kept under object lock in another account."""
    home = Home()
    run = one_item(home)
    home.anchor("s3-object-lock", external_place(home))
    return run


def external_place(home: Home) -> dict:
    """The place of the next checkpoint of `home`."""
    name = digest(home.origin)[7:]
    return {**PLACE, "key": f"agora/v1/{name}/{len(home.log):020}.note"}


def busy_log() -> Home:
    """Two runs, one sealed before the other; registry and keys changed between them."""
    home = Home()
    one_item(home, "r-1")
    home.deploy("one")
    home.append("clock.jump", {"by_ms": 60000, "back": True})
    home.rotate("run", "second")
    one_item(home, "r-2")
    home.anchor("local")
    return home


def secrets() -> Run:
    """A secret in a file, another brokered; a line of the report is a weaker wall."""
    run = begin()
    run.ready("a")
    run.lease("a")
    isolation = {**BARE, "profile": "landlock-only", "network": {"mode": "open", "boundary": "nothing"}}
    token = {"name": "token", "deliver": "file", "version": "3"}
    run.start("a", isolation, [token, {"name": "api", "deliver": "broker"}])
    run.finish("a")
    run.done("a")
    return end(run)


def every_member() -> Run:
    """Every optional member, and what is open: `x`, and what a report of isolation holds beyond what is read."""
    home = Home()
    run = Run(home, open_ended=True)
    run.items["a"] = {
        "id": "a", "digest": digest("item a"), "executor": "edit", "depends_on": [], "needs": [], "uses": [1, 0],
        "locks": ["site/docs%20of%20ours", "w"], "x": {"lane": [1, {"deep": True}]},
    }
    run.attempts["a"] = []
    run.resolved = [
        {"kind": "capability", "name": "style", "digest": digest("style two")},
        {"kind": "subagent", "name": "edit", "digest": digest("edit one")},
    ]
    body = {"cause": "plan", "source": "plan.json", "resolved": run.resolved, "items": [run.items["a"]]}
    run.add("items.added", {**body, "x": "free"}, "schedule:nightly", AUTH)
    run.logged()
    run.ready("a")
    run.lease("a", [{"use": "ref", "digest": digest("pinned"), "key": "guide", "path": "docs/guide.md"},
                    {"use": "ref", "digest": digest("plain"), "key": "plain"}])
    isolation = {
        **STRICT, "cgroup": {"pids": 512}, "probes": {**STRICT["probes"], "not_testable": ["P16"]},
        "network": {**STRICT["network"], "intercept": False, "rules": digest("rules")},
        "weaker": ["agent and worker share a host uid: \"namespaces\" are the wall \\"],
    }
    run.start("a", isolation, [{"name": "api", "deliver": "broker", "version": "7"}], image=digest("image"))
    usage = {"input_tokens": 1, "cached_tokens": 2, "output_tokens": 3, "cost_microusd": 4, "turns": 5}
    egress = {"allowed": 3, "refused": 1, "canaries": 0, "records": digest("egress")}
    run.finish("a", usage=usage, usage_broker=usage, egress=egress, draft=run.blob("draft of a\n"), signal=9,
               models=["large-2", "small-1"], verify={"passed": False, "report": digest("verify")})
    run.done("a")
    run.items_added({"b": []}, cause="extend", actor="agent:planner")
    run.ready("b")
    run.end("item.failed", "b", detail="no such product: \"x\"", **{"class": "input", "reason": "need-missing"})
    run.items_added({"c": [], "d": []}, cause="extend", actor="agent:planner")
    run.ends["denied"] += 1
    run.add("item.denied", {"item": "c", "rule": "rules.2", "policy": digest("agora.toml")}, HUMAN, AUTH)
    run.lease("d")
    run.start("d")
    request = run.add("cancel.requested", {
        "scope": "item", "item": "d", "via": "mcp", "reason": "caller", "note": digest("note"),
    }, "agent:planner", AUTH)
    run.finish("d", "cancelled", ("cancelled", "caller"))
    run.end("item.cancelled", "d", request=request, proof="forced")
    run.add("run.closed", {"x": []}, "agent:planner", AUTH)
    return end(run, "failed", x=[])


def nameless_reference() -> Run:
    """Content that the plan pinned without a name: `key` is optional, and the statement then names the digest (§6)."""
    run = begin()
    run.lease("a", [{"use": "ref", "digest": digest("bare")}])
    run.start("a")
    run.finish("a")
    run.done("a")
    return end(run)


def small_attempts() -> Run:
    """Accepted attempts that made a patch alone, an output alone, and nothing: the last has no statement."""
    run = begin(items={"a": [], "b": [], "c": []})
    for item in ("a", "b", "c"):
        run.lease(item)
        run.start(item)
    attempts = {item: run.attempts[item][-1]["lease"] for item in "abc"}
    log = {**run.blob("log\n"), "truncated": True}
    for item, made in (
        ("a", {"patch": {**run.blob("patch\n"), "files": 2, "flags": ["binary"]}, "outputs": []}),
        ("b", {"outputs": [{**run.blob(f"{name}\n"), "path": name} for name in ("A.md", "a.md", "b/c.md")]}),
        ("c", {"outputs": []}),
    ):
        body = {
            **{part: attempts[item][part] for part in ("item", "attempt", "fence")}, "outcome": "done",
            "duration_ms": 0, "models": [], "log": log, "report": digest(f"report {item}"), **made,
        }
        attempt = run.attempts[item][-1]
        attempt["finish"], attempt["finished"] = body, run.add("attempt.finished", body)
        attempt["finished_at"] = run.values[-1]["at"]
        run.done(item)
    return end(run)


def large_log_entry() -> Home:
    """An entry of the log as large as one may be: 65,535 bytes."""
    home = Home()
    one_item(home)
    home.append("clock.jump", {"by_ms": 1, "back": False, "x": ""})
    empty = home.log.pop()
    home.clock -= datetime.timedelta(seconds=1)
    home.append("clock.jump", {"by_ms": 1, "back": False, "x": "x" * (65_535 - len(empty))})
    return home


def witnessed() -> dict:
    """A bundle whose checkpoints carry a line of somebody whom nobody named; it is ignored."""
    run = one_item()
    bundle = run.bundle()
    witness = Signer("witness.example/w1", "log", "witness")
    found = parse_checkpoint(decode_b64(bundle["log"]["checkpoint"]))
    signer = run.home.signer("log")
    bundle["log"]["checkpoint"] = encode_b64(note(found.note.text.decode("ascii"), witness, signer))
    return bundle


def all_good() -> dict[str, tuple[dict, object]]:
    """Returns every good bundle with the home whose policy fits it."""
    runs = {
        "one-item": one_item(), "hand-off-with-retry": hand_off(), "question": question(), "approval": approval(),
        "approval-rejected": rejected(), "cancelled": cancelled(), "deadline": deadline(),
        "grown-by-a-pattern": pattern(), "pattern-failed": pattern_failed(), "closed-empty": closed_empty(),
        "extended": extended(), "open-run": open_run(), "rotated-key": rotated(), "local-anchor": local_anchor(),
        "object-lock-anchor": anchored_run(), "secrets": secrets(), "every-member": every_member(),
        "small-attempts": small_attempts(), "nameless-reference": nameless_reference(),
    }
    found = {name: (run.bundle(), run.home) for name, run in runs.items()}
    run = hand_off()
    found["with-artifacts"] = (run.bundle(artifacts=True), run.home)
    run = question()
    found["with-artifacts-and-draft"] = (run.bundle(artifacts=True), run.home)
    run = one_item()
    found["statement-ed25519-alone"] = (run.bundle(p256=False), run.home)
    run = one_item()
    found["since"] = (run.bundle(since=[2, 3]), run.home)
    home = busy_log()
    found["log"] = (log_bundle(home), home)
    home = large_log_entry()
    found["log-large-entry"] = (log_bundle(home), home)
    found["witnessed"] = (witnessed(), Home())
    home = Home()
    run = one_item(home)
    found["with-whole-log"] = (run.bundle(whole_log=True), home)
    return found
