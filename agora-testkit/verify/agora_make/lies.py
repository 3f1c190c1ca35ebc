"""Attacks on the story (§11), made by a writer that holds the keys; and one bad bundle for each code of §9 that
no attack of §11 is about, named `C-` and the code."""

from agora_verify import merkle
from agora_verify.fields import encode_b64

from . import good
from .attacks import one
from .case import attack, recount, write
from .files import fetched, policy
from .good import answer, ask, begin, end, retry
from .home import Home, digest
from .run import Run
from .signing import Signer, envelope, note


def upstream_done() -> Run:
    """A run of two items; the first is done."""
    run = begin(items={"a": [], "b": ["a"]})
    run.ready("a")
    run.attempt("a")
    run.done("a")
    run.ready("b")
    return run


def handed(change) -> dict:
    """`b` works on what `change` makes of the patch of `a`."""
    run = upstream_done()
    run.attempt("b", [change(run.patch_of("a"))])
    run.done("b")
    return end(run).bundle()


attack("A-48-digest", "story-input")(lambda: handed(lambda part: {**part, "digest": digest("forged")}))
attack("A-48-done", "story-input")(lambda: handed(lambda part: {**part, "done": part["done"] - 1}))
attack("A-48-use", "story-input")(lambda: handed(lambda part: {**part, "use": "output", "path": "notes.md"}))


@attack("A-48-indirect", "story-input")
def input_of_no_direct_dependency():
    run = begin(items={"a": [], "b": ["a"], "c": ["b"]})
    for item in ("a", "b"):
        run.attempt(item)
        run.done(item)
    run.attempt("c", [run.patch_of("a")])
    run.done("c")
    return end(run).bundle()


@attack("A-49-failed", "story-result")
def failed_attempt_accepted():
    run = begin()
    run.lease("a")
    run.start("a")
    finished = run.finish("a", "failed", ("agent", "agent-exit"))
    run.done("a", finished)
    return end(run).bundle()


@attack("A-49-superseded", "story-result")
def superseded_attempt_accepted():
    run = begin()
    run.lease("a")
    run.start("a")
    first = run.finish("a", "failed", ("agent", "agent-exit"))
    retry(run, "a", first)
    run.attempt("a")
    run.done("a", first)
    return end(run).bundle()


@attack("A-49-rejected", "story-result")
def rejection_taken_for_approval():
    run = begin(items={"ok": []}, approvals=["ok"])
    answered = answer(run, ask(run, "ok", "approval"), "rejected")
    run.end("item.done", "ok", answered=answered)
    return end(run).bundle()


@attack("A-50", "story-fence")
def result_under_an_old_fence():
    run = begin()
    run.lease("a")
    run.start("a")
    retry(run, "a", run.finish("a", "failed", ("agent", "agent-exit")))
    run.lease("a")
    run.start("a")
    run.finish("a", fence=1)
    run.done("a")
    return end(run).bundle()


@attack("A-50-lease", "story-fence")
def lease_under_an_old_fence():
    run = begin()
    run.lease("a")
    run.start("a")
    retry(run, "a", run.finish("a", "failed", ("agent", "agent-exit")))
    run.fence = 0
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


# The story, one code each


@attack("C-story-start", "story-start")
def opened_twice():
    run = begin()
    run.add("run.opened", run.values[0]["body"])
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


@attack("C-story-end-after", "story-end")
def something_after_the_end():
    run = begin()
    run.attempt("a")
    run.done("a")
    run.complete()
    run.add("hold.set", {"mode": "drain", "reason": "late"})
    run.seal(outcome="done")
    return run.bundle()


@attack("C-story-end-missing", "story-end")
def sealed_without_an_end():
    run = begin()
    run.attempt("a")
    run.done("a")
    run.seal(outcome="done")
    return run.bundle()


@attack("C-story-end-closed", "story-end")
def growth_after_close():
    run = begin(open_ended=True)
    run.add("run.closed", {})
    run.items_added({"b": []}, cause="extend")
    for item in ("a", "b"):
        run.attempt(item)
        run.done(item)
    return end(run).bundle()


@attack("C-story-item-unknown", "story-item")
def unknown_item():
    run = begin()
    run.ready("nobody")
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


