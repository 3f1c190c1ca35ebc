//! Keys: what there is, what an auditor is given, and how one takes the place of another.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use agora_core::audit::policy::{KeyRole, Policy};
use agora_testkit::env::TestEnv;
use serde_json::Value;

use crate::backup::failed;
use crate::runs::{place, submit};
use crate::support::{admin, json, ready};

/// Runs one item to its end.
fn run(env: &TestEnv, name: &str) -> String {
    let input = serde_json::json!({"name": format!("{name}.txt"), "text": name});
    let item = serde_json::json!({"id": "a", "inputs": {"subagent": "writer", "workerInput": input}});
    submit(env, &serde_json::json!({"items": [item], "workspace": {"name": "cwd"}}).to_string(), 0).0
}

fn audited(env: &TestEnv, run: &str) -> Value {
    let output = admin(env, &["--format", "json", "audit", run]);
    serde_json::from_str(&output.stdout).unwrap()
}

/// The keys, by role and in the order of their coming.
fn keys(env: &TestEnv, role: &str) -> Vec<Value> {
    let list = json(env, &["key", "list"]);
    list["keys"].as_array().unwrap().iter().filter(|key| key["role"] == role).cloned().collect()
}

/// Those of them that can be replaced.
fn replaceable(env: &TestEnv, role: &str) -> Vec<Value> {
    keys(env, role).into_iter().filter(|key| key["alg"] == "ed25519").collect()
}

fn file(env: &TestEnv, name: &str) -> PathBuf {
    env.home().join(name)
}

fn read(env: &TestEnv, name: &str) -> String {
    std::fs::read_to_string(file(env, name)).unwrap()
}

