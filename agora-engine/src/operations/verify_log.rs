//! The log of runs, read and checked once for all the runs it speaks of.

use std::collections::BTreeMap;

use agora_core::audit::chain::{ChainCheck, ChainHead, LOG_SEED};
use agora_core::audit::checkpoint::{Checkpoint, RoleKeys};
use agora_core::audit::history::KeyHistory;
use agora_core::audit::merkle::{Frontier, leaf_hash, root};
use agora_core::error::Coded as _;
use agora_core::id::{Digest, Hash, RunId};
use agora_core::record::{LogEntry, LogRecord};
use agora_core::registry::Seen;

use super::verify::{Checks, Failed, RoleWindows, role_key};
use crate::journal::{Ledger, RunSummary, StoreError, Stored};
use crate::keys::{Keys, Role};

/// What the log says of a run's opening.
struct Opening {
    plan: Digest,
    first: Hash,
}

/// What it says of a run's seal.
struct Seal {
    seq: u64,
    size: u64,
    root: Hash,
}

/// The log as far as it was read.
pub(super) struct Log {
    check: ChainCheck<'static>,
    /// The position in the store to go on from.
    next: i64,
    leaves: Vec<Hash>,
    opened: BTreeMap<RunId, Vec<Opening>>,
    sealed: BTreeMap<RunId, Vec<Seal>>,
    /// The registry that was accepted last.
    registry: Option<(u64, Digest)>,
    keys: KeyHistory,
    failures: Vec<Failed>,
}

impl Log {
    /// Nothing of it was read yet.
    pub(super) fn new(keys: &Keys) -> Self {
        Self {
            check: ChainCheck::new(keys.origin().as_str(), LOG_SEED, None),
            next: 0,
            leaves: Vec::new(),
            opened: BTreeMap::new(),
            sealed: BTreeMap::new(),
            registry: None,
            keys: KeyHistory::new(keys.origin().as_str()),
            failures: Vec::new(),
        }
    }

    /// Reads what was appended since the last look.
    ///
    /// # Errors
    /// What the store says.
    pub(super) fn read(&mut self, ledger: &Ledger) -> Result<(), StoreError> {
        let (entries, next) = ledger.log_from(self.next)?;
        self.next = next;
        for (bytes, leaf) in entries {
            self.entry(&bytes, &leaf);
        }
        Ok(())
    }

    fn entry(&mut self, bytes: &[u8], stored: &[u8]) {
        let checked = self.check.entry(bytes);
        let position = self.leaves.len();
        let problems = checked.problems.iter();
        self.failures.extend(problems.map(|problem| (problem.code().to_owned(), format!("the log: {problem}"))));
        if checked.leaf.0 != stored {
            let what = format!("the log: the stored leaf of entry {position} is not the hash of its bytes");
            self.failures.push(("entry-leaf".to_owned(), what));
        }
        self.leaves.push(checked.leaf);
        let read = LogEntry::from_bytes(bytes).map(|entry| (entry.seq, entry.record));
        if let Ok((seq, record)) = &read
            && let Err(error) = self.keys.learn(*seq, record)
        {
            self.failures.push((error.code().to_owned(), format!("the log: {error}")));
        }
        match read {
            Ok((_, LogRecord::RunOpened { run, plan, first, .. })) => {
                self.opened.entry(run).or_default().push(Opening { plan, first });
            }
            Ok((seq, LogRecord::RunSealed { run, size, root, .. })) => {
                self.sealed.entry(run).or_default().push(Seal { seq, size, root });
            }
            Ok((_, LogRecord::RegistryAccepted { version, digest, .. })) => self.registry = Some((version, digest)),
            Ok(_) => {}
            Err(error) => {
                self.failures.push(("entry-schema".to_owned(), format!("the log: entry {position}: {error}")));
            }
        }
    }

    /// Compares it with what the store keeps of it beside: its end, the registry that was accepted last, and the checkpoint
    /// that was signed last.
    ///
    /// # Errors
    /// What the store says.
    pub(super) fn ends(&mut self, ledger: &Ledger, keys: &Keys) -> Result<(), StoreError> {
        let (size, found) = (self.head().size(), self.head().root());
        let mut fail = |code: &str, what: String| self.failures.push((code.to_owned(), what));
        match ledger.log_head()? {
            Some(head) if head.size == size && head.frontier.root() == found => {}
            Some(head) => {
                fail("log-chain", format!("the log has {size} entries, and its end is kept as that of {}", head.size));
            }
            None => fail("log-chain", format!("the log has {size} entries, and its end is not kept")),
        }
        let seen = ledger.get_meta::<Seen>("registry.seen")?.map(|seen| (seen.version, seen.digest));
        if seen != self.registry {
            let shown = |registry: Option<(u64, Digest)>| {
                registry.map_or_else(|| "none".to_owned(), |(version, digest)| format!("version {version}, {digest}"))
            };
            let (kept, logged) = (shown(seen), shown(self.registry));
            fail("log-registry", format!("the registry accepted last is kept as {kept}; the log has {logged}"));
        }
        let signed_size = ledger.get_meta::<u64>("log.signed")?;
        let Some(note) = ledger.get_meta::<String>("log.note")? else {
            // The note is kept before a run says that the log vouches for it.
            if signed_size.is_some() || ledger.any_logged()? {
                fail("checkpoint-unsigned", "the log was signed, and its checkpoint is gone".to_owned());
            }
            return Ok(());
        };
        let windows = self.keys_of(Role::Log, keys);
        let others = [role_key(keys, Role::Run), role_key(keys, Role::Attest)];
        let role = RoleKeys { name: &windows.name, keys: &windows.keys, others: &others };
        self.failures.extend(self.kept(ledger, keys, role, &windows)?);
        let opened = Checkpoint::open(note.as_bytes(), keys.origin().as_str(), role).and_then(|opened| {
            let signed = usize::try_from(opened.checkpoint.size).unwrap_or(usize::MAX).min(self.leaves.len());
            opened.checkpoint.covers(signed as u64, &root(&self.leaves[..signed])).map(|()| opened)
        });
        let opened = opened.map_err(|error| (error.code(), error.to_string())).and_then(|opened| {
            let size = opened.checkpoint.size;
            spoken(&windows, &opened.keys, size).map(|()| size)
        });
        let mut fail = |code: &str, what: String| self.failures.push((code.to_owned(), what));
        match opened {
            // The two are kept together; without the size, a smaller checkpoint could follow.
            Ok(size) if Some(size) != signed_size => {
                let kept = signed_size.map_or_else(|| "none".to_owned(), |kept| kept.to_string());
                fail(
                    "checkpoint-size",
                    format!("the checkpoint of the log is of size {size}, and {kept} is kept as its size"),
                );
            }
            Ok(_) => {}
            Err((code, error)) => fail(code, format!("the checkpoint of the log: {error}")),
        }
        Ok(())
    }