@attack("C-story-item-repeated", "story-item")
def repeated_item():
    run = Run(Home())
    run.items_added({"a": []})
    run.items_added({"a": []})
    run.logged()
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


@attack("C-story-item-two-ends", "story-item")
def two_ends():
    run = begin()
    run.attempt("a")
    run.done("a")
    run.add("item.denied", {"item": "a", "rule": "rules.2", "policy": digest("agora.toml")})
    return end(run).bundle()


@attack("C-story-item-during", "story-item")
def end_during_an_attempt():
    run = begin()
    run.lease("a")
    run.start("a")
    run.end("item.failed", "a", **{"class": "agent", "reason": "agent-exit"})
    return end(run, "failed").bundle()


@attack("C-story-item-no-end", "story-item")
def item_without_an_end():
    run = begin(items={"a": [], "b": []})
    run.attempt("a")
    run.done("a")
    return end(run, "failed").bundle()


@attack("C-story-attempt-number", "story-attempt")
def attempt_left_out():
    run = begin()
    run.lease("a", attempt=2)
    run.start("a")
    run.finish("a")
    run.done("a")
    return end(run).bundle()


@attack("C-story-attempt-open", "story-attempt")
def leased_while_open():
    run = begin()
    run.lease("a")
    run.lease("a")
    run.start("a")
    run.finish("a")
    run.done("a")
    return end(run).bundle()


@attack("C-story-attempt-provider", "story-attempt")
def started_by_another_provider():
    run = begin()
    run.lease("a", provider="docker")
    run.start("a")
    run.finish("a")
    run.done("a")
    return end(run).bundle()


@attack("C-story-attempt-unstarted", "story-attempt")
def done_unstarted():
    run = begin()
    run.lease("a")
    run.attempts["a"][-1]["start"] = {"secrets": [], "isolation": {"provider": "process", "profile": "strict"},
                                      "worker": {"version": "0.1.0", "digest": digest("worker")},
                                      "task": digest("task a")}
    run.attempts["a"][-1]["started_at"] = run.values[-1]["at"]
    run.finish("a")
    run.done("a")
    return end(run).bundle()


@attack("C-story-attempt-unleased", "story-attempt")
def started_unleased():
    run = begin()
    run.attempt("a")
    run.add("attempt.started", run.attempts["a"][0]["start"])
    run.done("a")
    return end(run).bundle()


@attack("C-story-attempt-finished-twice", "story-attempt")
def finished_twice():
    run = begin()
    run.lease("a")
    run.start("a")
    first = run.finish("a")
    run.add("attempt.finished", {**run.values[first]["body"], "usage": {"cost_microusd": 0}})
    run.done("a")
    return end(run).bundle()


@attack("C-story-order", "story-order")
def leased_before_its_dependency():
    run = begin(items={"a": [], "b": ["a"]})
    run.attempt("b")
    run.done("b")
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


@attack("C-story-question-leaf", "story-question")
def answer_to_other_words():
    run = begin(items={"ok": []}, approvals=["ok"])
    asked = ask(run, "ok", "approval")
    answered = answer(run, asked, "approved", leaf=run.leaf(asked - 1).hex())
    run.end("item.done", "ok", answered=answered)
    return end(run).bundle()


@attack("C-story-question-twice", "story-question")
def answered_twice():
    run = begin(items={"ok": []}, approvals=["ok"])
    asked = ask(run, "ok", "approval")
    answered = answer(run, asked, "approved")
    answer(run, asked, "rejected")
    run.end("item.done", "ok", answered=answered)
    return end(run).bundle()


@attack("C-story-reference-request", "story-reference")
def cancelled_by_a_request_for_another():
    run = begin(items={"a": [], "b": []})
    request = run.add("cancel.requested", {"scope": "item", "item": "b", "via": "cli", "reason": "operator"})
    run.end("item.cancelled", "a", request=request, proof="never_started")
    run.end("item.cancelled", "b", request=request, proof="never_started")
    return end(run, "failed").bundle()


@attack("C-story-reference-hold", "story-reference")
def release_of_no_hold():
    run = begin()
    run.add("hold.released", {"hold": 0})
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


def counted(outcome: str = "done", **changes) -> dict:
    run = begin()
    run.attempt("a")
    run.done("a")
    return end(run, outcome, **changes).bundle()


