//! Approvals: asked for once, decided once, by nobody's attempt.

use super::growing::said;
use crate::decide::testing::{Planned, Player, Report, digest, enc, item_id, opened, planned, run_id, word};
use crate::decide::{self, Refusal, Verdict};
use crate::error::Coded as _;
use crate::record::{AnswerDecision, AttemptLeased, QuestionAnswered, QuestionAsked, QuestionKind, ReadyCause, Record};
use crate::state::{Blocked, ItemStatus};

fn approval(id: &str, deps: &[&str]) -> Planned {
    planned(id, deps).executor("approval")
}

/// `a`, then the approval `ok`, then `b`.
fn gated() -> Player {
    let mut player = Player::new(&[("q0", 9)]);
    player.open("run", opened("q0"), &[planned("a", &[]), approval("ok", &["a"]), planned("b", &["ok"])]);
    assert_eq!(player.lease_all(), ["a"]);
    player
}

fn asked() -> Player {
    let mut player = gated();
    player.finish("run", "a", Report::Done);
    player.settle("run").unwrap();
    player
}

#[test]
fn what_depends_on_an_approval_starts_once_a_person_approved() {
    let mut player = gated();
    assert_eq!(said(&player.settle("run").unwrap()), Vec::<String>::new(), "its time has not come");
    let records = player.finish("run", "a", Report::Patch);
    assert_eq!(said(&records), ["attempt.finished a", "item.done a", "item.ready ok"]);
    assert_eq!(player.lease_all(), Vec::<String>::new(), "nothing is leased for it");
    let records = player.settle("run").unwrap();
    assert_eq!(said(&records), ["question.asked ok", "item.waiting ok"]);
    let Record::QuestionAsked(question) = &records[0] else { panic!("{records:?}") };
    let patch = player.item("run", "a").accepted.as_ref().unwrap().patch.as_ref().unwrap().digest;
    assert_eq!(
        (question.kind, &question.subjects, question.text),
        (QuestionKind::Approval, &vec![patch], digest("question"))
    );
    assert_eq!(player.settle("run").unwrap(), [], "asked once");
    let records = player.approve("run", "ok", Verdict::Approved).unwrap();
    assert_eq!(said(&records), ["question.answered", "item.done ok", "item.ready b"]);
    assert_eq!(player.lease_all(), ["b"]);
    let inputs = &player.item("run", "b").lease.as_ref().unwrap().inputs;
    assert!(inputs.is_empty(), "an approval makes nothing: {inputs:?}");
    let b = player.run("run").index_of(&item_id("b")).unwrap();
    assert_eq!(player.run("run").lineage(b), [0], "the patches before it are merged all the same");
    player.finish("run", "b", Report::Done);
    assert_eq!(player.run("run").word(), "done");
    assert_eq!(player.replay(&run_id("run")), *player.run("run"));
}

#[test]
fn what_depends_on_a_rejected_approval_is_skipped() {
    let mut player = asked();
    let records = player.approve("run", "ok", Verdict::Rejected).unwrap();
    assert_eq!(said(&records), ["question.answered", "item.failed ok", "item.skipped b", "run.completed"]);
    assert_eq!(player.run("run").word(), "failed");
}

#[test]
fn an_approval_is_decided_once_and_by_a_decision() {
    let code = |refused: Result<Vec<Record>, Refusal>| refused.unwrap_err().code();
    let mut player = gated();
    assert_eq!(code(player.approve("run", "ok", Verdict::Approved)), "approval-unknown", "nobody asked yet");
    player.finish("run", "a", Report::Done);
    player.settle("run").unwrap();
    assert_eq!(code(player.approve("run", "a", Verdict::Approved)), "approval-unknown", "not an approval");
    assert_eq!(code(player.approve("run", "c", Verdict::Approved)), "item-unknown");
    let question = player.item("run", "ok").question.as_ref().unwrap().asked;
    let words = decide::Answer { item: Some(item_id("ok")), question, answer: digest("yes") };
    assert_eq!(code(player.play("run", |state| decide::answer(state, words))), "approval-wanted");
    player.approve("run", "ok", Verdict::Approved).unwrap();
    assert_eq!(code(player.approve("run", "ok", Verdict::Rejected)), "approval-unknown", "decided once");
    let other =
        decide::Approve { item: item_id("ok"), question: Some(question + 1), verdict: Verdict::Approved, note: None };
    assert_eq!(
        code(asked().play("run", |state| decide::approve(state, other))),
        "approval-unknown",
        "of another question"
    );
}

