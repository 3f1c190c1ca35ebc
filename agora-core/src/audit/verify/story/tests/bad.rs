//! Stories that cannot have been: each a good one with one change, and the one code that finds it.

use super::good::{
    added, approval, cancelled, empty, grown, hold, mended, open, ready, rejected, reviewed, skipped, started,
    stopped_run, stops, stuck, waiting, wants_words, whole,
};
use super::tale::{Tale, answered, asked, cancel, completed, done, failed, id, input, leased, retried, stopped};
use crate::audit::verify::story::StoryCode::{self, *};
use crate::audit::verify::story::tell;
use crate::decide::testing::{digest, enc, opened, planned, word};
use crate::id::Hash;
use crate::record::{
    AnswerDecision, AttemptFinished, AttemptLeased, AttemptStarted, CancelProof, CancelScope, GrowthCause, HoldMode,
    InputUse, OutcomeWord, QuestionAnswered, QuestionAsked, QuestionKind, ReadyCause, Record, RunCompleted, RunOutcome,
    SkipCause,
};
use crate::worker::Reason;

fn lease_of<'a>(tale: &'a mut Tale, name: &str) -> &'a mut AttemptLeased {
    let Record::AttemptLeased(body) = tale.record(name) else { panic!("{name}") };
    body
}

fn start_of<'a>(tale: &'a mut Tale, name: &str) -> &'a mut AttemptStarted {
    let Record::AttemptStarted(body) = tale.record(name) else { panic!("{name}") };
    body
}

fn end_of<'a>(tale: &'a mut Tale, name: &str) -> &'a mut AttemptFinished {
    let Record::AttemptFinished(body) = tale.record(name) else { panic!("{name}") };
    body
}

fn question_of<'a>(tale: &'a mut Tale, name: &str) -> &'a mut QuestionAsked {
    let Record::QuestionAsked(body) = tale.record(name) else { panic!("{name}") };
    body
}

fn answer_of<'a>(tale: &'a mut Tale, name: &str) -> &'a mut QuestionAnswered {
    let Record::QuestionAnswered(body) = tale.record(name) else { panic!("{name}") };
    body
}

fn completion(tale: &mut Tale) -> &mut RunCompleted {
    let Record::RunCompleted(body) = tale.record("completed") else { panic!() };
    body
}

/// A change to a story is found by this code and no other; the story itself has no problem.
#[track_caller]
fn check(story: fn() -> Tale, name: &str, code: StoryCode, change: impl FnOnce(&mut Tale)) {
    let mut tale = story();
    tale.is_good();
    change(&mut tale);
    let problems = tale.tell().problems;
    assert!(tale.codes() == [code], "{name}: not {code:?} alone: {problems:#?}");
    for problem in &problems {
        assert!(problem.detail.bytes().all(|byte| (0x20..=0x7E).contains(&byte)), "{problem:?}");
        assert!(problem.seq < tale.told.len() as u64, "{problem:?}");
    }
    assert!(problems.is_sorted_by_key(|problem| problem.seq), "{name}");
}

/// nothing at all is no run.
#[test]
fn no_entries_are_no_run() {
    let story = tell(&[]);
    let codes: Vec<_> = story.problems.iter().map(|problem| (problem.code, problem.seq)).collect();
    assert_eq!((codes, story.opened), (vec![(Start, 0)], None));
    let mut tale = Tale::default();
    tale.push("opened", open(false));
    assert_eq!((tale.codes(), tale.tell().opened), (vec![], Some(0)), "the twin");
}

#[test]
fn a_story_starts_with_its_opening_and_has_no_other() {
    check(whole, "not opened", Start, |tale| _ = tale.remove("opened"));
    check(whole, "opened later", Start, |tale| tale.swap(0));
    check(whole, "opened twice", Start, |tale| _ = tale.before("added", "", open(false)));
    check(whole, "opened again", Start, |tale| _ = tale.before("held", "", Record::RunOpened(Box::new(opened("q1")))));
}

#[test]
fn a_story_ends_with_its_completion() {
    check(whole, "goes on", End, |tale| _ = tale.push("", ready("make", ReadyCause::Dependencies)));
    check(whole, "completed twice", End, |tale| _ = tale.push("", completed(RunOutcome::Failed, [5, 0, 1, 1, 30])));
    check(whole, "a log checkpoint after it", End, |tale| {
        let logged = tale.remove("logged");
        tale.push("logged", logged);
    });
    check(empty, "completed, and not closed", End, |tale| _ = tale.remove("closed"));
    check(grown, "completed, and may grow", End, |tale| _ = tale.remove("closed"));
    check(empty, "never had an item", End, |tale| {
        tale.remove("closed");
        tale.set("opened", open(false));
    });
    check(stuck, "a pattern owes an answer", End, |tale| {
        // Without it, this would be a run that is done: all of it is done, or skipped by design.
        tale.remove("pattern failed");
        completion(tale).outcome = RunOutcome::Done;
    });
}

