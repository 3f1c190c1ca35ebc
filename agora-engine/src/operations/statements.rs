//! The signed statements of a sealed run.

use agora_core::audit::checkpoint::{Checkpoint, RoleKeys, run_origin};
use agora_core::audit::dsse::{AttestKey, Envelope};
use agora_core::audit::history::{KeyHistory, KnownKey};
use agora_core::audit::note::VerifyKey;
use agora_core::audit::policy::{KeyRole, PolicyKey, PublicKey, Window};
use agora_core::audit::statement::Statement;
use agora_core::error::{Class, Problem};
use agora_core::id::{ItemId, RunId};

use super::verify::{RoleWindows, role_key};
use super::{Caller, OpError};
use crate::engine::Engine;
use crate::journal::{Envelopes, RunSummary, SealAt, StoreError, Tx};
use crate::keys::{Keys, Role};
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
        let history = self.key_history().await?;
        let (whole, at) = self.sealed(&run, &history).await?;
        let derived = derive_statements(&self.journal, &whole).await?;
        let key = run.key;
        let mut kept = self.journal.call(move |ledger| ledger.statements(key)).await?;
        if kept.is_empty() && !derived.is_empty() {
            let made = self.made_now(&history, at, &derived).await?;
            kept = self.journal.call(move |ledger| ledger.transact(|tx| keep(tx, key, made))).await?;
        }
        let damaged = |why: String| StoreError::CorruptRun(format!("the statements of the run {}: {why}", run.id));
        if kept.len() != derived.len() {
            return Err(damaged(format!("{} are kept, not {}", kept.len(), derived.len())).into());
        }
        let by = Attesters::of(&history, role_key(&self.keys, Role::Attest));
        let keys = by.keys();
        let row = |((seq, bytes), derived): ((u64, Vec<u8>), Statement)| {
            let envelope = Envelope::from_bytes(&bytes).map_err(|error| damaged(format!("{seq}: {error}")))?;
            let opened = envelope.open(&keys).map_err(|error| damaged(format!("{seq}: {error}")))?;
            by.speak(&opened.keys, at).map_err(|error| damaged(format!("{seq}: {error}")))?;
            if (seq, &opened.payload) != (derived.seq, &derived.payload) {
                return Err(damaged(format!("{seq} is not what the entries say")));
            }
            Ok(StatementRow { seq, item: derived.item, bytes, envelope })
        };
        let statements = kept.into_iter().zip(derived).map(row).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(StatementsReply {
            run_id: run.id,
            statements,
            p256: by.p256.into_iter().next_back().map(|(name, point, _)| (name, point)),
        })
    }

    /// Signs the statements of a run long after its seal at `at`. Only keys that were good there already can: the home's may
    /// have come since.
    async fn made_now(&self, history: &KeyHistory, at: u64, derived: &[Statement]) -> Result<Envelopes, OpError> {
        // Those of now: this process may have been opened before a key was replaced.
        let keys = Keys::in_force(&self.home, history)?;
        let speaks = |name: &str| history.in_force(name).map(|known| known.key.speaks_at(at));
        if let Some(Err(error)) = speaks(keys.signer(Role::Attest).name()) {
            return Err(error.into());
        }
        let by = match keys.attest_p256().and_then(|key| speaks(key.name())) {
            Some(Ok(())) => Signatures::All,
            Some(Err(_)) | None => Signatures::Ed25519Alone,
        };
        Ok(sign_statements(&keys, derived, by).await?)
    }

    /// A sealed run as its signed checkpoint and its seal have it, and the position of that seal. What is signed or shown of
    /// it is believed because of that checkpoint.
    async fn sealed(&self, run: &RunSummary, history: &KeyHistory) -> Result<(Whole, u64), OpError> {
        let (id, opened) = (run.id.clone(), run.log_seq);
        let seal = self.journal.call(move |ledger| ledger.seal_in_log(&id, opened)).await?;
        let damaged = |why: String| StoreError::CorruptRun(format!("the seal of the run {}: {why}", run.id));
        let SealAt { seq, size, root } = seal.ok_or_else(|| damaged("the log does not have it".to_owned()))?;
        let note = run.checkpoint.as_deref().ok_or_else(|| damaged("its checkpoint is gone".to_owned()))?;
        let origin = run_origin(self.keys.origin().as_str(), &run.id);
        let windows = RoleWindows::of(history, role_key(&self.keys, Role::Run));
        let role = RoleKeys { name: &windows.name, keys: &windows.keys, others: &[] };
        let signed_by = Checkpoint::open(note, &origin, role)
            .and_then(|opened| opened.checkpoint.covers(size, &root).map(|()| opened.keys))
            .map_err(|error| damaged(error.to_string()))?;
        windows.speak(&signed_by, seq).map_err(|error| damaged(error.to_string()))?;
        Ok((Whole { key: run.key, id: run.id.clone(), size, root }, seq))
    }
}

/// Every key that may have signed a statement, whether or not its file is there.
struct Attesters {
    ed25519: RoleWindows,
    /// Name, public half and window.
    p256: Vec<(String, p256::Point, PolicyKey)>,
}

impl Attesters {
    fn of(history: &KeyHistory, own: VerifyKey) -> Self {
        let p256 = |known: &KnownKey| match (known.key.role, &known.key.key) {
            (KeyRole::Attest, PublicKey::P256(point)) => Some((known.key.name.clone(), *point, known.key.clone())),
            _ => None,
        };
        Self { ed25519: RoleWindows::of(history, own), p256: history.keys().iter().filter_map(p256).collect() }
    }

    /// The Ed25519 keys, then the others.
    fn keys(&self) -> Vec<AttestKey> {
        let first = self.ed25519.keys.iter().map(|key| (&key.name, PublicKey::Ed25519(key.public_key)));
        let others = self.p256.iter().map(|(name, point, _)| (name, PublicKey::P256(*point)));
        first.chain(others).map(|(name, key)| AttestKey { name: name.clone(), key }).collect()
    }

    /// Whether each of the keys at these positions of [`Attesters::keys`] speaks at an index of the log: none vouches for
    /// another.
    fn speak(&self, signed_by: &[usize], index: u64) -> Result<(), Window> {
        signed_by.iter().try_for_each(|at| match at.checked_sub(self.ed25519.keys.len()) {
            None => self.ed25519.speak(&[*at], index),
            Some(at) => self.p256.get(at).map_or(Ok(()), |(_, _, key)| key.speaks_at(index)),
        })
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
