//! P03: edit, swap, roll back, delete or link any file of the registry, and the next use is refused with its own code.

use std::fs;
use std::path::Path;

use agora_core::error::Coded as _;
use agora_core::registry::{Kind, Seen};
use agora_core::seam::BlobStore as _;
use agora_engine::registry::RegistryReader;

use super::{Place, copy, name};

const ONE: &str = "[env.a]\nvalues = { A = \"1\" }\n";
const TWO: &str = "[env.a]\nvalues = { A = \"2\" }\n";

/// A home at version 3, with the files of version 2 kept in `old/`, and what a store has seen.
async fn place() -> (Place, Seen) {
    let place = Place::new().await;
    place.deploy(ONE).await;
    copy(&place.home().join("registry"), &place.documents().join("old"));
    place.deploy(TWO).await;
    let seen = place.read().await.seen;
    (place, seen)
}

async fn code(place: &Place, last: Option<&Seen>) -> &'static str {
    match RegistryReader::open(&place.home()).read(last, &place.blobs).await {
        Ok(_) => "ok",
        Err(error) => error.code(),
    }
}

/// Touches the registry's folder and says how the next use is refused, at first use and by a store that has seen it.
async fn after(touch: impl Fn(&Path, &Path)) -> (&'static str, &'static str) {
    let (place, seen) = place().await;
    assert_eq!((code(&place, None).await, code(&place, Some(&seen)).await), ("ok", "ok"), "the untouched twin");
    touch(&place.home().join("registry"), &place.documents().join("old"));
    (code(&place, None).await, code(&place, Some(&seen)).await)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn link(path: &Path) {
    let beside = path.with_extension("real");
    fs::rename(path, &beside).unwrap();
    std::os::unix::fs::symlink(beside, path).unwrap();
}

#[tokio::test]
async fn edited() {
    for at in [0, 5, 40, 200, usize::MAX] {
        assert_eq!(
            after(|folder, _| flip(&folder.join("snapshot.json"), at)).await,
            ("registry-digest", "registry-digest")
        );
    }
    for at in [0, 20, 60, usize::MAX - 1] {
        let (first, later) = after(|folder, _| flip(&folder.join("snapshot.note"), at)).await;
        let expected = ["registry-signature", "registry-digest", "registry-fork"];
        assert!(expected.contains(&first) && expected.contains(&later), "{at}: {first} {later}");
    }
    let longer = |folder: &Path, name: &str| {
        let mut bytes = fs::read(folder.join(name)).unwrap();
        bytes.extend(vec![b'\n'; 70_000]);
        fs::write(folder.join(name), bytes).unwrap();
    };
    assert_eq!(after(|folder, _| longer(folder, "snapshot.note")).await.0, "registry-signature");
    assert_eq!(after(|folder, _| longer(folder, "snapshot.json")).await.0, "registry-digest");
}

#[tokio::test]
async fn swapped() {
    let swap = |folder: &Path, _: &Path| {
        let (a, b) = (folder.join("snapshot.json"), folder.join("snapshot.note"));
        let (one, two) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
        fs::write(a, two).unwrap();
        fs::write(b, one).unwrap();
    };
    assert_eq!(after(swap).await, ("registry-signature", "registry-signature"));
    let (place, seen) = place().await;
    let (other, _) = self::place().await;
    copy(&other.home().join("registry"), &place.home().join("registry"));
    assert_eq!(code(&place, None).await, "registry-signature", "another installation's, with another key");
    assert_eq!(code(&place, Some(&seen)).await, "registry-fork");
}

#[tokio::test]
async fn rolled_back() {
    let both = |folder: &Path, old: &Path| copy(old, folder);
    // Who has seen nothing yet cannot know: the store can.
    assert_eq!(after(both).await, ("ok", "registry-rollback"));
    let one = |name: &'static str| {
        move |folder: &Path, old: &Path| assert!(fs::copy(old.join(name), folder.join(name)).unwrap() > 0)
    };
    assert_eq!(after(one("snapshot.json")).await, ("registry-digest", "registry-digest"));
    // As if the writer had not come to the note: the version before is whole, and older than what was seen.
    assert_eq!(after(one("snapshot.note")).await, ("ok", "registry-rollback"));
}

#[tokio::test]
async fn deleted() {
    let gone = |name: &'static str| move |folder: &Path, _: &Path| fs::remove_file(folder.join(name)).unwrap();
    assert_eq!(after(gone("snapshot.json")).await, ("registry-missing", "registry-missing"));
    assert_eq!(after(gone("snapshot.note")).await, ("registry-missing", "registry-missing"));
    assert_eq!(after(|folder, _| fs::remove_dir_all(folder).unwrap()).await, ("registry-missing", "registry-missing"));
    let trust =
        |folder: &Path, _: &Path| fs::remove_file(folder.with_file_name("trust").join("registry-admin.vkey")).unwrap();
    // Pinned is what the store has accepted: the file counts at first use alone.
    assert_eq!(after(trust).await, ("keys-missing", "ok"));
}

#[tokio::test]
async fn linked() {
    for name in ["snapshot.json", "snapshot.note"] {
        assert_eq!(after(|folder, _| link(&folder.join(name))).await, ("registry-file", "registry-file"));
    }
    assert_eq!(after(|folder, _| link(folder)).await, ("registry-file", "registry-file"));
    let folder_there = |folder: &Path, _: &Path| {
        fs::remove_file(folder.join("snapshot.json")).unwrap();
        fs::create_dir(folder.join("snapshot.json")).unwrap();
    };
    assert_eq!(after(folder_there).await.0, "registry-file");
}

#[tokio::test]
async fn signed_by_another_key_is_signed_by_nobody() {
    let (place, seen) = place().await;
    let (other, _) = self::place().await;
    copy(&other.home().join("trust"), &place.home().join("trust"));
    assert_eq!(code(&place, None).await, "registry-signature");
    assert_eq!(code(&place, Some(&seen)).await, "ok", "what was accepted pins the keys");
}

#[tokio::test]
async fn a_damaged_or_missing_artifact_is_found_when_it_is_read() {
    let (place, _) = place().await;
    let current = place.read().await;
    let digest = current.snapshot.entry(Kind::Env, "a").unwrap().digest;
    assert!(current.env(&name("a"), &place.blobs).await.unwrap().is_some());
    let good = place.blobs.get(&digest).await.unwrap();
    place.blobs.0.lock().unwrap().insert(digest, b"other".to_vec());
    assert_eq!(current.env(&name("a"), &place.blobs).await.unwrap_err().code(), "registry-entry");
    place.blobs.remove(&digest);
    assert_eq!(current.env(&name("a"), &place.blobs).await.unwrap_err().code(), "registry-entry");
    place.blobs.put(&good).await.unwrap();
    assert!(current.env(&name("a"), &place.blobs).await.unwrap().is_some());
    assert!(current.env(&name("none"), &place.blobs).await.unwrap().is_none());
}
