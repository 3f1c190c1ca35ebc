use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// The DER in front of a 32-byte seed (RFC 8410 §7).
const PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

fn pem(seed: u8) -> String {
    let der: Vec<u8> = PREFIX.into_iter().chain([seed; 32]).collect();
    format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", STANDARD.encode(der))
}

fn public(seed: u8) -> [u8; 32] {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    pair.public_key().as_ref().try_into().unwrap()
}

fn put(home: &Path, role: &str, seed: u8, name: &str) {
    let key = home.join("keys").join(format!("{role}.key"));
    std::fs::write(&key, pem(seed)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let vkey = VerifyKey { name: name.to_owned(), public_key: public(seed) };
    std::fs::write(trusted_path(home, role), format!("{vkey}\n")).unwrap();
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for folder in ["keys", "trust"] {
        std::fs::create_dir(home.path().join(folder)).unwrap();
    }
    put(home.path(), "log", 1, "ada.local/0011aabb");
    put(home.path(), "run", 2, "ada.local/0011aabb/run");
    put(home.path(), "attest", 3, "ada.local/0011aabb/attest");
    home
}

fn code(home: &Path) -> &'static str {
    Keys::open(home).unwrap_err().code()
}

#[tokio::test]
async fn the_three_keys_open_and_sign_under_their_names() {
    let home = home();
    let keys = Keys::open(home.path()).unwrap();
    assert_eq!(keys.origin().as_str(), "ada.local/0011aabb");
    for (role, seed, name) in [(Role::Log, 1, "ada.local/0011aabb"), (Role::Attest, 3, "ada.local/0011aabb/attest")] {
        let signer = keys.signer(role);
        assert_eq!((signer.name(), signer.public_key()), (name, public(seed)));
        let signature = signer.sign(b"message").await.unwrap();
        let verifier = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, signer.public_key());
        verifier.verify(b"message", &signature).unwrap();
        verifier.verify(b"another", &signature).unwrap_err();
    }
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let home = home();
    let path = home.path().join("keys/run.key");
    for mode in [0o640, 0o604, 0o620, 0o601] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(code(home.path()), "key-mode", "{mode:o}");
    }
    for mode in [0o600, 0o400] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Keys::open(home.path()).unwrap();
    }
}

#[test]
fn a_missing_swapped_linked_or_damaged_key_has_its_own_code() {
    let refused = |change: &dyn Fn(&Path), expected: &str| {
        let home = home();
        Keys::open(home.path()).unwrap();
        change(home.path());
        assert_eq!(code(home.path()), expected);
    };
    refused(&|home| std::fs::remove_file(home.join("keys/run.key")).unwrap(), "key-lost");
    refused(&|home| std::fs::remove_dir_all(home.join("keys")).unwrap(), "key-lost");
    let both = |home: &Path| {
        for half in ["keys/run.key", "trust/run.vkey"] {
            std::fs::remove_file(home.join(half)).unwrap();
        }
    };
    refused(&both, "keys-missing");
    refused(&|home| std::fs::remove_file(home.join("trust/attest.vkey")).unwrap(), "keys-missing");
    refused(&|home| std::fs::remove_dir_all(home.join("trust")).unwrap(), "keys-missing");
    refused(&|home| std::fs::write(home.join("keys/run.key"), pem(9)).unwrap(), "key-mismatch");
    refused(&|home| put(home, "run", 2, "ada.local/0011aabb/attest"), "key-mismatch");
    refused(&|home| put(home, "log", 1, "Not An Origin"), "key-malformed");
    refused(&|home| std::fs::write(home.join("keys/log.key"), "nonsense").unwrap(), "key-malformed");
    refused(&|home| std::fs::write(home.join("trust/log.vkey"), "nonsense").unwrap(), "key-malformed");
    refused(
        &|home| {
            std::fs::rename(home.join("keys/log.key"), home.join("keys/real")).unwrap();
            std::os::unix::fs::symlink("real", home.join("keys/log.key")).unwrap();
        },
        "home-file-kind",
    );
}

#[test]
fn the_engine_has_no_word_for_the_registry_admin() {
    assert_eq!(Role::parse("attest").unwrap(), Role::Attest);
    for word in ["registry-admin", "registry_admin", "../keys/registry-admin", "Log", ""] {
        assert_eq!(Role::parse(word).unwrap_err().code(), "key-role", "{word}");
    }
}