#[test]
fn what_is_sealed_is_completed() {
    let mut tale = whole();
    let mut story = tale.tell();
    story.judge_seal();
    assert_eq!((story.problems.len(), story.outcome), (0, Some(RunOutcome::Failed)));
    tale.remove("completed");
    let mut story = tale.tell();
    assert_eq!((story.problems.len(), story.outcome), (0, None), "an open run");
    story.judge_seal();
    let [problem] = story.problems.as_slice() else { panic!("{story:?}") };
    assert_eq!((problem.code, problem.seq), (End, tale.told.len() as u64 - 1));
}

#[test]
fn a_run_grows_only_where_it_may() {
    check(grown, "growth after run.closed", End, |tale| {
        let closed = tale.remove("closed");
        tale.before("extended", "closed", closed);
    });
    check(grown, "not open-ended", End, |tale| {
        tale.set("opened", open(false));
    });
    check(grown, "closed twice", End, |tale| _ = tale.before("a done", "", Record::RunClosed {}));
    check(whole, "closed, and never was open", End, |tale| _ = tale.before("held", "", Record::RunClosed {}));
    check(stopped_run, "cancelled", End, |tale| {
        tale.before("closed", "", added(GrowthCause::Extend, None, &[]));
    });
    check(grown, "items of the plan, later", End, |tale| {
        tale.before("b failed", "", added(GrowthCause::Plan, None, &[]));
    });
    check(grown, "a pattern of an item that runs", End, |tale| {
        tale.before("a finished", "", added(GrowthCause::Pattern, Some("a"), &[]));
    });
    check(mended, "a pattern of an item that was skipped", End, |tale| {
        tale.before("completed", "", added(GrowthCause::Pattern, Some("ship"), &[]));
    });
    check(reviewed, "a pattern while its reviewers work", End, |tale| {
        let committed = added(GrowthCause::Pattern, Some("draft"), &[]);
        tale.before("no", "", committed);
    });
    check(stuck, "a pattern that could not go on", End, |tale| {
        tale.before("completed", "", added(GrowthCause::Pattern, Some("test"), &[]));
    });
    check(stuck, "a pattern that could not go on twice", End, |tale| {
        let pattern = enc("pipeline:test");
        tale.before("completed", "", Record::PatternFailed { pattern, reason: word("gate-red") });
    });
    check(stuck, "a pattern that could not go on before its item ended", End, |tale| {
        let failed = tale.remove("pattern failed");
        tale.before("test finished", "pattern failed", failed);
    });
    check(mended, "a pattern of no item", Item, |tale| {
        let Record::ItemsAdded(body) = tale.record("grown") else { panic!() };
        body.source = None;
        let Record::ItemsAdded(body) = tale.record("grown further") else { panic!() };
        body.source = Some(enc("test"));
    });
    check(stuck, "a pattern of an unknown item", Item, |tale| {
        let pattern = enc("pipeline:nobody");
        tale.before("pattern failed", "", Record::PatternFailed { pattern, reason: word("gate-red") });
    });
}

#[test]
fn items_are_known_and_end_once() {
    check(whole, "unknown", Item, |tale| _ = tale.before("held", "", ready("nobody", ReadyCause::Dependencies)));
    check(whole, "repeated", Item, |tale| {
        tale.before("make ready", "", added(GrowthCause::Plan, None, &[planned("lone", &[])]));
    });
    check(whole, "depends on an unknown one", Item, |tale| {
        let Record::ItemsAdded(body) = tale.record("added") else { panic!() };
        body.items[0].depends_on.push(id("nobody"));
    });
    check(whole, "depends on itself", Item, |tale| {
        let Record::ItemsAdded(body) = tale.record("added") else { panic!() };
        body.items[1].depends_on.push(id("lone"));
    });
    check(whole, "done twice", Item, |tale| {
        let finished = tale.seq("ship finished");
        tale.before("completed", "", done("ship", finished));
    });
    check(whole, "failed, and was done", Item, |tale| {
        let finished = tale.seq("ship finished");
        tale.before("completed", "", failed("ship", Reason::AgentExit, Some(finished)));
    });
    check(whole, "skipped twice", Item, |tale| {
        tale.before("completed", "", skipped("next", SkipCause::Dependency, "gone"));
    });
    check(whole, "cancelled twice", Item, |tale| {
        let request = tale.seq("gone cancel");
        tale.before("completed", "", cancelled("gone", request, CancelProof::Absent));
    });
    check(whole, "denied, and was done", Item, |tale| {
        let denied = Record::ItemDenied { item: id("ship"), rule: enc("rule"), policy: digest("policy") };
        tale.before("completed", "", denied);
    });
    check(stopped_run, "denied during an attempt", Item, |tale| {
        tale.remove("a finished");
        let denied = Record::ItemDenied { item: id("a"), rule: enc("rule"), policy: digest("policy") };
        tale.set("a cancelled", denied);
        let body = completion(tale);
        (body.cancelled, body.denied) = (1, 1);
    });
    check(stuck, "skipped during an attempt", Item, |tale| {
        tale.before("ship skipped", "", ready("ship", ReadyCause::Dependencies));
        tale.before("ship skipped", "", leased("ship", 1, Vec::new()));
    });
    check(grown, "failed during an attempt", Item, |tale| {
        tale.before("b failed", "", leased("b", 1, Vec::new()));
    });
    check(stopped_run, "cancelled during an attempt", Item, |tale| _ = tale.remove("a finished"));
    check(whole, "a lease after its end", Item, |tale| {
        tale.before("completed", "", leased("lone", 3, Vec::new()));
    });
    check(whole, "a cancel after its end", Item, |tale| {
        tale.before("completed", "", cancel(CancelScope::Item, Some("lone"), None));
    });
    check(whole, "a question after its end", Item, |tale| {
        let finished = tale.seq("lone finished 2");
        tale.before("completed", "", asked(wants_words("lone", finished)));
    });
    check(whole, "a result after its end", Item, |tale| {
        tale.before("completed", "", stopped("gone", 1, Reason::Caller));
    });
    check(whole, "a start after its end", Item, |tale| _ = tale.before("completed", "", started("gone", 1)));
    check(whole, "waits after its end", Item, |tale| {
        let asked = tale.seq("lone asked");
        tale.before("completed", "", waiting("lone", asked));
    });
    check(whole, "tried again after its end", Item, |tale| {
        let finished = tale.seq("make finished");
        tale.before("completed", "", retried("make", Reason::AgentExit, finished));
    });
    check(whole, "skipped due to an unknown one", Item, |tale| {
        tale.set("next skipped", skipped("next", SkipCause::Dependency, "nobody"));
    });
    check(whole, "no end", Item, |tale| {
        tale.remove("next skipped");
        completion(tale).skipped = 0;
    });
    check(grown, "no end of one that is ready", Item, |tale| {
        tale.remove("b failed");
        tale.remove("c skipped");
        let body = completion(tale);
        (body.failed, body.skipped) = (0, 0);
    });
}

