//! Stories that can have been. Each is what the engine writes, record for record.

use super::tale::{Tale, answered, asked, cancel, completed, done, failed, id, input, leased, retried, stopped};
use crate::decide::testing::{
    Planned, Report, digest, enc, finished_record, opened, place, planned, started_record, word,
};
use crate::record::{
    Added, AnswerDecision, CancelProof, CancelScope, GrowthCause, HoldMode, InputUse, QuestionAnswered, QuestionAsked,
    QuestionKind, ReadyCause, Record, RunOutcome, SkipCause, VerifyFact,
};
use crate::worker::Reason;

pub(super) fn open(open_ended: bool) -> Record {
    let mut opened = opened("q0");
    opened.open_ended = open_ended;
    Record::RunOpened(Box::new(opened))
}

pub(super) fn added(cause: GrowthCause, source: Option<&str>, items: &[Planned]) -> Record {
    let items = items.iter().map(Planned::added).collect();
    Record::ItemsAdded(Box::new(Added { cause, source: source.map(enc), resolved: Vec::new(), items }))
}

pub(super) fn ready(item: &str, cause: ReadyCause) -> Record {
    Record::ItemReady { item: id(item), cause }
}

pub(super) fn started(item: &str, number: u64) -> Record {
    Record::AttemptStarted(Box::new(started_record(item, number, number)))
}

pub(super) fn finished(item: &str, number: u64, report: Report) -> Record {
    Record::AttemptFinished(Box::new(finished_record(item, number, number, report)))
}

pub(super) fn waiting(item: &str, asked: u64) -> Record {
    Record::ItemWaiting { item: id(item), asked }
}

pub(super) fn hold(mode: HoldMode) -> Record {
    Record::HoldSet { mode, reason: word("later"), note: None }
}

pub(super) fn skipped(item: &str, cause: SkipCause, due_to: &str) -> Record {
    Record::ItemSkipped { item: id(item), cause, due_to: id(due_to) }
}

pub(super) fn cancelled(item: &str, request: u64, proof: CancelProof) -> Record {
    Record::ItemCancelled { item: id(item), request, proof }
}

/// The name of a record of an item.
fn named(item: &str, number: u64, what: &str) -> String {
    if number == 1 { format!("{item} {what}") } else { format!("{item} {what} {number}") }
}

/// Opens a run with these items; those that depend on nothing are ready.
fn begin(open_ended: bool, items: &[Planned]) -> Tale {
    let mut tale = Tale::default();
    tale.push("opened", open(open_ended));
    tale.push("added", added(GrowthCause::Plan, None, items));
    for item in items.iter().filter(|item| item.deps.is_empty()) {
        tale.push(&format!("{} ready", item.id), ready(&item.id, ReadyCause::Dependencies));
    }
    tale.push("logged", Record::RunLogged(place(8)));
    tale
}

/// Leases and starts an attempt.
fn run(tale: &mut Tale, item: &str, number: u64, inputs: Vec<crate::record::UsedInput>) {
    tale.push(&named(item, number, "leased"), leased(item, number, inputs));
    tale.push(&named(item, number, "started"), started(item, number));
}

/// Ends an attempt as reported; returns the position.
fn end(tale: &mut Tale, item: &str, number: u64, report: Report) -> u64 {
    tale.push(&named(item, number, "finished"), finished(item, number, report))
}

/// Ends an attempt with a result, which is accepted; returns the position of that.
fn finish(tale: &mut Tale, item: &str, number: u64, report: Report) -> u64 {
    let finished = end(tale, item, number, report);
    tale.push(&format!("{item} done"), done(item, finished))
}

fn becomes_ready(tale: &mut Tale, item: &str) {
    tale.push(&format!("{item} ready"), ready(item, ReadyCause::Dependencies));
}

/// The patch of a dependency, for the tree that an attempt begins from.
fn patch(of: &str, done: u64) -> crate::record::UsedInput {
    input(InputUse::Patch, digest(of), of, Some(done), None)
}

