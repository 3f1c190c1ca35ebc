//! Verified and accepted snapshots, with real keys. The bytes are made here by hand: the product makes them elsewhere.

use std::collections::BTreeMap;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::super::note::note_text;
use super::*;
use crate::audit::note::{Note, sign_text};
use crate::canon;
use crate::error::Coded as _;
use crate::registry::snapshot::Snapshot;

const ID: &str = "5e1c5e1c5e1c5e1c5e1c5e1c5e1c5e1c";

struct Key(Ed25519KeyPair, String);

fn key(seed: u8) -> Key {
    Key(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(), admin_key_name(ID))
}

impl Key {
    fn public(&self) -> VerifyKey {
        VerifyKey::new(self.1.clone(), self.raw()).unwrap()
    }

    fn raw(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        let signature = self.0.sign(text.as_bytes()).as_ref().try_into().unwrap();
        sign_text(text, &self.1, &self.raw(), &signature).unwrap()
    }
}

/// A published version.
#[derive(Clone)]
struct Version {
    snapshot: Vec<u8>,
    note: Vec<u8>,
}

/// Makes a version: signed by `by`, naming `next` for the one after.
fn publish(before: Option<&Version>, version: u64, by: &Key, next: &Key, change: impl FnOnce(&mut Value)) -> Version {
    let mut value = json!({"format": "agora-registry/v1", "registry": ID, "version": version, "comment": "c",
        "created": "2027-01-15T09:30:00.000000Z", "admin_keys": [next.public().to_string()], "entries": {}, "revoked": []});
    if let Some(before) = before {
        value["previous"] = json!({"snapshot": Digest::of(&before.snapshot), "note": Digest::of(&before.note)});
    }
    change(&mut value);
    let snapshot = canon::to_bytes(&value).unwrap();
    let read = Snapshot::parse(&snapshot).unwrap();
    let note = by.sign(&note_text(&read, &Digest::of(&snapshot)));
    Version { snapshot, note }
}

fn chain(count: u64, by: &Key) -> Vec<Version> {
    let mut all: Vec<Version> = Vec::new();
    for version in 1..=count {
        let next = publish(all.last(), version, by, by, |_| {});
        all.push(next);
    }
    all
}

fn blobs(versions: &[Version]) -> BTreeMap<Digest, Vec<u8>> {
    versions
        .iter()
        .flat_map(|v| [v.snapshot.clone(), v.note.clone()])
        .map(|bytes| (Digest::of(&bytes), bytes))
        .collect()
}

fn seen(version: &Version, trust: &Key) -> Seen {
    open(&version.snapshot, &version.note, &[trust.public()], None, |_| None).unwrap().1
}

fn next(version: &Version, last: &Seen, all: &[Version]) -> Result<Seen, &'static str> {
    let blobs = blobs(all);
    // Nothing is trusted but what was seen.
    let opened = open(&version.snapshot, &version.note, &[], Some(last), |digest| blobs.get(digest).cloned());
    opened.map(|(_, seen)| seen).map_err(|error| error.code())
}

#[test]
fn a_signed_snapshot_is_verified_and_another_is_not() {
    let (admin, other) = (key(1), key(2));
    let version = publish(None, 1, &admin, &admin, |_| {});
    let verified = verify(&version.snapshot, &version.note, &[other.public(), admin.public()]).unwrap();
    assert_eq!(verified.snapshot().version, 1);
    assert_eq!(verified.digest(), Digest::of(&version.snapshot));
    assert_eq!(verified.note_digest(), Digest::of(&version.note));
    let code = |snapshot: &[u8], note: &[u8], keys: &[VerifyKey]| {
        verify(snapshot, note, keys).map(|_| ()).map_err(|e| e.code())
    };
    let trust = [admin.public()];
    assert_eq!(code(&version.snapshot, &version.note, &trust), Ok(()));
    assert_eq!(code(&version.snapshot, &version.note, &[other.public()]), Err("registry-signature"));
    assert_eq!(code(&version.snapshot, &version.note, &[]), Err("registry-signature"));
    assert_eq!(code(&version.snapshot, b"", &trust), Err("registry-signature"));
    assert_eq!(code(&version.snapshot, &vec![b'a'; 70_000], &trust), Err("registry-signature"));
    let mut edited = version.snapshot.clone();
    *edited.last_mut().unwrap() = b' ';
    assert_eq!(code(&edited, &version.note, &trust), Err("registry-digest"));
    assert_eq!(code(b"", &version.note, &trust), Err("registry-digest"));
}

