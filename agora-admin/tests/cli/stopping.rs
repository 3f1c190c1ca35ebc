//! Parking, forced ends, and a driver that is asked to end: with the real worker and jail.

use std::process::Child;
use std::time::{Duration, Instant};

use agora_testkit::env::TestEnv;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::runs::place;
use crate::support::{admin, json};

/// An agent whose first attempt does not end by itself.
const SLEEPER: &str = r#"
runtime = "command"
argv = ["sh", "-c", "[ \"$AGORA_ATTEMPT\" -gt 1 ] || exec sleep 600; echo awake > awake.txt"]
targets = ["*"]
template = "sleep"
"#;

/// How long a state is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

/// A home with that agent, in which nobody drives unless told to, and a run of one attempt that it works on.
fn asleep() -> (TestEnv, String, Child) {
    let env = place();
    let text = "[targets.local]\nprovider = \"process\"\nprofiles = [\"strict\", \"none\"]\n[engine]\nlinger = false\n";
    std::fs::write(env.home().join("agora.toml"), text).unwrap();
    let agent = env.root().join("sleeper.toml");
    std::fs::write(&agent, SLEEPER).unwrap();
    let _registered = admin(&env, &["subagent", "register", "sleeper", "--from", agent.to_str().unwrap()]).ok();
    let driver = env.command("agora-admin").arg("serve").spawn().unwrap();
    let plan = r#"{"items": [{"id": "a", "inputs": {"subagent": "sleeper", "workerInput": {}},
        "retry": {"max_attempts": 1}}], "workspace": {"name": "cwd"}}"#;
    std::fs::write(env.root().join("plan.json"), plan).unwrap();
    let path = env.root().join("plan.json");
    let run = json(&env, &["submit", path.to_str().unwrap()])["run_id"].as_str().unwrap().to_owned();
    wait_for(&env, &run, |row| row["attempts"][0]["profile"].is_string());
    (env, run, driver)
}

/// Looks at the run's item until it is as wanted.
fn wait_for(env: &TestEnv, run: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let reply = json(env, &["status", run, "a"]);
        if wanted(&reply) {
            return reply;
        }
        assert!(began.elapsed() < DEADLINE, "{reply}");
    }
}

fn state(reply: &Value) -> &str {
    reply["items"][0]["state"].as_str().unwrap()
}

/// Sends it this signal so often, and waits for its end.
#[track_caller]
fn end(env: &TestEnv, driver: Child, times: usize) -> String {
    let pid = Pid::from_raw(i32::try_from(driver.id()).unwrap()).unwrap();
    for _ in 0..times {
        kill_process(pid, Signal::TERM).unwrap();
    }
    let output = env.finish(driver, b"");
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    output.stdout
}

#[test]
fn a_parked_run_stops_what_runs_and_goes_on_after_its_release() {
    let (env, run, driver) = asleep();
    assert_eq!(json(&env, &["hold", &run, "--reason", "look first"])["state"], "held");
    assert!(admin(&env, &["hold", &run]).fails(6).contains("held-already"));
    assert_eq!(state(&json(&env, &["status", &run, "a"])), "running", "what runs goes on");
    assert_eq!(json(&env, &["hold", &run, "--park", "--reason", "the machine is needed"])["state"], "held");
    let parked = wait_for(&env, &run, |row| state(row) == "ready");
    assert_eq!((&parked["items"][0]["attempts"], &parked["attempts"][0]["state"]), (&1.into(), &"cancelled".into()));
    assert_eq!(admin(&env, &["watch", &run, "--timeout", "50"]).code, Some(8), "it does not go on by itself");
    assert_eq!(json(&env, &["release", &run])["state"], "released");
    let _done = admin(&env, &["watch", &run, "--timeout", "50"]).ok();
    assert!(admin(&env, &["result", &run]).ok().contains("awake.txt"));
    let _told = end(&env, driver, 1);
    assert!(admin(&env, &["audit", &run]).ok().contains("verified"));
}

#[test]
fn a_driver_that_is_asked_to_end_leaves_what_runs_to_the_next_one() {
    for times in [1, 2] {
        let (env, run, driver) = asleep();
        let told = end(&env, driver, times);
        assert!(told.contains("serving") && (times > 1 || told.contains("ended:")), "{told}");
        assert_eq!(state(&json(&env, &["status", &run, "a"])), "running");
        // The next driver has that very attempt, and stops it.
        assert_eq!(json(&env, &["cancel", &run])["state"], "stopping");
        assert_eq!(state(&json(&env, &["status", &run, "a"])), "stopping", "nobody drives");
        assert_eq!(admin(&env, &["watch", &run, "--timeout", "50"]).code, Some(1));
        let over = json(&env, &["status", &run, "a"]);
        assert_eq!((state(&over), &over["items"][0]["attempts"]), ("cancelled", &1.into()));
    }
}

#[test]
fn only_what_cannot_be_proven_gone_is_forced() {
    let (env, run, driver) = asleep();
    let force = |item: &str| admin(&env, &["force-resolve", &run, item, "--reason", "I looked"]);
    assert!(force("a").fails(6).contains("stop-not-unverified"), "it runs");
    assert!(force("b").fails(4).contains("item-unknown"));
    assert!(admin(&env, &["force-resolve", &run, "a"]).fails(6).contains("--reason"));
    let _told = end(&env, driver, 1);
    let _stopping = json(&env, &["cancel", &run, "a"]);
    assert!(force("a").fails(6).contains("stopping, not stopping_unverified"), "its absence may yet be proven");
    assert_eq!(admin(&env, &["watch", &run, "--timeout", "50"]).code, Some(1));
    assert!(force("a").fails(6).contains("run-over"));
}
