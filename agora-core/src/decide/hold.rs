//! No new attempts for a while, and again.

use super::draft::Draft;
use super::{Decision, Effect, Refusal};
use crate::id::{Digest, Word};
use crate::record::{HoldMode, Record};
use crate::state::{ItemStatus, RunState};

/// Sets a hold: nothing new starts. With [`HoldMode::Drain`] what runs goes on to its end; with [`HoldMode::Park`] it is
/// stopped, and its items are ready again without having used up an attempt. A drained run may be parked; a parked one is
/// drained already.
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::Held`].
pub fn hold(state: &RunState, mode: HoldMode, reason: Word, note: Option<Digest>) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    if let Some(hold) = state.hold {
        if state.parked || mode == HoldMode::Drain {
            return Err(Refusal::Held { run: state.id.to_string() });
        }
        draft.push(Record::HoldReleased { hold });
    }
    draft.push(Record::HoldSet { mode, reason, note });
    if mode == HoldMode::Park {
        for (ix, item) in state.items.iter().enumerate().filter(|(_, item)| item.status == ItemStatus::Running) {
            let handle = item.lease.as_ref().and_then(|lease| lease.started.as_ref()).map(|s| s.handle.clone());
            draft.effect_of(ix, |attempt| Effect::Stop { attempt, handle });
        }
    }
    Ok(draft.finish())
}

/// Releases the hold.
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::NotHeld`].
pub fn release(state: &RunState) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    let hold = state.hold.ok_or_else(|| Refusal::NotHeld { run: state.id.to_string() })?;
    draft.push(Record::HoldReleased { hold });
    Ok(draft.finish())
}