attack("C-story-count-done", "story-count")(lambda: counted(done=2))
attack("C-story-count-cost", "story-count")(lambda: counted(cost_microusd=6))
attack("C-story-count-outcome", "story-count")(lambda: counted("failed"))


@attack("C-story-count-made-good", "story-count")
def failed_and_called_done():
    """Nothing that a pattern added made it good."""
    run = begin()
    run.lease("a")
    run.start("a")
    finished = run.finish("a", "failed", ("agent", "agent-exit"))
    run.end("item.failed", "a", finished=finished, **{"class": "agent", "reason": "agent-exit"})
    return end(run, "done").bundle()


@attack("C-story-count-pattern-failed", "story-count")
def pattern_failed_and_called_done():
    run = begin()
    run.attempt("a")
    run.done("a")
    run.add("pattern.failed", {"pattern": "review:a", "reason": "rounds"})
    return end(run, "done").bundle()


# Reading


@attack("C-bundle-unreadable", "bundle-unreadable", 2)
def no_such_file():
    return None


@attack("C-policy-unreadable", "policy-unreadable", 2)
def unknown_policy_member():
    return one(), None, {"trust": policy(Home()).replace("v = 1\n", "v = 1\nignore = true\n")}


@attack("C-bundle-format", "bundle-format", 2)
def later_format():
    bundle = one()
    bundle["manifest"]["format"] = "agora-bundle/v2"
    return bundle


@attack("C-bundle-limit", "bundle-limit")
def proof_of_65_hashes():
    bundle = one()
    bundle["log"]["opened"]["proof"] = ["00" * 32] * 65
    return bundle


@attack("C-bundle-encoding-lf", "bundle-encoding")
def no_lf_at_the_end():
    return write(one())[:-1]


@attack("C-bundle-encoding-space", "bundle-encoding")
def a_space():
    return write(one()).replace(b'","', b'", "', 1)


@attack("C-bundle-manifest-count", "bundle-manifest")
def wrong_count():
    bundle = one()
    bundle["manifest"]["entries"] += 1
    return bundle


@attack("C-bundle-manifest-keys", "bundle-manifest")
def a_key_that_signed_nothing():
    bundle = one()
    bundle["keys"].append(Signer("example.com/agora/run", "run", "idle").row())
    bundle["keys"].sort(key=lambda key: (key["name"], key["key"]))
    return bundle, None, {"trust": None}


@attack("C-bundle-manifest-order", "bundle-manifest")
def keys_out_of_order():
    bundle = one()
    bundle["keys"].reverse()
    return bundle


@attack("C-policy-origin", "policy-origin")
def policy_of_another_log():
    return one(), None, {"trust": policy(Home("other.example/agora", "other"))}


@attack("C-entry-limit", "entry-limit")
def log_entry_too_large():
    home = Home()
    run = good.one_item(home)
    home.append("clock.jump", {"by_ms": 1, "back": False, "x": "x" * 65_535})
    return run.bundle(whole_log=True), home


@attack("C-entry-time", "entry-time")
def clock_goes_back():
    run = begin()
    run.add("hold.set", {"mode": "drain", "reason": "maintenance"}, at="2026-11-20T18:07:00.000000Z")
    run.add("hold.released", {"hold": len(run.entries) - 1})
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


@attack("C-entry-schema-reason", "entry-schema")
def reason_of_another_class():
    run = begin()
    run.lease("a")
    finished = run.finish("a", "failed", ("timeout", "agent-exit"))
    run.end("item.failed", "a", finished=finished, **{"class": "timeout", "reason": "wall"})
    return end(run, "failed").bundle()


@attack("C-story-reference-later", "story-reference")
def position_that_is_not_earlier():
    run = begin()
    run.add("hold.released", {"hold": len(run.entries)})
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


# The log


@attack("C-log-opened", "log-opened")
def opening_of_another_run():
    home = Home()
    run, other = good.one_item(home), good.one_item(home, "r-2")
    bundle = run.bundle(whole_log=True)
    bundle["log"]["opened"] = other.bundle(whole_log=True)["log"]["opened"]
    return bundle, home


@attack("C-log-sealed-absent", "log-sealed")
def seal_left_out():
    bundle = one()
    del bundle["log"]["sealed"]
    return bundle