/// A private key has to have mode 0600.
fn put(env: &TestEnv, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(file(env, name), text).unwrap();
    std::fs::set_permissions(file(env, name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn keys_are_listed_with_where_they_are_good() {
    let env = ready();
    let list = json(&env, &["key", "list"]);
    let roles: Vec<&str> = list["keys"].as_array().unwrap().iter().map(|key| key["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["log", "run", "attest", "attest", "registry-admin"]);
    for (at, key) in list["keys"].as_array().unwrap().iter().enumerate() {
        assert!(key["private_here"] == true && key["in_force"] == true, "{key}");
        let alg = if at == 3 { "ecdsa-p256" } else { "ed25519" };
        assert_eq!((&key["alg"], &key["custody"], &key["from"]), (&alg.into(), &"file".into(), &0.into()));
        assert!(key.get("until").is_none() && key.get("last_good").is_none(), "{key}");
    }
    let id = list["keys"][1]["key_id"].as_str().unwrap();
    let text = admin(&env, &["key", "list"]).ok();
    assert!(text.contains(id) && text.contains("here") && !text.contains("not here"), "{text}");
    std::fs::remove_file(file(&env, "keys/registry-admin.key")).unwrap();
    let text = admin(&env, &["key", "list"]).ok();
    assert!(text.contains("offline") && text.contains("not here"), "{text}");
    // Both halves of the P-256 key may be kept elsewhere; the log names it all the same.
    for half in ["keys/attest-p256.key", "trust/attest-p256.pub"] {
        std::fs::remove_file(file(&env, half)).unwrap();
    }
    let here: Vec<bool> = keys(&env, "attest").iter().map(|key| key["private_here"] == true).collect();
    assert_eq!(here, [true, false]);
}

#[test]
fn a_trust_policy_is_written_once_and_holds_all_keys() {
    let env = place();
    let out = env.root().join("trust.toml");
    let out = out.to_str().unwrap();
    let _run = run(&env, "one");
    let _rotated = admin(&env, &["key", "rotate", "run"]).ok();
    let _written = admin(&env, &["key", "trust-export", "--out", out]).ok();
    let text = std::fs::read_to_string(out).unwrap();
    let policy = Policy::parse(&text).unwrap();
    let count = |role| policy.keys.iter().filter(|key| key.role == role).count();
    assert_eq!(KeyRole::ALL.map(count), [1, 2, 2, 1]);
    let runs: Vec<_> = policy.keys.iter().filter(|key| key.role == KeyRole::Run).collect();
    assert!(runs[0].from == 0 && runs[0].until == Some(runs[1].from) && runs[1].until.is_none(), "{runs:?}");
    // The rotation is covered by the checkpoint that was signed after it.
    assert!(policy.seen.len() == 1 && policy.seen[0].size == runs[1].from + 1, "{policy:?}");
    assert_eq!(admin(&env, &["key", "trust-export"]).ok(), text);
    let again = admin(&env, &["key", "trust-export", "--out", out]).fails(6);
    assert!(again.contains("[file-unwritable]"), "{again}");
    assert_eq!(std::fs::read_to_string(out).unwrap(), text);
}

#[test]
fn what_was_signed_before_a_rotation_and_after_it_verifies() {
    let env = place();
    let before = run(&env, "before");
    let old: BTreeMap<&str, Value> =
        ["log", "run", "attest"].map(|role| (role, replaceable(&env, role).remove(0))).into();
    for (role, old) in &old {
        let reply = json(&env, &["key", "rotate", role]);
        let now = replaceable(&env, role);
        assert_eq!((now.len(), &now[0]["key"], &now[0]["until"]), (2, &old["key"], &reply["from"]));
        assert!(now[0]["in_force"] == false && now[1]["in_force"] == true && now[1]["private_here"] == true, "{now:?}");
        assert_eq!((&now[1]["key"], &now[1]["from"], &now[1]["name"]), (&reply["key"], &reply["from"], &old["name"]));
        assert_ne!(now[0]["key"], now[1]["key"]);
        assert_eq!(read(&env, &format!("trust/{role}.vkey")).lines().count(), 1);
        assert!(!file(&env, &format!("keys/{role}.next.key")).exists());
    }
    let after = run(&env, "after");
    let _again = json(&env, &["key", "rotate", "run"]);
    let last = run(&env, "last");
    for run in [&before, &after, &last] {
        let report = audited(&env, run);
        assert_eq!(report["verdict"], "verified", "{report}");
    }
    let notes: Vec<Value> = [&before, &after, &last].map(|run| audited(&env, run)["checkpoint"].clone()).into();
    assert!(notes.iter().all(|note| note.as_str().unwrap().contains("/run/")), "{notes:?}");
    assert_eq!(failed(&env, &env.home()), [""; 0]);
    assert_eq!(keys(&env, "run").len(), 3);
    // A lost public half is that of the key in force.
    let public = read(&env, "trust/run.vkey");
    std::fs::remove_file(file(&env, "trust/run.vkey")).unwrap();
    let _made = admin(&env, &["init"]).ok();
    assert_eq!(read(&env, "trust/run.vkey"), public);
}

#[test]
fn nothing_is_rotated_while_somebody_drives_or_copies() {
    let env = ready();
    let _opened = keys(&env, "run");
    let driver = File::create(file(&env, "driver.lock")).unwrap();
    driver.lock().unwrap();
    let refused = admin(&env, &["key", "rotate", "run"]).fails(5);
    assert!(refused.contains("[home-busy]"), "{refused}");
    drop(driver);
    let copies = File::open(env.home()).unwrap();
    copies.lock_shared().unwrap();
    let refused = admin(&env, &["key", "rotate", "run"]).fails(5);
    assert!(refused.contains("[home-busy]"), "{refused}");
    assert_eq!(keys(&env, "run").len(), 1);
    drop(copies);
    let _rotated = admin(&env, &["key", "rotate", "run"]).ok();
    assert_eq!(keys(&env, "run").len(), 2);
    // Neither the registry's key nor that of P-256 is replaced in this version.
    for role in ["registry-admin", "attest-p256"] {
        assert!(admin(&env, &["key", "rotate", role]).fails(6).contains("[usage]"), "{role}");
    }
    let second = keys(&env, "attest").remove(1);
    let (id, name) = (second["key_id"].as_str().unwrap(), second["name"].as_str().unwrap());
    for which in [id, name] {
        let said = admin(&env, &["key", "revoke", which, "--last-good", "0", "--reason", "stolen"]).fails(6);
        assert!(said.contains("[key-in-use]") && said.contains("ecdsa-p256"), "{said}");
    }
}

#[test]
fn a_replaced_key_is_revoked_and_one_in_force_is_not() {
    let env = place();
    let before = run(&env, "before");
    let (old, name) = (keys(&env, "run")[0]["key_id"].clone(), keys(&env, "run")[0]["name"].clone());
    let (old, name) = (old.as_str().unwrap(), name.as_str().unwrap());
    let revoke = |which: &str, last_good: &str| {
        admin(&env, &["key", "revoke", which, "--last-good", last_good, "--reason", "stolen"])
    };
    assert!(revoke(old, "1").fails(6).contains("[key-in-use]"));
    assert!(revoke("00000000", "1").fails(4).contains("[key-not-found]"));
    let until = json(&env, &["key", "rotate", "run"])["from"].as_u64().unwrap();
    assert!(revoke(name, "1").fails(6).contains("[key-ambiguous]"));
    assert!(revoke(old, &until.to_string()).fails(6).contains("[key-last-good]"));
    // The seal of the run is the newest entry before the rotation.
    let _revoked = revoke(old, &(until - 1).to_string()).ok();
    assert_eq!(audited(&env, &before)["verdict"], "verified");
    let row = &keys(&env, "run")[0];
    assert_eq!((&row["last_good"], &row["revoked"]), (&(until - 1).into(), &"stolen".into()));
    let _revoked = revoke(old, "0").ok();
    let report = audited(&env, &before);
    assert_eq!(report["verdict"], "failed");
    let codes: Vec<&str> = report["checks"].as_array().unwrap().iter().map(|c| c["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["key-revoked"]);
    let policy = Policy::parse(&admin(&env, &["key", "trust-export"]).ok()).unwrap();
    assert_eq!(policy.keys.iter().find(|key| key.role == KeyRole::Run).unwrap().last_good, Some(0));
    let after = run(&env, "after");
    assert_eq!(audited(&env, &after)["verdict"], "verified");
}

/// The states of the drawing in `key_change.rs`, each as a crash leaves it: the home works, and a repeat finishes.
#[test]
fn a_rotation_that_was_interrupted_works_and_a_repeat_finishes_it() {
    let env = place();
    let spare = ready();
    let _opened = keys(&env, "run");
    let (key, trust) = (read(&env, "keys/run.key"), read(&env, "trust/run.vkey"));
    let name = trust.split('+').next().unwrap().to_owned();
    let check = |what: &str, count: usize| {
        let done = run(&env, what);
        assert_eq!(audited(&env, &done)["verdict"], "verified", "{what}");
        assert_eq!(failed(&env, &env.home()), [""; 0], "{what}");
        assert_eq!(keys(&env, "run").len(), count, "{what}");
    };
    let finished = |what: &str| {
        assert!(!file(&env, "keys/run.next.key").exists(), "{what}");
        assert_eq!(read(&env, "trust/run.vkey").lines().count(), 1, "{what}");
    };

    // Staged, and not recorded: the old key signs, and the repeat takes the staged one.
    put(&env, "keys/run.next.key", &read(&spare, "keys/run.key"));
    check("staged", 1);
    let reply = json(&env, &["key", "rotate", "run"]);
    assert_eq!(reply["key"], keys(&spare, "run")[0]["key"]);
    finished("staged");
    check("after-staged", 2);

    // Both trusted, and not recorded.
    let third = ready();
    let (second, second_trust) = (read(&env, "keys/run.key"), read(&env, "trust/run.vkey"));
    put(&env, "keys/run.next.key", &read(&third, "keys/run.key"));
    let third_key = keys(&third, "run")[0]["key"].as_str().unwrap().to_owned();
    let _recorded = json(&env, &["key", "rotate", "run"]);
    let third_trust = read(&env, "trust/run.vkey");
    assert!(third_trust.starts_with(&name) && !second_trust.contains(&third_key), "{third_trust}");
    check("third", 3);

    // Recorded, and nothing switched.
    let (new, both) = (read(&env, "keys/run.key"), format!("{second_trust}{third_trust}"));
    put(&env, "keys/run.key", &second);
    put(&env, "keys/run.next.key", &new);
    put(&env, "trust/run.vkey", &both);
    check("recorded", 3);
    let reply = json(&env, &["key", "rotate", "run"]);
    assert!(reply.get("from").is_none() && reply["key"] == third_key.as_str(), "{reply}");
    finished("recorded");
    assert_eq!(read(&env, "keys/run.key"), new);
    check("after-recorded", 3);

    // Switched, and the old one still trusted.
    put(&env, "trust/run.vkey", &both);
    check("switched", 3);
    assert!(json(&env, &["key", "rotate", "run"]).get("from").is_none());
    finished("switched");
    check("after-switched", 3);

    // Both trusted and staged, and not recorded: the last state there is.
    let fourth = ready();
    put(&env, "keys/run.next.key", &read(&fourth, "keys/run.key"));
    let fourth_line = read(&fourth, "trust/run.vkey");
    let fourth_key = keys(&fourth, "run")[0]["key"].as_str().unwrap().to_owned();
    put(&env, "trust/run.vkey", &format!("{}{fourth_line}", read(&env, "trust/run.vkey")));
    check("both-trusted", 3);
    assert_eq!(json(&env, &["key", "rotate", "run"])["key"], fourth_key.as_str());
    finished("both-trusted");
    check("after-both-trusted", 4);

    // Files of before a rotation are not signed with.
    let (newest, newest_trust) = (read(&env, "keys/run.key"), read(&env, "trust/run.vkey"));
    put(&env, "keys/run.key", &key);
    put(&env, "trust/run.vkey", &trust);
    assert!(admin(&env, &["runs"]).fails(6).contains("[key-retired]"));
    put(&env, "keys/run.key", &newest);
    put(&env, "trust/run.vkey", &newest_trust);
    check("restored", 4);
}