/// A retry, a hand-off, an approval, a question, a cancel, a hold: `make` fails once; `use` takes what it made; `ok` is
/// approved; `lone` asks; `gone` is cancelled while it runs, and so `next` is skipped; `ship` is the last.
pub(super) fn whole() -> Tale {
    let mut tale = begin(
        false,
        &[
            planned("make", &[]).locks(&["x"]),
            planned("lone", &[]),
            planned("gone", &[]),
            planned("use", &["make"]).need("make", Some("report.json")),
            planned("ok", &["make"]).executor("approval"),
            planned("ship", &["use", "ok"]),
            planned("next", &["gone"]),
        ],
    );
    run(&mut tale, "make", 1, Vec::new());
    run(&mut tale, "lone", 1, Vec::new());
    let ended = end(&mut tale, "make", 1, Report::Fail(Reason::AgentExit));
    tale.push("make retried", retried("make", Reason::AgentExit, ended));
    run(&mut tale, "make", 2, Vec::new());
    for name in ["make leased", "make leased 2"] {
        let Record::AttemptLeased(body) = tale.record(name) else { panic!("{name}") };
        body.locks = vec![enc("x")];
    }
    let made = finish(&mut tale, "make", 2, Report::Patch);
    becomes_ready(&mut tale, "use");
    becomes_ready(&mut tale, "ok");
    let question = tale.push("ok asked", asked(approval("ok", vec![digest("make")])));
    tale.push("ok waiting", waiting("ok", question));
    let ended = end(&mut tale, "lone", 1, Report::Ask);
    let words = tale.push("lone asked", asked(wants_words("lone", ended)));
    tale.push("lone waiting", waiting("lone", words));
    answer(&mut tale, "lone", AnswerDecision::Answered);
    tale.push("lone ready again", ready("lone", ReadyCause::Answer));
    let approved = answer(&mut tale, "ok", AnswerDecision::Approved);
    tale.push("ok done", Record::ItemDone { item: id("ok"), finished: None, answered: Some(approved) });
    let output = input(InputUse::Output, digest("output"), "make", Some(made), Some("from-make"));
    run(&mut tale, "use", 1, vec![patch("make", made), output]);
    run(&mut tale, "gone", 1, Vec::new());
    let request = tale.push("gone cancel", cancel(CancelScope::Item, Some("gone"), None));
    tale.push("gone finished", stopped("gone", 1, Reason::Caller));
    tale.push("gone cancelled", cancelled("gone", request, CancelProof::Absent));
    tale.push("next skipped", skipped("next", SkipCause::Dependency, "gone"));
    let used = finish(&mut tale, "use", 1, Report::Patch);
    becomes_ready(&mut tale, "ship");
    let held = tale.push("held", hold(HoldMode::Drain));
    tale.push("released", Record::HoldReleased { hold: held });
    run(&mut tale, "lone", 2, vec![input(InputUse::Answer, digest("answer"), "lone", None, None)]);
    finish(&mut tale, "lone", 2, Report::Done);
    run(&mut tale, "ship", 1, vec![patch("use", used)]);
    finish(&mut tale, "ship", 1, Report::Done);
    tale.push("completed", completed(RunOutcome::Failed, [5, 0, 1, 1, 30]));
    tale
}

pub(super) fn approval(item: &str, subjects: Vec<crate::id::Digest>) -> QuestionAsked {
    let (kind, text) = (QuestionKind::Approval, digest("question"));
    QuestionAsked { item: id(item), kind, text, options: 0, subjects, finished: None, expires: None }
}

pub(super) fn wants_words(item: &str, finished: u64) -> QuestionAsked {
    let (kind, text, finished) = (QuestionKind::Input, digest("question"), Some(finished));
    QuestionAsked { item: id(item), kind, text, options: 2, subjects: Vec::new(), finished, expires: None }
}

