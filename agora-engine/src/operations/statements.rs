//! The signed statements of a sealed run.

use std::sync::Arc;

use agora_core::audit::checkpoint::{Checkpoint, RoleKeys, run_origin};
use agora_core::audit::dsse::Envelope;
use agora_core::error::{Class, Problem};
use agora_core::id::{ItemId, RunId};
use agora_core::record::{Entry, Record};

use super::verify::role_key;
use super::{Caller, OpError};
use crate::engine::Engine;
use crate::journal::{Envelopes, RunSummary, SealAt, StoreError};
use crate::keys::Role;
use crate::p256;
use crate::perform::{Signatures, Whole, sign_statements};

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRow {
    /// The position of the `item.done` that it is about.
    pub seq: u64,
    /// The item.
    pub item: ItemId,
    /// The envelope's canonical bytes, as they are kept.
    pub bytes: Vec<u8>,
    /// The same, read.
    pub envelope: Envelope,
}

/// The statements of a run, by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementsReply {
    /// The run.
    pub run_id: RunId,
    /// One for each item whose accepted attempt made a patch or an output.
    pub statements: Vec<StatementRow>,
    /// The name and public half of the P-256 key, if this home has it.
    pub p256: Option<(String, p256::Point)>,
}

impl Engine {
    /// The signed statements of a sealed run. One that an earlier version sealed has none until this asks for them: they are
    /// signed and kept then, once.
    ///
    /// # Errors
    /// `run-not-sealed`; for runs that are not there, and for those whose entries are not what their checkpoint says.
    pub async fn statements(&self, caller: &Caller, run: &str) -> Result<StatementsReply, OpError> {
        let run = self.find_run(caller, run, false).await?;
        if !run.sealed {
            let problem = Problem::new(Class::Later, "run-not-sealed", format!("the run {} is not sealed yet", run.id));
            return Err(OpError::one(problem.hint("statements are signed when a run ends: wait for it with `watch`")));
        }
        let key = run.key;
        let mut envelopes = self.journal.call(move |ledger| ledger.statements(key)).await?;
        if envelopes.is_empty() {
            envelopes = self.make_statements(&run).await?;
        }
        let id = run.id.clone();
        let rows = self
            .journal
            .call(move |ledger| {
                let row = |(seq, bytes): (u64, Vec<u8>)| {
                    let damaged = |why: &dyn std::fmt::Display| {
                        StoreError::CorruptRun(format!("statement {seq} of the run {id}: {why}"))
                    };
                    let envelope = Envelope::from_bytes(&bytes).map_err(|error| damaged(&error))?;
                    let entry = ledger.entries_from(key, seq, 1)?.pop().unwrap_or_default();
                    match Entry::from_bytes(&entry).map(|entry| entry.record) {
                        Ok(Record::ItemDone { item, .. }) => Ok(StatementRow { seq, item, bytes, envelope }),
                        Ok(_) => Err(damaged(&"no item was done there")),
                        Err(error) => Err(damaged(&error)),
                    }
                };
                envelopes.into_iter().map(row).collect::<Result<Vec<_>, StoreError>>()
            })
            .await?;
        let p256 = self.keys.attest_p256().map(|key| (key.name().to_owned(), *key.point()));
        Ok(StatementsReply { run_id: run.id, statements: rows, p256 })
    }

    /// Signs the statements of a run that has none, and keeps them. Who is slower is given those of who was faster.
    async fn make_statements(&self, run: &RunSummary) -> Result<Envelopes, OpError> {
        let (id, opened) = (run.id.clone(), run.log_seq);
        let (seal, second) =
            self.journal.call(move |ledger| Ok((ledger.seal_in_log(&id, opened)?, ledger.second_key()?))).await?;
        let damaged = |why: String| StoreError::CorruptRun(format!("the seal of the run {}: {why}", run.id));
        let SealAt { seq, size, root } = seal.ok_or_else(|| damaged("the log does not have it".to_owned()))?;
        // What is signed here is believed because of the checkpoint that was signed at the run's end.
        let note = run.checkpoint.as_deref().ok_or_else(|| damaged("its checkpoint is gone".to_owned()))?;
        let origin = run_origin(self.keys.origin().as_str(), &run.id);
        let mine = [role_key(&self.keys, Role::Run)];
        Checkpoint::open(note, &origin, RoleKeys { name: &mine[0].name, keys: &mine, others: &[] })
            .and_then(|opened| opened.checkpoint.covers(size, &root))
            .map_err(|error| damaged(error.to_string()))?;
        let by = match second {
            Some(logged) if logged.at <= seq => Signatures::All,
            Some(_) | None => Signatures::Ed25519Alone,
        };
        let whole = Whole { key: run.key, id: run.id.clone(), size, root };
        let made = sign_statements(&self.journal, &Arc::clone(&self.keys), whole, by).await?;
        let key = run.key;
        let kept = self.journal.call(move |ledger| {
            ledger.transact(|tx| {
                let kept = tx.ledger().statements(key)?;
                if kept.is_empty() {
                    tx.put_statements(key, &made)?;
                    return Ok(made);
                }
                Ok(kept)
            })
        });
        Ok(kept.await?)
    }
}
