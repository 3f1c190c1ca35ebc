//! The suite of [`BlobStore`].

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use agora_core::id::Digest;
use agora_core::seam::{BlobError, BlobStore};
use agora_core::time::Time;
use tokio::task::JoinSet;

/// Runs all of it on an empty store. `scratch` is an empty folder for files.
///
/// # Panics
/// When the store breaks its contract.
pub async fn run(store: &dyn BlobStore, scratch: &Path) {
    round_trips(store, scratch).await;
    missing_is_told_from_the_rest(store, scratch).await;
    repeated_puts_change_nothing(store, scratch).await;
    exports_are_whole_and_read_only(store, scratch).await;
    a_dropped_put_leaves_all_or_nothing(store).await;
}

/// Bytes of some size that repeat nowhere.
#[must_use]
pub fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = |_| {
        // Numerical Recipes' generator; its high bits are good enough to be different.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..size).map(next).collect()
}

async fn round_trips(store: &dyn BlobStore, scratch: &Path) {
    // Around the sizes of the buffers that implementations read with.
    for (seed, size) in [0, 1, 4095, 4096, 131_071, 131_072, 131_073, 3_000_000].into_iter().enumerate() {
        let content = bytes(seed as u64, size);
        let digest = store.put(&content).await.unwrap();
        assert_eq!(digest, Digest::of(&content), "{size} bytes");
        assert_eq!(store.get(&digest).await.unwrap(), content, "{size} bytes");
        assert!(store.has(&digest).await.unwrap());
        let file = scratch.join(format!("in-{size}"));
        let other = bytes(100 + seed as u64, size);
        std::fs::write(&file, &other).unwrap();
        assert_eq!(store.put_file(&file).await.unwrap(), (Digest::of(&other), size as u64), "{size} bytes");
        assert_eq!(store.get(&Digest::of(&other)).await.unwrap(), other, "{size} bytes");
        assert_eq!(std::fs::read(&file).unwrap(), other, "the file itself is left alone");
    }
}

async fn missing_is_told_from_the_rest(store: &dyn BlobStore, scratch: &Path) {
    let content = b"not there yet";
    let digest = Digest::of(content);
    let out = scratch.join("missing");
    assert!(matches!(store.get(&digest).await, Err(BlobError::Missing(missing)) if missing == digest));
    assert!(matches!(store.export(&digest, &out).await, Err(BlobError::Missing(missing)) if missing == digest));
    assert!(!out.exists());
    assert!(!store.has(&digest).await.unwrap());
    let no_file = store.put_file(&scratch.join("no-such-file")).await;
    assert!(matches!(no_file, Err(BlobError::Io(_))), "a missing file is no missing blob: {no_file:?}");
    store.put(content).await.unwrap();
    assert_eq!(store.get(&digest).await.unwrap(), content);
    assert!(store.has(&digest).await.unwrap());
}

async fn repeated_puts_change_nothing(store: &dyn BlobStore, scratch: &Path) {
    let same = bytes(200, 50_000);
    let file = scratch.join("same");
    std::fs::write(&file, &same).unwrap();
    let many: Vec<Vec<u8>> = (0..24).map(|seed| bytes(300 + seed, 10_000)).collect();
    // Polled together on this task: some of a put's work is done at the same time as the others'.
    let puts = many.iter().map(|content| store.put(content)).chain((0..8).map(|_| store.put(&same)));
    for (at, digest) in together(puts.collect()).await.into_iter().enumerate() {
        assert_eq!(digest.unwrap(), Digest::of(many.get(at).unwrap_or(&same)));
    }
    assert_eq!(store.put_file(&file).await.unwrap(), (Digest::of(&same), 50_000));
    assert_eq!(store.put(&same).await.unwrap(), Digest::of(&same));
    for content in many.iter().chain([&same]) {
        assert_eq!(store.get(&Digest::of(content)).await.unwrap(), *content);
    }
}

