//! Acceptance and growth: the first records of a run, in pieces that fit, and those that extend and close it.

use crate::decide::testing::{Planned, Player, Report, digest, enc, kinds, opened, planned, run_id, word};
use crate::decide::{Refusal, added, settle, submit};
use crate::error::Coded as _;
use crate::record::{GrowthCause, NamedRef, Record};
use crate::state::ItemStatus;
use crate::worker::Reason;

#[test]
fn a_run_opens_with_its_items_and_its_roots_are_ready() {
    let items = [planned("a", &[]), planned("b", &["a"]), planned("c", &[])];
    let items = items.iter().map(|item| (item.added(), Vec::new())).collect();
    let records = submit(opened("q0"), added(GrowthCause::Plan, None, items));
    let shown: Vec<String> = records
        .iter()
        .map(|record| format!("{} {}", record.kind(), record.item().map_or("", |item| item.as_str())))
        .collect();
    assert_eq!(shown, ["run.opened ", "items.added ", "item.ready a", "item.ready c"]);
}

#[test]
fn many_items_go_into_several_records_each_with_what_its_own_use() {
    let uses = |ix: usize| NamedRef { kind: word("subagent"), name: enc(&format!("s{}", ix % 3)), digest: digest("s") };
    let make = |ix: usize| (planned(format!("item-{ix}"), &[]).added(), vec![uses(ix), uses(ix + 1)]);
    let chunks = added(GrowthCause::Plan, Some(&enc("source")), (0..3_000).map(make).collect());
    assert!(chunks.len() > 1);
    let ids: Vec<String> = chunks.iter().flat_map(|chunk| &chunk.items).map(|item| item.id.to_string()).collect();
    assert_eq!(ids, (0..3_000).map(|ix| format!("item-{ix}")).collect::<Vec<_>>(), "in order, none lost");
    let mut ix = 0;
    for chunk in chunks {
        assert_eq!(chunk.resolved, [uses(0), uses(1), uses(2)]);
        for item in &chunk.items {
            let used: Vec<&NamedRef> =
                item.uses.iter().map(|at| &chunk.resolved[usize::try_from(*at).unwrap()]).collect();
            assert_eq!(used, [&uses(ix), &uses(ix + 1)]);
            ix += 1;
        }
        let bytes = serde_json::to_vec(&Record::ItemsAdded(Box::new(chunk))).unwrap();
        assert!(bytes.len() < crate::limits::ENTRY_BYTES_MAX / 4, "{} bytes", bytes.len());
    }
}

