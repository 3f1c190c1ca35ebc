//! Stops that are not proven, deadlines, and runs that are parked: recorded first, and stronger than what comes later.

use crate::decide::testing::{Player, Report, enc, item_id, kinds, opened, planned, run_id, word};
use crate::decide::{self, Effect, Force, Refusal};
use crate::error::Coded;
use crate::limits::STOP_SECONDS_MAX;
use crate::record::{CancelProof, CancelScope, CancelVia, HoldMode, OutcomeWord, Record};
use crate::state::{ItemStatus, StopCause};
use crate::worker::{AttemptId, Reason};

/// `a` under the lock `x` and `b` behind it, `c` after `a`.
fn player() -> Player {
    let mut player = Player::new(&[("q0", 9)]);
    let items = [planned("a", &[]).locks(&["x"]), planned("b", &[]).locks(&["x"]), planned("c", &["a"])];
    player.open("run", opened("q0"), &items);
    assert_eq!(player.lease_all(), ["a"]);
    player.start("run", "a").unwrap();
    player
}

fn attempt(item: &str, attempt: u64) -> AttemptId {
    AttemptId { run: run_id("run"), item: item_id(item), attempt, fence: attempt }
}

fn force(player: &mut Player, item: &str) -> Result<Vec<Record>, Refusal> {
    let force = Force { item: item_id(item), via: CancelVia::Cli, reason: word("forced"), note: None };
    let now = player.now();
    player.play("run", |state| decide::force(state, force, now))
}

fn expire(player: &mut Player, expired: &AttemptId) -> Result<Vec<Record>, Refusal> {
    player.play("run", |state| decide::expire(state, expired, word("wall")))
}

fn hold(player: &mut Player, mode: HoldMode) -> Result<Vec<Record>, Refusal> {
    player.play("run", |state| decide::hold(state, mode, word("later"), None))
}

fn unverified() -> u64 {
    STOP_SECONDS_MAX * 1000 + 1
}

#[test]
fn a_stop_that_is_not_proven_is_forced_by_an_operator_and_its_locks_are_free() {
    let mut player = player();
    player.cancel("run", Some("a")).unwrap();
    player.ms += unverified();
    assert!(player.item("run", "a").is_stop_unverified(player.now()));
    assert_eq!(player.lease_all(), [""; 0], "its lock is held until somebody says that it is gone");
    let records = force(&mut player, "a").unwrap();
    assert_eq!(kinds(&records), ["cancel.requested", "attempt.finished", "item.cancelled", "item.skipped"]);
    let Record::CancelRequested(request) = &records[0] else { panic!("{records:?}") };
    assert_eq!((request.scope, request.via, request.reason.as_str()), (CancelScope::Item, CancelVia::Cli, "forced"));
    let Record::AttemptFinished(finished) = &records[1] else { panic!("{records:?}") };
    assert_eq!((finished.outcome, finished.reason), (OutcomeWord::Cancelled, Some(Reason::Operator)));
    assert_eq!(finished.duration_ms, unverified());
    let Record::ItemCancelled { request, proof, .. } = &records[2] else { panic!("{records:?}") };
    assert_eq!((*proof, *request), (CancelProof::Forced, player.item("run", "a").cancel.unwrap()));
    assert_eq!(player.lease_all(), ["b"], "its lock is free");
    // What it still brings changes nothing (I7).
    let before = player.run("run").clone();
    assert!(matches!(player.end("run", "a", Report::Patch), Err(Refusal::Stale { .. })));
    assert_eq!(*player.run("run"), before);
    player.finish("run", "b", Report::Done);
    assert_eq!(player.run("run").word(), "failed");
    assert_eq!(player.replay(&run_id("run")), *player.run("run"));
}

#[test]
fn only_a_stop_that_is_unverified_is_forced() {
    let mut player = player();
    let refused = |player: &mut Player, item: &str| force(player, item).unwrap_err();
    assert_eq!(refused(&mut player, "a").code(), "stop-not-unverified", "nobody cancelled it");
    assert!(matches!(refused(&mut player, "b"), Refusal::NotUnverified { word: "ready", .. }));
    assert!(matches!(refused(&mut player, "d"), Refusal::NoItem { .. }));
    player.cancel("run", Some("a")).unwrap();
    player.ms += unverified() - 1;
    let early = refused(&mut player, "a");
    assert!(matches!(early, Refusal::NotUnverified { word: "stopping", .. }) && early.hint().is_some());
    player.ms += 1;
    force(&mut player, "a").unwrap();
    assert!(matches!(refused(&mut player, "a"), Refusal::ItemOver { word: "cancelled", .. }));
}

#[test]
fn a_proof_that_comes_before_the_operators_word_is_the_one_that_counts() {
    let mut player = player();
    player.cancel("run", None).unwrap();
    player.ms += unverified();
    let records = player.end("run", "a", Report::Done).unwrap();
    let proof = records.iter().find_map(|record| match record {
        Record::ItemCancelled { proof, .. } => Some(*proof),
        _ => None,
    });
    assert_eq!(proof, Some(CancelProof::Absent));
    assert!(matches!(force(&mut player, "a"), Err(Refusal::Over { word: "cancelled", .. })));
}

