//! Every standing of an item against every kind of record, the illegal pairs included.

use std::fmt::Write as _;

use crate::decide::testing::{
    Player, Report, budget, digest, enc, finished_record, item_id, opened, place, planned, started_record, word,
};
use crate::id::{Hash, ItemId};
use crate::record::{
    Added, AnswerDecision, AttemptFinished, AttemptLeased, CancelProof, CancelRequested, CancelScope, CancelVia,
    GrowthCause, HoldMode, OutcomeWord, QuestionAnswered, QuestionAsked, QuestionKind, ReadyCause, Record,
    RunCompleted, RunOutcome, SkipCause,
};
use crate::state::{ItemStatus, RunState};
use crate::worker::{FailureClass, Reason};

fn a() -> ItemId {
    item_id("a")
}

fn cancel(scope: CancelScope) -> Record {
    let item = (scope != CancelScope::Run).then(a);
    let attempt = (scope == CancelScope::Attempt).then_some(1);
    let (via, reason) = (CancelVia::Mcp, word("requested"));
    Record::CancelRequested(CancelRequested { scope, item, attempt, via, reason, note: None })
}

fn park() -> Record {
    Record::HoldSet { mode: HoldMode::Park, reason: word("later"), note: None }
}

/// A run in which `a` depends on `up`, `broken` has failed, and `apart` keeps the run open.
fn player() -> Player {
    let mut player = Player::new(&[("q0", 9)]);
    let items = [planned("up", &[]), planned("broken", &[]), planned("a", &["up"]), planned("apart", &[])];
    player.open("run", opened("q0"), &items);
    player.lease_all();
    player.finish("run", "broken", Report::Fail(Reason::GateFailed));
    player
}

fn ready() -> Player {
    let mut player = player();
    player.finish("run", "up", Report::Done);
    player
}

fn running(started: bool) -> Player {
    let mut player = ready();
    player.lease_all();
    if started {
        player.start("run", "a").unwrap();
    }
    player
}

fn ended(report: Report) -> Player {
    let mut player = running(true);
    player.apply("run", Record::AttemptFinished(Box::new(finished_record("a", 1, 1, report)))).unwrap();
    player
}

fn ask(finished: Option<u64>) -> Record {
    Record::QuestionAsked(Box::new(QuestionAsked {
        item: a(),
        kind: QuestionKind::Input,
        text: digest("question"),
        options: 2,
        subjects: Vec::new(),
        finished,
        expires: None,
    }))
}

fn waiting(decision: Option<AnswerDecision>) -> Player {
    let mut player = running(true);
    player.end("run", "a", Report::Ask).unwrap();
    if let Some(decision) = decision {
        let question = player.item("run", "a").question.clone().unwrap();
        let answered =
            QuestionAnswered { asked: question.asked, leaf: question.leaf, decision, answer: Some(digest("answer")) };
        player.apply("run", Record::QuestionAnswered(answered)).unwrap();
    }
    player
}

fn denied() -> Player {
    let mut player = player();
    let record = Record::ItemDenied { item: a(), rule: enc("rule"), policy: digest("policy") };
    player.apply("run", record).unwrap();
    player
}

fn with(mut player: Player, records: Vec<Record>) -> Player {
    for record in records {
        player.apply("run", record).unwrap();
    }
    player
}

fn finish(mut player: Player, report: Report) -> Player {
    player.finish("run", "a", report);
    player
}

fn cancelled() -> Player {
    let mut player = ready();
    player.cancel("run", Some("a")).unwrap();
    player
}

fn skipped() -> Player {
    let mut player = player();
    player.finish("run", "up", Report::Fail(Reason::GateFailed));
    player
}

fn standings() -> Vec<(&'static str, Player)> {
    let asked = || {
        let player = ended(Report::Ask);
        let finished = player.item("run", "a").lease.as_ref().unwrap().finished;
        with(player, vec![ask(finished)])
    };
    vec![
        ("pending", player()),
        ("pending, what it depends on done", {
            let mut player = player();
            player.start("run", "up").unwrap();
            let finished = player.run("run").next_seq;
            let done = Record::ItemDone { item: item_id("up"), finished: Some(finished), answered: None };
            with(player, vec![Record::AttemptFinished(Box::new(finished_record("up", 1, 1, Report::Done))), done])
        }),
        ("ready", ready()),
        ("ready, asked to stop", with(ready(), vec![cancel(CancelScope::Item)])),
        ("running, not started", running(false)),
        ("running", running(true)),
        ("running, asked to stop", with(running(true), vec![cancel(CancelScope::Run)])),
        ("ended done", ended(Report::Done)),
        ("ended done, asked to stop", with(ended(Report::Done), vec![cancel(CancelScope::Item)])),
        ("running, past its deadline", with(running(true), vec![cancel(CancelScope::Attempt)])),
        ("running, parked", with(running(true), vec![park()])),
        ("ended, parked", {
            let finished = AttemptFinished {
                class: Some(FailureClass::Cancelled),
                reason: Some(Reason::Operator),
                ..AttemptFinished::new(a(), 1, 1, OutcomeWord::Cancelled)
            };
            with(running(true), vec![park(), Record::AttemptFinished(Box::new(finished))])
        }),
        ("ended failed", ended(Report::Fail(Reason::AgentExit))),
        ("ended lost", ended(Report::Lost)),
        ("ended asking", ended(Report::Ask)),
        ("ended asking, asked", asked()),
        ("waiting", waiting(None)),
        ("waiting, answered", waiting(Some(AnswerDecision::Answered))),
        ("waiting, approved", waiting(Some(AnswerDecision::Approved))),
        ("waiting, rejected", waiting(Some(AnswerDecision::Rejected))),
        ("done", finish(running(false), Report::Done)),
        ("failed", finish(running(false), Report::Fail(Reason::GateFailed))),
        ("skipped", skipped()),
        ("cancelled", cancelled()),
        ("denied", denied()),
    ]
}