#[test]
fn attempts_are_counted_and_there_is_one_at_a_time() {
    check(whole, "not the first", Attempt, |tale| {
        for name in ["ship leased", "ship started", "ship finished"] {
            match tale.record(name) {
                Record::AttemptLeased(body) => body.attempt = 2,
                Record::AttemptStarted(body) => body.attempt = 2,
                Record::AttemptFinished(body) => body.attempt = 2,
                other => panic!("{other:?}"),
            }
        }
    });
    check(whole, "the same number again", Attempt, |tale| {
        lease_of(tale, "lone leased 2").attempt = 1;
        start_of(tale, "lone started 2").attempt = 1;
        end_of(tale, "lone finished 2").attempt = 1;
    });
    check(whole, "leased while one is open", Attempt, |tale| {
        tale.before("ship finished", "", leased("ship", 2, Vec::new()));
        for name in ["ship started", "ship finished"] {
            match tale.record(name) {
                Record::AttemptStarted(_) => {}
                Record::AttemptFinished(body) => (body.attempt, body.fence) = (2, 2),
                other => panic!("{other:?}"),
            }
        }
        let Record::AttemptFinished(body) = tale.record("ship finished") else { panic!() };
        (body.outcome, body.class, body.reason) =
            (OutcomeWord::Lost, Some(Reason::WorkerLost.class()), Some(Reason::WorkerLost));
        body.patch = None;
        body.outputs = Vec::new();
        let finished = tale.seq("ship finished");
        tale.set("ship done", failed("ship", Reason::WorkerLost, Some(finished)));
        let patch = input(InputUse::Patch, digest("use"), "use", Some(tale.seq("use done")), None);
        let at = tale.at("ship finished") - 1;
        let Record::AttemptLeased(body) = &mut tale.told[at].entry.record else { panic!() };
        body.inputs = vec![patch];
        let body = completion(tale);
        (body.done, body.failed) = (4, 1);
    });
    check(whole, "an approval", Attempt, |tale| {
        let patch = input(InputUse::Patch, digest("make"), "make", Some(tale.seq("make done")), None);
        tale.before("ok asked", "", leased("ok", 1, vec![patch]));
        tale.before("ok asked", "", stopped("ok", 1, Reason::Shutdown));
        let finished = tale.seq("ok asked") - 1;
        tale.before("ok asked", "", failed("ok", Reason::Shutdown, Some(finished)));
        tale.keep_before("ok asked");
    });
    check(stops, "asked to stop", Attempt, |tale| {
        let asked = tale.remove("a cancel");
        tale.before("a leased 3", "a cancel", asked);
    });
    check(whole, "other locks than its item's", Attempt, |tale| lease_of(tale, "make leased").locks = Vec::new());
    check(whole, "a lock that another holds", Attempt, |tale| {
        let Record::ItemsAdded(body) = tale.record("added") else { panic!() };
        body.items[1].locks = vec![enc("x")];
        for name in ["lone leased", "lone leased 2"] {
            lease_of(tale, name).locks = vec![enc("x")];
        }
    });
    check(whole, "started twice", Attempt, |tale| _ = tale.before("ship finished", "", started("ship", 1)));
    check(whole, "started by another provider", Attempt, |tale| {
        start_of(tale, "ship started").isolation.provider = "docker".to_owned();
    });
    check(whole, "started unleased", Attempt, |tale| _ = tale.before("ship leased", "", started("ship", 1)));
    check(whole, "started after it finished", Attempt, |tale| _ = tale.before("make retried", "", started("make", 1)));
    check(whole, "finished unleased", Attempt, |tale| {
        let mut early = stopped("ship", 1, Reason::Shutdown);
        if let Record::AttemptFinished(body) = &mut early {
            body.usage = None;
        }
        tale.before("ship leased", "", early);
    });
    check(whole, "finished twice", Attempt, |tale| {
        tale.before("make retried", "", stopped("make", 1, Reason::Shutdown));
    });
    check(whole, "done, and never started", Attempt, |tale| _ = tale.remove("ship started"));
    check(whole, "asked, and never started", Attempt, |tale| _ = tale.remove("lone started"));
    check(stops, "the deadline of an attempt that is over", Attempt, |tale| {
        let expired = tale.remove("a expired");
        tale.before("a retried 2", "a expired", expired);
    });
    check(stops, "the deadline of another attempt", Attempt, |tale| {
        tale.set("a expired", cancel(CancelScope::Attempt, Some("a"), Some(1)));
    });
    check(stops, "a deadline that passed twice", Attempt, |tale| {
        tale.before("a finished 2", "", cancel(CancelScope::Attempt, Some("a"), Some(2)));
    });
    check(stops, "a deadline of what is parked", Attempt, |tale| {
        // Without it, a park is all that stops it.
        tale.before("a finished", "", cancel(CancelScope::Attempt, Some("a"), Some(1)));
        let body = end_of(tale, "a finished");
        (body.outcome, body.class, body.reason) = (OutcomeWord::Failed, Some(Reason::Wall.class()), Some(Reason::Wall));
        let finished = tale.seq("a finished");
        tale.set("a retried", retried("a", Reason::Wall, finished));
    });
    check(stopped_run, "never started, and it was leased", Attempt, |tale| {
        let request = tale.seq("cancel");
        tale.set("a cancelled", cancelled("a", request, CancelProof::NeverStarted));
    });
    check(stopped_run, "absent, and it was never leased", Attempt, |tale| {
        let request = tale.seq("cancel");
        tale.set("b cancelled", cancelled("b", request, CancelProof::Absent));
    });
    check(stopped_run, "forced, and nothing was open", Attempt, |tale| {
        let request = tale.seq("cancel");
        tale.set("b cancelled", cancelled("b", request, CancelProof::Forced));
    });
    check(stopped_run, "forced by a cancel of the run", Attempt, |tale| {
        let request = tale.seq("cancel");
        tale.set("a cancelled", cancelled("a", request, CancelProof::Forced));
    });
}

