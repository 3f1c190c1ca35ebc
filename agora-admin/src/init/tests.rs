use std::collections::BTreeMap;
use std::fs;

use agora_engine::config::{Config, Machine};
use agora_engine::keys::Keys;

use super::*;
use crate::registry::memory::MemoryBlobs;

fn options() -> Options<'static> {
    Options { host: "Ada's-Box.example.org", now: Time::from_micros(1_800_000_000_000_000), seen_version: None }
}

fn everything(home: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![home.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let (path, meta) = entry.map(|e| (e.path(), e.metadata().unwrap())).unwrap();
            let mode = meta.permissions().mode() & 0o777;
            if meta.is_dir() {
                found.insert(path.clone(), (mode, Vec::new()));
                folders.push(path);
            } else {
                found.insert(path.clone(), (mode, fs::read(path).unwrap()));
            }
        }
    }
    found
}

#[tokio::test]
async fn a_new_home_is_whole_closed_and_works() {
    let above = tempfile::tempdir().unwrap();
    let (home, blobs) = (above.path().join("deep/home"), MemoryBlobs::default());
    let made = init(&home, &blobs, options()).await.unwrap();
    assert!(made.steps.iter().all(|step| step.did == Did::Made), "{:?}", made.steps);
    assert_eq!((made.version, made.registry.len()), (1, 32));
    let (host, random) = made.origin.as_str().split_once('/').unwrap();
    assert_eq!((host, random.len()), ("adas-box.local", 8));
    assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o700);
    for (path, (mode, _)) in everything(&home) {
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    let keys = Keys::open(&home).unwrap();
    assert_eq!(keys.signer(Role::Attest).name(), format!("{}/attest", made.origin));
    assert_eq!(keys.attest_p256().unwrap().name(), format!("{}/attest-p256", made.origin));
    let machine = Machine { processors: 2, user_home: None };
    Config::load(&home, &machine).unwrap();
    let current = RegistryReader::open(&home).read(None, &blobs).await.unwrap();
    assert_eq!((current.snapshot.version, current.snapshot.entries.len()), (1, 0));
    assert!(blobs.has(&current.digest).await.unwrap() && blobs.has(&current.note_digest).await.unwrap());
}

#[tokio::test]
async fn a_repeat_finds_everything_and_changes_nothing() {
    let (home, blobs) = (tempfile::tempdir().unwrap(), MemoryBlobs::default());
    let first = init(home.path(), &blobs, options()).await.unwrap();
    let before = everything(home.path());
    let again = init(home.path(), &blobs, Options { host: "other", ..options() }).await.unwrap();
    assert!(again.was_whole() && !first.was_whole());
    assert_eq!((again.origin, again.registry), (first.origin, first.registry));
    assert_eq!(everything(home.path()), before);
}

#[tokio::test]
async fn whatever_a_crash_left_is_completed_and_no_key_is_made_twice() {
    // Each prefix of the files, in the order in which they are written.
    let order = [
        "keys/log.key",
        "trust/log.vkey",
        "keys/run.key",
        "trust/run.vkey",
        "keys/attest.key",
        "trust/attest.vkey",
        "keys/attest-p256.key",
        "trust/attest-p256.pub",
        "keys/registry-admin.key",
        "trust/registry-admin.vkey",
        "registry/snapshot.json",
        "registry/snapshot.note",
        "agora.toml",
    ];
    for crashed_after in 0..order.len() {
        let (home, blobs) = (tempfile::tempdir().unwrap(), MemoryBlobs::default());
        init(home.path(), &blobs, options()).await.unwrap();
        for name in &order[crashed_after..] {
            fs::remove_file(home.path().join(name)).unwrap();
        }
        let before = everything(home.path());
        let completed = init(home.path(), &blobs, options()).await.unwrap();
        let after = everything(home.path());
        for (path, was) in &before {
            // A snapshot without a note was never in force: it alone may be another one now.
            assert!(after[path] == *was || path.ends_with("snapshot.json"), "{}", path.display());
        }
        assert!(order.iter().all(|name| home.path().join(name).is_file()), "after {crashed_after}");
        assert!(!completed.was_whole());
        Keys::open(home.path()).unwrap();
        RegistryReader::open(home.path()).read(None, &blobs).await.unwrap();
        assert!(init(home.path(), &blobs, options()).await.unwrap().was_whole());
    }
}

#[tokio::test]
async fn what_was_lost_is_told_of_and_not_made_again() {
    let lost = async |names: &[&str], seen_version, expected: &str| {
        let (home, blobs) = (tempfile::tempdir().unwrap(), MemoryBlobs::default());
        init(home.path(), &blobs, options()).await.unwrap();
        names.iter().for_each(|name| fs::remove_file(home.path().join(name)).unwrap());
        let before = everything(home.path());
        let error = init(home.path(), &blobs, Options { seen_version, ..options() }).await.unwrap_err();
        assert_eq!(error.code(), expected);
        assert_eq!(everything(home.path()), before);
    };
    lost(&["keys/run.key"], None, "key-lost").await;
    lost(&["keys/attest-p256.key"], None, "key-lost").await;
    lost(&["keys/registry-admin.key"], None, "key-lost").await;
    lost(&["keys/registry-admin.key", "trust/registry-admin.vkey"], None, "identity-lost").await;
    lost(&["registry/snapshot.json"], None, "registry-missing").await;
    lost(&["registry/snapshot.json", "registry/snapshot.note"], Some(1), "registry-missing").await;
}

