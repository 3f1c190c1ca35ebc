//! `schedule`: what is said when one is added, listed and removed.

use crate::runs::place;
use crate::support::{admin, json};

const PLAN: &str = r#"{"items": [{"id": "a", "inputs": {"subagent": "writer", "workerInput": {"name": "a.txt", "text": "x"}}}],
    "workspace": {"name": "cwd"}}"#;

#[test]
fn a_schedule_is_added_listed_and_removed() {
    let env = place();
    assert_eq!(admin(&env, &["schedule", "list"]).ok().lines().next(), Some("no schedules"));
    let file = env.root().join("plan.json");
    let file = file.to_str().unwrap();
    std::fs::write(file, PLAN.replacen('{', r#"{"id": "mine", "#, 1).replace("writer", "writter")).unwrap();
    let add = |more: &[&str]| admin(&env, &[&["schedule", "add", "nightly", file][..], more].concat());
    // Everything at once, with what to do.
    let error = add(&["--cron", "30 25 * * *", "--tz", "Europe/Berlín"]).fails(6);
    for code in ["schedule-cron", "schedule-zone", "schedule-plan-id", "subagent-unknown"] {
        assert!(error.contains(code), "{code}: {error}");
    }
    assert!(error.contains("it takes 0-23") && error.contains("did you mean Europe/Berlin?"), "{error}");
    assert_eq!(json(&env, &["schedule", "list"])["schedules"], serde_json::json!([]));

    std::fs::write(file, PLAN).unwrap();
    let added = add(&["--cron", "30 2 29 2 *", "--tz", "Europe/Berlin"]);
    assert!(added.stderr.contains("nobody serves this home"), "{}", added.stderr);
    let text = added.ok();
    assert!(text.starts_with("schedule nightly 30 2 29 2 * Europe/Berlin 1 item\n"), "{text}");
    assert!(text.contains("-02-29 01:30:00Z"), "{text}");
    assert!(add(&["--cron", "0 3 * * *"]).fails(6).contains("[schedule-exists]"));
    let reply = json(&env, &["schedule", "add", "nightly", file, "--cron", "0 3 * * *", "--replace"]);
    assert_eq!((&reply["replaced"], &reply["zone"]), (&true.into(), &"UTC".into()));

    let row = &json(&env, &["schedule", "list"])["schedules"][0];
    assert_eq!((&row["name"], &row["cron"]), (&"nightly".into(), &"0 3 * * *".into()));
    assert_eq!(row["folder"].as_str(), env.work().to_str());
    assert!(row["next"].as_str().unwrap().ends_with("T03:00:00.000000Z"), "{row}");
    assert!(row["last"].is_null() && row["due"].is_null(), "{row}");
    let text = admin(&env, &["schedule", "list"]).ok();
    assert!(text.contains("nightly") && text.contains("none yet"), "{text}");
    assert!(admin(&env, &["doctor"]).stdout.contains("ok schedules 1 that go on by themselves"));

    assert!(admin(&env, &["schedule", "remove", "nightli"]).fails(4).contains("did you mean nightly?"));
    assert_eq!(admin(&env, &["schedule", "remove", "nightly"]).ok(), "removed nightly\n");
    assert!(admin(&env, &["schedule", "remove", "nightly"]).fails(4).contains("[schedule-unknown]"));
}
