use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::audit::policy::{KeyRole, rotation_text};
use crate::error::Coded as _;
use crate::id::{Digest, Enc, Word};
use crate::record::{KeyRecord, LogRecord};

const LOG: &str = "example.com/agora";
const RUN: &str = "example.com/agora/run";
const REGISTRY: &str = "agora/registry-admin/0123456789abcdef0123456789abcdef";

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn base64(seed: u8) -> String {
    STANDARD.encode(pair(seed).public_key())
}

fn word(text: &str) -> Word {
    Word::new(text).unwrap()
}

fn record(name: &str, role: &str, seed: u8) -> KeyRecord {
    KeyRecord {
        name: Enc::encode(name),
        role: word(role),
        alg: word("ed25519"),
        key: base64(seed),
        custody: word("file"),
    }
}

fn opened() -> LogRecord {
    let keys = vec![record(LOG, "log", 1), record(RUN, "run", 2)];
    LogRecord::LogOpened { format: Enc::encode("agora-log/v1"), keys }
}

/// A rotation that says it stands at `seq`, signed by the keys of these seeds.
fn rotated(seq: u64, name: &str, role: KeyRole, seeds: (u8, u8), signed_by: (u8, u8)) -> LogRecord {
    let (old, key) = (base64(seeds.0), base64(seeds.1));
    let text = rotation_text(LOG, role, seq, &old, &key);
    let sign = |seed| STANDARD.encode(pair(seed).sign(text.as_bytes()));
    LogRecord::KeyRotated {
        name: Enc::encode(name),
        role: word(role.as_str()),
        alg: word("ed25519"),
        key,
        custody: word("file"),
        old,
        sig_old: sign(signed_by.0),
        sig_new: sign(signed_by.1),
    }
}

fn revoked(name: &str, role: &str, seed: u8, last_good: u64) -> LogRecord {
    LogRecord::KeyRevoked {
        role: word(role),
        name: Enc::encode(name),
        key: base64(seed),
        last_good,
        reason: word("stolen"),
    }
}

fn accepted(version: u64) -> LogRecord {
    LogRecord::RegistryAccepted { version, digest: Digest::of(b""), note: Digest::of(b"") }
}

fn history(records: &[(u64, LogRecord)]) -> KeyHistory {
    let mut history = KeyHistory::new(LOG);
    history.learn(0, &opened()).unwrap();
    for (seq, record) in records {
        history.learn(*seq, record).unwrap();
    }
    history
}

fn windows(history: &KeyHistory, name: &str) -> Vec<(u64, Option<u64>, Option<u64>)> {
    history.named(name).map(|known| (known.key.from, known.key.until, known.key.last_good)).collect()
}

#[test]
fn keys_are_good_from_where_they_come_until_they_are_replaced() {
    let history = history(&[
        (4, rotated(4, RUN, KeyRole::Run, (2, 3), (2, 3))),
        (5, LogRecord::KeyAdded(record("example.com/agora/attest", "attest", 4))),
        (9, rotated(9, RUN, KeyRole::Run, (3, 5), (3, 5))),
        (10, revoked(RUN, "run", 2, 2)),
    ]);
    assert_eq!(windows(&history, LOG), [(0, None, None)]);
    assert_eq!(windows(&history, RUN), [(0, Some(4), Some(2)), (4, Some(9), None), (9, None, None)]);
    assert_eq!(windows(&history, "example.com/agora/attest"), [(5, None, None)]);
    assert_eq!(history.in_force(RUN).unwrap().key.key.base64(), base64(5));
    assert_eq!(history.named(RUN).next().unwrap().revoked, Some(word("stolen")));
    assert_eq!(history.keys().len(), 5);
}

/// Each row is refused and leaves the history as it was; its twin, right in that one thing, is taken.
#[test]
fn a_change_that_the_keys_in_force_do_not_allow_is_refused() {
    let run = |seeds, by| rotated(7, RUN, KeyRole::Run, seeds, by);
    let weak = LogRecord::KeyAdded(KeyRecord {
        key: STANDARD.encode([0; 32]),
        ..record("example.com/agora/attest", "attest", 4)
    });
    let attest = LogRecord::KeyAdded(record("example.com/agora/attest", "attest", 4));
    let good = run((2, 3), (2, 3));
    let rows: [(&str, LogRecord, &LogRecord, &str); 9] = [
        ("signed by the new key only", run((2, 3), (3, 3)), &good, "key-rotation"),
        ("signed by the old key only", run((2, 3), (2, 2)), &good, "key-rotation"),
        ("signed for another place", rotated(6, RUN, KeyRole::Run, (2, 3), (2, 3)), &good, "key-rotation"),
        ("from a key that is not in force", run((9, 3), (9, 3)), &good, "key-rotation"),
        ("to the same key", run((2, 2), (2, 2)), &good, "key-rotation"),
        ("under another role's name", rotated(7, LOG, KeyRole::Run, (2, 3), (2, 3)), &good, "key-rotation"),
        ("a second first key", LogRecord::KeyAdded(record(RUN, "run", 4)), &attest, "key-rotation"),
        ("a role nobody knows", LogRecord::KeyAdded(record(RUN, "witness", 4)), &attest, "key-rotation"),
        ("a weak key", weak, &attest, "key-weak"),
    ];
    for (what, bad, twin, code) in rows {
        let mut tried = history(&[]);
        assert_eq!(tried.learn(7, &bad).unwrap_err().code(), code, "{what}");
        assert_eq!(tried, history(&[]), "{what}");
        assert_eq!(tried.learn(7, twin), Ok(()), "{what}");
    }
    let mut tried = history(&[]);
    assert_eq!(tried.learn(7, &revoked(RUN, "run", 9, 1)).unwrap_err().code(), "key-rotation");
    assert_eq!(tried.learn(7, &revoked(LOG, "run", 1, 1)).unwrap_err().code(), "key-rotation");
    assert_eq!(tried.learn(7, &revoked(RUN, "run", 2, 1)), Ok(()));
    // What is revoked cannot say who comes next.
    assert_eq!(tried.learn(7, &good).unwrap_err().code(), "key-rotation");
}

#[test]
fn an_old_key_does_not_come_back_and_a_revocation_is_not_taken_back() {
    let back = rotated(9, RUN, KeyRole::Run, (3, 2), (3, 2));
    let mut tried = history(&[(4, rotated(4, RUN, KeyRole::Run, (2, 3), (2, 3)))]);
    assert_eq!(tried.learn(9, &back).unwrap_err().code(), "key-rotation");
    tried.learn(9, &revoked(RUN, "run", 2, 2)).unwrap();
    tried.learn(10, &revoked(RUN, "run", 2, 3)).unwrap();
    assert_eq!(windows(&tried, RUN), [(0, Some(4), Some(2)), (4, None, None)]);
}

#[test]
fn the_registrys_keys_count_by_version() {
    let rotation = |seq, seeds: (u8, u8)| rotated(seq, REGISTRY, KeyRole::RegistryAdmin, seeds, seeds);
    let history = history(&[
        (3, accepted(4)),
        (5, rotation(5, (7, 8))),
        (6, accepted(5)),
        (7, accepted(6)),
        (8, rotation(8, (8, 9))),
    ]);
    assert_eq!(windows(&history, REGISTRY), [(0, Some(5), None), (5, Some(7), None), (7, None, None)]);
}
