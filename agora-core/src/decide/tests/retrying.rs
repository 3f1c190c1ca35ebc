//! Retries: when, how often, and for what.

use crate::decide::testing::{Player, Report, finished_record, kinds, opened, planned, run_id};
use crate::decide::{self, Finish};
use crate::retry::{BACKOFF_MS_MAX, HINT_MS_MAX, not_before};
use crate::state::ItemStatus;
use crate::worker::Reason;

fn player(attempts_max: u64, backoff_ms: u64) -> Player {
    let mut player = Player::new(&[("q0", 9)]);
    let item = planned("a", &[]).attempts(attempts_max);
    let item = crate::decide::testing::Planned { backoff_ms, ..item };
    player.open("run", opened("q0"), &[item, planned("next", &["a"]), planned("apart", &[])]);
    player
}

/// Lets `a` fail once more, as soon as it may; the wait that follows, if one does.
fn fail(player: &mut Player, reason: Reason, hint_ms: Option<u64>) -> Option<u64> {
    if let Some(due) = player.item("run", "a").not_before {
        player.ms += due.ms_since(player.now()) + 1;
    }
    player.lease_all();
    let attempt = player.item("run", "a").attempts;
    player.start("run", "a").unwrap();
    let finished = finished_record("a", attempt, attempt, Report::Fail(reason));
    let now = player.now();
    let finish = Finish { run: run_id("run"), finished, question: None, hint_ms, detail: Some("é\n".repeat(200)) };
    player.play("run", |state| decide::finish(state, finish, now)).unwrap();
    player.item("run", "a").not_before.map(|due| due.ms_since(now))
}

/// The wait is the base, and at most a quarter more.
fn close(wait: Option<u64>, base: u64) {
    let wait = wait.unwrap();
    assert!((base..=base + base / 4).contains(&wait), "{wait} is not about {base}");
}

#[test]
fn the_back_off_doubles_to_its_cap_and_then_the_item_fails() {
    let mut player = player(4, 1_000_000);
    for base in [1_000_000, 2_000_000, BACKOFF_MS_MAX] {
        close(fail(&mut player, Reason::AgentExit, None), base);
        assert_eq!(player.status("run", "next"), ItemStatus::Pending, "no cascade while a retry is due (C10)");
        assert_eq!(player.lease_all(), Vec::<String>::new(), "not before its time");
    }
    assert_eq!(fail(&mut player, Reason::AgentExit, None), None);
    let item = player.item("run", "a");
    assert_eq!((item.status, item.attempts), (ItemStatus::Failed, 4));
    assert_eq!(item.detail.as_deref(), Some("??".repeat(128).as_str()), "printable and bounded");
    assert_eq!(player.status("run", "next"), ItemStatus::Skipped);
    player.finish("run", "apart", Report::Done);
    assert_eq!(player.run("run").word(), "failed");
}

#[test]
fn a_back_off_that_the_plan_asked_for_is_not_cut() {
    let day = 24 * 3_600_000;
    let mut player = player(3, day);
    close(fail(&mut player, Reason::AgentExit, None), day);
    close(fail(&mut player, Reason::AgentExit, None), day);
}

#[test]
fn a_hint_is_waited_for_within_reason() {
    for (hint, base) in [(Some(500), 1_000), (Some(30_000), 30_000), (Some(u64::MAX), HINT_MS_MAX), (None, 1_000)] {
        let mut player = player(2, 1_000);
        let wait = fail(&mut player, Reason::RateLimited, hint);
        if base == 1_000 { close(wait, base) } else { assert_eq!(wait, Some(base)) }
    }
}

#[test]
fn the_class_decides_whether_another_attempt_may_help() {
    for reason in Reason::ALL {
        let mut player = player(2, 0);
        let retried = fail(&mut player, *reason, None).is_some();
        assert_eq!(retried, reason.may_retry(), "{}", reason.as_str());
        let status = if retried { ItemStatus::Ready } else { ItemStatus::Failed };
        assert_eq!(player.status("run", "a"), status, "{}", reason.as_str());
        let item = player.item("run", "a");
        assert_eq!(item.failure, Some((reason.class(), *reason)));
    }
}

#[test]
fn what_flakes_recovers_and_a_question_is_no_failure() {
    let mut player = player(2, 1_000);
    player.lease_all();
    let records = player.finish("run", "a", Report::Ask);
    assert_eq!(kinds(&records), ["attempt.finished", "question.asked", "item.waiting"]);
    let question = player.item("run", "a").question.as_ref().unwrap().asked;
    player.answer("run", None, question).unwrap();
    assert!(fail(&mut player, Reason::AgentExit, None).is_some(), "the second attempt is the first that failed");
    player.ms += 10_000;
    assert_eq!(player.lease_all(), ["a"]);
    let answer = player.item("run", "a").lease.as_ref().unwrap().inputs.last().cloned().unwrap();
    assert_eq!(answer.digest, crate::decide::testing::digest("answer"), "an answer outlives a failed attempt");
    let records = player.finish("run", "a", Report::Done);
    assert_eq!(kinds(&records), ["attempt.finished", "item.done", "item.ready"]);
    assert_eq!((player.item("run", "a").attempts, player.item("run", "a").failure), (3, None));
}

#[test]
fn the_jitter_is_the_attempts_own_and_the_same_for_everybody() {
    let player = player(2, 1_000_000);
    let item = player.item("run", "a");
    let wait = |run| not_before(run, item, Reason::AgentExit, None, player.now());
    assert_eq!(wait("run"), wait("run"));
    let distinct: std::collections::BTreeSet<_> = ["a", "b", "c", "d", "e"].into_iter().map(wait).collect();
    assert!(distinct.len() > 1);
}

#[test]
fn a_back_off_lasts_as_long_as_it_was_meant_to_when_the_wall_clock_leaps() {
    for (by_ms, back) in [(3_600_000, false), (600_000, true)] {
        let mut player = Player::new(&[("q0", 9)]);
        player.ms = 1_000_000;
        player.open("run", opened("q0"), &[planned("a", &[])]);
        player.lease_all();
        player.finish("run", "a", Report::Fail(Reason::AgentExit));
        player.ms = if back { player.ms - by_ms } else { player.ms + by_ms };
        player.board.leap(by_ms, back);
        assert_eq!(player.next(), None, "not yet, {back}");
        player.ms += 2_000;
        assert!(player.next().is_some(), "and then, {back}");
    }
}