/// One of each kind, with the positions that would fit if the record may come at all.
fn records(run: &RunState) -> Vec<(&'static str, Record)> {
    let item = run.item(&a()).unwrap();
    let finished = item.lease.as_ref().and_then(|lease| lease.finished);
    let question = item.question.clone();
    let answered = question.as_ref().and_then(|question| Some(question.decision?.1)).unwrap_or(1);
    let (attempt, fence) = item.lease.as_ref().map_or((1, 1), |lease| (lease.attempt, lease.fence));
    let (class, reason, detail) = (FailureClass::Agent, Reason::AgentExit, None);
    let failed = |finished, answered| {
        let detail: Option<String> = detail.clone();
        Record::ItemFailed { item: a(), class, reason, detail, finished, answered }
    };
    let end = finished.unwrap_or(1);
    let of_attempt = Some(end);
    let leased = AttemptLeased {
        item: a(),
        attempt: item.attempts + 1,
        fence: item.attempts + 1,
        target: enc("local"),
        target_digest: digest("target"),
        provider: word("process"),
        message: None,
        model: None,
        inputs: Vec::new(),
        locks: Vec::new(),
        deadline: run.last_at,
        reserved_microusd: None,
    };
    let answer = QuestionAnswered {
        asked: question.as_ref().map_or(1, |question| question.asked),
        leaf: question.as_ref().map_or(Hash([0; 32]), |question| question.leaf),
        decision: AnswerDecision::Answered,
        answer: Some(digest("answer")),
    };
    let ready = |cause| Record::ItemReady { item: a(), cause };
    let ended = |report| Record::AttemptFinished(Box::new(finished_record("a", attempt, fence, report)));
    vec![
        ("item.ready dependencies", ready(ReadyCause::Dependencies)),
        ("item.ready answer", ready(ReadyCause::Answer)),
        ("item.ready retry", ready(ReadyCause::Retry)),
        ("attempt.leased", Record::AttemptLeased(Box::new(leased))),
        ("attempt.started", Record::AttemptStarted(Box::new(started_record("a", attempt, fence)))),
        ("attempt.started, old fence", Record::AttemptStarted(Box::new(started_record("a", attempt, fence - 1)))),
        ("attempt.finished done", ended(Report::Done)),
        ("attempt.finished failed", ended(Report::Fail(Reason::AgentExit))),
        ("question.asked", ask(of_attempt)),
        ("question.answered", Record::QuestionAnswered(answer)),
        ("item.done finished", Record::ItemDone { item: a(), finished: of_attempt, answered: None }),
        ("item.done, another end", Record::ItemDone { item: a(), finished: Some(0), answered: None }),
        ("item.done answered", Record::ItemDone { item: a(), finished: None, answered: Some(answered) }),
        ("item.failed", failed(None, None)),
        ("item.failed finished", failed(of_attempt, None)),
        ("item.failed answered", failed(None, Some(answered))),
        ("item.retried", {
            let (finished, not_before) = (end, run.last_at);
            Record::ItemRetried { item: a(), finished, class, reason, not_before }
        }),
        ("item.waiting", {
            Record::ItemWaiting { item: a(), asked: question.as_ref().map_or(1, |question| question.asked) }
        }),
        ("item.skipped", Record::ItemSkipped { item: a(), cause: SkipCause::Dependency, due_to: item_id("broken") }),
        ("item.skipped, for nothing", {
            Record::ItemSkipped { item: a(), cause: SkipCause::Dependency, due_to: item_id("a") }
        }),
        ("item.cancelled", {
            Record::ItemCancelled { item: a(), request: item.cancel.unwrap_or(1), proof: CancelProof::Absent }
        }),
        ("item.denied", Record::ItemDenied { item: a(), rule: enc("rule"), policy: digest("policy") }),
        ("cancel.requested item", cancel(CancelScope::Item)),
        ("cancel.requested attempt", cancel(CancelScope::Attempt)),
    ]
}