/// Every byte of the note counts: flipped, it is refused. Every byte of the snapshot too.
#[test]
fn any_flipped_bit_is_found() {
    let admin = key(1);
    let version = publish(None, 1, &admin, &admin, |_| {});
    let trust = [admin.public()];
    for at in 0..version.note.len() {
        let mut note = version.note.clone();
        note[at] ^= 1;
        assert!(verify(&version.snapshot, &note, &trust).is_err(), "byte {at} of the note");
    }
    for at in (0..version.snapshot.len()).step_by(7) {
        let mut snapshot = version.snapshot.clone();
        snapshot[at] ^= 1;
        assert!(verify(&snapshot, &version.note, &trust).is_err(), "byte {at} of the snapshot");
    }
}

#[test]
fn keys_of_another_role_or_registry_sign_no_registry() {
    let admin = key(1);
    let version = publish(None, 1, &admin, &admin, |_| {});
    let text = Note::parse(&version.note).unwrap().text;
    for name in ["example.org/agora", "example.org/agora/run", "agora/registry-admin/00000000000000000000000000000000"]
    {
        let impostor = Key(Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap(), name.to_owned());
        let trust = [impostor.public(), key(3).public()];
        assert_eq!(verify(&version.snapshot, &impostor.sign(&text), &trust).unwrap_err().code(), "registry-signature");
    }
}

#[test]
fn what_is_signed_is_read_strictly() {
    let admin = key(1);
    let trust = [admin.public()];
    let version = publish(None, 1, &admin, &admin, |_| {});
    let text = Note::parse(&version.note).unwrap().text;
    let code =
        |snapshot: &[u8], text: &str| verify(snapshot, &admin.sign(text), &trust).map(|_| ()).map_err(|e| e.code());
    assert_eq!(code(&version.snapshot, &text), Ok(()));
    for (from, to) in [
        ("\n1\n", "\n01\n"),
        ("\n1\n", "\n+1\n"),
        ("-\n", "\n"),
        ("-\n", "-\nmore\n"),
        ("registry/v1", "registry/v2"),
        ("-\n", "--\n"),
    ] {
        assert_eq!(code(&version.snapshot, &text.replacen(from, to, 1)), Err("registry-signature"), "{from:?} {to:?}");
    }
    assert_eq!(code(&version.snapshot, &text.replace("\n1\n", "\n2\n")), Err("registry-digest"));
    let loose = [version.snapshot.as_slice(), b"\n"].concat();
    let of_loose = text.replace(&Digest::of(&version.snapshot).to_string(), &Digest::of(&loose).to_string());
    assert_eq!(code(&loose, &of_loose), Err("not-canonical"));
    assert_eq!(NoteText::of_note(&version.note).unwrap().snapshot, Digest::of(&version.snapshot));
    assert!(NoteText::parse("example.org/log\n1\nAAAA\n").is_err());
}

#[test]
fn a_version_follows_the_one_before_it() {
    let admin = key(1);
    let all = chain(5, &admin);
    let second = seen(&all[1], &admin);
    for ahead in 1..5 {
        let now = next(&all[ahead], &second, &all).unwrap();
        assert_eq!((now.version, now.digest), (ahead as u64 + 1, Digest::of(&all[ahead].snapshot)));
        assert_eq!(next(&all[ahead], &now, &[]), Ok(now.clone()), "and itself");
    }
    assert_eq!(next(&all[0], &second, &all), Err("registry-rollback"));
    assert_eq!(next(&all[2], &second, &[]).map(|s| s.version), Ok(3), "the next one needs no blobs");
    assert_eq!(next(&all[4], &second, &all[..3]), Err("registry-fork"), "a blob of the chain is missing");
}

