//! Patterns against runs that ended in every way: what follows, under which ids, and how the run ends.

use serde_json::{Value, json};

use super::{StuckReason, answer};
use crate::decide::testing::{Planned, Player, Report, digest, enc, finished_record, item_id, opened, planned, run_id};
use crate::decide::{Finish, grow, pattern_failed};
use crate::id::{Name, Word};
use crate::plan::{Item, Plan, QueuePattern, Work, arrange, parse};
use crate::record::{Added, GrowthCause, OutputArtifact, Record, VerifyFact};
use crate::state::{ItemStatus, Rule};
use crate::worker::Reason;

/// A run of a plan, and the plan as it has grown.
struct Play {
    player: Player,
    plan: Plan,
    pattern: QueuePattern,
}

fn item(id: &str, on: &[&str], inputs: Value) -> Value {
    let mut all = json!({ "subagent": "s" });
    for (key, value) in inputs.as_object().unwrap() {
        all[key] = value.clone();
    }
    json!({ "id": id, "depends_on": on, "inputs": all, "retry": { "max_attempts": 1 } })
}

fn template() -> Value {
    json!({ "inputs": { "subagent": "s" }, "retry": { "max_attempts": 1 } })
}

fn spawn_fix(times: u64) -> Value {
    json!({ "gate": { "onRed": "spawn-fix", "fixTemplate": template(), "maxFixAttempts": times } })
}

fn as_planned(item: &Item) -> Planned {
    let on: Vec<&str> = item.depends_on.iter().map(|id| id.as_str()).collect();
    let mut made = planned(item.id.as_str(), &on).attempts(item.retry.max_attempts);
    made.rule = item.pattern().map(Rule::of);
    made
}

impl Play {
    fn new(pattern: QueuePattern, items: Vec<Value>) -> Self {
        let queues = [(Name::new("default").unwrap(), pattern)].into();
        let parsed = arrange(parse(json!({ "items": items }).to_string().as_bytes()), &queues);
        assert_eq!(parsed.problems, []);
        let mut player = Player::new(&[("default", 99)]);
        let items: Vec<Planned> = parsed.plan.items.iter().map(as_planned).collect();
        player.open("run", opened("default"), &items);
        Self { player, plan: parsed.plan, pattern }
    }

    /// Ends the item, and lets the pattern answer until it has nothing to say; the ids of what it added.
    fn end(&mut self, item: &str, report: Report) -> Vec<String> {
        self.end_as(item, report, true, &[])
    }

    fn end_as(&mut self, item: &str, report: Report, verified: bool, outputs: &[&str]) -> Vec<String> {
        self.only_end(item, report, verified, outputs);
        self.answer()
    }

    fn only_end(&mut self, item: &str, report: Report, verified: bool, outputs: &[&str]) {
        self.player.lease_all();
        assert_eq!(self.player.status("run", item), ItemStatus::Running, "{item}");
        self.player.start("run", item).unwrap();
        let lease = self.player.item("run", item).lease.clone().unwrap();
        let mut finished = finished_record(item, lease.attempt, lease.fence, report);
        finished.verify = Some(VerifyFact { passed: verified, report: digest("report") });
        let output = |path: &&str| OutputArtifact { digest: digest(path), size_bytes: 1, path: enc(path) };
        finished.outputs = outputs.iter().map(output).collect();
        let finish = Finish { run: run_id("run"), finished, question: None, hint_ms: None, detail: None };
        let now = self.player.now();
        self.player.play("run", |state| crate::decide::finish(state, finish, now)).unwrap();
    }

