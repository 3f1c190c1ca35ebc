//! How attempts, items and runs end: needs, budgets, hostile reports, completion.

use crate::canon::INTEGER_MAX;
use crate::decide::testing::{
    Player, Report, budget, digest, enc, finished_record, kinds, opened, planned, run_id, terms,
};
use crate::decide::{self, Finish, LeaseTerms, Refusal};
use crate::record::{InputUse, OutcomeWord, OutputArtifact, UsageCount};
use crate::state::ItemStatus;
use crate::worker::{FailureClass, Reason};

#[test]
fn what_an_attempt_consumes_is_named_by_digest() {
    let mut player = Player::new(&[("q0", 9)]);
    let items = [
        planned("make", &[]),
        planned("other", &[]),
        planned("use", &["make", "other"]).need("make", None).need("make", Some("report.json")),
    ];
    player.open("run", opened("q0"), &items);
    player.lease_all();
    player.finish("run", "make", Report::Patch);
    player.finish("run", "other", Report::Done);
    assert_eq!(player.lease_all(), ["use"]);
    let done = player.item("run", "make").accepted.as_ref().map(|accepted| accepted.done);
    let inputs = &player.item("run", "use").lease.as_ref().unwrap().inputs;
    let shown: Vec<_> = inputs.iter().map(|i| (i.usage, i.digest, i.done, i.key.is_some(), i.path.is_some())).collect();
    let patch = digest("make");
    assert_eq!(
        shown,
        [
            (InputUse::Patch, patch, done, false, false),
            (InputUse::Patch, patch, done, true, false),
            (InputUse::Output, digest("output"), done, true, true),
        ]
    );
}

#[test]
fn a_product_that_was_not_made_fails_the_item_and_names_it() {
    for (path, named) in [(None, "a patch"), (Some("report.json"), "the output report.json")] {
        let mut player = Player::new(&[("q0", 9)]);
        let items = [planned("make", &[]), planned("use", &["make"]).need("make", path), planned("after", &["use"])];
        player.open("run", opened("q0"), &items);
        player.lease_all();
        player.finish("run", "make", Report::Done);
        assert_eq!(player.lease_all(), ["use"]);
        let item = player.item("run", "use");
        assert_eq!(item.failure, Some((FailureClass::Input, Reason::NeedMissing)));
        assert_eq!(item.detail.as_deref(), Some(format!("the item make did not make {named}").as_str()));
        assert_eq!((item.status, item.attempts), (ItemStatus::Failed, 0));
        assert_eq!(player.status("run", "after"), ItemStatus::Skipped);
        assert_eq!(player.run("run").word(), "failed");
    }
}

#[test]
fn nothing_starts_once_a_budget_is_spent() {
    let table = [
        (budget(Some(5), None, None), Some(Reason::Cost)),
        (budget(None, Some(42), None), Some(Reason::Tokens)),
        (budget(None, None, Some(1_000)), Some(Reason::Wall)),
        (budget(Some(6), Some(43), Some(1_001)), None),
    ];
    for (limit, reason) in table {
        let mut player = Player::new(&[("q0", 1)]);
        let mut opening = opened("q0");
        opening.budget = limit;
        player.open("run", opening, &[planned("a", &[]), planned("b", &[])]);
        player.lease_all();
        player.finish("run", "a", Report::Done);
        player.ms += 1_000;
        assert_eq!(player.lease(), Some(("run".to_owned(), "b".to_owned())));
        assert_eq!(player.item("run", "b").failure, reason.map(|reason| (reason.class(), reason)));
        let status = if reason.is_some() { ItemStatus::Failed } else { ItemStatus::Running };
        assert_eq!(player.status("run", "b"), status);
        assert_eq!(player.run("run").budget_spent(player.now()), reason.is_some());
    }
}

#[test]
fn what_was_revoked_does_not_start_and_no_lease_is_given_twice() {
    let mut player = Player::new(&[("q0", 9)]);
    player.open("run", opened("q0"), &[planned("a", &[]), planned("b", &[])]);
    let refused = Some((Reason::RegistryRevoked, "the subagent x was revoked".to_owned()));
    let now = player.now();
    player.play("run", |state| decide::lease(state, 0, LeaseTerms { refused, ..terms() }, now)).unwrap();
    assert_eq!(player.item("run", "a").failure, Some((FailureClass::Setup, Reason::RegistryRevoked)));
    player.play("run", |state| decide::lease(state, 1, terms(), now)).unwrap();
    let again = player.play("run", |state| decide::lease(state, 1, terms(), now)).unwrap_err();
    assert!(matches!(again, Refusal::ItemOver { word: "running", .. }));
    let beyond = player.play("run", |state| decide::lease(state, 9, terms(), now)).unwrap_err();
    assert!(matches!(beyond, Refusal::ItemOver { word: "unknown", .. }));
}

