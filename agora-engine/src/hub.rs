//! The registry as this process uses it: read again when its files changed, each new version and each refusal recorded.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use agora_core::error::Coded as _;
use agora_core::id::{Digest, Word};
use agora_core::record::LogRecord;
use agora_core::registry::Seen;
use agora_core::seam::BlobStore;
use agora_core::time::Time;

use crate::host::Host;
use crate::journal::{Journal, Stamp, StoreError};
use crate::operations::OpError;
use crate::registry::{Current, RegistryReader};

/// What tells the folder and its two files from others under the same names.
type Mark = [Option<(u64, i64, i64, (i64, i64), u64)>; 3];

/// Whether the files have rested long enough that another write would show in their times: a file system's clock is coarse,
/// and two writes within one tick of it look like one.
fn is_settled(mark: &Mark, now: Time) -> bool {
    let now = now.micros() / 1_000_000;
    mark.iter().flatten().all(|(_, _, _, (ctime, _), _)| ctime.saturating_add(1) < now)
}

/// The registry of a home.
pub(crate) struct Hub {
    home: PathBuf,
    reader: RegistryReader,
    journal: Journal,
    blobs: Arc<dyn BlobStore>,
    host: Arc<dyn Host>,
    /// The version read last, and the files' marks where a later write would show in them.
    last: Mutex<Option<(Option<Mark>, Arc<Current>)>>,
}

impl Hub {
    pub(crate) fn new(home: PathBuf, journal: Journal, blobs: Arc<dyn BlobStore>, host: Arc<dyn Host>) -> Self {
        Self { reader: RegistryReader::open(&home), home, journal, blobs, host, last: Mutex::new(None) }
    }

    fn mark(&self) -> Mark {
        // The folder too: a link in its place leads to the very same files.
        ["registry", "registry/snapshot.json", "registry/snapshot.note"].map(|name| {
            let metadata = std::fs::symlink_metadata(self.home.join(name)).ok()?;
            Some((
                metadata.ino(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                (metadata.ctime(), metadata.ctime_nsec()),
                metadata.len(),
            ))
        })
    }

    /// The version in force, verified.
    ///
    /// # Errors
    /// What the registry is refused as, each kind of damage with its own code.
    pub(crate) async fn current(&self) -> Result<Arc<Current>, OpError> {
        let mark = self.mark();
        let settled = is_settled(&mark, self.host.now());
        let known = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, current)) = known.filter(|(last, _)| *last == Some(mark)) {
            return Ok(current);
        }
        let seen: Option<Seen> = self.journal.call(|ledger| ledger.get_meta("registry.seen")).await?;
        match self.reader.read(seen.as_ref(), self.blobs.as_ref()).await {
            Ok(current) => {
                let refused: Option<String> = self.journal.call(|ledger| ledger.get_meta("registry.refused")).await?;
                if seen.as_ref() != Some(&current.seen) || refused.is_some_and(|code| !code.is_empty()) {
                    self.accepted(&current).await?;
                }
                let current = Arc::new(current);
                let kept = (settled.then_some(mark), Arc::clone(&current));
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
                Ok(current)
            }
            Err(error) => {
                self.refused(error.code()).await?;
                Err(error.into())
            }
        }
    }

    async fn accepted(&self, current: &Current) -> Result<(), StoreError> {
        let (seen, digest, note) = (current.seen.clone(), current.digest, current.note_digest);
        let version = current.snapshot.version;
        self.journal
            .call(move |ledger| {
                ledger.transact(|tx| {
                    let last: Option<Seen> = tx.ledger().get_meta("registry.seen")?;
                    if last.as_ref().is_some_and(|last| last.registry == seen.registry && last.version > seen.version) {
                        // Another process was faster with a newer one: the mark never goes down.
                        return Ok(());
                    }
                    // Whole again: the next damage is news.
                    tx.put_meta("registry.refused", &"")?;
                    if last.as_ref() == Some(&seen) {
                        return Ok(());
                    }
                    tx.put_meta("registry.seen", &seen)?;
                    tx.log(&Stamp::engine(), LogRecord::RegistryAccepted { version, digest, note })
                })
            })
            .await
    }

    /// Records a refusal, once per kind until a version is accepted again.
    async fn refused(&self, code: &'static str) -> Result<(), StoreError> {
        let Ok(reason) = Word::new(code) else { return Ok(()) };
        self.journal
            .call(move |ledger| {
                ledger.transact(|tx| {
                    let last: Option<String> = tx.ledger().get_meta("registry.refused")?;
                    if last.as_deref() == Some(code) {
                        return Ok(());
                    }
                    tx.put_meta("registry.refused", &code)?;
                    tx.log(&Stamp::engine(), LogRecord::RegistryRefused { version: None, digest: None, reason })
                })
            })
            .await
    }

    /// The digests that the version in force revokes; where it is refused, those of the version this process read last:
    /// damage brings nothing back.
    pub(crate) async fn revoked(&self) -> BTreeSet<Digest> {
        let current = match self.current().await {
            Ok(current) => Some(current),
            Err(_) => {
                self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, last)| Arc::clone(last))
            }
        };
        current
            .map(|current| current.snapshot.revoked.iter().map(|revoked| revoked.digest).collect())
            .unwrap_or_default()
    }
}