/// A-50 and its kin: a number of an old lease changes nothing.
#[test]
fn fences_rise_and_the_open_lease_alone_speaks() {
    check(whole, "not above the last", Fence, |tale| {
        lease_of(tale, "make leased 2").fence = 1;
        start_of(tale, "make started 2").fence = 1;
        end_of(tale, "make finished 2").fence = 1;
    });
    check(stops, "below an earlier one", Fence, |tale| {
        lease_of(tale, "a leased").fence = 9;
        start_of(tale, "a started").fence = 9;
        end_of(tale, "a finished").fence = 9;
    });
    check(whole, "zero", Fence, |tale| {
        lease_of(tale, "ship leased").fence = 0;
        start_of(tale, "ship started").fence = 0;
        end_of(tale, "ship finished").fence = 0;
    });
    check(whole, "started under another fence", Fence, |tale| start_of(tale, "make started 2").fence = 1);
    check(whole, "started as another attempt", Fence, |tale| start_of(tale, "make started 2").attempt = 1);
    check(whole, "A-50: a result under an old fence", Fence, |tale| end_of(tale, "make finished 2").fence = 1);
    check(whole, "a result of an old attempt", Fence, |tale| end_of(tale, "make finished 2").attempt = 1);

    // A fence may leave some out.
    let mut tale = whole();
    lease_of(&mut tale, "ship leased").fence = 7;
    start_of(&mut tale, "ship started").fence = 7;
    end_of(&mut tale, "ship finished").fence = 7;
    tale.is_good();
}

