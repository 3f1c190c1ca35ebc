//! I01, I03: bytes that are gone, or are not what their digest says, fail the attempt before its launch.

use agora_core::id::Digest;
use agora_engine::operations::Caller;
use serde_json::{Value, json};

use crate::common::{Home, caller, check, code_of, fan_out, item, items, plan, subagent, try_submit, wait_end, within};
use crate::evidence::{base_trees, bodies};

/// Everything an attempt can be made of, by what it is.
async fn rich(home: &mut Home) -> Vec<(&'static str, Digest)> {
    let put = |text: &'static str| home.blobs.put(text.as_bytes());
    let template = put("tell it: {{ prompt }}").await.unwrap();
    let prompt = put("you are careful").await.unwrap();
    let file = put("# how to\n").await.unwrap();
    let pinned = put("pinned content").await.unwrap();
    let capability = json!({
        "format": "agora-capability/v1",
        "files": [{ "path": "notes/how.md", "mode": "0644", "sha256": file.hex(), "size": 9 }],
    });
    let capability = home.registry.put("capability", "how", capability).await;
    let env = home.registry.put("env", "plain", json!({ "format": "agora-env/v1", "values": { "A": "1" } })).await;
    let blocks = json!([{ "kind": "agent" }, { "kind": "capture", "what": "patch" }]);
    let pipeline = json!({ "format": "agora-pipeline/v1", "blocks": blocks });
    let pipeline = home.registry.put("pipeline", "short", pipeline).await;
    let mut rich = subagent(&template);
    rich["system_prompt"] = json!(prompt.to_string());
    rich["capabilities"] = json!([{ "name": "how", "digest": capability.to_string() }]);
    rich["env"] = json!(["plain"]);
    rich["pipeline"] = json!("short");
    let rich = home.registry.put("subagent", "rich", rich).await;
    home.registry.publish().await;
    vec![
        ("subagent", rich),
        ("template", template),
        ("system prompt", prompt),
        ("capability", capability),
        ("capability's file", file),
        ("env bundle", env),
        ("pipeline", pipeline),
        ("input", pinned),
    ]
}

fn rich_plan(pinned: &Digest) -> Value {
    let mut worker = item("work", &[]);
    worker["inputs"]["subagent"] = json!("rich");
    worker["inputs"]["inputRefs"] = json!({ "pinned.txt": pinned.to_string() });
    let mut plan = plan("run", vec![worker, item("after", &["work"])]);
    plan["workspace"] = json!({ "name": "cwd" });
    plan
}

/// Submits over a workspace of one file.
async fn submit_in(home: &Home, engine: &agora_engine::Engine, plan: Value) -> Caller {
    let folder = home.path().join("work");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("file.txt"), "content\n").unwrap();
    let caller = Caller { cwd: Some(folder), ..caller() };
    let args = agora_engine::operations::SubmitArgs { plan: Some(plan), ..Default::default() };
    within(engine.submit(&caller, args)).await.unwrap();
    caller
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    Nothing,
    Damaged,
    Missing,
}

/// Runs the plan after harming one of the things it is made of, and returns the failure, if there is one.
async fn run(harm: Harm, which: usize) -> (String, Option<String>) {
    let mut home = Home::new().await;
    let mut things = rich(&mut home).await;
    let engine = home.open().await;
    let pinned = things.last().unwrap().1;
    submit_in(&home, &engine, rich_plan(&pinned)).await;
    let (manifest, pack) = base_trees(home.path()).remove(0);
    things.push(("base manifest", manifest.parse().unwrap()));
    things.push(("base pack", pack.parse().unwrap()));
    let (name, digest) = things[which % things.len()];
    match harm {
        Harm::Nothing => {}
        Harm::Damaged => home.memory.damage(&digest),
        Harm::Missing => home.memory.lose(&digest),
    }
    let driver = engine.drive();
    wait_end(&engine, &["run"]).await;
    let rows = items(&engine, "run").await.items;
    if harm == Harm::Nothing {
        assert_eq!((rows[0].state.as_str(), rows[1].state.as_str()), ("done", "done"));
        assert_eq!(home.compute.started(), 2);
        check(&engine, &["run"]).await;
    } else {
        assert_eq!((rows[0].state.as_str(), rows[1].state.as_str()), ("failed", "skipped"), "{name}");
        assert_eq!((rows[0].attempts, home.compute.started()), (1, 0), "{name}: nothing was launched, once");
        assert!(bodies(home.path(), "attempt.started").is_empty(), "{name}");
    }
    driver.stop().await;
    (name.to_owned(), rows[0].failure.clone())
}

/// How many things [`rich`] and its workspace are made of.
const THINGS: usize = 10;

#[tokio::test]
async fn what_is_whole_runs() {
    assert_eq!(run(Harm::Nothing, 0).await.1, None);
}

#[tokio::test]
async fn what_was_tampered_with_fails_before_the_launch() {
    let mut names = std::collections::BTreeSet::new();
    for which in 0..THINGS {
        let (name, failure) = run(Harm::Damaged, which).await;
        assert_eq!(failure.as_deref(), Some("integrity: digest-mismatch"), "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), THINGS);
}

#[tokio::test]
async fn what_is_gone_fails_before_the_launch_with_a_reason_of_its_own() {
    for which in 0..THINGS {
        let (name, failure) = run(Harm::Missing, which).await;
        assert_eq!(failure.as_deref(), Some("integrity: blob-missing"), "{name}");
    }
}

/// What is harmed before the acceptance is not accepted at all, and nothing is stored.
#[tokio::test]
async fn a_harmed_artifact_is_refused_at_the_acceptance() {
    let mut home = Home::new().await;
    let things = rich(&mut home).await;
    let engine = home.open().await;
    let digest = things[0].1;
    home.memory.damage(&digest);
    let mut plan = fan_out("run", 1);
    plan["items"][0]["inputs"]["subagent"] = json!("rich");
    assert_eq!(code_of(try_submit(&engine, plan.clone()).await), "registry-entry");
    home.memory.lose(&digest);
    assert_eq!(code_of(try_submit(&engine, plan.clone()).await), "registry-entry");
    assert!(bodies(home.path(), "run.opened").is_empty());
    // Registered again, the same content is the same digest, and good again (I04).
    rich(&mut home).await;
    try_submit(&engine, plan).await.unwrap();
}
