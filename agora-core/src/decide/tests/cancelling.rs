//! Cancel, hold and answers: recorded first, once, and stronger than what comes later.

use crate::decide::testing::{Player, Report, item_id, kinds, opened, place, planned, run_id, word};
use crate::decide::{self, Effect, Refusal};
use crate::error::{Class, Coded};
use crate::id::RunId;
use crate::record::{CancelProof, HoldMode, OutcomeWord, Record};
use crate::state::ItemStatus;
use crate::worker::{AttemptId, Reason};

/// `top` over `left` and `right` over `bottom`, and `apart`.
fn diamond() -> Player {
    let mut player = Player::new(&[("q0", 9)]);
    let items = [
        planned("top", &[]),
        planned("left", &["top"]),
        planned("right", &["top"]),
        planned("bottom", &["left", "right"]),
        planned("apart", &[]),
    ];
    player.open("run", opened("q0"), &items);
    player
}

fn attempt(item: &str) -> AttemptId {
    AttemptId { run: run_id("run"), item: item_id(item), attempt: 1, fence: 1 }
}

#[test]
fn a_cascade_skips_every_descendant_once_in_one_commit() {
    let mut player = diamond();
    player.lease_all();
    let records = player.finish("run", "top", Report::Fail(Reason::GateFailed));
    let skipped: Vec<(String, String)> = records
        .iter()
        .filter_map(|record| match record {
            Record::ItemSkipped { item, due_to, .. } => Some((item.to_string(), due_to.to_string())),
            _ => None,
        })
        .collect();
    let due = |item: &str| (item.to_owned(), "top".to_owned());
    assert_eq!(skipped, [due("left"), due("right"), due("bottom")]);
    assert!(!player.run("run").is_over(), "an independent branch completes (C09)");
    let records = player.finish("run", "apart", Report::Done);
    assert_eq!(kinds(&records), ["attempt.finished", "item.done", "run.completed"]);
    assert_eq!(player.run("run").word(), "failed");
    assert_eq!(player.effects.last(), Some(&Effect::Seal(run_id("run"))));
}

#[test]
fn a_cancel_beats_the_result_of_what_runs() {
    let mut player = diamond();
    player.lease_all();
    player.start("run", "top").unwrap();
    player.effects.clear();
    let records = player.cancel("run", Some("top")).unwrap();
    assert_eq!(kinds(&records), ["cancel.requested"]);
    let handle = Some(crate::decide::testing::enc("box"));
    assert_eq!(player.effects, [Effect::Stop { attempt: attempt("top"), handle }]);
    assert!(player.item("run", "top").is_stopping());
    assert_eq!(player.cancel("run", Some("top")).unwrap(), [], "idempotent");
    let records = player.end("run", "top", Report::Patch).unwrap();
    let skips = ["item.skipped"; 3];
    assert_eq!(kinds(&records), [&["attempt.finished", "item.cancelled"], skips.as_slice()].concat());
    let item = player.item("run", "top");
    let last = item.last().unwrap();
    assert_eq!((last.outcome, last.reason), (OutcomeWord::Cancelled, Some(Reason::Caller)));
    assert_eq!((item.status, &item.accepted), (ItemStatus::Cancelled, &None));
    assert!(matches!(player.cancel("run", Some("top")), Err(Refusal::ItemOver { word: "cancelled", .. })));
    assert!(matches!(player.end("run", "top", Report::Done), Err(Refusal::Stale { .. })), "a late result");
}

#[test]
fn a_cancel_of_the_run_ends_what_never_started_and_waits_for_the_rest() {
    let mut player = diamond();
    player.lease_all();
    player.finish("run", "top", Report::Ask);
    let records = player.cancel("run", None).unwrap();
    assert_eq!(player.cancel("run", None).unwrap(), [], "idempotent");
    let proofs: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::ItemCancelled { item, proof, .. } => Some((item.as_str(), *proof)),
            _ => None,
        })
        .collect();
    let never = |item| (item, CancelProof::NeverStarted);
    assert_eq!(proofs, [("top", CancelProof::Absent), never("left"), never("right"), never("bottom")]);
    assert_eq!(player.status("run", "apart"), ItemStatus::Running);
    assert!(player.start("run", "apart").is_ok(), "its box may exist by now");
    assert!(matches!(player.effects.last(), Some(Effect::Stop { handle: Some(_), .. })), "and is stopped");
    player.end("run", "apart", Report::Done).unwrap();
    assert_eq!(player.run("run").word(), "cancelled");
    assert!(matches!(player.cancel("run", None), Err(Refusal::Over { word: "cancelled", .. })));
}

#[test]
fn a_cancel_beats_the_first_start_even_before_a_driver_came() {
    let mut player = Player::new(&[("q0", 9)]);
    player.open_unlogged("run", opened("q0"), &[planned("a", &[])]);
    let records = player.cancel("run", None).unwrap();
    assert_eq!(kinds(&records), ["cancel.requested", "item.cancelled", "run.completed"]);
    assert_eq!(player.next(), None);
    let refused = player.play("run", |state| decide::logged(state, place(8))).unwrap_err();
    assert_eq!(refused.code(), "run-over");
}