#[test]
fn nothing_is_ready_leased_or_skipped_out_of_order() {
    check(whole, "leased before a dependency is done", Order, |tale| {
        tale.remove("make done");
        tale.remove("use ready");
        tale.set("ok ready", leased("use", 1, Vec::new()));
        tale.keep_to("ok ready");
    });
    check(whole, "ready before a dependency is done", Order, |tale| {
        let ready = tale.remove("use ready");
        tale.before("make done", "use ready", ready);
    });
    check(whole, "leased, and never ready", Order, |tale| _ = tale.remove("ship ready"));
    check(whole, "ready twice", Order, |tale| {
        tale.before("ship leased", "", ready("ship", ReadyCause::Dependencies));
    });
    check(whole, "ready while it runs", Order, |tale| {
        tale.before("ship finished", "", ready("ship", ReadyCause::Dependencies));
    });
    check(whole, "ready for a retry", Order, |tale| {
        tale.before("make leased 2", "", ready("make", ReadyCause::Retry));
    });
    check(whole, "leased again, and never tried again", Order, |tale| _ = tale.remove("make retried"));
    check(whole, "leased while the run is held", Order, |tale| {
        let released = tale.remove("released");
        tale.before("lone done", "released", released);
    });
    check(stops, "held twice", Order, |tale| {
        let again = tale.before("a finished", "again", hold(HoldMode::Drain));
        tale.set("released", Record::HoldReleased { hold: again });
    });
    check(stops, "a hold that is not in force is released", Order, |tale| {
        let drained = tale.seq("drained");
        tale.set("released", Record::HoldReleased { hold: drained });
    });
    check(whole, "released twice", Order, |tale| {
        let held = tale.seq("held");
        tale.before("ship leased", "", Record::HoldReleased { hold: held });
    });
    check(whole, "skipped due to what is done", Order, |tale| {
        tale.set("next skipped", skipped("next", SkipCause::Dependency, "make"));
    });
    check(whole, "skipped due to what runs", Order, |tale| {
        let skip = tale.remove("next skipped");
        tale.before("gone finished", "next skipped", skip);
    });
    check(stops, "skipped due to what it does not depend on", Order, |tale| {
        let Record::ItemsAdded(body) = tale.record("added") else { panic!() };
        body.items.push(planned("b", &[]).added());
        tale.before("completed", "", skipped("b", SkipCause::Dependency, "a"));
        completion(tale).skipped = 1;
    });
    check(stuck, "skipped by design due to what is done and green", Order, |tale| {
        end_of(tale, "test finished").verify = None;
    });
    check(whole, "skipped by design due to what was cancelled", Order, |tale| {
        tale.set("next skipped", skipped("next", SkipCause::Pattern, "gone"));
        tale.keep_to("next skipped");
    });
    check(stops, "skipped though it was ready", Order, |tale| {
        let Record::ItemsAdded(body) = tale.record("added") else { panic!() };
        body.items.push(planned("b", &["a"]).added());
        tale.before("completed", "", skipped("b", SkipCause::Dependency, "a"));
        let ready = ready("b", ReadyCause::Dependencies);
        let last = tale.at("completed") - 1;
        tale.insert(last, "b ready", ready);
        completion(tale).skipped = 1;
    });
    check(grown, "failed before it was ready", Order, |tale| _ = tale.remove("b ready"));
}

/// A-48 and its kin: what was handed on is what was accepted.
#[test]
fn an_input_is_the_accepted_one_of_a_direct_dependency() {
    fn first(tale: &mut Tale) -> &mut crate::record::UsedInput {
        &mut lease_of(tale, "use leased").inputs[0]
    }
    fn second(tale: &mut Tale) -> &mut crate::record::UsedInput {
        &mut lease_of(tale, "use leased").inputs[1]
    }
    check(whole, "A-48: a patch that nobody made", Input, |tale| first(tale).digest = digest("forged"));
    check(whole, "an output that nobody made", Input, |tale| second(tale).digest = digest("forged"));
    check(whole, "an output under another path", Input, |tale| second(tale).path = Some(enc("other.json")));
    check(whole, "an output without a name", Input, |tale| second(tale).key = None);
    check(whole, "an output under another name", Input, |tale| second(tale).key = Some(enc("other")));
    check(whole, "a patch that it does not ask for by name", Input, |tale| first(tale).key = Some(enc("from-make")));
    check(whole, "another position than item.done", Input, |tale| first(tale).done = Some(1));
    check(whole, "no position", Input, |tale| first(tale).done = None);
    check(whole, "of an unknown item", Input, |tale| first(tale).item = Some(id("nobody")));
    check(whole, "of an item that is not done", Input, |tale| first(tale).item = Some(id("ship")));
    check(whole, "of a dependency's dependency", Input, |tale| {
        let far = input(InputUse::Patch, digest("make"), "make", Some(tale.seq("make done")), None);
        lease_of(tale, "ship leased").inputs.push(far);
    });
    check(whole, "of an approval, which made nothing", Input, |tale| {
        let nothing = input(InputUse::Patch, digest("make"), "ok", Some(tale.seq("ok done")), None);
        lease_of(tale, "ship leased").inputs.push(nothing);
    });
    check(whole, "given twice", Input, |tale| {
        let again = lease_of(tale, "use leased").inputs[0].clone();
        lease_of(tale, "use leased").inputs.push(again);
    });
    check(whole, "a patch is left out", Input, |tale| _ = lease_of(tale, "use leased").inputs.remove(0));
    check(whole, "a product is left out", Input, |tale| _ = lease_of(tale, "use leased").inputs.remove(1));
    check(whole, "an answer is left out", Input, |tale| _ = lease_of(tale, "lone leased 2").inputs.remove(0));
    check(whole, "another answer", Input, |tale| lease_of(tale, "lone leased 2").inputs[0].digest = digest("forged"));
    check(whole, "the answer to another's question", Input, |tale| {
        lease_of(tale, "lone leased 2").inputs[0].item = Some(id("ok"));
    });
    check(whole, "an answer where nothing was asked", Input, |tale| {
        let answer = input(InputUse::Answer, digest("answer"), "ship", None, None);
        lease_of(tale, "ship leased").inputs.push(answer);
    });

    // What the plan pinned is the plan's to say.
    let mut tale = whole();
    let mut pinned = input(InputUse::Ref, digest("pinned"), "make", None, Some("notes"));
    pinned.item = None;
    lease_of(&mut tale, "make leased").inputs.push(pinned);
    tale.is_good();
}

