//! No new attempts for a while, and again.

use super::draft::Draft;
use super::{Decision, Refusal};
use crate::id::{Digest, Word};
use crate::record::{HoldMode, Record};
use crate::state::RunState;

/// Sets a hold: what runs goes on to its end, nothing new starts.
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::Held`].
pub fn hold(state: &RunState, reason: Word, note: Option<Digest>) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    if state.hold.is_some() {
        return Err(Refusal::Held { run: state.id.to_string() });
    }
    draft.push(Record::HoldSet { mode: HoldMode::Drain, reason, note });
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
