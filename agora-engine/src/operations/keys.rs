//! What the log says of keys, and how it is told of a change. Private keys are made and moved by agora-admin alone.

use agora_core::audit::checkpoint::Checkpoint;
use agora_core::audit::history::KeyHistory;
use agora_core::audit::policy::Seen;
use agora_core::error::{Class, Coded as _, Problem};
use agora_core::record::{CancelVia, LogRecord};

use super::{Caller, OpError};
use crate::driver::{DriverLock, try_acquire};
use crate::engine::Engine;
use crate::journal::StoreError;
use crate::keys::Keys;
use crate::perform::log_note;
use crate::upkeep::Upkeep;

/// Nobody drives the home while this lives, so nobody signs: whoever begins to drive reads the keys anew. Nobody copies it
/// either: a store from before a change and keys from after it would not fit each other.
#[derive(Debug)]
pub struct Undriven {
    _upkeep: Upkeep,
    _lock: DriverLock,
}

/// Why a run has no statements and never will: it is damaged, or the key came after its seal.
const LATE_NEVER: [&str; 2] = ["store-damaged", "key-window"];

/// Makes the record of a change from what the log says of keys, for the position where it will stand.
pub type KeyChange = Box<dyn FnOnce(&KeyHistory, u64) -> Result<LogRecord, Problem> + Send>;

impl Engine {
    /// What the log says of keys.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn key_history(&self) -> Result<KeyHistory, OpError> {
        Ok(self.journal.call(|ledger| ledger.key_history()).await?)
    }

    /// The newest checkpoint of the log that was signed; none before the first.
    ///
    /// # Errors
    /// When the store does not answer, or what it keeps is no checkpoint.
    pub async fn log_seen(&self) -> Result<Option<Seen>, OpError> {
        let Some(note) = self.journal.call(|ledger| ledger.get_meta::<String>("log.note")).await? else {
            return Ok(None);
        };
        let (checkpoint, _) = Checkpoint::parse(note.as_bytes())?;
        Ok(Some(Seen { size: checkpoint.size, root: checkpoint.root }))
    }

    /// Keeps everybody from driving and copying the home, as long as what is returned lives.
    ///
    /// # Errors
    /// `home-busy` while some process drives, copies or removes.
    pub fn undriven(&self) -> Result<Undriven, OpError> {
        let upkeep = Upkeep::removing(&self.home)?;
        let lock = try_acquire(&self.home)?;
        lock.map(|lock| Undriven { _upkeep: upkeep, _lock: lock }).ok_or_else(|| {
            let what = "a process drives the runs of this home, and signs with its keys";
            let hint = "end `agora-admin serve`, the agents' clients and what follows a run, then try again";
            OpError::one(Problem::new(Class::Later, "home-busy", what).hint(hint))
        })
    }

    /// Appends a change of keys to the log, if those in force allow it, and signs the log with the keys that are in force
    /// then. Returns the record's position.
    ///
    /// # Errors
    /// `operator-only` for tools; what `make` says; `key-rotation` for a change that a reader of the log would not believe; what store or keys say. Only
    /// when signing failed is the change in the log all the same.
    pub async fn change_keys(&self, _held: &Undriven, caller: &Caller, make: KeyChange) -> Result<u64, OpError> {
        if caller.via != CancelVia::Cli {
            let problem = Problem::new(Class::Operator, "operator-only", "only an operator can change keys");
            return Err(OpError::one(problem.hint("an operator runs `agora-admin key`")));
        }
        let stamp = self.stamp(caller);
        let changed = self.journal.call(move |ledger| {
            ledger.transact(|tx| {
                let mut history = tx.ledger().key_history()?;
                let head = tx.log_head()?.ok_or_else(|| StoreError::Corrupt("the log was never opened".to_owned()))?;
                let seq = head.size;
                let record = match make(&history, seq) {
                    Ok(record) => record,
                    Err(problem) => return Ok(Err(problem)),
                };
                if let Err(error) = history.learn(seq, &record) {
                    return Ok(Err(error.problem()));
                }
                tx.log(&stamp, record)?;
                Ok(Ok(seq))
            })
        });
        let seq = changed.await?.map_err(OpError::one)?;
        self.sign_log().await?;
        Ok(seq)
    }

    /// Signs the statements of every sealed run that has none yet, as a run that an earlier version sealed: a statement speaks
    /// where the run was sealed, and a key that takes the place of `attest` does not. A damaged run gets none; `doctor` tells.
    ///
    /// # Errors
    /// As [`Engine::statements`].
    pub async fn state_late(&self, _held: &Undriven, caller: &Caller) -> Result<(), OpError> {
        for run in self.journal.call(|ledger| ledger.without_statements()).await? {
            match self.statements(caller, &run).await {
                Err(error) if !LATE_NEVER.contains(&error.first().code.as_str()) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Signs the log as it is, with the key that is in force.
    async fn sign_log(&self) -> Result<(), OpError> {
        let history = self.journal.call(|ledger| ledger.key_history()).await?;
        Ok(log_note(&self.journal, &Keys::in_force(&self.home, &history)?).await?)
    }
}
