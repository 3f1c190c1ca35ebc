//! Keys that are replaced while programs have the home open.

use std::os::unix::fs::PermissionsExt as _;

use agora_core::audit::note::{Note, VerifyKey};
use agora_core::audit::policy::{KeyRole, rotation_text};
use agora_core::id::{Enc, Word};
use agora_core::record::{CancelVia, LogRecord};
use agora_engine::Engine;
use agora_engine::keys::{Role, origin, staged_path, trusted, trusted_path};
use agora_engine::operations::{AuditArgs, Caller, KeyChange};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::common::{Home, caller, check, code_of, item, plan, submit, wait_end, within};

/// The seed of the run key of a home, of its attest key, and of the one that takes the place of either.
const OLD: u8 = 2;
pub(crate) const OLD_ATTEST: u8 = 3;
const NEW: u8 = 8;

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn key(home: &Home, seed: u8) -> VerifyKey {
    key_of(home, Role::Run, seed)
}

fn key_of(home: &Home, role: Role, seed: u8) -> VerifyKey {
    let name = role.key_name(&origin(home.path()).unwrap());
    VerifyKey::new(name, pair(seed).public_key().as_ref().try_into().unwrap()).unwrap()
}

/// Lays the new key beside the old one, both trusted.
pub(crate) fn stage(home: &Home, role: Role, old: u8) {
    // PKCS#8 version 1 (RFC 8410 §7).
    let prefix = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let der: Vec<u8> = prefix.into_iter().chain([NEW; 32]).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
    let path = staged_path(home.path(), role.as_str());
    std::fs::write(&path, pem).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(trusted(home.path(), role.as_str()).unwrap(), [key_of(home, role, old)]);
    let both = format!("{}\n{}\n", key_of(home, role, old), key_of(home, role, NEW));
    std::fs::write(trusted_path(home.path(), role.as_str()), both).unwrap();
}

/// A rotation from the old run key to the new one, signed for the old one by the key of this seed.
fn change(home: &Home, signed_by: u8) -> KeyChange {
    change_of(home, (Role::Run, KeyRole::Run), OLD, signed_by)
}

/// The same for another role.
pub(crate) fn change_of(home: &Home, (role, word): (Role, KeyRole), old: u8, signed_by: u8) -> KeyChange {
    let (log, name) = (origin(home.path()).unwrap().to_string(), key_of(home, role, NEW).name);
    Box::new(move |_, seq| {
        let base64 = |seed| STANDARD.encode(pair(seed).public_key());
        let text = rotation_text(&log, word, seq, &base64(old), &base64(NEW));
        let sign = |seed| STANDARD.encode(pair(seed).sign(text.as_bytes()));
        Ok(LogRecord::KeyRotated {
            name: Enc::encode(&name),
            role: Word::new(role.as_str()).unwrap(),
            alg: Word::new("ed25519").unwrap(),
            key: base64(NEW),
            custody: Word::new("file").unwrap(),
            old: base64(old),
            sig_old: sign(signed_by),
            sig_new: sign(NEW),
        })
    })
}

/// Who signed the checkpoint of a run.
async fn signed_by(engine: &Engine, run: &str, key: &VerifyKey) -> bool {
    let args = AuditArgs { run_id: run.to_owned(), ..AuditArgs::default() };
    let note = engine.audit(&caller(), args).await.unwrap().checkpoint.unwrap();
    Note::parse(note.as_bytes()).unwrap().signatures.iter().all(|line| line.claims(key))
}

async fn done(engine: &Engine, run: &str) {
    submit(engine, plan(run, vec![item("a", &[])])).await;
    wait_end(engine, &[run]).await;
}

#[tokio::test]
async fn a_driver_signs_with_the_keys_that_are_in_force_when_it_begins() {
    let home = Home::new().await;
    // Opened before, as an agent's client that waits for its turn to drive.
    let waits = home.open().await;
    let engine = home.open().await;
    let driver = engine.drive();
    done(&engine, "before").await;
    driver.stop().await;
    stage(&home, Role::Run, OLD);
    let held = engine.undriven().unwrap();
    engine.change_keys(&held, &caller(), change(&home, OLD)).await.unwrap();
    drop(held);
    let driver = waits.drive();
    done(&waits, "after").await;
    assert!(signed_by(&waits, "before", &key(&home, OLD)).await);
    assert!(signed_by(&waits, "after", &key(&home, NEW)).await);
    check(&waits, &["before", "after"]).await;
    driver.stop().await;
}

#[tokio::test]
async fn keys_are_changed_by_an_operator_alone_with_both_signatures_and_while_nobody_drives() {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    assert!(within(driver.idle()).await);
    assert_eq!(code_of(engine.undriven()), "home-busy");
    driver.stop().await;
    let held = engine.undriven().unwrap();
    assert_eq!(code_of(engine.undriven()), "home-busy");
    stage(&home, Role::Run, OLD);
    let tool = Caller { via: CancelVia::Mcp, ..caller() };
    assert_eq!(code_of(engine.change_keys(&held, &tool, change(&home, OLD)).await), "operator-only");
    assert_eq!(code_of(engine.change_keys(&held, &caller(), change(&home, NEW)).await), "key-rotation");
    assert_eq!(engine.key_history().await.unwrap().named(&key(&home, OLD).name).count(), 1);
    let seq = engine.change_keys(&held, &caller(), change(&home, OLD)).await.unwrap();
    assert_eq!(engine.key_history().await.unwrap().named(&key(&home, OLD).name).count(), 2);
    assert_eq!(engine.log_seen().await.unwrap().unwrap().size, seq + 1);
}
