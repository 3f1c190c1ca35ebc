"""Bad bundles for single sentences of the format page, where a reader might be lenient: each is one wrong thing in
what is otherwise a good bundle, made and signed by the holder of the keys. Named `D-` and the sentence."""

from agora_verify import canon
from agora_verify.fields import encode_b64

from . import good
from .attacks import one
from .case import attack
from .files import policy
from .good import answer, ask, begin, end, retry
from .home import Home, digest
from .run import AUTH, STRICT, Run, log_bundle
from .signing import Signer, envelope, note

TIME = "2026-11-20T20:00:00.000000Z"
LEASE = {"item": "a", "attempt": 1, "fence": 1}


def with_entry(type_: str, body: dict, **changes) -> dict:
    """A good run with one entry more, before its first lease."""
    run = begin()
    run.add(type_, body, **changes)
    if type_ == "item.ready":
        run.was_ready.add("a")
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


# Entries that have not the form of §2: name, type, body, and members of the entry itself.
ENTRIES = {
    "unknown-type": ("item.paused", {"item": "a"}, {}),
    "log-type-in-a-run": ("clock.jump", {"by_ms": 1, "back": True}, {}),
    "version": ("run.closed", {}, {"v": 2}),
    "actor": ("item.ready", {"item": "a", "cause": "dependencies"}, {"actor": "robot:r2"}),
    "actor-without-name": ("item.ready", {"item": "a", "cause": "dependencies"}, {"actor": "human:"}),
    "auth-member": ("run.closed", {}, {"auth": {**AUTH, "also": "x"}}),
    "no-such-day": ("run.closed", {}, {"at": "2027-02-29T00:00:00.000000Z"}),
    "x-beside-the-body": ("run.closed", {}, {"x": 1}),
    "done-by-nothing": ("item.done", {"item": "a"}, {}),
    "done-by-both": ("item.done", {"item": "a", "finished": 1, "answered": 1}, {}),
    "reason-unknown": ("item.failed", {"item": "a", "class": "agent", "reason": "bad-luck"}, {}),
    "class-unknown": ("item.failed", {"item": "a", "class": "luck", "reason": "cost"}, {}),
    "detail-too-long": (
        "item.failed", {"item": "a", "class": "budget", "reason": "cost", "detail": "x" * 257}, {},
    ),
    "cancel-run-with-item": ("cancel.requested", {"scope": "run", "item": "a", "via": "cli", "reason": "operator"}, {}),
    "cancel-item-without": ("cancel.requested", {"scope": "item", "via": "cli", "reason": "operator"}, {}),
    "cancel-attempt-without": (
        "cancel.requested", {"scope": "attempt", "item": "a", "via": "engine", "reason": "wall"}, {},
    ),
    "digest-upper-case": ("hold.set", {"mode": "park", "reason": "x", "note": digest("n").upper()}, {}),
    "hold-mode": ("hold.set", {"mode": "stop", "reason": "x"}, {}),
    "signature-not-base64": ("run.logged", {"size": 1, "root": "00" * 32, "sig": "AB=="}, {}),
    "item-with-a-space": ("item.ready", {"item": "a b", "cause": "dependencies"}, {}),
    "unknown-in-usage": ("attempt.finished", {
        **LEASE, "outcome": "needs_input", "duration_ms": 1, "outputs": [], "models": [], "usage": {"tokens": 1},
    }, {}),
    "class-of-what-is-done": ("attempt.finished", {
        **LEASE, "outcome": "done", "duration_ms": 1, "outputs": [], "models": [], "class": "agent",
        "reason": "agent-exit",
    }, {}),
    "failed-without-class": ("attempt.finished", {
        **LEASE, "outcome": "failed", "duration_ms": 1, "outputs": [], "models": [],
    }, {}),
    "outputs-unsorted": ("attempt.finished", {
        **LEASE, "outcome": "needs_input", "duration_ms": 1, "models": [], "outputs": [
            {"path": path, "digest": digest(path), "size_bytes": 1} for path in ("b", "a")
        ],
    }, {}),
    "outputs-twice": ("attempt.finished", {
        **LEASE, "outcome": "needs_input", "duration_ms": 1, "models": [], "outputs": [
            {"path": "a", "digest": digest("a"), "size_bytes": 1},
        ] * 2,
    }, {}),
    "uses-beyond-resolved": ("items.added", {"cause": "plan", "resolved": [], "items": [{
        "id": "z", "digest": digest("z"), "executor": "edit", "depends_on": [], "needs": [], "locks": [], "uses": [0],
    }]}, {}),
    "attempt-nought": ("attempt.leased", {
        **LEASE, "attempt": 0, "target": "local", "target_digest": digest("target"), "provider": "process",
        "inputs": [], "locks": [], "deadline": TIME,
    }, {}),
    "probes-missing": ("attempt.started", {
        **LEASE, "handle": "h", "worker": {"version": "1", "digest": digest("w")}, "task": digest("t"), "secrets": [],
        "isolation": {name: part for name, part in STRICT.items() if name != "probes"},
    }, {}),
    "secret-delivered-by-mail": ("attempt.started", {
        **LEASE, "handle": "h", "worker": {"version": "1", "digest": digest("w")}, "task": digest("t"),
        "isolation": STRICT, "secrets": [{"name": "api", "deliver": "mail"}],
    }, {}),
}
for _name, (_type, _body, _changes) in ENTRIES.items():
    attack(f"D-entry-{_name}", "entry-schema")(
        lambda type_=_type, body=_body, changes=_changes: with_entry(type_, body, **changes)
    )

