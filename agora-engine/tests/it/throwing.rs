//! C07: a provider that panics fails the attempt it was asked for, and nothing else; and one that is slow to remove has its time.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use agora_core::id::Digest;
use agora_core::isolation::Isolation;
use agora_core::seam::{
    BlobError, BlobStore, ComputeError, ComputeProvider, Ended, Found, Handle, LaunchSpec, Launched,
};
use agora_core::target::{Profile, Target};
use agora_core::worker::AttemptId;
use agora_testkit::fakes::{FakeCompute, MemoryBlobs};
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::common::{Home, check, fan_out, item, plan, states, submit, wait_end, within};
use crate::evidence::bodies;

/// A provider over the fake that panics in the calls that are named, each once, and waits in removals.
struct Wrapped {
    inner: FakeCompute,
    /// The names of calls; those for one item have it behind.
    throws: Mutex<Vec<&'static str>>,
    /// One permit for each removal.
    removals: Semaphore,
    /// One permit for each removal that waits.
    removing: Semaphore,
}

impl Wrapped {
    fn new(throws: &[&'static str], removals: usize) -> Arc<Self> {
        let throws = Mutex::new(throws.to_vec());
        let (removals, removing) = (Semaphore::new(removals), Semaphore::new(0));
        Arc::new(Self { inner: FakeCompute::default(), throws, removals, removing })
    }

    fn at(&self, call: &str) {
        let mut throws = self.throws.lock().unwrap();
        if let Some(at) = throws.iter().position(|name| *name == call) {
            throws.remove(at);
            drop(throws);
            panic!("thrown in {call}");
        }
    }

    /// Whether all that was to be thrown was.
    fn is_spent(&self) -> bool {
        self.throws.lock().unwrap().is_empty()
    }
}

#[async_trait]
impl ComputeProvider for Wrapped {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
    async fn isolation(&self, target: &Target) -> Result<(Profile, Isolation), ComputeError> {
        self.at("isolation");
        self.inner.isolation(target).await
    }
    async fn launch(&self, spec: &LaunchSpec) -> Result<Launched, ComputeError> {
        self.at(&format!("launch {}", spec.attempt.item));
        let launched = self.inner.launch(spec).await;
        self.at(&format!("launched {}", spec.attempt.item));
        launched
    }
    async fn wait(&self, handle: &Handle) -> Result<Ended, ComputeError> {
        self.at("wait");
        self.inner.wait(handle).await
    }
    async fn stop(&self, handle: &Handle, at_once: bool) -> Result<(), ComputeError> {
        self.at("stop");
        self.inner.stop(handle, at_once).await
    }
    async fn list(&self) -> Result<Vec<Found>, ComputeError> {
        self.at("list");
        self.inner.list().await
    }
    async fn remove(&self, attempt: &AttemptId) -> Result<(), ComputeError> {
        self.removing.add_permits(1);
        self.removals.acquire().await.unwrap().forget();
        self.inner.remove(attempt).await
    }
}

/// Two items side by side, one of which has only one attempt.
fn two() -> Value {
    let mut thrown = item("thrown", &[]);
    thrown["retry"] = serde_json::json!({"max_attempts": 1});
    plan("run", vec![thrown, item("sibling", &[])])
}

/// Runs them with a provider that panics so, and gives how they end.
async fn run(throws: &[&'static str]) -> (Home, Vec<String>) {
    let home = Home::new().await;
    let provider = Wrapped::new(throws, 100);
    let engine = home.open_through(Arc::clone(&provider) as _).await;
    let driver = engine.drive();
    submit(&engine, two()).await;
    wait_end(&engine, &["run"]).await;
    let states = states(&engine, "run").await;
    check(&engine, &["run"]).await;
    driver.stop().await;
    assert!(provider.is_spent(), "not all of {throws:?} was thrown");
    (home, states)
}

fn reasons(home: &Home) -> Vec<(String, String)> {
    let text = |body: &Value, name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let finished = bodies(home.path(), "attempt.finished");
    let failed = finished.iter().filter(|body| body["outcome"] == "failed");
    failed.map(|body| (text(body, "class"), text(body, "reason"))).collect()
}

#[tokio::test]
async fn a_provider_that_panics_in_a_launch_fails_that_attempt_alone() {
    for call in ["launch thrown", "launched thrown"] {
        let (home, states) = run(&[call]).await;
        assert_eq!(states, ["thrown: failed", "sibling: done"], "{call}");
        assert_eq!(reasons(&home), [("provider".to_owned(), "launch-failed".to_owned())], "{call}");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_panic_fails_nothing() {
    let (home, states) = run(&[]).await;
    assert_eq!(states, ["thrown: done", "sibling: done"]);
    assert_eq!(reasons(&home), []);
}

/// Not to know is not to be gone: it is asked again.
#[tokio::test]
async fn a_provider_that_panics_while_it_waits_or_is_looked_at_is_asked_again() {
    let (home, states) = run(&["wait", "list"]).await;
    assert_eq!(states, ["thrown: done", "sibling: done"]);
    assert_eq!(reasons(&home), []);
}

/// Blobs that panic in the next call that keeps bytes, once they are told to.
struct ThrowingBlobs {
    inner: MemoryBlobs,
    throws: AtomicBool,
}

#[async_trait]
impl BlobStore for ThrowingBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        assert!(!self.throws.swap(false, Ordering::SeqCst), "thrown in put");
        self.inner.put(bytes).await
    }
    async fn put_file(&self, from: &Path) -> Result<(Digest, u64), BlobError> {
        self.inner.put_file(from).await
    }
    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        self.inner.get(digest).await
    }
    async fn export(&self, digest: &Digest, to: &Path) -> Result<u64, BlobError> {
        self.inner.export(digest, to).await
    }
    async fn has(&self, digest: &Digest) -> Result<bool, BlobError> {
        self.inner.has(digest).await
    }
}

/// Whatever else panics in the task of an attempt: the attempt has an end, and another one follows.
#[tokio::test]
async fn an_attempt_whose_task_panics_fails_and_is_tried_again() {
    let mut home = Home::new().await;
    let blobs = Arc::new(ThrowingBlobs { inner: home.memory.clone(), throws: AtomicBool::new(false) });
    home.blobs = Arc::clone(&blobs) as _;
    home.compute.hold_all();
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, fan_out("run", 1)).await;
    within(home.compute.wait_running(1)).await;
    blobs.throws.store(true, Ordering::SeqCst);
    home.compute.release_all();
    wait_end(&engine, &["run"]).await;
    assert!(!blobs.throws.load(Ordering::SeqCst), "nothing was thrown");
    assert_eq!(reasons(&home), [("provider".to_owned(), "worker-error".to_owned())]);
    assert!(states(&engine, "run").await[0].ends_with(": done"));
    check(&engine, &["run"]).await;
    driver.stop().await;
}

/// A driver that ends because nothing is left to do leaves no folder of an attempt that ended.
#[tokio::test]
async fn a_driver_that_ends_sees_removals_through() {
    let home = Home::new().await;
    let provider = Wrapped::new(&[], 0);
    let engine = home.open_through(Arc::clone(&provider) as _).await;
    let driver = engine.drive();
    submit(&engine, fan_out("run", 2)).await;
    assert!(within(driver.idle()).await);
    within(provider.removing.acquire_many(2)).await.unwrap().forget();
    let stopped = tokio::spawn(driver.stop());
    assert!(!provider.inner.list().await.unwrap().is_empty(), "what is removed late is there");
    provider.removals.add_permits(2);
    within(stopped).await.unwrap();
    assert_eq!(provider.inner.list().await.unwrap(), []);
}