#[test]
fn an_approval_that_is_cancelled_is_asked_for_no_more() {
    for mut player in [gated(), asked()] {
        player.cancel("run", Some("ok")).unwrap();
        assert_eq!(player.status("run", "ok"), ItemStatus::Cancelled);
        if player.status("run", "a") == ItemStatus::Running {
            player.finish("run", "a", Report::Done);
        }
        assert_eq!(player.run("run").word(), "failed");
        assert_eq!(player.replay(&run_id("run")), *player.run("run"));
    }
    let mut player = Player::new(&[("q0", 9)]);
    player.open("run", opened("q0"), &[approval("ok", &[]), planned("b", &[])]);
    player.cancel("run", Some("ok")).unwrap();
    assert_eq!(player.settle("run").unwrap(), [], "ready, cancelled, not asked");
}

#[test]
fn a_run_may_begin_with_an_approval_and_grow_by_one() {
    let mut player = Player::new(&[("q0", 9)]);
    let mut opening = opened("q0");
    opening.open_ended = true;
    player.open("run", opening, &[approval("ok", &[])]);
    let blocked = player.board.blocked(&run_id("run"), 0, player.now(), &player.capacity);
    assert_eq!(blocked, [Blocked::NoDriver], "whoever drives asks at once");
    assert_eq!(said(&player.settle("run").unwrap()), ["question.asked ok", "item.waiting ok"]);
    player.approve("run", "ok", Verdict::Approved).unwrap();
    player.extend("run", &[approval("more", &["ok"])], true).unwrap();
    assert_eq!(said(&player.settle("run").unwrap()), ["question.asked more", "item.waiting more"]);
    player.approve("run", "more", Verdict::Approved).unwrap();
    assert_eq!(player.run("run").word(), "done");
}

/// What no decision writes is refused where it is applied: a journal that holds it is damaged.
#[test]
fn no_record_leads_around_a_person() {
    let lease = |item: &str| {
        Record::AttemptLeased(Box::new(AttemptLeased {
            item: item_id(item),
            attempt: 1,
            fence: 1,
            target: enc("local"),
            target_digest: digest("target"),
            provider: word("process"),
            message: None,
            model: None,
            inputs: Vec::new(),
            locks: Vec::new(),
            deadline: crate::decide::testing::at(9_000),
            reserved_microusd: None,
        }))
    };
    let ask = |item: &str, kind: QuestionKind, finished: Option<u64>| {
        Record::QuestionAsked(Box::new(QuestionAsked {
            item: item_id(item),
            kind,
            text: digest("question"),
            options: 0,
            subjects: Vec::new(),
            finished,
            expires: None,
        }))
    };
    let ready = || {
        let mut player = gated();
        player.finish("run", "a", Report::Done);
        player
    };
    let waiting = |item: &str, asked: u64| Record::ItemWaiting { item: item_id(item), asked };
    assert!(ready().apply("run", lease("ok")).is_err(), "leased");
    assert!(ready().apply("run", ask("ok", QuestionKind::Input, None)).is_err(), "asked for words");
    assert!(ready().apply("run", ask("b", QuestionKind::Approval, None)).is_err(), "asked too early");
    assert!(ready().apply("run", waiting("ok", 0)).is_err(), "waiting for nothing");
    assert!(ready().apply("run", ask("ok", QuestionKind::Approval, None)).is_ok(), "the twin");
    let done = |answered| Record::ItemDone { item: item_id("ok"), finished: None, answered };
    let mut player = asked();
    assert!(player.apply("run", ask("ok", QuestionKind::Approval, None)).is_err(), "asked twice");
    let question = player.item("run", "ok").question.clone().unwrap();
    assert!(player.apply("run", done(Some(question.asked))).is_err(), "done by being asked");
    let decision = AnswerDecision::Rejected;
    let answered = QuestionAnswered { asked: question.asked, leaf: question.leaf, decision, answer: None };
    let at = player.run("run").next_seq;
    player.apply("run", Record::QuestionAnswered(answered)).unwrap();
    assert!(player.apply("run", done(Some(at))).is_err(), "done by being rejected");
    assert!(player.apply("run", Record::ItemReady { item: item_id("ok"), cause: ReadyCause::Answer }).is_err());
}