# Inputs of a lease that have not the form of §2.
INPUTS = {
    "ref-with-item": {"use": "ref", "digest": digest("r"), "item": "a", "done": 1},
    "answer-without-item": {"use": "answer", "digest": digest("p")},
    "patch-without-done": {"use": "patch", "digest": digest("p"), "item": "a"},
    "patch-with-path": {"use": "patch", "digest": digest("p"), "item": "a", "done": 1, "path": "a"},
    "output-without-path": {"use": "output", "digest": digest("p"), "item": "a", "done": 1},
    "unknown-use": {"use": "log", "digest": digest("p"), "item": "a", "done": 1},
}
for _name, _input in INPUTS.items():
    attack(f"D-input-{_name}", "entry-schema")(lambda part=_input: with_entry("attempt.leased", {
        **LEASE, "target": "local", "target_digest": digest("target"), "provider": "process", "inputs": [part],
        "locks": [], "deadline": TIME,
    }))


@attack("D-entry-depth", "entry-encoding")
def nested_nine_deep():
    deep = 1
    for _ in range(7):
        deep = [deep]
    return with_entry("run.closed", {"x": deep})


@attack("D-log-opened-again", "entry-schema")
def log_opened_in_the_middle():
    home = Home()
    home.append("log.opened", {"format": "agora-log/v1", "keys": []})
    return log_bundle(home)


@attack("D-log-run-type", "entry-schema")
def run_type_in_the_log():
    home = Home()
    home.append("run.closed", {})
    return log_bundle(home)


@attack("D-log-seq", "entry-seq")
def log_entries_swapped():
    home = Home()
    for _ in range(2):
        home.append("clock.jump", {"by_ms": 1, "back": True})
    home.log[2], home.log[3] = home.log[3], home.log[2]
    return log_bundle(home)


# Snapshots and notes of the registry


def registry(snapshot=None, text=None):
    """A run under a registry whose snapshot and note are made otherwise; `run.opened` names just these."""
    home = Home()
    data, signed = home.snapshots[0]
    data = snapshot(data) if snapshot else data
    lines = signed.decode("utf-8").split("\n\n")[0].split("\n")
    lines[3] = digest(data)
    lines = text(lines) if text else lines
    home.snapshots[0] = (data, note("\n".join(lines) + "\n", home.signer("registry-admin")))
    return good.one_item(home).bundle(), home


SNAPSHOTS = {
    "spaces": ("registry-digest", b":", b": "),
    "version": ("registry-digest", b'"version":1', b'"version":2'),
    "no-subagents": ("registry-unlisted", b'"subagent"', b'"subagents"'),
    "capability-history": ("registry-unlisted", digest("style one").encode(), digest("style nil").encode()),
}
for _name, (_code, _old, _new) in SNAPSHOTS.items():
    attack(f"D-registry-{_name}", _code)(
        lambda old=_old, new=_new: registry(lambda data: data.replace(old, new, 1))
    )
attack("D-registry-four-lines", "registry-signature")(lambda: registry(text=lambda lines: lines[:4]))
attack("D-registry-format", "registry-signature")(
    lambda: registry(text=lambda lines: ["agora-registry/v2", *lines[1:]])
)


