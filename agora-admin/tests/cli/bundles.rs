//! Bundles as they are handed out, checked as an auditor elsewhere would: with a policy, without a home.

use agora_core::audit::policy::{KeyRole, Policy};
use agora_core::audit::verify::{Evidence, Report, Verdict, Verifier, verify};
use agora_testkit::env::TestEnv;
use serde_json::Value;

use crate::runs::{place, submit};
use crate::support::{admin, json};

const PLAN: &str = r#"{"id": "run", "workspace": {"name": "cwd"}, "items": [
  {"id": "a", "inputs": {"subagent": "writer", "workerInput": {"name": "a.txt", "text": "by a"}}},
  {"id": "b", "inputs": {"subagent": "writer", "workerInput": {"name": "b.txt", "text": "by b"}}, "depends_on": ["a"]}]}"#;

fn file(env: &TestEnv, name: &str) -> String {
    env.root().join(name).to_str().unwrap().to_owned()
}

fn bytes(env: &TestEnv, name: &str) -> Vec<u8> {
    std::fs::read(env.root().join(name)).unwrap()
}

/// Exports, and returns the bundle as JSON.
fn export(env: &TestEnv, name: &str, arguments: &[&str]) -> Value {
    let out = file(env, name);
    let said = admin(env, &[&["audit"], arguments, &["--out", &out]].concat());
    assert!(said.stdout.contains(&out), "{said:?}");
    serde_json::from_slice(&bytes(env, name)).unwrap()
}

/// A policy that pins the keys of a bundle, with more rows.
fn policy(env: &TestEnv, bundle: &Value, more: &str) -> String {
    let mut text = format!("v = 1\norigin = {}\n", bundle["manifest"]["origin"]);
    for key in bundle["keys"].as_array().unwrap() {
        let of = |member: &str| key[member].clone();
        let (name, role, alg, key) = (of("name"), of("role"), of("alg"), of("key"));
        text += &format!("[[key]]\nname = {name}\nrole = {role}\nalg = {alg}\nkey = {key}\nfrom = 0\n");
    }
    std::fs::write(env.root().join("trust.toml"), text + more).unwrap();
    file(env, "trust.toml")
}

/// The codes that failed, of a verification by the program.
fn failed(env: &TestEnv, code: i32, arguments: &[&str]) -> Vec<String> {
    let said = admin(env, &[&["--format", "json", "verify"], arguments].concat());
    assert_eq!(said.code, Some(code), "{said:?}");
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    let rows = report["checks"].as_array().unwrap().iter();
    let wrong = rows.filter(|row| row["status"] == "fail" || row["status"] == "unchecked");
    wrong.map(|row| row["code"].as_str().unwrap().to_owned()).collect()
}

fn judge(bundle: &[u8]) -> Report {
    let verifier = Verifier { version: String::new(), spec: String::new(), binary: None };
    verify(&Evidence { bundle: Ok(bundle), policy: None, require: &[], fetched: None }, verifier)
}