#[test]
fn a_log_checkpoint_counts_only_if_it_covers_the_opening_and_once() {
    let mut player = Player::new(&[("q0", 9)]);
    player.open_unlogged("run", opened("q0"), &[planned("a", &[])]);
    assert_eq!(player.play("run", |state| decide::logged(state, place(7))).unwrap(), []);
    assert_eq!(player.next(), None, "nothing starts before the log vouches for the run");
    let records = player.play("run", |state| decide::logged(state, place(8))).unwrap();
    assert_eq!(kinds(&records), ["run.logged"]);
    assert_eq!(player.play("run", |state| decide::logged(state, place(9))).unwrap(), []);
    assert!(player.next().is_some());
}

#[test]
fn a_question_is_answered_once() {
    let mut player = diamond();
    player.lease_all();
    player.finish("run", "top", Report::Ask);
    let question = player.item("run", "top").question.as_ref().unwrap().asked;
    assert!(matches!(player.answer("run", Some("apart"), question), Err(Refusal::NoQuestion { .. })));
    assert!(matches!(player.answer("run", None, question + 1), Err(Refusal::NoQuestion { .. })));
    assert!(matches!(player.answer("run", Some("topp"), question), Err(Refusal::NoItem { nearest: Some(_), .. })));
    let records = player.answer("run", None, question).unwrap();
    assert_eq!(kinds(&records), ["question.answered", "item.ready"]);
    assert!(matches!(player.answer("run", Some("top"), question), Err(Refusal::NoQuestion { .. })));
    assert!(matches!(player.answer("run", None, question), Err(Refusal::NoQuestion { .. })));
}

#[test]
fn a_hold_stops_new_attempts_and_is_released_once() {
    let mut player = diamond();
    player.lease();
    player.play("run", |state| decide::hold(state, HoldMode::Drain, word("later"), None)).unwrap();
    let again = player.play("run", |state| decide::hold(state, HoldMode::Drain, word("later"), None)).unwrap_err();
    assert_eq!(again.code(), "held-already");
    assert!(again.hint().is_some());
    assert_eq!(player.next(), None);
    player.finish("run", "top", Report::Done);
    assert_eq!(player.status("run", "left"), ItemStatus::Ready, "what runs goes on to its end");
    assert_eq!(player.next(), None);
    player.play("run", decide::release).unwrap();
    let again = player.play("run", decide::release).unwrap_err();
    assert_eq!((again.code(), again.hint().is_some()), ("not-held", true));
    assert_eq!(player.lease_all().len(), 3);
}

#[test]
fn what_is_owed_after_a_crash_follows_from_the_state() {
    let mut player = diamond();
    assert_eq!(decide::owed(player.run("run")), []);
    player.lease_all();
    player.start("run", "top").unwrap();
    player.cancel("run", Some("top")).unwrap();
    let handle = crate::decide::testing::enc("box");
    let expected = [
        Effect::Watch { attempt: attempt("top"), handle: handle.clone() },
        Effect::Stop { attempt: attempt("top"), handle: Some(handle) },
        Effect::Launch(attempt("apart")),
    ];
    assert_eq!(decide::owed(player.run("run")), expected);
    assert_eq!(decide::owed(&player.replay(&run_id("run"))), expected);
    player.end("run", "top", Report::Lost).unwrap();
    player.finish("run", "apart", Report::Done);
    assert_eq!(decide::owed(player.run("run")), [Effect::Seal(run_id("run"))]);
}

#[test]
fn every_refusal_has_a_class_a_code_and_a_message_that_names_the_thing() {
    let run = || "r1".to_owned();
    let table = [
        (Refusal::Stale { item: "a".to_owned(), attempt: 1, fence: 1 }, Class::Bug, "attempt-stale"),
        (Refusal::NoItem { run: run(), item: "a".to_owned(), nearest: None }, Class::Missing, "item-unknown"),
        (Refusal::Over { run: run(), word: "done" }, Class::Caller, "run-over"),
        (Refusal::ItemOver { item: "a".to_owned(), word: "done" }, Class::Caller, "item-over"),
        (Refusal::NotUnverified { item: "a".to_owned(), word: "stopping" }, Class::Caller, "stop-not-unverified"),
        (Refusal::NoQuestion { item: "a".to_owned(), question: 4 }, Class::Missing, "question-unknown"),
        (Refusal::NotHeld { run: run() }, Class::Caller, "not-held"),
        (Refusal::Held { run: run() }, Class::Caller, "held-already"),
    ];
    for (refusal, class, code) in table {
        assert_eq!((refusal.class(), refusal.code()), (class, code));
        let text = refusal.to_string();
        assert!(text.contains(" a ") || text.contains("r1"), "{text}");
    }
    let offered = Refusal::NoItem { run: run(), item: "to".to_owned(), nearest: Some("top".to_owned()) };
    assert_eq!(offered.hint().as_deref(), Some("did you mean top?"));
    assert!(RunId::new("r1").is_ok());
}