@attack("D-registry-window", "key-window")
def registry_key_too_old():
    return one(), None, {"trust": policy(Home(), rows={"registry-admin": {"until": 1}})}


# The log


def proofs(change, whole_log: bool = False) -> dict:
    """A bundle whose consistency proofs are made otherwise. Without all entries of the log nobody can judge that from
    size 3."""
    home = Home()
    for _ in range(3):
        home.append("clock.jump", {"by_ms": 1, "back": True})
    bundle = good.one_item(home).bundle(since=[3], whole_log=whole_log)
    change(bundle["log"]["consistency"])
    return bundle


def break_last(parts: list):
    parts[0]["proof"][-1] = "00" * 32


def add_nothing(parts: list):
    parts.insert(0, {"from": 0, "proof": []})


attack("D-since-broken", "log-consistency")(lambda: proofs(break_last, whole_log=True))
attack("D-since-broken-unnamed", "log-consistency", 0)(lambda: proofs(break_last))
attack("D-since-nothing", "log-consistency", 0)(lambda: proofs(add_nothing))
attack("D-since-beyond", "log-consistency", 0)(lambda: proofs(lambda parts: parts.append({"from": 99, "proof": []})))
attack("D-since-order", "bundle-manifest")(lambda: proofs(lambda parts: parts.reverse()))


@attack("D-logged-forged", "checkpoint-signature")
def logged_with_another_root():
    run = Run(Home())
    run.items_added({"a": []})
    run.logged()
    body = dict(run.values[-1]["body"])
    run.entries.pop()
    run.values.pop()
    run.add("run.logged", {**body, "root": digest("another")[7:]})
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


@attack("D-logged-by-mallory", "key-unknown")
def logged_by_another_key():
    home = Home()
    keys = home.keys["log"]
    home.keys["log"] = [(0, Signer(keys[0][1].name, "log", "mallory"))]
    run = begin(home)
    home.keys["log"] = keys
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


@attack("D-anchor-receipt-byte", "anchor-receipt")
def receipt_of_other_bytes():
    """What a changed byte does that is looked at nowhere but here: integrity is broken by it (§11)."""
    run = good.local_anchor()
    bundle = run.bundle()
    anchor = bundle["anchors"][1]
    at = anchor["entry"].index("sha256:") + 7
    anchor["entry"] = anchor["entry"][:at] + "00" + anchor["entry"][at + 2 :]
    return bundle, run.home


@attack("D-rotation-from-nobody", "key-rotation")
def rotated_from_a_key_not_in_force():
    home = Home()
    home.keys["run"] = [(0, Signer("example.com/agora/run", "run", "idle"))]
    home.rotate("run", "second")
    return good.one_item(home).bundle(whole_log=True), home


@attack("D-opened-twice", "log-resealed")
def run_opened_twice():
    home = Home()
    run = good.one_item(home)
    home.append("run.opened", canon.read_subset(home.log[run.opened], 8)["body"])
    return run.bundle(whole_log=True), home


# Statements


@attack("D-statements-swapped", "statement-payload")
def statements_out_of_order():
    bundle = good.hand_off().bundle()
    bundle["statements"].reverse()
    return bundle


@attack("D-statement-of-nothing", "statement-extra")
def statement_about_an_attempt_that_made_nothing():
    run = begin()
    run.lease("a")
    run.start("a")
    run.finish("a")
    body = {name: part for name, part in run.values.pop()["body"].items() if name != "patch"}
    run.entries.pop()
    run.add("attempt.finished", {**body, "outputs": []})
    run.done("a")
    return end(run).bundle()


@attack("D-statement-unsigned", "statement-signature")
def statement_without_signature():
    bundle = one()
    bundle["statements"][0]["signatures"] = []
    return bundle


@attack("D-statement-stranger", "statement-signature")
def a_stranger_signed_too():
    run = good.one_item()
    bundle = run.bundle()
    stranger = Signer("example.com/agora/attest", "attest", "stranger")
    bundle["statements"][0] = envelope(run.due[0], run.home.signer("attest"), run.home.p256, stranger)
    return bundle


@attack("D-statement-window", "key-window")
def attested_before_its_window():
    return one(), None, {"trust": policy(Home(), rows={"attest": {"from": 50}})}


@attack("D-payload-spaces", "statement-payload")
def payload_in_another_spelling():
    run = begin()
    run.attempt("a")
    run.done("a")
    run.due = [payload.replace(b'","', b'", "', 1) for payload in run.due]
    return end(run).bundle()