pub(super) fn answer(tale: &mut Tale, item: &str, decision: AnswerDecision) -> u64 {
    let question = format!("{item} asked");
    let (asked, leaf, answer) = (tale.seq(&question), tale.leaf(&question), Some(digest("answer")));
    tale.push(&format!("{item} answered"), answered(QuestionAnswered { asked, leaf, decision, answer }))
}

/// A gate fails, is fixed, and passes: `ship` is skipped, and comes again as `ship~2`.
pub(super) fn mended() -> Tale {
    let mut tale = begin(false, &[planned("make", &[]), planned("test", &["make"]), planned("ship", &["test"])]);
    run(&mut tale, "make", 1, Vec::new());
    let made = finish(&mut tale, "make", 1, Report::Patch);
    becomes_ready(&mut tale, "test");
    run(&mut tale, "test", 1, vec![patch("make", made)]);
    let ended = end(&mut tale, "test", 1, Report::Fail(Reason::GateFailed));
    tale.push("test failed", failed("test", Reason::GateFailed, Some(ended)));
    tale.push("ship skipped", skipped("ship", SkipCause::Pattern, "test"));
    let fix = planned("test-fix-1", &["make"]);
    tale.push("grown", added(GrowthCause::Pattern, Some("test"), &[fix]));
    let again = [planned("test~2", &["make", "test-fix-1"]), planned("ship~2", &["test~2"])];
    tale.push("grown further", added(GrowthCause::Pattern, Some("test"), &again));
    becomes_ready(&mut tale, "test-fix-1");
    run(&mut tale, "test-fix-1", 1, vec![patch("make", made)]);
    let fixed = finish(&mut tale, "test-fix-1", 1, Report::Patch);
    becomes_ready(&mut tale, "test~2");
    run(&mut tale, "test~2", 1, vec![patch("make", made), patch("test-fix-1", fixed)]);
    finish(&mut tale, "test~2", 1, Report::Done);
    becomes_ready(&mut tale, "ship~2");
    run(&mut tale, "ship~2", 1, Vec::new());
    finish(&mut tale, "ship~2", 1, Report::Done);
    tale.push("completed", completed(RunOutcome::Done, [4, 1, 1, 0, 25]));
    tale
}

/// A gate that is done, but red, and stays so: its pattern cannot go on.
pub(super) fn stuck() -> Tale {
    let mut tale = begin(false, &[planned("test", &[]), planned("ship", &["test"])]);
    run(&mut tale, "test", 1, Vec::new());
    finish(&mut tale, "test", 1, Report::Done);
    let Record::AttemptFinished(body) = tale.record("test finished") else { panic!() };
    body.verify = Some(VerifyFact { passed: false, report: digest("report") });
    tale.push("ship skipped", skipped("ship", SkipCause::Pattern, "test"));
    let pattern = enc("pipeline:test");
    tale.push("pattern failed", Record::PatternFailed { pattern, reason: word("gate-red") });
    tale.push("completed", completed(RunOutcome::Failed, [1, 0, 1, 0, 5]));
    tale
}

/// Work that is reviewed: one reviewer says no, two say yes, and it is committed. Rounds end before what follows.
pub(super) fn reviewed() -> Tale {
    let mut tale = begin(false, &[planned("draft", &[])]);
    run(&mut tale, "draft", 1, Vec::new());
    let drafted = finish(&mut tale, "draft", 1, Report::Patch);
    let reviews = [planned("draft-review-1-1", &["draft"]), planned("draft-review-1-2", &["draft"])];
    tale.push("grown", added(GrowthCause::Pattern, Some("draft"), &reviews));
    for review in ["draft-review-1-1", "draft-review-1-2"] {
        becomes_ready(&mut tale, review);
    }
    for review in ["draft-review-1-1", "draft-review-1-2"] {
        run(&mut tale, review, 1, vec![patch("draft", drafted)]);
    }
    finish(&mut tale, "draft-review-1-1", 1, Report::Done);
    let ended = end(&mut tale, "draft-review-1-2", 1, Report::Fail(Reason::GateFailed));
    tale.push("no", failed("draft-review-1-2", Reason::GateFailed, Some(ended)));
    let commit = planned("draft-commit", &["draft", "draft-review-1-1"]);
    tale.push("committed", added(GrowthCause::Pattern, Some("draft"), &[commit]));
    becomes_ready(&mut tale, "draft-commit");
    run(&mut tale, "draft-commit", 1, vec![patch("draft", drafted)]);
    finish(&mut tale, "draft-commit", 1, Report::Done);
    tale.push("completed", completed(RunOutcome::Done, [3, 1, 0, 0, 20]));
    tale
}