/// A-49 and its kin: what was accepted is what the latest attempt brought.
#[test]
fn an_end_is_that_of_the_latest_attempt_and_what_it_allows() {
    check(whole, "A-49: the result of a failed attempt is accepted", Result, |tale| {
        let reason = Reason::AgentExit;
        let body = end_of(tale, "ship finished");
        (body.outcome, body.class, body.reason) = (OutcomeWord::Failed, Some(reason.class()), Some(reason));
    });
    check(whole, "A-49: the result of a superseded attempt is accepted", Result, |tale| {
        let ended = tale.seq("make finished");
        tale.set("make done", done("make", ended));
        tale.keep_to("make done");
    });
    check(whole, "the result of an attempt that asked is accepted", Result, |tale| {
        let ended = tale.seq("lone finished");
        tale.set("lone asked", done("lone", ended));
        tale.keep_to("lone asked");
    });
    check(stops, "a result that was asked to stop is accepted", Result, |tale| {
        let finished = tale.seq("a finished 3");
        tale.set("a cancelled", done("a", finished));
        let body = completion(tale);
        (body.done, body.cancelled, body.outcome) = (1, 0, RunOutcome::Done);
    });
    check(whole, "a cancelled attempt brought a result", Result, |tale| {
        let body = end_of(tale, "gone finished");
        (body.outcome, body.class, body.reason) = (OutcomeWord::Done, None, None);
    });
    check(stops, "an attempt past its deadline was lost instead", Result, |tale| {
        let reason = Reason::WorkerLost;
        let body = end_of(tale, "a finished 2");
        (body.outcome, body.class, body.reason) = (OutcomeWord::Lost, Some(reason.class()), Some(reason));
        let finished = tale.seq("a finished 2");
        tale.set("a retried 2", retried("a", reason, finished));
    });
    check(whole, "a cancel that came after the result takes it away", Result, |tale| {
        let request = tale.before("ship done", "", cancel(CancelScope::Item, Some("ship"), None));
        tale.set("ship done", cancelled("ship", request, CancelProof::Absent));
        let body = completion(tale);
        (body.done, body.cancelled) = (4, 2);
    });
    check(whole, "a result that is failed", Result, |tale| {
        let finished = tale.seq("ship finished");
        tale.set("ship done", failed("ship", Reason::AgentExit, Some(finished)));
        let body = completion(tale);
        (body.done, body.failed) = (4, 1);
    });
    check(whole, "a result that is tried again", Result, |tale| {
        let finished = tale.seq("ship finished");
        tale.set("ship done", retried("ship", Reason::AgentExit, finished));
        tale.remove("completed");
    });
    check(whole, "a result that is denied", Result, |tale| {
        let denied = Record::ItemDenied { item: id("ship"), rule: enc("rule"), policy: digest("policy") };
        tale.set("ship done", denied);
        let body = completion(tale);
        (body.done, body.denied) = (4, 1);
    });
    check(mended, "failed by a superseded attempt", Result, |tale| {
        tale.before("test started", "", stopped("test", 1, Reason::Shutdown));
        let at = tale.seq("test started") - 1;
        tale.before("test started", "", retried("test", Reason::Shutdown, at));
        tale.keep_before("test started");
    });
    check(mended, "failed by nothing, though its attempt ended", Result, |tale| {
        tale.set("test failed", failed("test", Reason::GateFailed, None));
    });
    check(mended, "failed for another reason", Result, |tale| {
        let finished = tale.seq("test finished");
        tale.set("test failed", failed("test", Reason::AgentExit, Some(finished)));
    });
    check(whole, "tried again for another reason", Result, |tale| {
        let finished = tale.seq("make finished");
        tale.set("make retried", retried("make", Reason::NoResult, finished));
    });
    check(whole, "tried again by an end that was decided", Result, |tale| {
        let finished = tale.seq("make finished");
        tale.before("make leased 2", "", retried("make", Reason::AgentExit, finished));
    });
    check(stops, "tried again while it runs", Result, |tale| {
        let finished = tale.seq("a finished 2");
        tale.before("a started 3", "", retried("a", Reason::Wall, finished));
    });
    check(stops, "tried again though nobody parked it", Result, |tale| {
        tale.set("parked", hold(HoldMode::Drain));
    });
    check(stops, "tried again though it was asked to stop", Result, |tale| {
        let finished = tale.seq("a finished 3");
        tale.set("a cancelled", retried("a", Reason::Operator, finished));
        tale.remove("completed");
    });
    check(stops, "failed though it was asked to stop", Result, |tale| {
        let finished = tale.seq("a finished 3");
        tale.set("a cancelled", failed("a", Reason::Operator, Some(finished)));
        let body = completion(tale);
        (body.failed, body.cancelled) = (1, 0);
    });
    check(stops, "failed of a park", Result, |tale| {
        let finished = tale.seq("a finished");
        tale.set("a retried", failed("a", Reason::Operator, Some(finished)));
        tale.keep_before("released");
    });
    check(rejected, "done by a rejection", Result, |tale| {
        let answered = Some(tale.seq("late answered"));
        answer_of(tale, "late answered").decision = AnswerDecision::Rejected;
        tale.set("late failed", Record::ItemDone { item: id("late"), finished: None, answered });
        let body = completion(tale);
        (body.done, body.failed) = (1, 1);
    });
    check(rejected, "failed by an approval", Result, |tale| {
        answer_of(tale, "late answered").decision = AnswerDecision::Approved;
    });
    check(whole, "done by words", Result, |tale| {
        let answered = Some(tale.seq("lone answered"));
        tale.set("lone ready again", Record::ItemDone { item: id("lone"), finished: None, answered });
        tale.keep_before("ok answered");
    });
}

