//! Somebody wants a run or an item to stop.

use super::draft::Draft;
use super::{Decision, Effect, Refusal, pattern};
use crate::id::{Digest, ItemId, Word};
use crate::record::{CancelProof, CancelRequested, CancelScope, CancelVia, Record};
use crate::state::{ItemStatus, RunState};

/// What is to stop, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// One item, or the whole run.
    pub item: Option<ItemId>,
    /// Through what it came.
    pub via: CancelVia,
    /// Why, in a word.
    pub reason: Word,
    /// Why, in the caller's words; a blob.
    pub note: Option<Digest>,
}

/// Records the request first, ends what never started, and asks for the stop of what runs. An item that runs is cancelled
/// only when its absence is proven ([`super::finish`]).
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::ItemOver`], [`Refusal::NoItem`].
pub fn cancel(state: &RunState, request: Cancel) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    let targets: Vec<usize> = match &request.item {
        Some(id) => vec![draft.find(id)?],
        None => (0..state.items.len()).collect(),
    };
    if let (Some(_), [ix]) = (&request.item, targets.as_slice()) {
        let item = draft.item(*ix);
        if item.status.is_terminal() {
            return Err(Refusal::ItemOver { item: item.id.to_string(), word: item.status.as_str() });
        }
        if item.cancel.is_some() {
            return Ok(Decision::default());
        }
    } else if state.cancel.is_some() {
        return Ok(Decision::default());
    }
    let scope = if request.item.is_some() { CancelScope::Item } else { CancelScope::Run };
    let seq = draft.push(Record::CancelRequested(CancelRequested {
        scope,
        item: request.item,
        attempt: None,
        via: request.via,
        reason: request.reason,
        note: request.note,
    }));
    if scope == CancelScope::Run && state.may_grow() {
        // What is stopped grows no more: else it would stay open for good.
        draft.push(Record::RunClosed {});
    }
    if scope == CancelScope::Run {
        // Nor do its patterns answer what ended before: it must not look as if they had nothing to add.
        pattern::stop(&mut draft);
    }
    for ix in targets {
        let item = draft.item(ix);
        match draft.status(ix) {
            ItemStatus::Pending | ItemStatus::Ready | ItemStatus::Waiting => {
                let proof = if item.attempts == 0 { CancelProof::NeverStarted } else { CancelProof::Absent };
                draft.push(Record::ItemCancelled { item: item.id.clone(), request: seq, proof });
                draft.moves(ix, ItemStatus::Cancelled);
                if scope == CancelScope::Item {
                    draft.skip_dependents(ix);
                }
            }
            ItemStatus::Running => {
                let handle = item.lease.as_ref().and_then(|lease| lease.started.as_ref()).map(|s| s.handle.clone());
                if let Some(attempt) = draft.attempt(ix) {
                    draft.effect(Effect::Stop { attempt, handle });
                }
            }
            ItemStatus::Done
            | ItemStatus::Failed
            | ItemStatus::Skipped
            | ItemStatus::Cancelled
            | ItemStatus::Denied => {}
        }
    }
    Ok(draft.finish())
}