/// An open-ended run: extended, closed, done.
pub(super) fn grown() -> Tale {
    let mut tale = begin(true, &[planned("a", &[])]);
    run(&mut tale, "a", 1, Vec::new());
    tale.push("extended", added(GrowthCause::Extend, None, &[planned("b", &[]), planned("c", &["b"])]));
    becomes_ready(&mut tale, "b");
    tale.push("closed", Record::RunClosed {});
    finish(&mut tale, "a", 1, Report::Done);
    // It could never start.
    tale.push("b failed", failed("b", Reason::Cost, None));
    tale.push("c skipped", skipped("c", SkipCause::Dependency, "b"));
    tale.push("completed", completed(RunOutcome::Failed, [1, 1, 1, 0, 5]));
    tale
}

/// An open-ended run that is cancelled: `a` runs, `b` waits for it.
pub(super) fn stopped_run() -> Tale {
    let mut tale = begin(true, &[planned("a", &[]), planned("b", &["a"])]);
    run(&mut tale, "a", 1, Vec::new());
    let request = tale.push("cancel", cancel(CancelScope::Run, None, None));
    tale.push("closed", Record::RunClosed {});
    tale.push("b cancelled", cancelled("b", request, CancelProof::NeverStarted));
    tale.push("a finished", stopped("a", 1, Reason::Caller));
    tale.push("a cancelled", cancelled("a", request, CancelProof::Absent));
    tale.push("completed", completed(RunOutcome::Cancelled, [0, 0, 0, 2, 0]));
    tale
}

/// A park, a deadline, a stop that nothing proves: `a` goes on after the park, fails of its deadline and is tried again;
/// then somebody says that it is gone.
pub(super) fn stops() -> Tale {
    let mut tale = begin(false, &[planned("a", &[])]);
    run(&mut tale, "a", 1, Vec::new());
    let held = tale.push("drained", hold(HoldMode::Drain));
    tale.push("drain released", Record::HoldReleased { hold: held });
    let held = tale.push("parked", hold(HoldMode::Park));
    let ended = tale.push("a finished", stopped("a", 1, Reason::Operator));
    tale.push("a retried", retried("a", Reason::Operator, ended));
    tale.push("released", Record::HoldReleased { hold: held });
    run(&mut tale, "a", 2, Vec::new());
    tale.push("a expired", cancel(CancelScope::Attempt, Some("a"), Some(2)));
    let ended = end(&mut tale, "a", 2, Report::Fail(Reason::Wall));
    tale.push("a retried 2", retried("a", Reason::Wall, ended));
    run(&mut tale, "a", 3, Vec::new());
    tale.push("a cancel", cancel(CancelScope::Item, Some("a"), None));
    let request = tale.push("a gone", cancel(CancelScope::Item, Some("a"), None));
    tale.push("a finished 3", stopped("a", 3, Reason::Operator));
    tale.push("a cancelled", cancelled("a", request, CancelProof::Forced));
    tale.push("completed", completed(RunOutcome::Failed, [0, 0, 0, 1, 5]));
    tale
}

