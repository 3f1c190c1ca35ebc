//! Every provider holds to its seam's contract.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the failure")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use agora_core::id::Digest;
use agora_core::seam::{BlobStore as _, ComputeProvider, LaunchSpec};
use agora_core::target::{Profile, Target};
use agora_core::worker::AttemptId;
use agora_providers::blobs::FileBlobs;
use agora_providers::open_blobs;
use agora_providers::process::ProcessProvider;
use agora_testkit::env::{binary, binary_folder};
use agora_testkit::suites;
use agora_testkit::suites::compute::{Behaviour, Bench, SCRIPT_WORKER, write_program};

struct ProcessBench {
    home: tempfile::TempDir,
    worker: PathBuf,
}

impl ProcessBench {
    fn new() -> Self {
        let _built = binary("agora-jail");
        let home = tempfile::tempdir().unwrap();
        let worker = home.path().join("worker.sh");
        write_program(&worker, SCRIPT_WORKER);
        Self { home, worker }
    }

    fn open(&self) -> ProcessProvider {
        ProcessProvider::new(self.home.path()).unwrap().with_worker(&self.worker)
    }
}

impl Bench for ProcessBench {
    fn home(&self) -> &Path {
        self.home.path()
    }
    fn target(&self) -> Target {
        Target { profiles: vec![Profile::None], ..Target::default() }
    }
    fn expect(&self, _: &AttemptId, _: Behaviour) {}
    fn starts(&self, spec: &LaunchSpec) -> u64 {
        std::fs::read_to_string(spec.folder.join("starts")).unwrap_or_default().lines().count() as u64
    }
    fn reopened(&self) -> Arc<dyn ComputeProvider> {
        Arc::new(self.open())
    }
}

#[tokio::test]
async fn the_process_provider_conforms() {
    let bench = ProcessBench::new();
    suites::compute::run(&bench.open(), &bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_provider_conforms_on_many_threads() {
    let bench = ProcessBench::new();
    suites::compute::run(&bench.open(), &bench).await;
}

#[tokio::test]
async fn blobs_in_files_conform() {
    let home = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    suites::blob::run(&*open_blobs(home.path()), scratch.path()).await;
    suites::blob::run_shared(|| FileBlobs::new(home.path())).await;
    suites::blob::run_removal(&*open_blobs(home.path()), || grow_old(home.path())).await;
    every_file_is_its_name(home.path());
}

/// Lets all blobs of a home rest for two days.
fn grow_old(home: &Path) {
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 86_400);
    for folder in std::fs::read_dir(home.join("blobs/sha256")).unwrap().flatten() {
        for blob in std::fs::read_dir(folder.path()).unwrap().flatten() {
            std::fs::File::open(blob.path()).unwrap().set_modified(past).unwrap();
        }
    }
}

fn writer(home: &Path, name: &str, count: u64) -> std::process::Child {
    let program = binary_folder().join("examples/put_blobs");
    Command::new(program).arg(home).arg(name).arg(count.to_string()).spawn().unwrap()
}

#[tokio::test]
async fn many_processes_put_at_once_and_nothing_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let writers: Vec<_> = ["a", "b", "c", "d"].map(|name| writer(home.path(), name, 40)).into_iter().collect();
    for mut child in writers {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(every_file_is_its_name(home.path()), 20 + 4 * 20);
    let blobs = FileBlobs::new(home.path());
    let content = "shared 38 ".repeat(2000);
    assert_eq!(blobs.get(&Digest::of(content.as_bytes())).await.unwrap(), content.as_bytes());
}

#[tokio::test]
async fn a_writer_that_is_killed_leaves_no_torn_blob() {
    let home = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let mut child = writer(home.path(), &format!("killed-{round}"), 1_000_000);
        let sha256 = home.path().join("blobs/sha256");
        // Killed at a moment that differs, while it certainly writes.
        let before = count(&sha256);
        while count(&sha256) < before + 3 + 7 * round {
            assert!(child.try_wait().unwrap().is_none(), "it has work for hours");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(every_file_is_its_name(home.path()) > 0);
    }
    let blobs = FileBlobs::new(home.path());
    let digest = blobs.put(b"after").await.unwrap();
    assert_eq!(blobs.get(&digest).await.unwrap(), b"after");
}

fn count(sha256: &Path) -> usize {
    files(sha256).len()
}

fn files(sha256: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(sha256).into_iter().flatten().map(|folder| folder.unwrap().path());
    folders.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|file| file.unwrap().path()).collect()
}

/// Reads every blob of a home and returns how many there are.
fn every_file_is_its_name(home: &Path) -> usize {
    let files = files(&home.join("blobs/sha256"));
    for file in &files {
        let folder = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let hex = format!("{folder}{}", file.file_name().unwrap().to_str().unwrap());
        assert_eq!(Digest::of(&std::fs::read(file).unwrap()).hex(), hex);
    }
    files.len()
}