/// The private half proves whose registry it is, and nothing else does.
#[tokio::test]
async fn the_pinned_key_of_the_registry_is_made_again_from_its_private_half_alone() {
    let (home, blobs) = (tempfile::tempdir().unwrap(), MemoryBlobs::default());
    let first = init(home.path(), &blobs, options()).await.unwrap();
    let before = everything(home.path());
    let pinned = home.path().join("trust/registry-admin.vkey");
    fs::remove_file(&pinned).unwrap();
    let again = init(home.path(), &blobs, options()).await.unwrap();
    assert_eq!((again.registry, again.version), (first.registry, 1));
    assert_eq!(everything(home.path()), before);
    // With another registry's private half nothing is pinned.
    let other = tempfile::tempdir().unwrap();
    init(other.path(), &blobs, options()).await.unwrap();
    fs::remove_file(&pinned).unwrap();
    fs::copy(other.path().join("keys/registry-admin.key"), home.path().join("keys/registry-admin.key")).unwrap();
    let error = init(home.path(), &blobs, options()).await.unwrap_err();
    assert_eq!((error.code(), pinned.exists()), ("registry-signature", false));
}

/// A home keeps its name as long as anything of it tells the name.
#[tokio::test]
async fn the_origin_is_taken_from_what_is_left() {
    let (home, blobs) = (tempfile::tempdir().unwrap(), MemoryBlobs::default());
    let first = init(home.path(), &blobs, options()).await.unwrap();
    let before = everything(home.path());
    for lost in [&["log"][..], &["log", "run"], &["log", "attest"]] {
        lost.iter().for_each(|role| fs::remove_file(trusted_path(home.path(), role)).unwrap());
        let again = init(home.path(), &blobs, options()).await.unwrap();
        assert_eq!((&again.origin, everything(home.path())), (&first.origin, before.clone()), "{lost:?}");
    }
}

#[tokio::test]
async fn a_folder_of_somebody_else_is_left_alone() {
    let (home, blobs) = (tempfile::tempdir().unwrap(), MemoryBlobs::default());
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(home.path().join("thesis.tex"), "x").unwrap();
    assert_eq!(init(home.path(), &blobs, options()).await.unwrap_err().code(), "home-foreign");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o755);
    fs::remove_file(home.path().join("thesis.tex")).unwrap();
    let made = init(home.path(), &blobs, options()).await.unwrap();
    assert_eq!(made.steps[0].did, Did::Completed, "its mode was closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_make_one_home() {
    let (home, blobs) = (tempfile::tempdir().unwrap(), MemoryBlobs::default());
    let (one, two) = tokio::join!(init(home.path(), &blobs, options()), init(home.path(), &blobs, options()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.origin, one.registry), (two.origin, two.registry));
    Keys::open(home.path()).unwrap();
}

#[test]
fn an_origin_is_made_of_any_host() {
    for (host, start) in [
        ("ada", "ada.local/"),
        ("ADA.example", "ada.local/"),
        ("", "agora.local/"),
        ("--é--", "agora.local/"),
        ("a_b c", "abc.local/"),
    ] {
        let origin = choose_origin(host).unwrap();
        assert!(origin.as_str().starts_with(start), "{host:?}: {origin}");
    }
    assert!(choose_origin(&"x".repeat(500)).unwrap().as_str().len() < 100);
}

#[test]
fn every_line_of_the_commented_configuration_is_true() {
    let machine = Machine { processors: 2, user_home: Some("/home/ada".into()) };
    let read = |text: &str| agora_engine::config::parse(Path::new("agora.toml"), text.as_bytes(), &machine);
    assert_eq!(read(CONFIG_TEXT).unwrap().queues.len(), 1);
    // A line of prose is a sentence; a line of TOML is a table or a key.
    let is_toml =
        |line: &str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let uncommented: Vec<&str> =
        CONFIG_TEXT.lines().map(|line| line.trim_start_matches("# ")).filter(|line| is_toml(line)).collect();
    let config = match read(&uncommented.join("\n")) {
        Ok(config) => config,
        Err(error) => panic!("{:#?}", error.problems()),
    };
    assert_eq!((config.queues.len(), config.targets.len(), config.executors.len()), (2, 2, 2));
    assert_eq!((config.workspaces.len(), config.retain_days), (1, Some(90)));
    assert_eq!(config.targets.values().next(), Some(&agora_core::target::Target::default()));
}