#[test]
fn a_deadline_that_passes_is_recorded_and_is_what_the_attempt_fails_of() {
    for report in [Report::Patch, Report::Lost, Report::Ask, Report::Fail(Reason::GateFailed)] {
        let mut player = player();
        let records = expire(&mut player, &attempt("a", 1)).unwrap();
        assert_eq!(kinds(&records), ["cancel.requested"]);
        let Record::CancelRequested(request) = &records[0] else { panic!("{records:?}") };
        assert_eq!((request.scope, request.attempt, request.via), (CancelScope::Attempt, Some(1), CancelVia::Engine));
        assert_eq!(player.effects.pop(), Some(Effect::Stop { attempt: attempt("a", 1), handle: Some(enc("box")) }));
        assert!(player.item("run", "a").is_stopping() && player.item("run", "a").cancel.is_none());
        assert_eq!(expire(&mut player, &attempt("a", 1)).unwrap(), [], "once");
        // A driver that comes later knows it from the records.
        let again = player.replay(&run_id("run"));
        assert_eq!(again.item(&item_id("a")).unwrap().stop().unwrap().cause, StopCause::Deadline);
        assert!(matches!(decide::owed(&again)[1], Effect::Stop { .. }));
        let records = player.end("run", "a", report).unwrap();
        assert_eq!(kinds(&records), ["attempt.finished", "item.retried"], "{report:?}");
        let Record::AttemptFinished(finished) = &records[0] else { panic!("{records:?}") };
        assert_eq!((finished.outcome, finished.reason), (OutcomeWord::Failed, Some(Reason::Wall)));
    }
}

#[test]
fn only_the_running_attempt_expires_and_a_cancel_beats_its_deadline() {
    let mut player = player();
    assert!(matches!(expire(&mut player, &attempt("a", 2)), Err(Refusal::Stale { .. })));
    assert!(matches!(expire(&mut player, &attempt("b", 1)), Err(Refusal::Stale { .. })));
    expire(&mut player, &attempt("a", 1)).unwrap();
    player.cancel("run", Some("a")).unwrap();
    player.end("run", "a", Report::Lost).unwrap();
    assert_eq!(player.status("run", "a"), ItemStatus::Cancelled);
}

#[test]
fn a_parked_item_is_ready_again_and_has_used_up_no_attempt() {
    let mut player = player();
    let records = hold(&mut player, HoldMode::Park).unwrap();
    assert_eq!(kinds(&records), ["hold.set"]);
    assert_eq!(player.effects.pop(), Some(Effect::Stop { attempt: attempt("a", 1), handle: Some(enc("box")) }));
    let again = player.replay(&run_id("run"));
    assert!(matches!(decide::owed(&again)[1], Effect::Stop { .. }), "after a crash, too");
    let records = player.end("run", "a", Report::Lost).unwrap();
    assert_eq!(kinds(&records), ["attempt.finished", "item.retried"]);
    assert_eq!(player.status("run", "a"), ItemStatus::Ready);
    assert_eq!(player.item("run", "a").failures(), 0);
    assert_eq!(player.lease_all(), [""; 0], "nothing starts while it is held");
    player.play("run", decide::release).unwrap();
    assert_eq!(player.lease_all(), ["a"], "at once");
    // Both of its attempts are still there to fail.
    player.finish("run", "a", Report::Fail(Reason::AgentExit));
    assert_eq!(player.status("run", "a"), ItemStatus::Ready);
    player.ms += 100_000;
    let leased = player.lease_all();
    assert!(leased.contains(&"a".to_owned()) || leased.contains(&"b".to_owned()), "{leased:?}");
    assert_eq!(player.replay(&run_id("run")), *player.run("run"));
}

#[test]
fn what_ends_by_itself_while_it_is_parked_is_worth_what_it_brought() {
    let mut player = player();
    hold(&mut player, HoldMode::Park).unwrap();
    player.end("run", "a", Report::Patch).unwrap();
    assert_eq!(player.status("run", "a"), ItemStatus::Done);
    assert_eq!(player.status("run", "c"), ItemStatus::Ready);
    assert_eq!(player.lease_all(), [""; 0]);
}

#[test]
fn a_drained_run_may_be_parked_and_a_parked_one_is_held_already() {
    let mut player = player();
    hold(&mut player, HoldMode::Drain).unwrap();
    assert!(!player.item("run", "a").is_stopping(), "what runs goes on to its end");
    assert!(matches!(hold(&mut player, HoldMode::Drain), Err(Refusal::Held { .. })));
    let records = hold(&mut player, HoldMode::Park).unwrap();
    assert_eq!(kinds(&records), ["hold.released", "hold.set"]);
    assert!(player.item("run", "a").is_stopping());
    for mode in [HoldMode::Drain, HoldMode::Park] {
        assert!(matches!(hold(&mut player, mode), Err(Refusal::Held { .. })));
    }
    player.play("run", decide::release).unwrap();
    // The stop that was asked for is not taken back: its box may be gone already.
    player.end("run", "a", Report::Lost).unwrap();
    assert_eq!(player.status("run", "a"), ItemStatus::Ready);
}

#[test]
fn a_cancel_of_what_is_parked_is_a_cancel() {
    let mut player = player();
    hold(&mut player, HoldMode::Park).unwrap();
    player.cancel("run", Some("a")).unwrap();
    player.end("run", "a", Report::Done).unwrap();
    assert_eq!(player.status("run", "a"), ItemStatus::Cancelled);
}

#[test]
fn a_parked_attempt_that_nothing_proves_gone_is_forced_too() {
    let mut player = player();
    hold(&mut player, HoldMode::Park).unwrap();
    player.ms += unverified();
    force(&mut player, "a").unwrap();
    assert_eq!(player.status("run", "a"), ItemStatus::Cancelled);
}
