//! The fakes hold to the seams' contracts.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the failure")]

use std::path::Path;
use std::sync::Arc;

use agora_core::seam::{BlobError, BlobStore as _, ComputeError, ComputeProvider, LaunchSpec};
use agora_core::target::{Profile, Target};
use agora_core::worker::{AttemptId, Status};
use agora_testkit::fakes::{FakeCompute, MemoryBlobs, outcome_of};
use agora_testkit::suites;
use agora_testkit::suites::compute::{Behaviour, Bench, lay_out, task};

struct FakeBench {
    home: tempfile::TempDir,
    fake: FakeCompute,
}

fn target() -> Target {
    Target { profiles: vec![Profile::None], ..Target::default() }
}

impl Bench for FakeBench {
    fn home(&self) -> &Path {
        self.home.path()
    }
    fn target(&self) -> Target {
        target()
    }
    fn expect(&self, attempt: &AttemptId, behaviour: Behaviour) {
        match behaviour {
            Behaviour::Ends => self.fake.release(&attempt.item),
            Behaviour::Waits | Behaviour::Stubborn => self.fake.hold(&attempt.item),
            Behaviour::Breaks => self.fake.lose(&attempt.item),
        }
    }
    fn starts(&self, spec: &LaunchSpec) -> u64 {
        self.fake.starts(&spec.attempt)
    }
    fn reopened(&self) -> Arc<dyn ComputeProvider> {
        Arc::new(self.fake.clone())
    }
}

#[tokio::test]
async fn the_fake_provider_conforms() {
    let bench = FakeBench { home: tempfile::tempdir().unwrap(), fake: FakeCompute::default() };
    suites::compute::run(&bench.fake, &bench).await;
}

#[tokio::test]
async fn blobs_in_memory_conform() {
    let scratch = tempfile::tempdir().unwrap();
    let blobs = MemoryBlobs::new();
    suites::blob::run(&blobs, scratch.path()).await;
    suites::blob::run_shared(|| blobs.clone()).await;
    suites::blob::run_removal(&blobs, || blobs.grow_old()).await;
}

#[tokio::test]
async fn blobs_in_memory_fail_on_cue() {
    let blobs = MemoryBlobs::new();
    let digest = blobs.put(b"x").await.unwrap();
    blobs.fail_next(BlobError::NoRoom("test".to_owned()));
    assert!(matches!(blobs.put(b"y").await, Err(BlobError::NoRoom(_))));
    assert!(blobs.put(b"y").await.is_ok());
    blobs.damage(&digest);
    assert!(matches!(blobs.get(&digest).await, Err(BlobError::Damaged { .. })));
    blobs.lose(&digest);
    assert!(matches!(blobs.get(&digest).await, Err(BlobError::Missing(_))));
    assert_eq!(blobs.digests().len(), 1);
    assert_eq!(blobs.puts(), 2);
}

fn attempt(item: usize) -> AttemptId {
    AttemptId { run: "run".parse().unwrap(), item: format!("item-{item}").parse().unwrap(), attempt: 1, fence: 1 }
}

fn spec(home: &Path, attempt: AttemptId) -> LaunchSpec {
    let folder = lay_out(home, &task(&attempt, &target(), b"do it"), &[b"do it"]);
    LaunchSpec { attempt, folder, target: target(), profile: Profile::None }
}

#[tokio::test]
async fn launches_and_stops_fail_on_cue_and_start_nothing() {
    let home = tempfile::tempdir().unwrap();
    let fake = FakeCompute::new(|task, folder| {
        std::fs::write(folder.join("out/patch"), "diff").unwrap();
        outcome_of(task, Status::Failed)
    });
    let spec = spec(home.path(), attempt(0));
    let item = spec.attempt.item.clone();
    fake.fail_launch(&item, ComputeError::NoRoom("test".to_owned()));
    assert!(matches!(fake.launch(&spec).await, Err(ComputeError::NoRoom(_))));
    assert_eq!((fake.launches(&spec.attempt), fake.starts(&spec.attempt)), (1, 0));

    fake.hang_launch(&item);
    assert!(!spec.folder.join("out/patch").exists());
    {
        let mut launch = fake.launch(&spec);
        let once = std::future::poll_fn(|context| std::task::Poll::Ready(launch.as_mut().poll(context).is_pending()));
        assert!(once.await, "it hangs");
    }
    fake.release(&item);
    assert_eq!(fake.starts(&spec.attempt), 0, "a dropped launch starts nothing more");
    assert!(fake.launch(&spec).await.is_ok());
    assert_eq!(fake.starts(&spec.attempt), 1);
    assert_eq!(std::fs::read(spec.folder.join("out/patch")).unwrap(), b"diff");
}

#[tokio::test]
async fn held_attempts_end_when_they_are_released() {
    let home = tempfile::tempdir().unwrap();
    let fake = FakeCompute::default();
    fake.hold_all();
    let (one, two) = (spec(home.path(), attempt(1)), spec(home.path(), attempt(2)));
    let (first, second) = tokio::join!(fake.launch(&one), fake.launch(&two));
    fake.wait_running(2).await;
    assert_eq!(fake.wait_started(&two.attempt.item).await, two.attempt);
    assert_eq!((fake.running().len(), fake.running_most(), fake.started()), (2, 2, 2));
    fake.release(&one.attempt.item);
    assert_eq!(fake.wait(&first.unwrap().handle).await.unwrap().exit_code, Some(0));
    assert_eq!(fake.running(), std::slice::from_ref(&two.attempt));
    let handle = second.unwrap().handle;
    fake.fail_stop(&two.attempt.item, ComputeError::StopUnverified(handle.clone()));
    assert_eq!(fake.stop(&handle, true).await, Err(ComputeError::StopUnverified(handle.clone())));
    fake.lose(&two.attempt.item);
    assert_ne!(fake.wait(&handle).await.unwrap().exit_code, Some(0));
    assert!(!two.folder.join("out/outcome.json").exists());
    fake.release_all();
    fake.fail_isolation(Some("test"));
    assert!(fake.isolation(&target()).await.is_err());
    fake.fail_isolation(None);
    assert!(fake.isolation(&target()).await.is_ok());
}

#[tokio::test]
async fn many_attempts_are_nothing() {
    let home = tempfile::tempdir().unwrap();
    let fake = FakeCompute::default();
    for item in 0..200 {
        let spec = spec(home.path(), attempt(item));
        let handle = fake.launch(&spec).await.unwrap().handle;
        assert_eq!(fake.wait(&handle).await.unwrap().exit_code, Some(0));
    }
    assert_eq!(fake.started(), 200);
}
