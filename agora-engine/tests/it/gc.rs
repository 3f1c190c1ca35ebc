//! C17: bytes of runs that are over go; a failure on the way leaves a store that is whole, and the next call goes on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agora_core::id::Digest;
use agora_core::seam::{BlobError, BlobStore};
use agora_core::time::Time;
use agora_engine::host::{Fault, Host, Step};
use agora_engine::operations::{GcMode, GcReply};
use agora_testkit::fakes::MemoryBlobs;
use async_trait::async_trait;
use serde_json::json;

use crate::common::{Home, check, code_of, fan_out, item, submit, wait_end, within};
use crate::evidence::bodies;
use crate::schedules::try_add;

/// A home with two runs that are over, and one that nobody drives any more.
async fn used() -> Home {
    let home = Home::new().await;
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, fan_out("one", 2)).await;
    submit(&engine, fan_out("two", 3)).await;
    wait_end(&engine, &["one", "two"]).await;
    driver.stop().await;
    submit(&engine, fan_out("open", 2)).await;
    home.memory.grow_old();
    home
}

/// The whole of it is as it must be, whatever is gone.
async fn is_whole(home: &Home) {
    let engine = home.open().await;
    check(&engine, &["one", "two"]).await;
    let driver = engine.drive();
    wait_end(&engine, &["open"]).await;
    check(&engine, &["open"]).await;
    driver.stop().await;
}

async fn gc(home: &Home, mode: GcMode) -> GcReply {
    within(home.open().await.gc(0, mode)).await.unwrap()
}

#[tokio::test]
async fn a_dry_run_says_what_is_removed_and_removes_nothing() {
    let home = used().await;
    let before = home.memory.digests();
    let dry = gc(&home, GcMode::DryRun).await;
    assert!(home.memory.digests() == before && dry.blobs > 0, "{dry:?}");
    let real = gc(&home, GcMode::Remove).await;
    assert_eq!(GcReply { dry_run: false, ..dry }, real);
    assert_eq!((real.runs.as_slice(), real.resting), (&["one".to_owned(), "two".to_owned()][..], 0));
    assert_eq!(before.len() - home.memory.digests().len(), usize::try_from(real.blobs).unwrap());
    assert_eq!(gc(&home, GcMode::Remove).await, GcReply::default());
    is_whole(&home).await;
}

/// Bytes that somebody put again a moment ago are about to be named: they stay, and go once that is known not to be so.
#[tokio::test]
async fn what_was_just_put_again_stays() {
    let home = used().await;
    let wanted = gc(&home, GcMode::DryRun).await.blobs;
    let bytes = {
        let engine = home.open().await;
        let found = engine.check_store(true).await.unwrap();
        assert!(!found.is_empty());
        let mut all = Vec::new();
        for digest in home.memory.digests() {
            all.push(home.memory.get(&digest).await.unwrap());
        }
        all
    };
    for bytes in &bytes {
        home.memory.put(bytes).await.unwrap();
    }
    let reply = gc(&home, GcMode::Remove).await;
    assert_eq!((reply.blobs, reply.resting), (0, wanted));
    home.memory.grow_old();
    assert_eq!(gc(&home, GcMode::Remove).await.blobs, wanted);
    is_whole(&home).await;
}

/// A plan that runs again and again needs what it hands to its items, whoever made it.
#[tokio::test]
async fn what_a_schedule_names_stays() {
    let home = used().await;
    let wanted = gc(&home, GcMode::DryRun).await.blobs;
    let leased = bodies(home.path(), "attempt.leased");
    let message: Digest = leased[0]["message"].as_str().unwrap().parse().unwrap();
    let mut again = item("again", &[]);
    again["inputs"]["inputRefs"] = json!({ "notes": message });
    let engine = home.open().await;
    try_add(&engine, "nightly", "0 2 * * *", &json!({ "items": [again] }), false).await.unwrap();
    assert_eq!(gc(&home, GcMode::Remove).await.blobs, wanted - 1);
    assert!(home.memory.has(&message).await.unwrap());
    is_whole(&home).await;
}

/// Blobs whose removal fails after some went well.
struct Failing {
    inner: MemoryBlobs,
    left: AtomicU64,
}

#[async_trait]
impl BlobStore for Failing {
    async fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
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
    async fn keep(&self, digest: &Digest) -> Result<bool, BlobError> {
        self.inner.keep(digest).await
    }
    async fn remove(&self, digest: &Digest, since: Time) -> Result<Option<u64>, BlobError> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| BlobError::Io("test".to_owned()))?;
        self.inner.remove(digest, since).await
    }
}

#[tokio::test]
async fn an_end_between_any_two_removals_is_gone_on_from() {
    let mut home = used().await;
    let wanted = gc(&home, GcMode::DryRun).await.blobs;
    let all = home.memory.digests().len();
    let failing = Arc::new(Failing { inner: home.memory.clone(), left: AtomicU64::new(0) });
    home.blobs = Arc::clone(&failing) as _;
    for _ in 0..wanted {
        let engine = home.open().await;
        assert_eq!(code_of(engine.gc(0, GcMode::Remove).await), "blob-io");
        check(&engine, &["one", "two"]).await;
        failing.left.store(1, Ordering::SeqCst);
    }
    failing.left.store(u64::MAX, Ordering::SeqCst);
    let _rest = gc(&home, GcMode::Remove).await;
    assert_eq!(all - home.memory.digests().len(), usize::try_from(wanted).unwrap());
    is_whole(&home).await;
}

/// A machine whose store fails at one step, counted over its life.
struct Breaking {
    at: (Step, u64),
    seen: AtomicU64,
}

impl Host for Breaking {
    fn at(&self, step: Step) -> Result<(), Fault> {
        let hit = step == self.at.0 && self.seen.fetch_add(1, Ordering::SeqCst) == self.at.1;
        if hit { Err(Fault::Failed) } else { Ok(()) }
    }
}

#[tokio::test]
async fn an_end_before_or_after_any_commit_is_gone_on_from() {
    for step in [Step::Begin, Step::Commit, Step::Committed] {
        let (mut failed, mut number) = (0, 0);
        loop {
            let mut home = used().await;
            let wanted = gc(&home, GcMode::DryRun).await;
            home.set_clock(Breaking { at: (step, number), seen: AtomicU64::new(0) });
            let result = match home.try_open().await {
                Ok(engine) => engine.gc(0, GcMode::Remove).await.map(|_| ()),
                Err(error) => Err(error),
            };
            home.set_clock(agora_engine::host::ThisMachine);
            check(&*home.open().await, &["one", "two"]).await;
            let _rest = gc(&home, GcMode::Remove).await;
            assert_eq!(gc(&home, GcMode::DryRun).await, GcReply { dry_run: true, ..GcReply::default() });
            assert!(wanted.blobs > 0);
            is_whole(&home).await;
            if result.is_ok() {
                break;
            }
            (failed, number) = (failed + 1, number + 1);
        }
        assert!(failed >= 2, "{step:?}: the mark and the end");
    }
}

/// What a registry that cannot be read names is not known: nothing goes.
#[tokio::test]
async fn nothing_goes_while_the_registry_cannot_be_read() {
    let home = used().await;
    let path = home.path().join("registry/snapshot.note");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"not a note").unwrap();
    let before = home.memory.digests();
    assert!(home.open().await.gc(0, GcMode::Remove).await.is_err());
    assert!(home.memory.digests() == before);
    std::fs::write(&path, good).unwrap();
    assert_eq!(gc(&home, GcMode::Remove).await.runs.len(), 2);
    is_whole(&home).await;
}