    fn answer(&mut self) -> Vec<String> {
        let mut added = Vec::new();
        loop {
            if self.player.run("run").is_over() {
                break;
            }
            self.player.settle("run").unwrap();
            match answer(self.player.run("run"), &self.plan) {
                None => break,
                Some(Ok(answer)) => {
                    assert_eq!(answer.pattern, self.pattern);
                    let again = answer_of(&self.player, &self.plan);
                    assert_eq!(again.as_ref(), Some(&answer.items), "the same end has the same answer");
                    added.extend(answer.items.iter().map(|item| item.id.to_string()));
                    let items: Vec<Planned> = answer.items.iter().map(as_planned).collect();
                    self.player.learn("run", &items);
                    let source = Some(enc(answer.source.as_str()));
                    let items = items.iter().map(|item| (item.added(), Vec::new())).collect();
                    let chunks: Vec<Added> = crate::decide::added(GrowthCause::Pattern, source.as_ref(), items);
                    self.plan.items.extend(answer.items);
                    let grown = |state: &_| grow(state, &answer.source, chunks.clone());
                    let records = self.player.play("run", grown).unwrap();
                    assert!(!records.iter().any(|record| matches!(record, Record::RunCompleted(_))), "C15");
                    assert_eq!(self.player.play("run", grown).unwrap(), [], "said twice, it adds nothing");
                }
                Some(Err(stuck)) => {
                    added.push(format!("{}: {}", stuck.source, stuck.reason.as_str()));
                    let reason = Word::new(stuck.reason.as_str()).unwrap();
                    self.player.play("run", |state| pattern_failed(state, &stuck.source, reason)).unwrap();
                }
            }
        }
        assert_eq!(self.player.replay(&run_id("run")), *self.player.run("run"));
        added
    }

    fn planned(&self, id: &str) -> &Item {
        self.plan.items.iter().find(|item| item.id.as_str() == id).unwrap()
    }

    fn on(&self, id: &str) -> Vec<&str> {
        self.planned(id).depends_on.iter().map(|on| on.as_str()).collect()
    }

    fn told(&self, id: &str) -> &Value {
        let Work::Dispatch(inputs) = &self.planned(id).work else { panic!("{id} is no dispatch") };
        &inputs.worker_input["pattern"]
    }

    fn word(&self) -> &'static str {
        self.player.run("run").word()
    }
}