#[test]
fn an_origin_follows_its_syntax() {
    for good in ["a", "ada.local/0011aabb", "a-b.c/A_x.y-z/9"] {
        assert!(Origin::new(good).is_some(), "{good}");
    }
    assert!(Origin::new(&"a".repeat(100)).is_some());
    assert!(Origin::new(&"a".repeat(101)).is_none());
    for bad in ["", "/a", "a/", "a//b", "A/b", "a b", "a/b+c", "a_b"] {
        assert!(Origin::new(bad).is_none(), "{bad}");
    }
}

/// The log's word: the key of seed 2 was opened with for runs, and seed 8 took its place if `rotated`.
fn said(rotated: bool) -> KeyHistory {
    use agora_core::audit::policy::{KeyRole, rotation_text};
    use agora_core::id::{Enc, Word};
    use agora_core::record::{KeyRecord, LogRecord};

    let (log, name) = ("ada.local/0011aabb", "ada.local/0011aabb/run");
    let word = |text: &str| Word::new(text).unwrap();
    let base64 = |seed: u8| STANDARD.encode(public(seed));
    let key = KeyRecord {
        name: Enc::encode(name),
        role: word("run"),
        alg: word("ed25519"),
        key: base64(2),
        custody: word("file"),
    };
    let mut history = KeyHistory::new(log);
    history.learn(0, &LogRecord::LogOpened { format: Enc::encode("agora-log/v1"), keys: vec![key] }).unwrap();
    if rotated {
        let text = rotation_text(log, KeyRole::Run, 5, &base64(2), &base64(8));
        let sign =
            |seed: u8| STANDARD.encode(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap().sign(text.as_bytes()));
        let record = LogRecord::KeyRotated {
            name: Enc::encode(name),
            role: word("run"),
            alg: word("ed25519"),
            key: base64(8),
            custody: word("file"),
            old: base64(2),
            sig_old: sign(2),
            sig_new: sign(8),
        };
        history.learn(5, &record).unwrap();
    }
    history
}

#[test]
fn the_key_that_the_log_has_in_force_is_opened_wherever_a_rotation_stopped() {
    let run_key = |home: &Path, rotated: bool| {
        Keys::in_force(home, &said(rotated)).map(|keys| keys.signer(Role::Run).public_key()).map_err(|e| e.code())
    };
    let home = home();
    let home = home.path();
    assert_eq!(run_key(home, false), Ok(public(2)));
    assert_eq!(run_key(home, true), Err("key-retired"));
    // Staged and both trusted: which of the two signs, the log says.
    let old = std::fs::read_to_string(trusted_path(home, "run")).unwrap();
    put(home, "run", 8, "ada.local/0011aabb/run");
    std::fs::rename(home.join("keys/run.key"), staged_path(home, "run")).unwrap();
    let new = std::fs::read_to_string(trusted_path(home, "run")).unwrap();
    put(home, "run", 2, "ada.local/0011aabb/run");
    std::fs::write(trusted_path(home, "run"), format!("{old}{new}")).unwrap();
    assert_eq!((run_key(home, false), run_key(home, true)), (Ok(public(2)), Ok(public(8))));
    assert!(Keys::open(home).is_ok());
    // Switched.
    std::fs::rename(staged_path(home, "run"), home.join("keys/run.key")).unwrap();
    assert_eq!(run_key(home, true), Ok(public(8)));
    std::fs::write(trusted_path(home, "run"), &new).unwrap();
    assert_eq!(run_key(home, true), Ok(public(8)));
    std::fs::write(trusted_path(home, "run"), &old).unwrap();
    assert_eq!(run_key(home, true), Err("key-mismatch"));
}

#[test]
fn two_keys_of_a_log_have_one_origin() {
    let home = home();
    let line = |name: &str| format!("{}\n", VerifyKey { name: name.to_owned(), public_key: public(1) });
    let next = VerifyKey { name: "ada.local/0011aabb".to_owned(), public_key: public(8) };
    std::fs::write(trusted_path(home.path(), "log"), format!("{}{next}\n", line("ada.local/0011aabb"))).unwrap();
    assert_eq!(Keys::open(home.path()).unwrap().origin().as_str(), "ada.local/0011aabb");
    std::fs::write(trusted_path(home.path(), "log"), format!("{}{next}\n", line("other.local"))).unwrap();
    assert_eq!(code(home.path()), "key-malformed");
}
