//! An attempt that must end and was cancelled by nobody: its deadline passed, or an operator says that it is gone.

use super::draft::Draft;
use super::finish::running;
use super::{Decision, Effect, Refusal};
use crate::canon::INTEGER_MAX;
use crate::id::{Digest, ItemId, Word};
use crate::record::{AttemptFinished, CancelProof, CancelRequested, CancelScope, CancelVia, OutcomeWord, Record};
use crate::state::{ItemStatus, RunState};
use crate::time::Time;
use crate::worker::{AttemptId, Reason};

/// The attempt's deadline passed: that is recorded, and the attempt stopped. Whatever it still brings, it failed for that.
/// One that is stopped already is left to that stop.
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::NoItem`], and [`Refusal::Stale`] when the attempt is not the running one (I7).
pub fn expire(state: &RunState, expired: &AttemptId, reason: Word) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    let ix = running(&draft, &expired.item, expired.attempt, expired.fence)?;
    let item = draft.item(ix);
    if item.is_stopping() {
        return Ok(Decision::default());
    }
    let handle = item.lease.as_ref().and_then(|lease| lease.started.as_ref()).map(|started| started.handle.clone());
    draft.push(Record::CancelRequested(CancelRequested {
        scope: CancelScope::Attempt,
        item: Some(item.id.clone()),
        attempt: Some(expired.attempt),
        via: CancelVia::Engine,
        reason,
        note: None,
    }));
    draft.effect(Effect::Stop { attempt: expired.clone(), handle });
    Ok(draft.finish())
}

/// What an operator says of a stop that nothing proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Force {
    /// The item.
    pub item: ItemId,
    /// Through what it came.
    pub via: CancelVia,
    /// Why, in a word.
    pub reason: Word,
    /// Why, in the operator's words; a blob.
    pub note: Option<Digest>,
}

/// Ends an item whose stop could not be verified, on an operator's word: a request of their own, the attempt's end, and
/// the item as cancelled with the proof `forced`. Its locks are free from then on; its box, should it still live, is
/// ended by the driver as any that no lease covers, and what it still brings changes nothing (I7).
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::NoItem`], [`Refusal::ItemOver`], and [`Refusal::NotUnverified`] while its absence may
/// yet be proven, or where nobody asked it to stop.
pub fn force(state: &RunState, force: Force, now: Time) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    let ix = draft.find(&force.item)?;
    let item = draft.item(ix);
    if item.status.is_terminal() {
        return Err(Refusal::ItemOver { item: item.id.to_string(), word: item.status.as_str() });
    }
    let Some(lease) = item.lease.as_ref().filter(|_| item.is_stop_unverified(now)) else {
        let word = if item.is_stopping() { "stopping" } else { item.status.as_str() };
        return Err(Refusal::NotUnverified { item: item.id.to_string(), word });
    };
    let request = draft.push(Record::CancelRequested(CancelRequested {
        scope: CancelScope::Item,
        item: Some(item.id.clone()),
        attempt: None,
        via: force.via,
        reason: force.reason,
        note: force.note,
    }));
    let reason = Reason::Operator;
    draft.push(Record::AttemptFinished(Box::new(AttemptFinished {
        class: Some(reason.class()),
        reason: Some(reason),
        duration_ms: now.ms_since(lease.at).min(INTEGER_MAX),
        ..AttemptFinished::new(item.id.clone(), lease.attempt, lease.fence, OutcomeWord::Cancelled)
    })));
    draft.push(Record::ItemCancelled { item: item.id.clone(), request, proof: CancelProof::Forced });
    draft.moves(ix, ItemStatus::Cancelled);
    draft.skip_dependents(ix);
    Ok(draft.finish())
}
