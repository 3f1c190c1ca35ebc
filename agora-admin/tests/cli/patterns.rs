//! Patterns of queues, with the real worker and jail: the examples of `docs/patterns.md`, as they stand there.

use agora_testkit::env::TestEnv;
use serde_json::{Value, json};

use crate::runs::{place, submit};
use crate::support::{admin, json as reply, write_config};

const PAGE: &str = include_str!("../../../docs/patterns.md");

/// The blocks of the page in this language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A home with the page's queues and subagent.
fn patterns() -> TestEnv {
    let env = place();
    let [queues, shell] = blocks("toml")[..] else { panic!("the page has another form") };
    write_config(&env, queues);
    let file = env.root().join("shell.toml");
    std::fs::write(&file, shell).unwrap();
    let _registered = admin(&env, &["subagent", "register", "shell", "--from", file.to_str().unwrap()]).ok();
    env
}

/// `item: state` of each item of the run.
fn states(env: &TestEnv, run: &str) -> Vec<String> {
    let items = reply(env, &["status", run])["items"].clone();
    let word = |item: &Value, key: &str| item[key].as_str().unwrap().to_owned();
    items.as_array().unwrap().iter().map(|item| format!("{}: {}", word(item, "item_id"), word(item, "state"))).collect()
}

fn patch(env: &TestEnv, run: &str) -> String {
    admin(env, &["result", run, "--part", "patch", "--out", "-"]).ok()
}

#[test]
fn a_red_gate_is_fixed_and_what_is_behind_it_runs() {
    let env = patterns();
    let (run, events) = submit(&env, blocks("json")[0], 0);
    assert!(events.contains("item.skipped") && events.contains("test-fix-1"), "{events}");
    let wanted = ["make: done", "test: failed", "ship: skipped", "test-fix-1: done", "test~2: done", "ship~2: done"];
    assert_eq!(states(&env, &run), wanted);
    let patch = patch(&env, &run);
    assert!(patch.contains("+++ b/shipped.txt") && patch.contains("+hello"), "{patch}");
    assert!(admin(&env, &["audit", &run]).ok().contains("verified"));
    assert!(admin(&env, &["diagnose", &run]).ok().contains("all-done"));

    // The same with a fix that mends nothing: red to the end, and that is said.
    let mut plan: Value = serde_json::from_str(blocks("json")[0]).unwrap();
    plan["items"][1]["inputs"]["gate"]["fixTemplate"]["inputs"]["workerInput"] = json!({ "run": "true" });
    let (run, events) = submit(&env, &plan.to_string(), 1);
    assert!(events.contains("pattern.failed") && events.contains("gate-red"), "{events}");
    for verb in ["status", "diagnose", "result"] {
        let text = admin(&env, &[verb, &run]);
        assert!(text.stdout.contains("test~2: pipeline: gate-red"), "{verb}: {}", text.stdout);
    }
    assert!(admin(&env, &["audit", &run]).ok().contains("verified"));
}

#[test]
fn outputs_are_mapped_and_reduced() {
    let env = patterns();
    let (run, _) = submit(&env, blocks("json")[1], 0);
    assert_eq!(states(&env, &run), ["split: done", "map-a: done", "map-b: done", "reduce: done"]);
    let patch = patch(&env, &run);
    assert!(patch.contains("+++ b/all.txt") && patch.contains("+ONE\n+TWO\n"), "{patch}");
    assert!(admin(&env, &["audit", &run]).ok().contains("verified"));

    let mut plan: Value = serde_json::from_str(blocks("json")[1]).unwrap();
    plan["queue"] = json!("default");
    std::fs::write(env.root().join("plan.json"), plan.to_string()).unwrap();
    let path = env.root().join("plan.json");
    let refused = admin(&env, &["validate", path.to_str().unwrap()]).fails(6);
    assert!(refused.contains("pattern-mismatch") && refused.contains("spread"), "{refused}");
}

#[test]
fn a_work_with_enough_green_reviews_is_committed() {
    let env = patterns();
    let (run, _) = submit(&env, blocks("json")[2], 0);
    let states = states(&env, &run);
    assert_eq!(states.last().unwrap(), "draft-commit: done");
    assert!(states.contains(&"draft-review-1-3: failed".to_owned()), "{states:?}");
    assert!(patch(&env, &run).contains("+++ b/final.txt"));
}

/// What is applied is what the commit went on from: not what reviewers wrote that judged what was fixed since.
#[test]
fn what_reviewers_write_is_applied_where_the_commit_saw_it() {
    let env = patterns();
    let mut plan: Value = serde_json::from_str(blocks("json")[2]).unwrap();
    let reviewer = |run: &str| json!({ "inputs": { "subagent": "shell", "workerInput": { "run": run } }, "retry": { "max_attempts": 1 } });
    plan["items"][0]["inputs"]["quorum"] = json!({
        "reviewers": [reviewer("cat draft.txt > review.md"), reviewer("echo no > no.md; grep poem draft.txt")],
        "threshold": 2,
        "onReject": "spawn-fix",
        "fixTemplate": reviewer("echo poem >> draft.txt"),
        "commit": reviewer("ls > seen.txt"),
    });
    let (run, _) = submit(&env, &plan.to_string(), 0);
    let patch = patch(&env, &run);
    assert!(patch.contains("+++ b/review.md") && patch.contains("+poem"), "{patch}");
    let applied = reply(&env, &["apply", &run]);
    let items: Vec<&str> =
        applied["items"].as_array().unwrap().iter().map(|item| item["item_id"].as_str().unwrap()).collect();
    assert!(!items.contains(&"draft-review-1-1") && items.contains(&"draft-review-2-1"), "{items:?}");
}

#[test]
fn outputs_that_are_left_out_are_not_passed_over() {
    let env = patterns();
    let mut plan: Value = serde_json::from_str(blocks("json")[1]).unwrap();
    plan["items"][0]["retry"] = json!({ "max_attempts": 1 });
    plan["items"][0]["inputs"]["workerInput"]["run"] = json!("cd $AGORA_OUTPUTS; echo one > a; ln -s a b");
    let (run, _) = submit(&env, &plan.to_string(), 1);
    assert_eq!(states(&env, &run), ["split: failed"]);
    assert!(admin(&env, &["status", &run]).ok().contains("outputs were left out"));
}