async fn exports_are_whole_and_read_only(store: &dyn BlobStore, scratch: &Path) {
    let content = bytes(400, 300_000);
    let digest = store.put(&content).await.unwrap();
    let out = scratch.join("export");
    assert_eq!(store.export(&digest, &out).await.unwrap(), 300_000);
    assert_eq!(std::fs::read(&out).unwrap(), content);
    let mode = std::fs::metadata(&out).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o444);
    assert!(store.export(&digest, &out).await.is_err(), "an export is a new file");
    assert_eq!(std::fs::read(&out).unwrap(), content);
    let again = scratch.join("export-again");
    assert_eq!(store.export(&digest, &again).await.unwrap(), 300_000);
}

async fn a_dropped_put_leaves_all_or_nothing(store: &dyn BlobStore) {
    let content = bytes(500, 2_000_000);
    let digest = Digest::of(&content);
    {
        let mut put = store.put(&content);
        // Polled once, then dropped.
        let once = std::future::poll_fn(|context| std::task::Poll::Ready(put.as_mut().poll(context)));
        let _ = once.await;
    }
    match store.get(&digest).await {
        Ok(found) => assert_eq!(found, content),
        Err(BlobError::Missing(_)) => {}
        Err(other) => panic!("a dropped put left damage: {other}"),
    }
    store.put(&content).await.unwrap();
    assert_eq!(store.get(&digest).await.unwrap(), content);
}

/// Polls all of them until each is done.
pub(super) async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in &mut futures {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if futures.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, done)| done).collect()
}

/// Removes blobs. `grow_old` lets all that are there rest for two days.
///
/// # Panics
/// When the store removes what it must keep, or keeps what it should remove.
pub async fn run_removal(store: &dyn BlobStore, grow_old: impl Fn()) {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    let since = Time::from_micros(i64::try_from(since).unwrap()).minus_ms(24 * 60 * 60 * 1000);
    let content = bytes(600, 10_000);
    let digest = store.put(&content).await.unwrap();
    let removed = || store.remove(&digest, since);
    assert_eq!(removed().await.unwrap(), None, "it was just put");
    grow_old();
    assert_eq!(store.unused(&digest, since).await.unwrap(), Some(10_000));
    store.put(&content).await.unwrap();
    assert_eq!(store.unused(&digest, since).await.unwrap(), None);
    assert_eq!(removed().await.unwrap(), None, "it was put again");
    grow_old();
    assert!(store.keep(&digest).await.unwrap());
    assert_eq!(removed().await.unwrap(), None, "it was kept");
    grow_old();
    assert!(store.has(&digest).await.unwrap() && store.get(&digest).await.unwrap() == content);
    assert_eq!(removed().await.unwrap(), Some(10_000), "looking is not keeping");
    assert!(!store.has(&digest).await.unwrap() && !store.keep(&digest).await.unwrap());
    assert!(matches!(store.get(&digest).await, Err(BlobError::Missing(_))));
    assert_eq!((removed().await.unwrap(), store.unused(&digest, since).await.unwrap()), (None, None));
    store.put(&content).await.unwrap();
    assert_eq!(store.get(&digest).await.unwrap(), content, "what is gone can be put again");
}

/// Puts blobs from many tasks at once, through as many stores, and reads all of them through another: what one process can
/// show of puts across processes.
///
/// # Panics
/// When a blob is lost.
pub async fn run_shared<S: BlobStore + 'static>(open: impl Fn() -> S) {
    let mut tasks = JoinSet::new();
    for writer in 0..4u64 {
        let store = open();
        tasks.spawn(async move {
            for seed in 0..12 {
                // Two thirds of them are put by somebody else too.
                store.put(&bytes(1000 + seed * (1 + writer % 2), 20_000)).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let reader = open();
    for seed in (0..12).chain((0..12).map(|seed| seed * 2)) {
        let content = bytes(1000 + seed, 20_000);
        assert_eq!(reader.get(&Digest::of(&content)).await.unwrap(), content);
    }
}
