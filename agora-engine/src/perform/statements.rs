//! Signing the statements of a run's accepted items.

use agora_core::audit::dsse::Envelope;
use agora_core::audit::merkle::{Frontier, leaf_hash};
use agora_core::audit::statement::{Gather, Statement};
use agora_core::id::{Hash, RunId};
use agora_core::record::Entry;
use agora_core::seam::SignError;

use crate::journal::{Envelopes, Journal, StoreError};
use crate::keys::{Keys, Role};

/// Entries that are read in one piece: between two of them others have the journal, and this task gives way.
const PAGE: u64 = 256;
/// Statements that are signed before this task gives way.
const YIELD_EACH: usize = 64;

/// A completed run, as its signed checkpoint has it.
#[derive(Debug, Clone)]
pub(crate) struct Whole {
    /// Its row.
    pub(crate) key: i64,
    /// Its id.
    pub(crate) id: RunId,
    /// How many entries it has.
    pub(crate) size: u64,
    /// The root over them.
    pub(crate) root: Hash,
}

/// Whether the P-256 key signs too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signatures {
    /// It does, where this home has it.
    All,
    /// The run was sealed before the log named that key: it could not have spoken then.
    Ed25519Alone,
}

/// What the statements of a run say, from its entries as they are stored, and from no other entries than those of its root.
///
/// # Errors
/// What the store says; [`StoreError::CorruptRun`] for entries that are not those of the root.
pub(crate) async fn derive_statements(journal: &Journal, run: &Whole) -> Result<Vec<Statement>, StoreError> {
    let damaged = |why: String| StoreError::CorruptRun(format!("the statements of the run {}: {why}", run.id));
    let (mut gather, mut tree, mut derived) = (Gather::default(), Frontier::default(), Vec::new());
    while tree.size() < run.size {
        let (key, from) = (run.key, tree.size());
        let limit = PAGE.min(run.size - from);
        let page = journal.call(move |ledger| ledger.entries_from(key, from, limit)).await?;
        if page.is_empty() {
            break;
        }
        for bytes in page {
            tree.push(leaf_hash(&bytes));
            let entry = Entry::from_bytes(&bytes).map_err(|error| damaged(error.to_string()))?;
            derived.extend(gather.read(entry).map_err(|error| damaged(error.to_string()))?);
        }
        tokio::task::yield_now().await;
    }
    if (tree.size(), tree.root()) == (run.size, run.root) {
        return Ok(derived);
    }
    Err(damaged("its entries are not those of its checkpoint".to_owned()))
}

/// Signs statements.
///
/// # Errors
/// What a signer says.
pub(crate) async fn sign_statements(
    keys: &Keys,
    derived: &[Statement],
    by: Signatures,
) -> Result<Envelopes, StoreError> {
    let mut signed = Envelopes::with_capacity(derived.len());
    for statement in derived {
        let envelope = sign(keys, statement.payload.clone(), by).await.map_err(|error| signing(&error))?;
        let bytes = envelope.to_bytes().map_err(|error| StoreError::Sqlite(format!("signing: {error}")))?;
        signed.push((statement.seq, bytes));
        if signed.len().is_multiple_of(YIELD_EACH) {
            tokio::task::yield_now().await;
        }
    }
    Ok(signed)
}

async fn sign(keys: &Keys, payload: Vec<u8>, by: Signatures) -> Result<Envelope, SignError> {
    let mut envelope = Envelope::new(payload);
    let message = envelope.signed_bytes();
    let attest = keys.signer(Role::Attest);
    envelope.sign(attest.name(), attest.sign(&message).await?.to_vec());
    if let (Some(key), Signatures::All) = (keys.attest_p256(), by) {
        envelope.sign(key.name(), key.sign(&message)?);
    }
    Ok(envelope)
}

fn signing(error: &SignError) -> StoreError {
    StoreError::Sqlite(format!("signing: {error}"))
}
