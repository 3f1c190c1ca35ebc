//! Blobs in memory, with damage on cue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agora_core::id::Digest;
use agora_core::seam::{BlobError, BlobStore};
use agora_core::time::Time;
use async_trait::async_trait;

#[derive(Debug, Default)]
struct State {
    blobs: BTreeMap<Digest, Arc<Vec<u8>>>,
    failures: VecDeque<BlobError>,
    puts: u64,
    /// What nobody put or kept since all grew old.
    old: BTreeSet<Digest>,
}

/// Blobs in memory. Clones are the same store, as after a restart.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlobs(Arc<Mutex<State>>);

impl MemoryBlobs {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails the next call with this error, whichever it is; several are used in turn.
    pub fn fail_next(&self, error: BlobError) {
        self.state().failures.push_back(error);
    }

    /// Loses a blob.
    pub fn lose(&self, digest: &Digest) {
        self.state().blobs.remove(digest);
    }

    /// Lets all that is there grow older than anybody asks for.
    pub fn grow_old(&self) {
        let mut state = self.state();
        state.old = state.blobs.keys().copied().collect();
    }

    /// Changes the bytes of a blob and leaves it its name.
    pub fn damage(&self, digest: &Digest) {
        if let Some(bytes) = self.state().blobs.get_mut(digest) {
            Arc::make_mut(bytes).push(b'!');
        }
    }

    /// The number of puts, repeated ones included.
    #[must_use]
    pub fn puts(&self) -> u64 {
        self.state().puts
    }

    /// Every digest that is there.
    #[must_use]
    pub fn digests(&self) -> Vec<Digest> {
        self.state().blobs.keys().copied().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> Result<MutexGuard<'_, State>, BlobError> {
        let mut state = self.state();
        match state.failures.pop_front() {
            Some(error) => Err(error),
            None => Ok(state),
        }
    }

    fn keep(&self, bytes: Vec<u8>) -> Result<Digest, BlobError> {
        let digest = Digest::of(&bytes);
        let mut state = self.turn()?;
        state.puts += 1;
        state.old.remove(&digest);
        state.blobs.insert(digest, Arc::new(bytes));
        Ok(digest)
    }

    fn checked(&self, digest: &Digest) -> Result<Arc<Vec<u8>>, BlobError> {
        let bytes = self.turn()?.blobs.get(digest).cloned().ok_or(BlobError::Missing(*digest))?;
        let found = Digest::of(&bytes);
        if found == *digest { Ok(bytes) } else { Err(BlobError::Damaged { digest: *digest, found }) }
    }
}

fn failed(error: &std::io::Error) -> BlobError {
    BlobError::Io(error.to_string())
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        self.keep(bytes.to_vec())
    }

    async fn put_file(&self, from: &Path) -> Result<(Digest, u64), BlobError> {
        let bytes = std::fs::read(from).map_err(|error| failed(&error))?;
        let size_bytes = bytes.len() as u64;
        Ok((self.keep(bytes)?, size_bytes))
    }

    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        Ok(self.checked(digest)?.to_vec())
    }

    async fn export(&self, digest: &Digest, to: &Path) -> Result<u64, BlobError> {
        let bytes = self.checked(digest)?;
        let file = std::fs::File::options().write(true).create_new(true).mode(0o444).open(to);
        let mut file = file.map_err(|error| failed(&error))?;
        std::io::Write::write_all(&mut file, &bytes).map_err(|error| failed(&error))?;
        Ok(bytes.len() as u64)
    }

    async fn has(&self, digest: &Digest) -> Result<bool, BlobError> {
        Ok(self.turn()?.blobs.contains_key(digest))
    }

    async fn keep(&self, digest: &Digest) -> Result<bool, BlobError> {
        let mut state = self.turn()?;
        state.old.remove(digest);
        Ok(state.blobs.contains_key(digest))
    }

    async fn unused(&self, digest: &Digest, _: Time) -> Result<Option<u64>, BlobError> {
        let state = self.turn()?;
        Ok(state.blobs.get(digest).filter(|_| state.old.contains(digest)).map(|bytes| bytes.len() as u64))
    }

    async fn remove(&self, digest: &Digest, _: Time) -> Result<Option<u64>, BlobError> {
        let mut state = self.turn()?;
        let gone = if state.old.contains(digest) { state.blobs.remove(digest) } else { None };
        Ok(gone.map(|bytes| bytes.len() as u64))
    }
}