@attack("C-log-sealed-facts", "log-sealed")
def sealed_with_another_outcome():
    run = begin()
    run.attempt("a")
    run.done("a")
    run.complete()
    run.seal(outcome="failed")
    return run.bundle()


@attack("C-log-late-none", "log-late")
def leased_before_logged():
    run = Run(Home())
    run.items_added({"a": []})
    run.attempt("a")
    run.logged()
    run.done("a")
    return end(run).bundle()


@attack("C-log-late-cover", "log-late")
def logged_before_opened():
    run = Run(Home())
    run.items_added({"a": []})
    run.logged(run.opened)
    run.attempt("a")
    run.done("a")
    return end(run).bundle()


@attack("C-log-unseen", "log-unseen", 2)
def no_proof_from_what_was_seen():
    home = Home()
    run = good.one_item(home)
    return run.bundle(), home, {"trust": policy(home, seen=[(2, merkle.root(home.leaves(2)))])}


@attack("C-log-consistency-seen", "log-consistency")
def history_changed_since_seen():
    home = Home()
    run = good.one_item(home)
    return run.bundle(since=[2]), home, {"trust": policy(home, seen=[(2, bytes.fromhex("ab" * 32))])}


@attack("C-log-consistency-missing", "log-consistency")
def proof_left_out():
    bundle = one()
    bundle["log"]["consistency"] = []
    return bundle


# Registry, statements, anchors


@attack("C-registry-signature", "registry-signature")
def registry_signed_by_the_run_key():
    home = Home()
    snapshot, signed = home.snapshots[0]
    text = signed.decode("utf-8").split("\n\n")[0] + "\n"
    home.snapshots[0] = (snapshot, note(text, home.signer("run")))
    return good.one_item(home).bundle(), home


@attack("C-registry-unlisted", "registry-unlisted")
def resolved_from_nowhere():
    home = Home()
    home.deploy("two")
    return good.one_item(home).bundle(), home


@attack("C-registry-rollback", "registry-rollback")
def resolved_from_an_older_version():
    home = Home()
    older = home.snapshots[0]
    home.deploy("two")
    newest = home.snapshots.pop()
    run = good.one_item(home)
    bundle = run.bundle(whole_log=True)
    bundle["registry"] = {"snapshot": encode_b64(older[0]), "note": encode_b64(older[1])}
    home.snapshots.append(newest)
    return bundle, home


@attack("C-statement-missing", "statement-missing")
def statement_left_out():
    bundle = good.hand_off().bundle()
    bundle["statements"].pop()
    return recount(bundle)


@attack("C-statement-extra", "statement-extra")
def statement_too_many():
    bundle = one()
    bundle["statements"] *= 2
    return recount(bundle)


@attack("C-statement-extra-open", "statement-extra")
def statement_of_an_open_run():
    run = begin()
    run.attempt("a")
    run.done("a")
    bundle = run.bundle()
    signer = run.home.signer("attest")
    bundle["statements"] = [envelope(run.due[0], signer)]
    bundle["keys"] = sorted([*bundle["keys"], signer.row()], key=lambda key: (key["name"], key["key"]))
    return recount(bundle)


@attack("C-statement-signature-p256", "statement-signature")
def signed_by_p256_alone():
    run = good.one_item()
    bundle = run.bundle()
    bundle["statements"] = [envelope(run.due[0], run.home.p256)]
    return bundle


@attack("C-anchor-bytes", "anchor-bytes")
def fetched_is_another_note():
    run = good.anchored_run()
    other = encode_b64(run.home.checkpoint(3))
    return run.bundle(), run.home, {"anchor": fetched(run.home, body=other)}


@attack("C-required-unmet-isolation", "required-unmet")
def ran_without_walls():
    run = good.extended()
    return run.bundle(), run.home, {"require": ["partly-isolated"]}


@attack("C-required-unchecked-place", "required-unmet", 2)
def place_is_not_named():
    run = good.anchored_run()
    return run.bundle(), run.home, {"trust": None, "anchor": fetched(run.home), "require": ["time-anchored"]}


@attack("C-required-unchecked-keys", "required-unmet", 2)
def keys_are_not_named():
    return one(), None, {"trust": None, "require": ["key-pinned"]}
