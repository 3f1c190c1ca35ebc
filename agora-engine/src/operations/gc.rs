//! `gc`: room, by removing the bytes of runs that are long over. Their journals, plans and seals stay.
//!
//! Why nothing that is needed can go:
//! - Only blobs that the records of collected runs name are looked at; of those, none that anything else names: a run that is
//!   not collected, in its records, plan or base tree, or any version of the registry.
//! - A blob that is about to be named, by a submission or a result that is not committed yet, was put or kept a moment ago,
//!   and the blob store does not remove what was put or kept since [`BLOB_REST_MS`] ago. What names blobs is read after that
//!   moment is fixed: whoever commits later has put later.
//! - A run is said to be collected before the first of its blobs goes, so that at any crash its missing bytes are accounted
//!   for; a later call goes on where it was.

use std::collections::BTreeSet;

use agora_core::id::Digest;
use agora_core::registry::Snapshot;
use agora_core::seam::BlobError;
use serde::Serialize;

use super::OpError;
use super::accept::{disk, internal};
use crate::engine::Engine;
use crate::journal::named;
use crate::upkeep::Upkeep;

/// How long a blob must have rested, in milliseconds: longer than anybody takes from putting it to naming it in a commit.
const BLOB_REST_MS: u64 = 24 * 60 * 60 * 1000;

/// Whether anything is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcMode {
    /// It is.
    Remove,
    /// It is only counted.
    DryRun,
}

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GcReply {
    /// Whether it was only counted.
    pub dry_run: bool,
    /// Runs that are collected from now on.
    pub runs: Vec<String>,
    /// Runs that are old enough and were promised a longer time when they were opened.
    pub retained: u64,
    /// Blobs.
    pub blobs: u64,
    /// Copies of base trees that were laid out for `result` and `apply`.
    pub packs: u64,
    /// Bytes of both.
    pub size_bytes: u64,
    /// Blobs of collected runs that somebody put or used within the last day; a later call removes them.
    pub resting: u64,
}

impl Engine {
    /// Removes the bytes of sealed runs that were completed this many milliseconds ago, unless they were promised a longer
    /// time. Drivers and clients go on meanwhile.
    ///
    /// # Errors
    /// `home-busy`, a registry that cannot be read whole (what it names is not known then), or that the store or the disk does
    /// not answer. Nothing that is needed is gone then, and the same call goes on.
    pub async fn gc(&self, older_than_ms: u64, mode: GcMode) -> Result<GcReply, OpError> {
        let _upkeep = Upkeep::removing(&self.home)?;
        let now = self.host.now();
        let since = now.minus_ms(BLOB_REST_MS);
        let (due, undone) =
            self.journal.call(move |ledger| Ok((ledger.due(now, older_than_ms)?, ledger.undone()?))).await?;
        let mut reply = GcReply {
            dry_run: mode == GcMode::DryRun,
            runs: due.ids.iter().map(ToString::to_string).collect(),
            retained: due.retained,
            ..GcReply::default()
        };
        let keys: Vec<i64> = undone.into_iter().chain(due.keys.iter().copied()).collect();
        if keys.is_empty() {
            return Ok(reply);
        }
        // Before anything is said to be collected: what a damaged registry names is not known, so nothing may go.
        self.registry_names().await?;
        if mode == GcMode::Remove {
            self.journal.call(move |ledger| ledger.transact(|tx| tx.collect(&due.keys))).await?;
        }
        let theirs = keys.clone();
        let mut found = self.journal.call(move |ledger| ledger.only_named_by(&theirs)).await?;
        for digest in self.registry_names().await? {
            found.remove(&digest);
        }
        for digest in &found {
            let size = match mode {
                GcMode::Remove => self.blobs.remove(digest, since).await?,
                GcMode::DryRun => self.blobs.unused(digest, since).await?,
            };
            if let Some(size) = size {
                reply.blobs += 1;
                reply.size_bytes += size;
            } else if self.blobs.has(digest).await? {
                reply.resting += 1;
                continue;
            }
            if let Some(size) = self.drop_pack(digest, mode)? {
                reply.packs += 1;
                reply.size_bytes += size;
            }
        }
        if mode == GcMode::Remove && reply.resting == 0 {
            self.journal.call(move |ledger| ledger.transact(|tx| tx.collected(&keys))).await?;
        }
        Ok(reply)
    }

    /// Removes the copy of a pack that `result` and `apply` laid out; its size if it is there.
    fn drop_pack(&self, digest: &Digest, mode: GcMode) -> Result<Option<u64>, OpError> {
        let path = self.home.join("trees").join(format!("{}.pack", digest.hex()));
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => {
                if mode == GcMode::Remove {
                    std::fs::remove_file(&path).map_err(|error| disk(&error))?;
                }
                Ok(Some(found.len()))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk(&error)),
        }
    }

    /// Every digest that any version of the registry names, down to the files of capabilities and the texts of subagents.
    async fn registry_names(&self) -> Result<BTreeSet<Digest>, OpError> {
        let current = self.hub.current().await?;
        let mut names = BTreeSet::from([current.digest, current.note_digest]);
        let mut artifacts = BTreeSet::new();
        let mut next = Some(current.bytes.clone());
        while let Some(bytes) = next {
            let snapshot = Snapshot::parse(&bytes).map_err(|error| internal(&error))?;
            artifacts.extend(named(&bytes));
            next = match snapshot.previous {
                Some(previous) => {
                    names.extend([previous.snapshot, previous.note]);
                    Some(self.blobs.get(&previous.snapshot).await?)
                }
                None => None,
            };
        }
        let below: Vec<Digest> = artifacts.difference(&names).copied().collect();
        for digest in &below {
            match self.blobs.get(digest).await {
                Ok(bytes) => names.extend(named(&bytes)),
                // What is not there names nothing.
                Err(BlobError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        names.extend(artifacts);
        Ok(names)
    }
}