/// Ends `a`, started, with a report as the worker might have made it.
fn report(started: bool, change: impl FnOnce(&mut Finish)) -> Player {
    let mut player = Player::new(&[("q0", 9)]);
    player.open("run", opened("q0"), &[planned("a", &[])]);
    player.lease_all();
    if started {
        player.start("run", "a").unwrap();
    }
    let finished = finished_record("a", 1, 1, Report::Done);
    let mut finish = Finish { run: run_id("run"), finished, question: None, hint_ms: None, detail: None };
    change(&mut finish);
    let now = player.now();
    player.play("run", |state| decide::finish(state, finish, now)).unwrap();
    player
}

#[test]
fn a_report_is_settled_so_that_its_members_agree() {
    /// What it is, whether it started, the report; how it is recorded, why, where the item stands then.
    type Row = (&'static str, bool, fn(&mut Finish), OutcomeWord, Option<Reason>, ItemStatus);
    let table: [Row; 9] = [
        ("as it is", true, |_| {}, OutcomeWord::Done, None, ItemStatus::Done),
        ("never started", false, |_| {}, OutcomeWord::Failed, Some(Reason::WorkerError), ItemStatus::Ready),
        (
            "done with a reason",
            true,
            |f| f.finished.reason = Some(Reason::AgentExit),
            OutcomeWord::Done,
            None,
            ItemStatus::Done,
        ),
        (
            "failed without one",
            true,
            |f| f.finished.outcome = OutcomeWord::Failed,
            OutcomeWord::Failed,
            Some(Reason::OutcomeInvalid),
            ItemStatus::Failed,
        ),
        (
            "lost without one",
            false,
            |f| f.finished.outcome = OutcomeWord::Lost,
            OutcomeWord::Lost,
            Some(Reason::WorkerLost),
            ItemStatus::Ready,
        ),
        (
            "a class of its own",
            true,
            |f| {
                f.finished.outcome = OutcomeWord::Failed;
                f.finished.class = Some(FailureClass::Provider);
                f.finished.reason = Some(Reason::GateFailed);
            },
            OutcomeWord::Failed,
            Some(Reason::GateFailed),
            ItemStatus::Failed,
        ),
        (
            "asks nothing",
            true,
            |f| f.finished.outcome = OutcomeWord::NeedsInput,
            OutcomeWord::Failed,
            Some(Reason::OutcomeInvalid),
            ItemStatus::Failed,
        ),
        (
            "stopped by nobody",
            true,
            |f| {
                f.finished.outcome = OutcomeWord::Cancelled;
                f.finished.reason = Some(Reason::Shutdown);
            },
            OutcomeWord::Cancelled,
            Some(Reason::Shutdown),
            ItemStatus::Failed,
        ),
        (
            "stopped by a deadline",
            true,
            |f| {
                f.finished.outcome = OutcomeWord::Cancelled;
                f.finished.reason = Some(Reason::Wall);
            },
            OutcomeWord::Failed,
            Some(Reason::Wall),
            ItemStatus::Ready,
        ),
    ];
    for (name, started, change, outcome, reason, status) in table {
        let player = report(started, change);
        let item = player.item("run", "a");
        let last = item.last().unwrap();
        assert_eq!((last.outcome, last.reason, item.status), (outcome, reason, status), "{name}");
        assert_eq!(last.class, reason.map(Reason::class), "{name}");
    }
}

#[test]
fn what_a_runtime_claims_cannot_keep_a_run_from_its_end() {
    let all = Some(u64::MAX);
    let player = report(true, |finish| {
        let hostile =
            UsageCount { input_tokens: all, cached_tokens: all, output_tokens: all, cost_microusd: all, turns: all };
        finish.finished.usage = Some(hostile.clone());
        finish.finished.usage_broker = Some(hostile);
        finish.finished.exit_code = all;
        finish.finished.duration_ms = u64::MAX;
    });
    let run = player.run("run");
    assert_eq!(run.word(), "done");
    assert_eq!(run.tokens, INTEGER_MAX);
    assert_eq!(run.cost_microusd, 10_000_000_000);
}

#[test]
fn outputs_are_in_the_order_of_their_encoded_paths() {
    let output = |path: &str| OutputArtifact { digest: digest(path), size_bytes: 1, path: enc(path) };
    let player = report(true, |finish| {
        // By their bytes the one with the space comes first, by their encoded form it comes last.
        finish.finished.outputs = vec![output("a b"), output("a!b"), output("a!b")];
    });
    let paths: Vec<_> =
        player.item("run", "a").last().unwrap().outputs.iter().map(|o| o.path.as_str().to_owned()).collect();
    assert_eq!(paths, ["a!b", "a%20b"]);
}

#[test]
fn an_open_ended_run_completes_once_it_is_closed() {
    let mut player = Player::new(&[("q0", 9)]);
    let mut opening = opened("q0");
    opening.open_ended = true;
    player.open("run", opening.clone(), &[planned("a", &[])]);
    player.open("empty", opening, &[]);
    player.lease_all();
    let records = player.finish("run", "a", Report::Done);
    assert_eq!(kinds(&records), ["attempt.finished", "item.done"], "it may grow");
    for id in ["run", "empty"] {
        assert_eq!(kinds(&player.extend(id, &[], true).unwrap()), ["run.closed", "run.completed"]);
        assert_eq!(player.run(id).word(), "done");
    }
}