# The story


@attack("D-story-failed-done", "story-result")
def done_attempt_called_failed():
    run = begin()
    finished = run.attempt("a")
    run.end("item.failed", "a", finished=finished, **{"class": "agent", "reason": "agent-exit"})
    return end(run, "failed").bundle()


@attack("D-story-retried-done", "story-result")
def done_attempt_retried():
    run = begin()
    finished = run.attempt("a")
    run.add("item.retried", {
        "item": "a", "finished": finished, "class": "agent", "reason": "agent-exit", "not_before": TIME,
    })
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


@attack("D-story-result-of-another", "story-reference")
def result_of_another_item():
    run = begin(items={"a": [], "b": []})
    finished = run.attempt("a")
    run.done("a")
    run.end("item.done", "b", finished=finished)
    return end(run).bundle()


@attack("D-story-answer-of-another", "story-reference")
def approval_of_another_item():
    run = begin(items={"ok": [], "too": []}, approvals=["ok", "too"])
    answered = answer(run, ask(run, "ok", "approval"), "approved")
    run.end("item.done", "ok", answered=answered)
    run.end("item.done", "too", answered=answered)
    return end(run).bundle()


@attack("D-story-started-fence", "story-fence")
def started_under_another_fence():
    run = begin()
    run.lease("a")
    run.start("a", fence=9)
    run.finish("a")
    run.done("a")
    return end(run).bundle()


@attack("D-story-started-twice", "story-attempt")
def started_twice():
    run = begin()
    run.lease("a")
    run.start("a")
    run.add("attempt.started", run.attempts["a"][0]["start"])
    run.finish("a")
    run.done("a")
    return end(run).bundle()


@attack("D-story-after-its-end", "story-item")
def asked_after_its_end():
    run = begin()
    run.attempt("a")
    run.done("a")
    ask(run, "a", "input")
    return end(run).bundle()


@attack("D-story-cancel-after-its-end", "story-item")
def cancelled_after_its_end():
    run = begin()
    run.attempt("a")
    run.done("a")
    run.add("cancel.requested", {"scope": "item", "item": "a", "via": "cli", "reason": "operator"})
    return end(run).bundle()


@attack("D-story-dependency-unknown", "story-item")
def dependency_unknown():
    run = begin(items={"a": ["nobody"]})
    run.ends["denied"] += 1
    run.add("item.denied", {"item": "a", "rule": "rules.2", "policy": digest("agora.toml")})
    return end(run, "failed").bundle()


@attack("D-story-skipped-unknown", "story-item")
def skipped_for_an_unknown_item():
    run = begin()
    run.end("item.skipped", "a", cause="pattern", due_to="nobody")
    return end(run).bundle()


@attack("D-story-pattern-source", "story-item")
def pattern_answers_nobody():
    run = begin()
    run.items_added({"b": []}, cause="pattern", source="nobody")
    for item in "ab":
        run.attempt(item)
        run.done(item)
    return end(run).bundle()


@attack("D-story-skipped-dependency", "story-order")
def leased_after_a_skipped_dependency():
    run = begin(items={"first": [], "a": ["first"], "b": ["a"]})
    run.lease("first")
    run.start("first")
    finished = run.finish("first", "failed", ("agent", "agent-exit"))
    run.end("item.failed", "first", finished=finished, **{"class": "agent", "reason": "agent-exit"})
    run.end("item.skipped", "a", cause="dependency", due_to="first")
    run.attempt("b")
    run.done("b")
    return end(run, "failed").bundle()


@attack("D-story-asked-reference", "story-reference")
def asked_about_another_items_attempt():
    run = begin(items={"a": [], "b": []})
    finished = run.attempt("a")
    run.done("a")
    run.lease("b")
    run.start("b")
    run.finish("b", "needs_input")
    answer(run, ask(run, "b", "input", finished=finished), "answered")
    run.ready("b", "answer")
    run.attempt("b")
    run.done("b")
    return end(run).bundle()


@attack("D-story-waiting-reference", "story-reference")
def waits_for_another_items_question():
    run = begin(items={"ok": [], "too": []}, approvals=["ok", "too"])
    asked = {item: ask(run, item, "approval") for item in ("ok", "too")}
    run.add("item.waiting", {"item": "too", "asked": asked["ok"]})
    for item in ("ok", "too"):
        run.end("item.done", item, answered=answer(run, asked[item], "approved"))
    return end(run).bundle()