fn answer_of(player: &Player, plan: &Plan) -> Option<Vec<Item>> {
    answer(player.run("run"), plan)?.ok().map(|answer| answer.items)
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_pipeline_is_a_chain_of_what_depends_on_nothing() {
    let items = vec![
        item("a", &[], json!({})),
        item("b", &[], json!({})),
        item("c", &["a"], json!({})),
        item("d", &[], json!({})),
    ];
    let play = Play::new(QueuePattern::Pipeline, items);
    let on: Vec<_> = ["a", "b", "c", "d"].map(|id| play.on(id)).into();
    assert_eq!(on, [vec![], vec!["a"], vec!["a"], vec!["b"]]);
}

/// A gate that failed: the fix stands where the gate stood, and what was skipped comes again behind the gate's copy.
#[test]
fn a_failed_gate_is_fixed_and_the_run_is_done() {
    let mut gate = spawn_fix(2);
    gate["gate"]["subject"] = json!("make");
    let items = vec![
        item("make", &[], json!({})),
        item("test", &[], gate),
        item("ship", &[], json!({})),
        item("tell", &[], json!({})),
    ];
    let mut play = Play::new(QueuePattern::Pipeline, items);
    assert_eq!(play.end("make", Report::Patch), none());
    assert_eq!(play.end("test", Report::Fail(Reason::WorkerError)), ["test-fix-1", "test~2", "ship~2", "tell~2"]);
    let on: Vec<_> = ["test-fix-1", "test~2", "ship~2", "tell~2"].map(|id| play.on(id)).into();
    assert_eq!(on, [vec!["make"], vec!["make", "test-fix-1"], vec!["test~2"], vec!["ship~2"]]);
    assert_eq!(*play.told("test-fix-1"), json!({ "gate": "test", "subject": "make", "round": 1 }));
    let refs = &play.planned("test-fix-1").inputs().unwrap().input_refs;
    assert_eq!(refs.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "its verify passed");
    assert_eq!(play.end("test-fix-1", Report::Patch), none());
    let again = play.end_as("test~2", Report::Fail(Reason::WorkerError), false, &[]);
    assert_eq!(again, ["test-fix-2", "test~3", "ship~3", "tell~3"]);
    assert_eq!(play.planned("test-fix-2").inputs().unwrap().input_refs["report"], digest("report"));
    for id in ["test-fix-2", "test~3", "ship~3"] {
        assert_eq!(play.end(id, Report::Patch), none());
        assert_eq!(play.word(), "open");
    }
    play.end("tell~3", Report::Done);
    assert_eq!(play.word(), "done");
}

/// A gate that is done, but whose verify did not pass: nothing behind it starts, and the fix stands on its work.
#[test]
fn a_gate_that_is_done_and_red_stops_what_is_behind_it() {
    let items = vec![item("make", &[], spawn_fix(1)), item("ship", &[], json!({}))];
    let mut play = Play::new(QueuePattern::Pipeline, items);
    assert_eq!(play.end_as("make", Report::Patch, false, &[]), ["make-fix-1", "make~2", "ship~2"]);
    assert_eq!(play.player.status("run", "ship"), ItemStatus::Skipped);
    assert_eq!([play.on("make-fix-1"), play.on("make~2")], [vec!["make"], vec!["make-fix-1"]]);
    play.end("make-fix-1", Report::Patch);
    assert_eq!(play.end_as("make~2", Report::Patch, false, &[]), ["make~2: gate-red"]);
    assert_eq!(play.player.status("run", "ship~2"), ItemStatus::Skipped);
    assert_eq!(play.word(), "failed", "a gate that stays red is no success, though every item is done or skipped");
}

#[test]
fn a_green_gate_adds_nothing() {
    let mut play =
        Play::new(QueuePattern::Pipeline, vec![item("test", &[], spawn_fix(1)), item("ship", &[], json!({}))]);
    assert_eq!(play.end("test", Report::Done), none());
    assert_eq!(play.end("ship", Report::Done), none());
    assert_eq!(play.word(), "done");
}

#[test]
fn a_gate_that_is_passed_by_lets_what_is_behind_it_run() {
    let advance = json!({ "gate": { "onRed": "advance" } });
    let items = vec![item("make", &[], json!({})), item("lint", &[], advance.clone()), item("ship", &[], json!({}))];
    let mut play = Play::new(QueuePattern::Pipeline, items);
    play.end("make", Report::Done);
    assert_eq!(play.end("lint", Report::Fail(Reason::WorkerError)), ["ship~2"]);
    assert_eq!(play.on("ship~2"), ["make"]);
    play.end("ship~2", Report::Done);
    assert_eq!(play.word(), "done");
    // The last of a run, there is nothing to add; the run is done all the same.
    let mut play = Play::new(QueuePattern::Pipeline, vec![item("lint", &[], advance.clone())]);
    assert_eq!(play.end("lint", Report::Fail(Reason::WorkerError)), none());
    assert_eq!(play.word(), "done");
    // Done with its verify not passed, it is in nobody's way.
    let mut play = Play::new(QueuePattern::Pipeline, vec![item("lint", &[], advance), item("ship", &[], json!({}))]);
    assert_eq!(play.end_as("lint", Report::Done, false, &[]), none());
    play.end("ship", Report::Done);
    assert_eq!(play.word(), "done");
}

/// Two gates before one item turn red together: it comes again behind the copies of both, and never before.
#[test]
fn an_item_behind_two_red_gates_waits_for_both() {
    let items = vec![
        item("make", &[], json!({})),
        item("one", &["make"], spawn_fix(1)),
        item("two", &["make"], spawn_fix(1)),
        item("ship", &["one", "two"], json!({})),
    ];
    for done_red in [false, true] {
        let mut play = Play::new(QueuePattern::Pipeline, items.clone());
        play.end("make", Report::Done);
        let (report, verified) =
            if done_red { (Report::Done, false) } else { (Report::Fail(Reason::WorkerError), true) };
        play.only_end("one", report, verified, &[]);
        play.only_end("two", report, verified, &[]);
        assert_eq!(play.answer(), ["one-fix-1", "one~2", "ship~2", "two-fix-1", "two~2", "ship~3"]);
        assert_eq!(play.player.status("run", "ship~2"), ItemStatus::Skipped);
        assert_eq!(play.on("ship~3"), ["one~2", "two~2"]);
        for id in ["one-fix-1", "two-fix-1", "one~2", "two~2", "ship~3"] {
            assert_eq!(play.end(id, Report::Done), none(), "{id}");
        }
        assert_eq!(play.word(), "done");
    }
}

#[test]
fn a_fix_that_fails_ends_the_run() {
    let mut play =
        Play::new(QueuePattern::Pipeline, vec![item("test", &[], spawn_fix(9)), item("ship", &[], json!({}))]);
    play.end("test", Report::Fail(Reason::WorkerError));
    assert_eq!(play.end("test-fix-1", Report::Fail(Reason::WorkerError)), none());
    assert_eq!(play.word(), "failed");
    assert_eq!(play.player.status("run", "ship~2"), ItemStatus::Skipped);
}

#[test]
fn a_run_that_is_cancelled_grows_no_more_and_is_not_done() {
    let mut play = Play::new(QueuePattern::MapReduce, vec![splitter(), item("other", &["split"], json!({}))]);
    play.only_end("split", Report::Done, true, &["a"]);
    play.player.cancel("run", None).unwrap();
    assert_eq!(play.answer(), none());
    assert_eq!(play.word(), "cancelled");
    let mut play = Play::new(QueuePattern::MapReduce, vec![splitter()]);
    play.only_end("split", Report::Done, true, &["a"]);
    play.player.cancel("run", None).unwrap();
    assert_eq!(play.word(), "cancelled", "all its items are done, and it was not");
}

fn splitter() -> Value {
    item("split", &[], json!({ "mapReduce": { "map": template(), "reduce": template() } }))
}

#[test]
fn each_output_is_mapped_and_all_are_reduced() {
    let mut play = Play::new(QueuePattern::MapReduce, vec![splitter()]);
    let added = play.end_as("split", Report::Done, true, &["a.json", "b"]);
    assert_eq!(added, ["map-a.json", "map-b", "reduce"]);
    assert_eq!([play.on("map-b"), play.on("reduce")], [vec!["split"], vec!["map-a.json", "map-b"]]);
    assert_eq!(*play.told("map-a.json"), json!({ "key": "a.json" }));
    assert_eq!(play.planned("map-b").needs["item"].from, item_id("split"));
    for id in ["map-b", "map-a.json", "reduce"] {
        assert_eq!(play.end(id, Report::Done), none());
    }
    assert_eq!(play.word(), "done");
}

#[test]
fn nothing_to_map_is_reduced_too() {
    let mut play = Play::new(QueuePattern::MapReduce, vec![splitter()]);
    assert_eq!(play.end("split", Report::Done), ["reduce"]);
    assert_eq!(play.on("reduce"), ["split"]);
}

/// An untrusted worker chose the names.
#[test]
fn outputs_that_no_id_can_be_made_of_stop_the_pattern_and_nothing_else() {
    let long = "x".repeat(125);
    for name in ["a/b", "a b", "é", "a\"b", "%", &long] {
        let mut play = Play::new(QueuePattern::MapReduce, vec![splitter(), item("other", &[], json!({}))]);
        assert_eq!(play.end_as("split", Report::Done, true, &["fine", name]), ["split: output-name"], "{name}");
        assert_eq!(play.word(), "open", "{name}");
        play.end("other", Report::Done);
        assert_eq!(play.word(), "failed", "{name}");
    }
    let many: Vec<String> = (0..=crate::limits::OUTPUTS_MAX).map(|n| format!("{n:05}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (outputs, wanted) in [(&many[..], "split: outputs-many"), (&many[1..], "map-00001")] {
        let mut play = Play::new(QueuePattern::MapReduce, vec![splitter()]);
        assert_eq!(play.end_as("split", Report::Done, true, outputs)[0], wanted);
    }
}

#[test]
fn a_splitter_that_failed_splits_nothing() {
    let mut play = Play::new(QueuePattern::MapReduce, vec![splitter()]);
    assert_eq!(play.end("split", Report::Fail(Reason::WorkerError)), none());
    assert_eq!(play.word(), "failed");
}

fn reviewed(on_reject: Value) -> Value {
    let mut quorum = json!({ "reviewers": [template(), template(), template()], "threshold": 2, "commit": template() });
    for (key, value) in on_reject.as_object().unwrap() {
        quorum[key] = value.clone();
    }
    item("draft", &[], json!({ "quorum": quorum }))
}

#[test]
fn enough_green_reviews_are_committed_and_a_failed_one_is_none_of_the_runs() {
    let mut play = Play::new(QueuePattern::Quorum, vec![reviewed(json!({ "onReject": "block" }))]);
    let reviews = ["draft-review-1-1", "draft-review-1-2", "draft-review-1-3"];
    assert_eq!(play.end("draft", Report::Patch), reviews);
    assert_eq!(*play.told(reviews[1]), json!({ "subject": "draft", "round": 1, "reviewer": 2 }));
    assert_eq!(play.end(reviews[2], Report::Done), none());
    assert_eq!(play.end(reviews[0], Report::Fail(Reason::WorkerError)), none(), "all are heard before it is decided");
    assert_eq!(play.end(reviews[1], Report::Done), ["draft-commit"]);
    assert_eq!(play.on("draft-commit"), ["draft", "draft-review-1-2", "draft-review-1-3"]);
    assert_eq!(play.end("draft-commit", Report::Done), none());
    assert_eq!(play.word(), "done");
}

#[test]
fn too_few_green_reviews_block() {
    let mut play = Play::new(QueuePattern::Quorum, vec![reviewed(json!({ "onReject": "block" }))]);
    play.end("draft", Report::Patch);
    play.end("draft-review-1-1", Report::Done);
    play.end_as("draft-review-1-2", Report::Done, false, &[]);
    let said = play.end_as("draft-review-1-3", Report::Done, false, &[]);
    assert_eq!(said, ["draft: quorum-rejected"]);
    assert_eq!(play.word(), "failed", "every item is done, and the work is not");
}

#[test]
fn a_rejected_work_is_fixed_and_reviewed_again() {
    let mut play = Play::new(
        QueuePattern::Quorum,
        vec![reviewed(json!({ "onReject": "spawn-fix", "fixTemplate": template(), "maxRounds": 1 }))],
    );
    let reject = |play: &mut Play, round: u64| {
        play.end_as(&format!("draft-review-{round}-1"), Report::Done, false, &[]);
        play.end(&format!("draft-review-{round}-2"), Report::Fail(Reason::WorkerError));
        play.end(&format!("draft-review-{round}-3"), Report::Done)
    };
    play.end("draft", Report::Patch);
    let added = reject(&mut play, 1);
    assert_eq!(added, ["draft-fix-1", "draft-review-2-1", "draft-review-2-2", "draft-review-2-3"]);
    assert_eq!([play.on("draft-fix-1"), play.on("draft-review-2-1")], [vec!["draft"], vec!["draft-fix-1"]]);
    let refs = &play.planned("draft-fix-1").inputs().unwrap().input_refs;
    assert_eq!(refs.keys().collect::<Vec<_>>(), ["report-1"]);
    play.end("draft-fix-1", Report::Patch);
    for number in 1..=3 {
        let wanted = if number == 3 { vec!["draft-commit".to_owned()] } else { none() };
        assert_eq!(play.end(&format!("draft-review-2-{number}"), Report::Done), wanted);
    }
    assert_eq!(play.on("draft-commit")[0], "draft-fix-1");
    play.end("draft-commit", Report::Done);
    assert_eq!(play.word(), "done", "the failed review of the first round was made good by the second");
}

#[test]
fn a_second_rejection_or_a_failed_fix_ends_it() {
    let plan = || vec![reviewed(json!({ "onReject": "spawn-fix", "fixTemplate": template() }))];
    for fixed in [true, false] {
        let mut play = Play::new(QueuePattern::Quorum, plan());
        play.end("draft", Report::Patch);
        for number in 1..=3 {
            play.end_as(&format!("draft-review-1-{number}"), Report::Done, false, &[]);
        }
        if fixed {
            play.end("draft-fix-1", Report::Done);
            let said: Vec<_> = (1..=3)
                .map(|number| play.end_as(&format!("draft-review-2-{number}"), Report::Done, false, &[]))
                .collect();
            assert_eq!(said[2], ["draft: quorum-rejected"]);
        } else {
            assert_eq!(play.end("draft-fix-1", Report::Fail(Reason::WorkerError)), ["draft: fix-failed"]);
        }
        assert_eq!(play.word(), "failed");
    }
}

#[test]
fn every_reason_is_a_word() {
    for reason in StuckReason::ALL {
        assert!(Word::new(reason.as_str()).is_ok());
    }
}
