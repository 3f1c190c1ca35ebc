//! Signing: the log checkpoint that covers a run's opening, and the checkpoint of a completed run, with its statements.

use std::sync::Arc;

use agora_core::audit::checkpoint::Checkpoint;
use agora_core::audit::note;
use agora_core::id::RunId;
use agora_core::record::{LogPlace, LogRecord};
use agora_core::seam::Signer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::statements::{Signatures, Whole, derive_statements, sign_statements};
use crate::journal::{Journal, Stamp, StoreError};
use crate::keys::{Keys, Role};

/// Signs the log as it is now, keeps the note, and returns what a run keeps of it.
///
/// # Errors
/// What the store or the signer says.
pub(crate) async fn log_place(journal: &Journal, keys: &Keys) -> Result<LogPlace, StoreError> {
    let head = journal.call(|ledger| ledger.log_head()).await?;
    let head = head.ok_or_else(|| StoreError::Corrupt("the log was never opened".to_owned()))?;
    let (size, root) = (head.size, head.frontier.root());
    let origin = keys.origin().as_str().to_owned();
    let signer = keys.signer(Role::Log);
    let (note, signature) = sign(&Checkpoint { origin, size, root }, &signer).await?;
    journal
        .call(move |ledger| {
            ledger.transact(|tx| {
                let last = tx.ledger().get_meta::<u64>("log.signed")?.unwrap_or(0);
                if size >= last {
                    tx.put_meta("log.signed", &size)?;
                    tx.put_meta("log.note", &String::from_utf8_lossy(&note))?;
                }
                tx.keep_log_note(size, &note)
            })
        })
        .await?;
    Ok(LogPlace { size, root, sig: signature })
}

/// Signs the log as it is now and keeps the note.
///
/// # Errors
/// As [`log_place`].
pub(crate) async fn log_note(journal: &Journal, keys: &Keys) -> Result<(), StoreError> {
    log_place(journal, keys).await.map(|_| ())
}

/// Signs a checkpoint; returns the note and what follows the key name in its signature line.
pub(crate) async fn sign(checkpoint: &Checkpoint, signer: &Arc<dyn Signer>) -> Result<(Vec<u8>, String), StoreError> {
    let text = checkpoint.text();
    let signature =
        signer.sign(text.as_bytes()).await.map_err(|error| StoreError::Sqlite(format!("signing: {error}")))?;
    let key = signer.public_key();
    let mut raw = note::key_id(signer.name(), &key).to_vec();
    raw.extend(signature);
    let bytes = checkpoint
        .sign(signer.name(), &key, &signature)
        .map_err(|error| StoreError::Sqlite(format!("signing: {error}")))?;
    Ok((bytes, STANDARD.encode(raw)))
}

/// Seals a completed run: signs the statements of its items and its checkpoint, and appends `run.sealed` to the log, once.
/// Sealing what is sealed succeeds and changes nothing; a crash in between repeats the signing, never the record.
///
/// # Errors
/// What the store or the signer says; [`StoreError::CorruptRun`] when the log has the seal and the run's row does not.
pub(crate) async fn seal(journal: &Journal, keys: &Keys, id: &RunId) -> Result<(), StoreError> {
    let run = id.clone();
    let found = journal
        .call(move |ledger| {
            ledger.catch_up()?;
            let sealed = ledger.summary(&run)?.is_none_or(|row| row.sealed);
            ledger.load(&run)?;
            let state = ledger.board_ref().run(&run).ok_or_else(|| StoreError::NoRun(run.to_string()))?;
            let Some((outcome, _)) = state.completed else { return Ok(None) };
            let (size, opened) = (state.next_seq, state.opened.log_seq);
            let meta = ledger.meta(&run).ok_or_else(|| StoreError::NoRun(run.to_string()))?;
            let whole = Whole { key: meta.key, id: run.clone(), size, root: meta.frontier.root() };
            Ok((!sealed).then_some((whole, opened, outcome)))
        })
        .await?;
    let Some((whole, opened, outcome)) = found else { return Ok(()) };
    let derived = derive_statements(journal, &whole).await?;
    let statements = sign_statements(keys, &derived, Signatures::All).await?;
    let Whole { key, size, root, .. } = whole;
    let origin = format!("{}/run/{id}", keys.origin().as_str());
    let (note, _) = sign(&Checkpoint { origin, size, root }, &keys.signer(Role::Run)).await?;
    let run = id.clone();
    journal
        .call(move |ledger| {
            ledger.transact(|tx| {
                if tx.ledger().summary(&run)?.is_none_or(|row| row.sealed) {
                    return Ok(());
                }
                // Two seals of one run can never be taken back (I8): the row alone is not believed.
                tx.ledger().refuse_second_seal(&run, opened)?;
                let record = LogRecord::RunSealed { run: run.clone(), opened, size, root, outcome };
                tx.log(&Stamp::engine(), record)?;
                tx.put_statements(key, &statements)?;
                tx.seal(&run, &note)
            })?;
            ledger.drop_run(&run);
            Ok(())
        })
        .await
}