/// A person says no, and another approval expires.
pub(super) fn rejected() -> Tale {
    let approve = |item: &str| planned(item, &[]).executor("approval");
    let mut tale = begin(false, &[approve("no"), approve("late"), planned("next", &["no"])]);
    for item in ["no", "late"] {
        let mut body = approval(item, Vec::new());
        body.expires = (item == "late").then(|| crate::decide::testing::at(0));
        let question = tale.push(&format!("{item} asked"), asked(body));
        tale.push(&format!("{item} waiting"), waiting(item, question));
    }
    let decided = [("no", AnswerDecision::Rejected), ("late", AnswerDecision::Expired)];
    for (item, decision) in decided {
        let answered = Some(answer(&mut tale, item, decision));
        let (class, reason) = (Reason::Rejected.class(), Reason::Rejected);
        let failed = Record::ItemFailed { item: id(item), class, reason, detail: None, finished: None, answered };
        tale.push(&format!("{item} failed"), failed);
        if item == "no" {
            tale.push("next skipped", skipped("next", SkipCause::Dependency, "no"));
        }
    }
    tale.push("completed", completed(RunOutcome::Failed, [0, 2, 1, 0, 0]));
    tale
}

/// A story that is told here, by name.
type Named = (&'static str, fn() -> Tale);

/// Each of them.
pub(super) const ALL: [Named; 9] = [
    ("whole", whole),
    ("mended", mended),
    ("stuck", stuck),
    ("reviewed", reviewed),
    ("grown", grown),
    ("stopped_run", stopped_run),
    ("stops", stops),
    ("rejected", rejected),
    ("empty", empty),
];

/// An open-ended run that was closed without an item.
pub(super) fn empty() -> Tale {
    let mut tale = Tale::default();
    tale.push("opened", open(true));
    tale.push("closed", Record::RunClosed {});
    tale.push("completed", completed(RunOutcome::Done, [0; 5]));
    tale
}

/// Each of them, cut off anywhere, is that of a run that is still open.
#[test]
fn good_stories_have_no_problem_wherever_they_stop() {
    for (name, story) in ALL {
        let mut tale = story();
        for told in &tale.told {
            // What the schema would refuse is no story.
            told.entry.to_bytes().unwrap_or_else(|error| panic!("{name}: {error}: {told:?}"));
        }
        tale.is_good();
        let mut whole = tale.tell();
        whole.judge_seal();
        assert_eq!(whole.problems, [], "{name}");
        while tale.told.len() > 1 {
            let last = tale.name(tale.told.len() - 1).to_owned();
            tale.remove(&last);
            tale.is_good();
        }
    }
}

#[test]
fn a_lost_attempt_that_never_started_fails_its_item() {
    let mut tale = begin(false, &[planned("a", &[])]);
    tale.push("a leased", leased("a", 1, Vec::new()));
    let mut body = finished_record("a", 1, 1, Report::Lost);
    body.usage = None;
    let ended = tale.push("a finished", Record::AttemptFinished(Box::new(body)));
    tale.push("a failed", failed("a", Reason::WorkerLost, Some(ended)));
    tale.push("completed", completed(RunOutcome::Failed, [0, 1, 0, 0, 0]));
    tale.is_good();
    assert_eq!(tale.tell().accepted, []);
}

#[test]
fn an_attempt_that_was_cancelled_by_nobody_fails_its_item() {
    let mut tale = begin(false, &[planned("a", &[])]);
    run(&mut tale, "a", 1, Vec::new());
    let ended = tale.push("a finished", stopped("a", 1, Reason::Shutdown));
    tale.push("a failed", failed("a", Reason::Shutdown, Some(ended)));
    tale.push("completed", completed(RunOutcome::Failed, [0, 1, 0, 0, 0]));
    tale.is_good();
}

#[test]
fn an_item_that_is_denied_has_ended() {
    let mut tale = begin(false, &[planned("a", &[]), planned("b", &["a"])]);
    tale.push("a denied", Record::ItemDenied { item: id("a"), rule: enc("rule"), policy: digest("policy") });
    tale.push("b skipped", skipped("b", SkipCause::Dependency, "a"));
    let mut body = completed(RunOutcome::Failed, [0, 0, 1, 0, 0]);
    if let Record::RunCompleted(body) = &mut body {
        body.denied = 1;
    }
    tale.push("completed", body);
    tale.is_good();
}