#[test]
fn an_item_larger_than_a_piece_is_a_piece_of_its_own() {
    let many: Vec<String> = (0..9_000).map(|ix| format!("some-rather-long-name-of-an-item-{ix}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let items = [planned("a", &[]), planned("b", &many), planned("c", &[])];
    let chunks = added(GrowthCause::Plan, None, items.iter().map(|item| (item.added(), Vec::new())).collect());
    assert_eq!(chunks.iter().map(|chunk| chunk.items.len()).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(added(GrowthCause::Plan, None, Vec::new()), []);
}

/// A run that may grow, with `a` leased.
fn open_ended(items: &[Planned]) -> Player {
    let mut player = Player::new(&[("q0", 9)]);
    let mut opening = opened("q0");
    opening.open_ended = true;
    player.open("run", opening, items);
    player.lease_all();
    player
}

pub(super) fn said(records: &[Record]) -> Vec<String> {
    let shown = |record: &Record| format!("{} {}", record.kind(), record.item().map_or("", |item| item.as_str()));
    records.iter().map(|record| shown(record).trim_end().to_owned()).collect()
}

#[test]
fn new_items_stand_at_once_where_what_they_depend_on_lets_them() {
    let mut player = open_ended(&[planned("a", &[]), planned("b", &[]), planned("c", &["b"]), planned("d", &[])]);
    player.finish("run", "a", Report::Done);
    player.finish("run", "b", Report::Fail(Reason::WorkerError));
    player.ms += 3_600_000;
    player.lease_all();
    player.finish("run", "b", Report::Fail(Reason::WorkerError));
    assert_eq!(player.status("run", "c"), ItemStatus::Skipped);
    let items = [
        planned("free", &[]),
        planned("after-done", &["a"]),
        planned("after-failed", &["a", "b"]),
        planned("after-skipped", &["c"]),
        planned("after-running", &["d"]),
        planned("after-new", &["after-done"]),
        planned("after-new-skipped", &["after-skipped"]),
    ];
    let records = player.extend("run", &items, false).unwrap();
    assert_eq!(
        said(&records),
        [
            "items.added",
            "item.ready free",
            "item.ready after-done",
            "item.skipped after-failed",
            "item.skipped after-skipped",
            "item.skipped after-new-skipped",
        ]
    );
    let due_to = |item: &str| player.item("run", item).due_to.as_ref().map(ToString::to_string);
    for item in ["after-failed", "after-skipped", "after-new-skipped"] {
        assert_eq!(due_to(item).as_deref(), Some("b"), "{item}");
    }
    assert_eq!(player.lease_all(), ["free", "after-done"]);
    player.finish("run", "d", Report::Done);
    assert_eq!(player.lease_all(), ["after-running"]);
    assert_eq!(player.replay(&run_id("run")), *player.run("run"));
}

/// C13: what is over, closed, being stopped, or never was open-ended takes nothing more.
#[test]
fn only_an_open_ended_run_that_goes_on_is_extended() {
    let code = |refused: Result<Vec<Record>, Refusal>| refused.err().map(|refusal| refusal.code());
    let more = [planned("more", &[])];
    let mut player = open_ended(&[planned("a", &[])]);
    assert_eq!(code(player.extend("run", &[], true)), None);
    assert_eq!(code(player.extend("run", &more, false)), Some("run-closed"));
    assert_eq!(player.extend("run", &[], true).unwrap(), [], "closing twice changes nothing");
    player.finish("run", "a", Report::Done);
    assert_eq!(player.run("run").word(), "done");
    for (items, close) in [(&more[..], false), (&[], true)] {
        assert_eq!(code(player.extend("run", items, close)), Some("run-over"));
    }
    let mut player = Player::new(&[("q0", 9)]);
    player.open("run", opened("q0"), &[planned("a", &[])]);
    for (items, close) in [(&more[..], false), (&[], true)] {
        assert_eq!(code(player.extend("run", items, close)), Some("run-not-open-ended"));
    }
    assert_eq!(code(open_ended(&[planned("a", &[])]).extend("run", &more, false)), None, "the twin");
}

#[test]
fn a_run_that_is_stopped_grows_no_more_and_ends() {
    let mut player = open_ended(&[planned("a", &[]), planned("b", &["a"])]);
    let records = player.cancel("run", None).unwrap();
    assert_eq!(said(&records), ["cancel.requested", "run.closed", "item.cancelled b"]);
    let refused = player.extend("run", &[planned("more", &[])], false).unwrap_err();
    assert_eq!(refused.code(), "run-stopping");
    player.start("run", "a").unwrap();
    let records = player.end("run", "a", Report::Done).unwrap();
    assert_eq!(said(&records), ["attempt.finished a", "item.cancelled a", "run.completed"]);
    assert_eq!(player.run("run").word(), "cancelled");
}

/// The step in which a run grows never ends it, even when all that is new is over at once.
#[test]
fn a_run_does_not_end_in_the_step_in_which_it_grew() {
    let mut player = open_ended(&[planned("a", &[])]);
    player.cancel("run", Some("a")).unwrap();
    player.finish("run", "a", Report::Done);
    let records = player.extend("run", &[planned("b", &["a"])], true).unwrap();
    assert_eq!(said(&records), ["items.added", "item.skipped b", "run.closed"]);
    assert_eq!(player.run("run").word(), "open");
    assert_eq!(kinds(&player.play("run", settle).unwrap()), ["run.completed"]);
    assert_eq!(player.run("run").word(), "failed");
    assert_eq!(settle(player.run("run")).unwrap_err().code(), "run-over");
}

#[test]
fn settling_leaves_a_run_alone_that_has_something_to_do() {
    let mut player = open_ended(&[planned("a", &[])]);
    assert_eq!(player.play("run", settle).unwrap(), []);
    player.finish("run", "a", Report::Done);
    assert_eq!(player.play("run", settle).unwrap(), [], "it may be extended");
    player.extend("run", &[], true).unwrap();
    assert_eq!(player.run("run").word(), "done");
}