@attack("D-story-made-good-before", "story-count")
def made_good_before_it_failed():
    """What a pattern added before the failure does not make it good."""
    run = begin()
    run.attempt("a")
    run.done("a")
    run.items_added({"b": []}, cause="pattern", source="a")
    run.lease("b")
    run.start("b")
    finished = run.finish("b", "failed", ("agent", "agent-exit"))
    run.end("item.failed", "b", finished=finished, **{"class": "agent", "reason": "agent-exit"})
    return end(run).bundle()


@attack("D-story-cancelled-item", "story-count")
def cancel_of_an_item_is_none_of_the_run():
    run = begin()
    request = run.add("cancel.requested", {"scope": "item", "item": "a", "via": "cli", "reason": "operator"})
    run.end("item.cancelled", "a", request=request, proof="never_started")
    return end(run, "cancelled").bundle()


@attack("D-story-input-answer", "story-input")
def another_answer_handed_on():
    run = begin(items={"ok": [], "b": ["ok"]}, approvals=["ok"])
    answered = answer(run, ask(run, "ok", "approval"), "approved")
    done = run.end("item.done", "ok", answered=answered)
    run.attempt("b", [{"use": "answer", "digest": digest("another answer"), "item": "ok", "done": done}])
    run.done("b")
    return end(run).bundle()


def answered_with(text: str, item: str) -> dict:
    """An item asked twice; its next attempt is given an answer."""
    run = begin(items={"a": [], "b": []})
    for said in ("first", "second"):
        run.lease("a")
        run.start("a")
        asked = ask(run, "a", "input", finished=run.finish("a", "needs_input"))
        answer(run, asked, "answered", answer=digest(said))
        run.ready("a", "answer")
    given = [{"use": "answer", "digest": digest(text), "item": "a"}]
    for name in ("a", "b"):
        run.attempt(name, given if name == item else None)
        run.done(name)
    return end(run).bundle()


attack("D-story-input-earlier-answer", "story-input")(lambda: answered_with("first", "a"))
attack("D-story-input-invented-answer", "story-input")(lambda: answered_with("third", "a"))
attack("D-story-input-answer-of-another", "story-input")(lambda: answered_with("second", "b"))


@attack("D-story-input-superseded", "story-input")
def patch_of_a_superseded_attempt():
    run = begin(items={"a": [], "b": ["a"]})
    run.lease("a")
    run.start("a")
    kept = {**run.blob("half a patch\n"), "files": 1, "flags": []}
    retry(run, "a", run.finish("a", "failed", ("agent", "no-result"), patch=kept))
    run.attempt("a")
    run.done("a")
    run.attempt("b", [{**run.patch_of("a"), "digest": kept["digest"]}])
    run.done("b")
    return end(run).bundle()


# Bundle and policy


@attack("D-bundle-kind", "bundle-schema")
def unknown_kind():
    bundle = one()
    bundle["manifest"]["kind"] = "part"
    return bundle


@attack("D-bundle-format-missing", "bundle-schema")
def no_format():
    bundle = one()
    del bundle["manifest"]["format"]
    return bundle


@attack("D-bundle-key-length", "bundle-schema")
def key_of_31_bytes():
    bundle = one()
    bundle["keys"][0]["key"] = encode_b64(bytes(31))
    return bundle


@attack("D-bundle-open-with-seal", "bundle-manifest")
def sealed_and_called_open():
    bundle = one()
    bundle["manifest"]["sealed"] = False
    bundle["statements"], bundle["manifest"]["statements"] = [], 0
    bundle["keys"] = [key for key in bundle["keys"] if key["role"] != "attest"]
    return bundle


@attack("D-bundle-key-missing", "bundle-manifest")
def key_that_signed_is_not_listed():
    bundle = one()
    bundle["keys"] = bundle["keys"][1:]
    return bundle


@attack("D-policy-weak-key", "key-weak")
def weak_key_in_the_policy():
    """Beside the good one: nothing else is wrong with it."""
    trust = policy(Home(), rows={"log": {"key": encode_b64(bytes(32))}})
    row = trust[trust.index("[[key]]") :].split("\n\n")[0]
    return one(), None, {"trust": f"{policy(Home())}\n{row}\n"}


@attack("D-policy-without-keys", "key-unknown")
def policy_that_names_no_key():
    return one(), None, {"trust": policy(Home()).split("[[key]]")[0]}