/// What a record does to a copy of the state; what is refused changes nothing.
fn outcome(run: &RunState, record: &Record) -> String {
    let mut copy = run.clone();
    match copy.apply(run.last_at, Hash([7; 32]), record) {
        Ok(_) => {
            assert_eq!(copy.next_seq, run.next_seq + 1);
            let status = copy.item(&a()).map_or("-", |item| item.status.as_str());
            if run.item(&a()).is_some_and(|item| item.status.as_str() == status) { "legal" } else { status }.to_owned()
        }
        Err(illegal) => {
            assert_eq!(copy, *run, "{illegal}");
            format!("- {}", illegal.why)
        }
    }
}

#[test]
fn the_transition_table() {
    let mut text = String::new();
    let mut seen = std::collections::BTreeSet::new();
    for (standing, player) in standings() {
        let run = player.run("run");
        seen.insert(run.item(&a()).unwrap().status);
        writeln!(text, "{standing}").unwrap();
        for (name, record) in records(run) {
            writeln!(text, "    {name:<28} {}", outcome(run, &record)).unwrap();
        }
    }
    assert_eq!(seen.len(), ItemStatus::ALL.len(), "a status is left out");
    insta::assert_snapshot!("transition_table", text);
}

fn added(id: &str, deps: &[&str], cause: GrowthCause) -> Record {
    let items = vec![planned(id, deps).added()];
    Record::ItemsAdded(Box::new(Added { cause, source: None, resolved: Vec::new(), items }))
}

#[test]
fn the_records_of_the_whole_run() {
    let base = |open_ended: bool| {
        let mut player = Player::new(&[("q0", 9)]);
        let mut opening = opened("q0");
        opening.open_ended = open_ended;
        opening.budget = budget(Some(1_000), None, None);
        player.open_unlogged("run", opening, &[planned("a", &[])]);
        player
    };
    let hold = || Record::HoldSet { mode: HoldMode::Drain, reason: word("later"), note: None };
    let log = |size| Record::RunLogged(place(size));
    let done = |open_ended| {
        let mut player = with(base(open_ended), vec![log(8)]);
        player.lease_all();
        player.finish("run", "a", Report::Done);
        player
    };
    let completed = |outcome, done, cost_microusd| {
        Record::RunCompleted(RunCompleted {
            outcome,
            done,
            failed: 0,
            skipped: 0,
            cancelled: 0,
            denied: 0,
            cost_microusd,
        })
    };
    let standings = vec![
        ("open, not logged", base(false)),
        ("open", with(base(false), vec![log(8)])),
        ("held", with(base(false), vec![log(8), hold()])),
        ("asked to stop", with(base(false), vec![log(8), cancel(CancelScope::Run)])),
        ("open-ended", with(base(true), vec![log(8)])),
        ("open-ended, all done", done(true)),
        ("open-ended, all done, closed", with(done(true), vec![Record::RunClosed {}])),
        ("completed", done(false)),
    ];
    let mut text = String::new();
    for (standing, player) in standings {
        let run = player.run("run");
        // The knobs of the plan are not what growth is about here.
        let run = run.clone().without_knobs();
        writeln!(text, "{standing}").unwrap();
        let records = [
            ("run.opened", Record::RunOpened(Box::new(opened("q0")))),
            ("items.added plan", added("b", &["a"], GrowthCause::Plan)),
            ("items.added extend", added("b", &["a", "a"], GrowthCause::Extend)),
            ("items.added pattern", added("b", &[], GrowthCause::Pattern)),
            ("items.added, known id", added("a", &[], GrowthCause::Plan)),
            ("items.added, of itself", added("b", &["b"], GrowthCause::Plan)),
            ("run.logged", log(8)),
            ("run.logged, too small", log(7)),
            ("hold.set", hold()),
            ("hold.released", Record::HoldReleased { hold: run.hold.unwrap_or(1) }),
            ("hold.released, another", Record::HoldReleased { hold: 99 }),
            ("cancel.requested run", cancel(CancelScope::Run)),
            ("pattern.failed", Record::PatternFailed { pattern: enc("quorum"), reason: word("shape") }),
            ("run.closed", Record::RunClosed {}),
            ("run.completed", completed(RunOutcome::Done, 1, 5)),
            ("run.completed, other count", completed(RunOutcome::Done, 2, 5)),
            ("run.completed, other cost", completed(RunOutcome::Done, 1, 4)),
            ("run.completed, other outcome", completed(RunOutcome::Failed, 1, 5)),
        ];
        for (name, record) in records {
            writeln!(text, "    {name:<28} {}", outcome(&run, &record)).unwrap();
        }
        let mut copy = run.clone();
        let early = crate::time::Time::from_micros(0);
        assert!(
            copy.apply(early, Hash([7; 32]), &Record::PatternFailed { pattern: enc("p"), reason: word("w") }).is_err()
        );
    }
    insta::assert_snapshot!("run_records", text);
}