#[test]
fn a_bundle_of_a_run_is_checked_without_its_home() {
    let env = place();
    submit(&env, PLAN, 0);
    let bundle = export(&env, "b.json", &["run", "--artifacts"]);
    let (path, trust) = (file(&env, "b.json"), policy(&env, &bundle, ""));
    let roles: Vec<&str> = bundle["keys"].as_array().unwrap().iter().map(|key| key["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["registry-admin", "log", "attest", "attest", "run"]);
    assert_eq!((bundle["statements"].as_array().unwrap().len(), &bundle["manifest"]["sealed"]), (2, &true.into()));
    assert_eq!(
        failed(&env, 0, &[&path, "--policy", &trust, "--require", "key-pinned", "--require", "whole-run"]),
        [""; 0]
    );
    // Without a policy nobody's keys are pinned, and one could; that the whole log is there, no policy could show.
    assert_eq!(failed(&env, 0, &[&path]), [""; 0]);
    assert_eq!(failed(&env, 2, &[&path, "--require", "key-pinned"]), ["required-unmet"]);
    assert_eq!(failed(&env, 1, &[&path, "--require", "whole-log"]), ["required-unmet"]);
    assert!(admin(&env, &["verify", &path, "--require", "trustworthy"]).fails(6).contains("no axis has this value"));
    // The same again gives the same bytes, and nothing is written over.
    let _again = export(&env, "again.json", &["run", "--artifacts"]);
    assert!(bytes(&env, "b.json") == bytes(&env, "again.json"));
    assert!(admin(&env, &["audit", "run", "--out", &path]).fails(6).contains("file-unwritable"));
    let whole = export(&env, "whole.json", &["run", "--log"]);
    assert_eq!(failed(&env, 0, &[&file(&env, "whole.json"), "--require", "all-sealed"]), [""; 0]);
    assert!(whole["log"]["entries"].as_array().unwrap().len() >= 4);
    // Another key under the same name; a policy of another log; none that can be read.
    let other = std::fs::read_to_string(&trust).unwrap();
    let key = |at: usize| bundle["keys"][at]["key"].as_str().unwrap();
    std::fs::write(env.root().join("other.toml"), other.replace(key(4), key(1))).unwrap();
    let codes = failed(&env, 1, &[&path, "--policy", &file(&env, "other.toml")]);
    assert!(codes.contains(&"key-substituted".to_owned()), "{codes:?}");
    assert_eq!(failed(&env, 2, &[&path, "--policy", "/nowhere.toml"])[0], "policy-unreadable");
    assert_eq!(failed(&env, 2, &["/nowhere.json"])[0], "bundle-unreadable");
}

/// A policy of after all rotations pins the keys of each run, where they speak. What the auditor has seen since an old run was
/// sealed, its bundle has to reach.
#[test]
fn runs_of_before_and_after_their_keys_were_replaced_verify_by_one_policy() {
    let env = place();
    submit(&env, PLAN, 0);
    let _early = export(&env, "early.json", &["run"]);
    for role in ["run", "log", "attest"] {
        let _rotated = json(&env, &["key", "rotate", role]);
    }
    submit(&env, &PLAN.replace("\"run\"", "\"next\""), 0);
    let trust = file(&env, "trust.toml");
    let _written = admin(&env, &["key", "trust-export", "--out", &trust]).ok();
    let policy = Policy::parse(&std::fs::read_to_string(&trust).unwrap()).unwrap();
    let seen = policy.seen[0].size.to_string();
    let required = ["--policy", &trust, "--require", "key-pinned", "--require", "whole-run"];
    let mut signers = Vec::new();
    for run in ["run", "next"] {
        for (name, more) in [("bundle", &["--since", &seen][..]), ("whole", &["--log", "--since", &seen])] {
            let name = format!("{run}-{name}.json");
            let bundle = export(&env, &name, &[&[run], more].concat());
            assert_eq!(failed(&env, 0, &[&[&*file(&env, &name)], &required[..]].concat()), [""; 0], "{name}");
            assert_eq!(bundle["statements"].as_array().unwrap().len(), 2);
            signers.push(bundle["keys"].clone());
        }
    }
    // Each run is signed by its own keys: only the registry's, the P-256 one and the log's newest are in both.
    let shared = signers[0].as_array().unwrap().iter().filter(|key| signers[2].as_array().unwrap().contains(key));
    let shared: Vec<_> = shared.map(|key| (key["role"].as_str().unwrap(), key["alg"].as_str().unwrap())).collect();
    assert_eq!(shared, [("registry-admin", "ed25519"), ("log", "ed25519"), ("attest", "ecdsa-p256")]);
    // What was exported before says nothing of what was seen since; without that it verifies too.
    let early = file(&env, "early.json");
    assert!(failed(&env, 1, &[&[&*early], &required[..]].concat()).contains(&"log-rollback".to_owned()));
    let mut policy = Policy { seen: Vec::new(), ..policy };
    let judged = |policy: &Policy, code: i32| {
        std::fs::write(env.root().join("other.toml"), policy.to_toml()).unwrap();
        failed(&env, code, &[&early, "--policy", &file(&env, "other.toml"), "--require", "key-pinned"])
    };
    assert_eq!(judged(&policy, 0), [""; 0]);
    // Where a key was not good it does not speak.
    policy.keys.iter_mut().filter(|key| key.from == 0 && key.role == KeyRole::Run).for_each(|key| key.until = Some(1));
    assert!(judged(&policy, 1).contains(&"key-window".to_owned()));
}

#[test]
fn a_byte_changed_anywhere_is_found() {
    let env = place();
    submit(&env, PLAN, 0);
    let _bundle = export(&env, "b.json", &["run", "--artifacts", "--log"]);
    let good = bytes(&env, "b.json");
    assert_eq!(judge(&good).verdict, Verdict::Verified);
    // Positions all over the file, from one seed (a Weyl sequence); each is changed, dropped and doubled.
    let mut at = 0_usize;
    for _ in 0..150 {
        at = (at + 6_700_417) % good.len();
        let mut changed = good.clone();
        changed[at] ^= 1;
        let mut dropped = good.clone();
        dropped.remove(at);
        let mut doubled = good.clone();
        doubled.insert(at, good[at]);
        for bad in [changed, dropped, doubled] {
            assert_eq!(judge(&bad).verdict, Verdict::Failed, "byte {at}");
        }
    }
    // By the program, too.
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 1;
    std::fs::write(env.root().join("bad.json"), changed).unwrap();
    assert!(!failed(&env, 1, &[&file(&env, "bad.json")]).is_empty());
}

#[test]
fn an_open_run_is_exported_as_it_stands() {
    let env = place();
    submit(
        &env,
        r#"{"id": "open", "openEnded": true, "items": [{"id": "ok", "executor": "approval", "inputs": {"question": "Go?"}}]}"#,
        8,
    );
    let bundle = export(&env, "open.json", &["open"]);
    let sealed = &bundle["log"]["sealed"];
    assert_eq!(
        (&bundle["manifest"]["sealed"], sealed.is_null(), bundle["statements"].as_array().unwrap().len()),
        (&false.into(), true, 0)
    );
    let path = file(&env, "open.json");
    assert_eq!(failed(&env, 0, &[&path]), [""; 0]);
    assert_eq!(failed(&env, 1, &[&path, "--require", "whole-run"]), ["required-unmet"]);
}

/// Whoever holds an older checkpoint misses a run that was deleted, and a log that was begun anew.
#[test]
fn a_log_that_forgot_what_was_seen_is_found() {
    let env = place();
    submit(&env, PLAN, 0);
    let log = export(&env, "log.json", &["--log"]);
    let size = log["log"]["entries"].as_array().unwrap().len();
    let root = json(&env, &["verify", &file(&env, "log.json")]);
    assert_eq!((&root["axes"]["completeness"], &root["verdict"]), (&"all-sealed".into(), &"verified".into()));
    let note = String::from_utf8(base64_of(&log["log"]["checkpoint"])).unwrap();
    let root: String = base64_text(note.lines().nth(2).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
    let seen = |size: usize, root: &str| format!("[[seen]]\nsize = {size}\nroot = \"{root}\"\n");
    submit(&env, &PLAN.replace("\"run\"", "\"next\""), 0);
    let bundle = export(&env, "next.json", &["next", "--since", &size.to_string()]);
    let path = file(&env, "next.json");
    let with = |more: &str| policy(&env, &bundle, more);
    assert_eq!(failed(&env, 0, &[&path, "--policy", &with(&seen(size, &root))]), [""; 0]);
    let fork = root.replace(|c: char| c.is_ascii_digit(), "a");
    let said = |code: i32, path: &str, more: &str| failed(&env, code, &[path, "--policy", &with(more)]);
    assert_eq!(said(1, &path, &seen(size, &fork)), ["log-consistency", "required-unmet"]);
    assert!(said(1, &path, &seen(size + 1_000, &root)).contains(&"log-rollback".to_owned()));
    // Without a proof from there nobody can tell.
    let _plain = export(&env, "plain.json", &["next"]);
    let plain = file(&env, "plain.json");
    assert_eq!(said(2, &plain, &seen(size - 1, &root)), ["log-unseen"]);
    let told = admin(&env, &["audit", "next", "--since", "9999", "--out", &file(&env, "x.json")]).fails(6);
    assert!(told.contains("since-beyond"), "{told}");
}

fn base64_text(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn base64_of(value: &Value) -> Vec<u8> {
    base64_text(value.as_str().unwrap())
}
