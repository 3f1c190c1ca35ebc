//! A crash between any two writes of a publication leaves the version before or the new one, never half of one.

use super::{NOW, Place};
use crate::keys::AdminKey;
use crate::registry::sign::{Step, may_sign, sign};
use crate::registry::{Before, Draft, Editor, LOCK_WAIT, Mode, RegistryLock, Staged};
use agora_core::error::Coded as _;
use agora_core::registry::Kind;
use agora_core::seam::BlobStore as _;
use agora_core::time::Time;
use std::fs;

const DOCUMENT: &str = "[env.a]\nvalues = { A = \"1\" }\n";
const NEXT: &str = "[env.a]\nvalues = { A = \"2\" }\n";

/// Performs the first `steps` steps of publishing version 3, as a writer that dies then would have.
async fn publish_partly(place: &Place, steps: usize) {
    let lock = RegistryLock::acquire(&place.home(), LOCK_WAIT).await.unwrap();
    let current = place.read().await;
    let mut draft = Draft::of_verified(&current.bytes).unwrap();
    let mut staged = Staged::default();
    let env = staged.add(br#"{"format":"agora-env/v1","values":{"A":"2"}}"#.to_vec()).unwrap();
    draft.version += 1;
    draft.previous = Some(Before { snapshot: current.digest, note: current.note_digest });
    let entry = draft.entries.values_mut().next().unwrap().values_mut().next().unwrap();
    entry.history.insert(0, crate::registry::Past { digest: entry.digest, since: entry.since });
    (entry.digest, entry.since) = (env, draft.version);
    let key = AdminKey::open(&place.home(), &draft.registry, &may_sign(&draft)).unwrap();
    let signed = sign(&draft, &key).unwrap();
    for step in &Step::ORDER[..steps] {
        step.perform(lock.folder(), &signed, &staged, &place.blobs).await.unwrap();
    }
    // What the next step had begun when the power went.
    fs::write(lock.folder().join(".agora-tmp-crash"), &signed.bytes().1[..20]).unwrap();
}

#[tokio::test]
async fn after_each_step_one_whole_version_is_in_force_and_the_next_writer_goes_on() {
    for steps in 0..=Step::ORDER.len() {
        let place = Place::new().await;
        place.deploy(DOCUMENT).await;
        publish_partly(&place, steps).await;
        let expected = if steps == Step::ORDER.len() { 3 } else { 2 };
        let current = place.read().await;
        assert_eq!(current.snapshot.version, expected, "after {steps} steps");
        let env = current.env(&super::name("a"), &place.blobs).await.unwrap().unwrap().1;
        assert_eq!(env.values["A"], if expected == 3 { "2" } else { "1" });
        assert!(place.blobs.has(&current.digest).await.unwrap());
        // The version that a store has seen stays acceptable.
        let seen = current.seen;
        let deployed = place.deploy(NEXT).await;
        assert_eq!(deployed.published.is_some(), expected == 2, "after {steps} steps");
        let reader = agora_engine::registry::RegistryReader::open(&place.home());
        assert_eq!(reader.read(Some(&seen), &place.blobs).await.unwrap().snapshot.version, 3);
        let left: Vec<_> =
            fs::read_dir(place.home().join("registry")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "{left:?}");
    }
}

#[tokio::test]
async fn a_reader_that_is_versions_behind_follows_the_chain() {
    let place = Place::new().await;
    let seen = place.read().await.seen;
    for value in 0..4 {
        place.deploy(&format!("[env.a]\nvalues = {{ A = \"{value}\" }}\n")).await;
    }
    let reader = agora_engine::registry::RegistryReader::open(&place.home());
    let current = reader.read(Some(&seen), &place.blobs).await.unwrap();
    assert_eq!((current.snapshot.version, current.seen.version), (5, 5));
    let between = current.snapshot.previous.unwrap();
    place.blobs.remove(&between.note);
    assert_eq!(reader.read(Some(&seen), &place.blobs).await.unwrap_err().code(), "registry-fork");
    reader.read(Some(&current.seen), &place.blobs).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deploys_at_once_come_one_after_the_other() {
    let place = Place::new().await;
    let (one, two) = tokio::join!(
        place.deploy("[env.a]\nvalues = { A = \"1\" }\n"),
        place.deploy("[env.b]\nvalues = { B = \"1\" }\n")
    );
    let mut versions = [one, two].map(|deployed| deployed.published.unwrap().version);
    versions.sort_unstable();
    assert_eq!(versions, [2, 3]);
    assert_eq!(place.read().await.known().envs.len(), 2, "neither was lost");
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_another_and_not_for_ever() {
    let place = Place::new().await;
    let lock = RegistryLock::acquire(&place.home(), LOCK_WAIT).await.unwrap();
    let home = place.home();
    let editor = Editor::new(&home, &place.blobs, None, Time::from_micros(NOW));
    let entry = super::name("a");
    let remove = || editor.remove(Kind::Env, &entry, Mode::Apply);
    assert_eq!(remove().await.unwrap_err().code(), "registry-busy");
    drop(lock);
    assert_eq!(remove().await.unwrap_err().code(), "entry-unknown");
}

#[tokio::test]
async fn nothing_is_signed_that_readers_would_refuse() {
    let place = Place::new().await;
    let current = place.read().await;
    let draft = Draft::of_verified(&current.bytes).unwrap();
    let key = AdminKey::open(&place.home(), &draft.registry, &may_sign(&draft)).unwrap();
    sign(&draft, &key).unwrap();
    for wrong in [
        Draft { comment: "two\nlines".to_owned(), ..draft.clone() },
        Draft { version: 2, ..draft.clone() },
        Draft { registry: "x".to_owned(), ..draft.clone() },
        Draft { admin_keys: Vec::new(), ..draft.clone() },
    ] {
        assert!(sign(&wrong, &key).is_err(), "{wrong:?}");
    }
}
