//! Statements as they are handed out: files that in-toto tools and cosign read, verified with the public halves in `trust/`.

use std::path::{Path, PathBuf};

use agora_testkit::env::TestEnv;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::runs::{place, submit};
use crate::support::{admin, json};

const PLAN: &str = r#"{"id": "run", "workspace": {"name": "cwd"}, "items": [
  {"id": "a", "inputs": {"subagent": "writer", "workerInput": {"name": "a.txt", "text": "by a"}}},
  {"id": "b:2", "inputs": {"subagent": "writer", "workerInput": {"name": "b.txt", "text": "by b"}}, "depends_on": ["a"]}]}"#;

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// The bytes that are signed (DSSE protocol), written here once more.
fn signed_bytes(envelope: &Value) -> Vec<u8> {
    let (kind, payload) = (envelope["payloadType"].as_str().unwrap(), bytes(&envelope["payload"]));
    [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), &payload].concat()
}

/// The Ed25519 key of a C2SP verifier key, and the point of a PEM file.
fn public_halves(env: &TestEnv) -> (Vec<u8>, Vec<u8>) {
    let trust = |name: &str| std::fs::read_to_string(env.home().join("trust").join(name)).unwrap();
    let vkey = trust("attest.vkey");
    let ed25519 = STANDARD.decode(vkey.trim().splitn(3, '+').nth(2).unwrap()).unwrap()[1..].to_vec();
    let pem: String = trust("attest-p256.pub").lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(pem).unwrap();
    (ed25519, der[der.len() - 65..].to_vec())
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn named(folder: &Path, item: &str, end: &str) -> PathBuf {
    let files = files(folder);
    folder.join(files.iter().find(|name| name.ends_with(&format!("-{item}.{end}"))).unwrap())
}

#[test]
fn statements_are_written_and_verify_with_the_keys_in_trust() {
    let env = place();
    submit(&env, PLAN, 0);
    let folder = env.root().join("evidence/of/run");
    let reply = json(&env, &["audit", "run", "--statements", folder.to_str().unwrap()]);
    assert_eq!((&reply["verdict"], reply["statements"].as_array().unwrap().len()), (&"verified".into(), 2), "{reply}");
    assert_eq!(files(&folder).len(), 4);
    let (ed25519, p256) = public_halves(&env);
    for item in ["a", "b:2"] {
        let envelope = read(&named(&folder, item, "dsse.json"));
        let message = signed_bytes(&envelope);
        let [first, second] = &envelope["signatures"].as_array().unwrap()[..] else { panic!("{envelope}") };
        UnparsedPublicKey::new(&ED25519, &ed25519).verify(&message, &bytes(&first["sig"])).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &p256).verify(&message, &bytes(&second["sig"])).unwrap();
        let mut other = message.clone();
        *other.last_mut().unwrap() ^= 1;
        UnparsedPublicKey::new(&ED25519, &ed25519).verify(&other, &bytes(&first["sig"])).unwrap_err();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &p256).verify(&other, &bytes(&second["sig"])).unwrap_err();
        assert!(first["keyid"].as_str().unwrap().ends_with("/attest"), "{envelope}");
        assert!(second["keyid"].as_str().unwrap().ends_with("/attest-p256"), "{envelope}");

        let statement: Value = serde_json::from_slice(&bytes(&envelope["payload"])).unwrap();
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
        assert_eq!(statement["predicate"]["buildDefinition"]["externalParameters"]["item"], item);
        // The subject is what `sha256sum` says of the patch.
        let patch = env.root().join("patch");
        let _ = std::fs::remove_file(&patch);
        admin(&env, &["result", "run", item, "--part", "patch", "--out", patch.to_str().unwrap()]).ok();
        let digest: String =
            Sha256::digest(std::fs::read(&patch).unwrap()).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(statement["subject"], serde_json::json!([{"name": "patch", "digest": {"sha256": digest}}]));

        let bundle = read(&named(&folder, item, "sigstore.json"));
        assert_eq!(bundle["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
        assert!(bundle["verificationMaterial"]["publicKey"]["hint"].is_string(), "{bundle}");
        assert_eq!(bundle["dsseEnvelope"]["payload"], envelope["payload"]);
        assert_eq!(bundle["dsseEnvelope"]["signatures"], serde_json::json!([{"sig": second["sig"]}]));
    }

    // Nothing is written over, and what was handed out is handed out again.
    let before = files(&folder).iter().map(|name| std::fs::read(folder.join(name)).unwrap()).collect::<Vec<_>>();
    let text = admin(&env, &["audit", "run", "--statements", folder.to_str().unwrap()]).fails(6);
    assert!(text.contains("[file-unwritable]") && text.contains("written over"), "{text}");
    let again = env.root().join("again");
    assert!(admin(&env, &["audit", "run", "--statements", again.to_str().unwrap()]).ok().contains("-a.dsse.json"));
    let after = files(&again).iter().map(|name| std::fs::read(again.join(name)).unwrap()).collect::<Vec<_>>();
    assert_eq!(before, after);
}

#[test]
fn an_open_run_has_none_yet_and_a_collected_one_still_has_them() {
    let env = place();
    let open = r#"{"id": "open", "items": [{"id": "gate", "executor": "approval", "inputs": {"question": "go on?"}}]}"#;
    submit(&env, open, 8);
    let folder = env.root().join("evidence");
    let text = admin(&env, &["audit", "open", "--statements", folder.to_str().unwrap()]).fails(2);
    assert!(text.contains("[run-not-sealed]"), "{text}");
    assert!(!folder.exists());

    submit(&env, PLAN, 0);
    let reply = json(&env, &["gc", "--older-than", "0h"]);
    assert_eq!(reply["runs"], serde_json::json!(["run"]), "{reply}");
    let reply = json(&env, &["audit", "run", "--statements", folder.to_str().unwrap()]);
    assert!(reply["collected"].is_string() && reply["statements"].as_array().unwrap().len() == 2, "{reply}");
    // What is kept beside the runs is in a backup.
    let (backup, home) = (env.root().join("home.tar"), env.root().join("restored"));
    admin(&env, &["backup", backup.to_str().unwrap()]).ok();
    admin(&env, &["--home", home.to_str().unwrap(), "restore", backup.to_str().unwrap()]).ok();
    let again = env.root().join("again");
    admin(&env, &["--home", home.to_str().unwrap(), "audit", "run", "--statements", again.to_str().unwrap()]).ok();
    assert_eq!(files(&folder), files(&again));
    for name in files(&folder) {
        assert_eq!(std::fs::read(folder.join(&name)).unwrap(), std::fs::read(again.join(&name)).unwrap(), "{name}");
    }
}

/// A home of an earlier version is given the key by `init`, and the log names it.
#[test]
fn a_home_without_the_second_key_is_given_it() {
    let env = place();
    for half in ["keys/attest-p256.key", "trust/attest-p256.pub"] {
        std::fs::remove_file(env.home().join(half)).unwrap();
    }
    assert!(admin(&env, &["doctor"]).stdout.contains("attest-p256"));
    submit(&env, PLAN, 0);
    let made = json(&env, &["init"]);
    assert_eq!(made["made"], serde_json::json!(["keys/attest-p256.key"]), "{made}");
    assert_eq!(json(&env, &["init"])["was_whole"], true);
    let folder = env.root().join("evidence");
    let reply = json(&env, &["audit", "run", "--statements", folder.to_str().unwrap()]);
    assert!(reply["statements"].as_array().unwrap().iter().all(|one| one["sigstore"].is_null()), "{reply}");
    submit(&env, &PLAN.replace("\"run\"", "\"next\""), 0);
    let folder = env.root().join("next");
    let reply = json(&env, &["audit", "next", "--statements", folder.to_str().unwrap()]);
    assert!(reply["statements"].as_array().unwrap().iter().all(|one| one["sigstore"].is_string()), "{reply}");
    // Once the log has named it, it is not made anew.
    for half in ["keys/attest-p256.key", "trust/attest-p256.pub"] {
        std::fs::remove_file(env.home().join(half)).unwrap();
    }
    assert!(admin(&env, &["init"]).fails(6).contains("[identity-lost]"));
}
