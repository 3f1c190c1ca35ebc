//! A pattern of the run's queue answers the end of an item: with items, or with why it cannot go on.

use super::draft::Draft;
use super::extend;
use super::{Decision, Refusal};
use crate::id::{Enc, ItemId, Word};
use crate::plan::QueuePattern;
use crate::record::{Added, GrowthCause, Record};
use crate::state::{Rule, RunState};

/// Adds what the pattern of this item adds; nothing at all is an answer too: the run goes on without the item. Said twice,
/// or once the run is being stopped, it changes nothing.
///
/// A run never completes in the step in which it grew: [`super::settle`] completes it afterwards.
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::NoItem`].
pub fn grow(state: &RunState, source: &ItemId, mut added: Vec<Added>) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    let ix = draft.find(source)?;
    if !is_due(state, ix) {
        return Ok(Decision::default());
    }
    if added.is_empty() {
        let source = Some(Enc::encode(source.as_str()));
        added.push(Added { cause: GrowthCause::Pattern, source, resolved: Vec::new(), items: Vec::new() });
    }
    draft.answers(ix);
    extend::grow(&mut draft, added, Some(ix));
    Ok(draft.finish())
}

/// Records that the pattern of this item cannot go on: the run's other items do, and the run ends failed. Said twice, or
/// once the run is being stopped, it changes nothing.
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::NoItem`].
pub fn pattern_failed(state: &RunState, source: &ItemId, reason: Word) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    let ix = draft.find(source)?;
    if !is_due(state, ix) {
        return Ok(Decision::default());
    }
    fail(&mut draft, ix, reason);
    draft.settles();
    Ok(draft.finish())
}

/// The run is to stop: no pattern answers any more.
pub(super) fn stop(draft: &mut Draft<'_>) {
    let Ok(reason) = Word::new("cancelled") else { return };
    for ix in draft.state.due.iter().copied() {
        fail(draft, ix, reason.clone());
    }
}

fn is_due(state: &RunState, ix: usize) -> bool {
    state.cancel.is_none() && state.due.contains(&ix)
}

fn fail(draft: &mut Draft<'_>, ix: usize, reason: Word) {
    let item = draft.item(ix);
    let pattern = match item.knobs.rule {
        Some(Rule::Gate { .. }) => QueuePattern::Pipeline,
        Some(Rule::MapReduce) => QueuePattern::MapReduce,
        Some(Rule::Quorum) => QueuePattern::Quorum,
        None => QueuePattern::StaticDag,
    };
    draft.answers(ix);
    let pattern = Enc::encode(&format!("{}:{}", pattern.as_str(), item.id));
    draft.push(Record::PatternFailed { pattern, reason });
}