#[test]
fn what_parted_from_it_is_a_fork() {
    let admin = key(1);
    let all = chain(4, &admin);
    let second = seen(&all[1], &admin);
    let twin = publish(Some(&all[0]), 2, &admin, &admin, |v| v["comment"] = json!("another"));
    assert_eq!(next(&twin, &second, &all), Err("registry-fork"));
    let of_twin = publish(Some(&twin), 3, &admin, &admin, |_| {});
    assert_eq!(next(&of_twin, &second, &[]), Err("registry-fork"));
    let further = publish(Some(&of_twin), 4, &admin, &admin, |_| {});
    assert_eq!(next(&further, &second, &[twin, of_twin, further.clone()]), Err("registry-fork"));
    let jump = publish(Some(&all[1]), 4, &admin, &admin, |_| {});
    assert_eq!(next(&jump, &second, &all), Err("registry-fork"), "version 4 names version 2 as the one before");
    let far = publish(Some(&all[1]), 3 + CATCH_UP_MAX, &admin, &admin, |_| {});
    assert_eq!(next(&far, &second, &all), Err("registry-fork"));
    let elsewhere = Seen { registry: "0".repeat(32), ..second.clone() };
    assert_eq!(next(&all[2], &elsewhere, &all), Err("registry-fork"));
    assert!(next(&all[2], &second, &all).is_ok());
}

#[test]
fn a_rotated_key_signs_from_the_next_version_on() {
    let (old, new) = (key(1), key(2));
    let first = publish(None, 1, &old, &old, |_| {});
    let rotation = publish(Some(&first), 2, &old, &new, |_| {});
    let third = publish(Some(&rotation), 3, &new, &new, |_| {});
    let all = [first.clone(), rotation.clone(), third.clone()];
    let one = seen(&first, &old);
    let two = next(&rotation, &one, &all).unwrap();
    assert_eq!(two.admin_keys, [new.public().to_string()]);
    assert_eq!(next(&rotation, &two, &[]), Ok(two.clone()), "read again, it is still signed by the old key");
    assert!(next(&third, &two, &[]).is_ok());
    assert!(next(&third, &one, &all).is_ok(), "followed across the rotation");
    let by_old = publish(Some(&rotation), 3, &old, &new, |_| {});
    assert_eq!(next(&by_old, &two, &all), Err("registry-signature"));
    assert_eq!(next(&by_old, &one, &all), Err("registry-signature"));
    let garbage = Version { snapshot: b"{".to_vec(), note: by_old.note.clone() };
    assert_eq!(next(&garbage, &two, &all), Err("registry-signature"), "nobody's bytes are not parsed");
    let too_early = publish(Some(&first), 2, &new, &new, |_| {});
    assert_eq!(next(&too_early, &one, &all), Err("registry-signature"));
    let mut touched = rotation.clone();
    touched.note = new.sign(&Note::parse(&rotation.note).unwrap().text);
    assert_eq!(next(&touched, &two, &[]), Err("registry-signature"), "another note over the same version");
    let unreadable = publish(Some(&first), 2, &old, &old, |v| v["admin_keys"] = json!(["nobody"]));
    assert_eq!(next(&unreadable, &one, &all), Err("registry-signature"));
}

#[test]
fn accept_asks_the_same_of_a_verified_snapshot() {
    let admin = key(1);
    let all = chain(3, &admin);
    let blobs = blobs(&all);
    let trust = [admin.public()];
    let verified = |v: &Version| verify(&v.snapshot, &v.note, &trust).unwrap();
    let first = accept(&verified(&all[0]), None, |_| None).unwrap();
    assert_eq!(first.signed_under, first.admin_keys);
    assert_eq!(first, seen(&all[0], &admin));
    let third = accept(&verified(&all[2]), Some(&first), |d| blobs.get(d).cloned()).unwrap();
    assert_eq!(third.version, 3);
    assert_eq!(accept(&verified(&all[0]), Some(&third), |_| None).unwrap_err().code(), "registry-rollback");
    let json = serde_json::to_string(&third).unwrap();
    assert_eq!(serde_json::from_str::<Seen>(&json).unwrap(), third);
}