    /// The keys of a role, each with its window: those that the log names, if it leads from them to this home's own. Who
    /// wrote another log does not have that key's signature under a rotation; then the home's own key alone counts.
    pub(super) fn keys_of(&self, role: Role, keys: &Keys) -> RoleWindows {
        RoleWindows::of(&self.keys, role_key(keys, role))
    }

    /// Where a run's seal is in the log.
    pub(super) fn seal_seq(&self, run: &RunId) -> Option<u64> {
        self.sealed.get(run)?.first().map(|seal| seal.seq)
    }

    /// What is wrong with the checkpoints that are kept for ever.
    fn kept(
        &self,
        ledger: &Ledger,
        keys: &Keys,
        role: RoleKeys<'_>,
        windows: &RoleWindows,
    ) -> Result<Vec<Failed>, StoreError> {
        let (mut tree, mut failures, mut from) = (Frontier::default(), Vec::new(), 0);
        while let Some((size, note)) = ledger.log_note_covering(from)? {
            from = size.saturating_add(1);
            let taken = usize::try_from(tree.size()).unwrap_or(usize::MAX);
            let upto = usize::try_from(size).unwrap_or(usize::MAX).min(self.leaves.len());
            self.leaves.get(taken..upto).unwrap_or_default().iter().for_each(|leaf| tree.push(*leaf));
            let opened = Checkpoint::open(&note, keys.origin().as_str(), role)
                .and_then(|opened| opened.checkpoint.covers(size, &tree.root()).map(|()| opened.keys))
                .map_err(|error| (error.code(), error.to_string()))
                .and_then(|signed_by| spoken(windows, &signed_by, size));
            if let Err((code, error)) = opened {
                failures.push((code.to_owned(), format!("the kept checkpoint of size {size}: {error}")));
            } else if tree.size() != size {
                let what = format!("a checkpoint of size {size} is kept, and the log has {} entries", tree.size());
                failures.push(("checkpoint-size".to_owned(), what));
            }
        }
        Ok(failures)
    }

    /// Everything that is wrong with it, or that nothing is.
    pub(super) fn settle(&self, checks: &mut Checks) {
        let passed = format!("{} entries, each canonical and chained to the one before", self.leaves.len());
        checks.settle("log-chain", &passed, self.failures.clone());
    }

    /// The runs that were opened in it.
    pub(super) fn runs(&self) -> impl Iterator<Item = &RunId> {
        self.opened.keys()
    }

    fn head(&self) -> &ChainHead {
        self.check.head()
    }

    /// What is wrong between a run and its opening and seal here.
    pub(super) fn about(&self, run: &RunSummary, head: &ChainHead, first: Option<Hash>) -> Vec<Failed> {
        let mut failures = Vec::new();
        let mut fail = |code: &str, what: &str| failures.push((code.to_owned(), what.to_owned()));
        match self.opened.get(&run.id).map_or(&[][..], Vec::as_slice) {
            [one] if one.plan.to_string() == run.plan_digest && Some(one.first) == first => {}
            [] => fail("log-opened", "the log does not have the opening"),
            [_] => fail("log-opened", "the log has another opening"),
            _ => fail("log-resealed", "the run was opened twice"),
        }
        match self.sealed.get(&run.id).map_or(&[][..], Vec::as_slice) {
            [one] if one.size != head.size() || one.root != head.root() => {
                fail("log-sealed", "the log has another seal")
            }
            [_] if !run.sealed => {
                fail("log-sealed", "the log has the seal, and the run's row says that it is not sealed")
            }
            [_] => {}
            [] if !run.sealed => {}
            [] => fail("log-sealed", "the run's row says that it is sealed, and the log does not have the seal"),
            _ => fail("log-resealed", "the run was sealed twice"),
        }
        failures
    }
}

/// Whether a checkpoint of the log was signed by a key that was good: it speaks at its last entry.
fn spoken(windows: &RoleWindows, signed_by: &[usize], size: u64) -> Result<(), (&'static str, String)> {
    let spoken = windows.speak(signed_by, size.saturating_sub(1));
    spoken.map_err(|error| (error.code(), error.to_string()))
}

/// The leaf of a run's first entry.
pub(super) fn first_leaf(entries: &[Stored]) -> Option<Hash> {
    entries.first().map(|(bytes, _)| leaf_hash(bytes))
}