#[test]
fn questions_are_asked_by_what_asks_and_answered_once_as_they_can_be() {
    check(whole, "of an attempt that does not ask", Question, |tale| {
        let reason = Reason::AgentExit;
        let body = end_of(tale, "lone finished");
        (body.outcome, body.class, body.reason) = (OutcomeWord::Failed, Some(reason.class()), Some(reason));
    });
    check(whole, "of an attempt that runs", Question, |tale| {
        let mut words = wants_words("lone", 0);
        words.finished = None;
        tale.before("lone finished", "", asked(words));
        tale.keep_before("lone finished");
    });
    check(whole, "asked twice", Question, |tale| {
        let ended = tale.seq("lone finished");
        tale.before("lone waiting", "", asked(wants_words("lone", ended)));
        let again = tale.seq("lone waiting") - 1;
        tale.set("lone waiting", waiting("lone", again));
        tale.keep_before("lone answered");
    });
    check(whole, "an attempt asks for approval", Question, |tale| {
        question_of(tale, "lone asked").kind = QuestionKind::Approval;
        tale.keep_to("lone asked");
    });
    check(whole, "an approval asks for words", Question, |tale| {
        question_of(tale, "ok asked").kind = QuestionKind::Input;
        tale.keep_before("ok answered");
    });
    check(whole, "an approval offers options", Question, |tale| question_of(tale, "ok asked").options = 2);
    check(whole, "an approval shows something else", Question, |tale| {
        question_of(tale, "ok asked").subjects = vec![digest("other")];
    });
    check(whole, "an approval shows nothing", Question, |tale| question_of(tale, "ok asked").subjects.clear());
    check(whole, "an approval asks before it is ready", Question, |tale| {
        tale.remove("ok ready");
    });
    check(whole, "an approval asks twice", Question, |tale| {
        tale.before("ok waiting", "", asked(approval("ok", vec![digest("make")])));
        let again = tale.seq("ok waiting") - 1;
        tale.set("ok waiting", waiting("ok", again));
        let leaf = crate::audit::merkle::leaf_hash(b"");
        let body = answer_of(tale, "ok answered");
        (body.asked, body.leaf) = (again, leaf);
    });
    check(whole, "answered, and nothing waits for it", Question, |tale| {
        tale.remove("ok waiting");
        tale.keep_to("ok answered");
    });
    check(whole, "cancelled by what came after it ended", Result, |tale| {
        let at = tale.at("gone cancel");
        tale.swap(at);
    });
    check(whole, "answered twice", Question, |tale| {
        let again = tale.record("ok answered").clone();
        tale.before("ok done", "", again);
    });
    check(whole, "answered after it was taken up", Question, |tale| {
        let again = tale.record("lone answered").clone();
        tale.before("lone leased 2", "", again);
    });
    check(whole, "another leaf", Question, |tale| answer_of(tale, "ok answered").leaf = Hash([9; 32]));
    check(whole, "the leaf of another question", Question, |tale| {
        let leaf = tale.leaf("lone asked");
        answer_of(tale, "ok answered").leaf = leaf;
    });
    check(rejected, "words about an approval", Question, |tale| {
        answer_of(tale, "no answered").decision = AnswerDecision::Answered;
        tale.keep_before("no failed");
    });
    check(rejected, "expired, and has no time", Question, |tale| question_of(tale, "late asked").expires = None);
    check(rejected, "expired before its time", Question, |tale| {
        question_of(tale, "late asked").expires = Some(crate::decide::testing::at(1));
    });
    check(whole, "ready, and nothing was answered", Question, |tale| {
        tale.remove("lone answered");
        tale.keep_to("lone ready again");
    });
    check(whole, "an approval that starts", Question, |tale| {
        tale.set("ok done", ready("ok", ReadyCause::Answer));
        tale.keep_to("ok done");
    });
    check(whole, "waits for a question that was answered", Question, |tale| {
        let asked = tale.seq("lone asked");
        tale.before("lone leased 2", "", waiting("lone", asked));
        tale.keep_before("lone leased 2");
    });
}

