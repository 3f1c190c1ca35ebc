//! The signed statements of a sealed run.

use agora_core::audit::checkpoint::{Checkpoint, RoleKeys, run_origin};
use agora_core::audit::dsse::{AttestKey, AttestPublic, Envelope};
use agora_core::audit::statement::Statement;
use agora_core::error::{Class, Problem};
use agora_core::id::{ItemId, RunId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::verify::role_key;
use super::{Caller, OpError};
use crate::engine::Engine;
use crate::journal::{Envelopes, LoggedKey, RunSummary, SealAt, StoreError, Tx};
use crate::keys::Role;
use crate::p256;
use crate::perform::{Signatures, Whole, derive_statements, sign_statements};

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
    /// The name and public half of the P-256 key, if the log names one.
    pub p256: Option<(String, p256::Point)>,
}

impl Engine {
    /// The signed statements of a sealed run, each compared with what the run's entries say and verified. A run that an earlier
    /// version sealed has none until this asks for them: they are signed and kept then, once.
    ///
    /// # Errors
    /// `run-not-sealed`; for runs that are not there, and `store-damaged` for entries that are not what their checkpoint says
    /// and for statements that are not those of the entries.
    pub async fn statements(&self, caller: &Caller, run: &str) -> Result<StatementsReply, OpError> {
        let run = self.find_run(caller, run, false).await?;
        if !run.sealed {
            let problem = Problem::new(Class::Later, "run-not-sealed", format!("the run {} is not sealed yet", run.id));
            return Err(OpError::one(problem.hint("statements are signed when a run ends: wait for it with `watch`")));
        }
        let (whole, at, second) = self.sealed(&run).await?;
        let derived = derive_statements(&self.journal, &whole).await?;
        let key = run.key;
        let mut kept = self.journal.call(move |ledger| ledger.statements(key)).await?;
        if kept.is_empty() && !derived.is_empty() {
            let by = match &second {
                Some(logged) if logged.at <= at => Signatures::All,
                Some(_) | None => Signatures::Ed25519Alone,
            };
            let made = sign_statements(&self.keys, &derived, by).await?;
            kept = self.journal.call(move |ledger| ledger.transact(|tx| keep(tx, key, made))).await?;
        }
        let damaged = |why: String| StoreError::CorruptRun(format!("the statements of the run {}: {why}", run.id));
        if kept.len() != derived.len() {
            return Err(damaged(format!("{} are kept, not {}", kept.len(), derived.len())).into());
        }
        let p256 = second.and_then(|logged| named(&logged));
        let keys = self.attest_keys(p256.as_ref());
        let row = |((seq, bytes), derived): ((u64, Vec<u8>), Statement)| {
            let envelope = Envelope::from_bytes(&bytes).map_err(|error| damaged(format!("{seq}: {error}")))?;
            let opened = envelope.open(&keys).map_err(|error| damaged(format!("{seq}: {error}")))?;
            if (seq, &opened.payload) != (derived.seq, &derived.payload) {
                return Err(damaged(format!("{seq} is not what the entries say")));
            }
            Ok(StatementRow { seq, item: derived.item, bytes, envelope })
        };
        let statements = kept.into_iter().zip(derived).map(row).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(StatementsReply { run_id: run.id, statements, p256 })
    }

    /// A sealed run as its signed checkpoint and its seal have it, the position of that seal, and the P-256 key that the log
    /// names. What is signed or shown of it is believed because of that checkpoint.
    async fn sealed(&self, run: &RunSummary) -> Result<(Whole, u64, Option<LoggedKey>), OpError> {
        let (id, opened) = (run.id.clone(), run.log_seq);
        let (seal, second) =
            self.journal.call(move |ledger| Ok((ledger.seal_in_log(&id, opened)?, ledger.second_key()?))).await?;
        let damaged = |why: String| StoreError::CorruptRun(format!("the seal of the run {}: {why}", run.id));
        let SealAt { seq, size, root } = seal.ok_or_else(|| damaged("the log does not have it".to_owned()))?;
        let note = run.checkpoint.as_deref().ok_or_else(|| damaged("its checkpoint is gone".to_owned()))?;
        let origin = run_origin(self.keys.origin().as_str(), &run.id);
        let mine = [role_key(&self.keys, Role::Run)];
        Checkpoint::open(note, &origin, RoleKeys { name: &mine[0].name, keys: &mine, others: &[] })
            .and_then(|opened| opened.checkpoint.covers(size, &root))
            .map_err(|error| damaged(error.to_string()))?;
        Ok((Whole { key: run.key, id: run.id.clone(), size, root }, seq, second))
    }

    /// The keys that sign statements here. The second is the one that the log names, whether or not its file is there.
    fn attest_keys(&self, p256: Option<&(String, p256::Point)>) -> Vec<AttestKey> {
        let attest = self.keys.signer(Role::Attest);
        let mut keys =
            vec![AttestKey { name: attest.name().to_owned(), key: AttestPublic::Ed25519(attest.public_key()) }];
        keys.extend(p256.map(|(name, point)| AttestKey { name: name.clone(), key: AttestPublic::P256(*point) }));
        keys
    }
}

/// Keeps statements where there are none. Who is slower is given those of who was faster.
fn keep(tx: &mut Tx<'_>, key: i64, made: Envelopes) -> Result<Envelopes, StoreError> {
    let kept = tx.ledger().statements(key)?;
    if !kept.is_empty() {
        return Ok(kept);
    }
    tx.put_statements(key, &made)?;
    Ok(made)
}

/// The name and point of the key that the log names.
fn named(logged: &LoggedKey) -> Option<(String, p256::Point)> {
    let point = STANDARD.decode(&logged.key.key).ok()?.try_into().ok()?;
    Some((logged.key.name.to_string(), point))
}