#[test]
fn a_position_is_that_of_an_earlier_entry_of_its_type_and_item() {
    check(whole, "done by another item's end", Reference, |tale| {
        let other = tale.seq("use finished");
        tale.set("ship done", done("ship", other));
    });
    check(whole, "done by a start", Reference, |tale| {
        let other = tale.seq("ship started");
        tale.set("ship done", done("ship", other));
    });
    check(whole, "done by what is yet to come", Reference, |tale| {
        let later = tale.seq("completed");
        tale.set("ship done", done("ship", later));
    });
    check(whole, "done by itself", Reference, |tale| {
        let here = tale.seq("ship done");
        tale.set("ship done", done("ship", here));
    });
    check(whole, "done by what is beyond all", Reference, |tale| tale.set("ship done", done("ship", u64::MAX)));
    check(whole, "approved by another's decision", Reference, |tale| {
        let answered = Some(tale.seq("lone answered"));
        tale.set("ok done", Record::ItemDone { item: id("ok"), finished: None, answered });
    });
    check(whole, "approved by a question", Reference, |tale| {
        let answered = Some(tale.seq("ok asked"));
        tale.set("ok done", Record::ItemDone { item: id("ok"), finished: None, answered });
    });
    check(mended, "failed by another item's end", Reference, |tale| {
        let other = tale.seq("make finished");
        tale.set("test failed", failed("test", Reason::GateFailed, Some(other)));
    });
    check(whole, "tried again by a lease", Reference, |tale| {
        let other = tale.seq("make leased");
        tale.set("make retried", retried("make", Reason::AgentExit, other));
    });
    check(whole, "waits for another's question", Reference, |tale| {
        let other = tale.seq("ok asked");
        tale.set("lone waiting", waiting("lone", other));
    });
    check(whole, "answers no question", Reference, |tale| {
        tale.before(
            "ship leased",
            "",
            answered(QuestionAnswered {
                asked: 1,
                leaf: Hash([9; 32]),
                decision: AnswerDecision::Approved,
                answer: None,
            }),
        );
    });
    check(whole, "cancelled by a request of another item", Reference, |tale| {
        tale.before("gone finished", "other", cancel(CancelScope::Item, Some("use"), None));
        // Of `use`, nothing more is told.
        tale.keep_to("next skipped");
        let other = tale.seq("other");
        tale.set("gone cancelled", cancelled("gone", other, CancelProof::Absent));
    });
    check(stops, "cancelled by a deadline", Reference, |tale| {
        let expired = tale.seq("a expired");
        tale.set("a cancelled", cancelled("a", expired, CancelProof::Absent));
    });
    check(whole, "cancelled by no request", Reference, |tale| {
        let other = tale.seq("gone leased");
        tale.set("gone cancelled", cancelled("gone", other, CancelProof::Absent));
    });
    check(whole, "released is no hold", Reference, |tale| {
        tale.set("released", Record::HoldReleased { hold: 1 });
    });
    check(whole, "asked by another item's end", Reference, |tale| {
        let other = tale.seq("make finished 2");
        question_of(tale, "lone asked").finished = Some(other);
    });
}

#[test]
fn counts_cost_and_outcome_are_those_of_the_entries() {
    check(whole, "done", Count, |tale| completion(tale).done = 6);
    check(whole, "failed", Count, |tale| completion(tale).failed = 1);
    check(whole, "skipped", Count, |tale| completion(tale).skipped = 0);
    check(whole, "cancelled", Count, |tale| completion(tale).cancelled = 0);
    check(whole, "denied", Count, |tale| completion(tale).denied = 1);
    check(whole, "cost", Count, |tale| completion(tale).cost_microusd = 29);
    check(whole, "done, and an item was cancelled", Count, |tale| completion(tale).outcome = RunOutcome::Done);
    check(whole, "cancelled, and only an item was", Count, |tale| completion(tale).outcome = RunOutcome::Cancelled);
    check(mended, "failed, and all is made good", Count, |tale| completion(tale).outcome = RunOutcome::Failed);
    check(stopped_run, "failed, and the run was cancelled", Count, |tale| {
        completion(tale).outcome = RunOutcome::Failed;
    });
    check(stuck, "done, and a pattern failed", Count, |tale| completion(tale).outcome = RunOutcome::Done);
    check(grown, "done, and something was skipped for a failure", Count, |tale| {
        completion(tale).outcome = RunOutcome::Done;
    });
    check(reviewed, "made good by the wrong item's growth", Count, |tale| {
        let Record::ItemsAdded(body) = tale.record("committed") else { panic!() };
        body.source = Some(enc("draft-review-1-1"));
    });
}

/// The sum of what attempts say they cost stays what an entry can hold.
#[test]
fn a_cost_beyond_what_an_entry_holds_is_capped() {
    let mut tale = whole();
    for name in ["use finished", "ship finished"] {
        let body = end_of(&mut tale, name);
        body.usage.as_mut().unwrap().cost_microusd = Some((1 << 53) - 1);
    }
    completion(&mut tale).cost_microusd = (1 << 53) - 1;
    tale.is_good();
}

/// What is wrong in two ways is found in both.
#[test]
fn one_change_may_break_several_rules() {
    let mut tale = whole();
    let ended = tale.seq("make finished");
    tale.before("make finished 2", "", done("make", ended));
    tale.keep_before("make finished 2");
    assert_eq!(tale.codes(), [Item, Result], "done by an old result, during an attempt");
}
