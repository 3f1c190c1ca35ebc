//! Somebody extends an open-ended run, or closes it.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::{Decision, Refusal, approve};
use crate::id::ItemId;
use crate::record::{Added, AddedItem, ReadyCause, Record, SkipCause};
use crate::state::{ItemStatus, RunState};

/// Adds items to an open-ended run, closes it, or both. What depends on nothing that is still to come is ready at once;
/// what depends on an item that ended other than done is skipped at once. Closing a closed run changes nothing.
///
/// A run never completes in the step in which it grew: [`super::settle`] completes it afterwards.
///
/// # Errors
/// [`Refusal::Over`]; [`Refusal::NotOpenEnded`]; for items [`Refusal::Closed`] and, once the run was asked to stop,
/// [`Refusal::Stopping`].
pub fn extend(state: &RunState, added: Vec<Added>, close: bool) -> Result<Decision, Refusal> {
    may_extend(state, !added.is_empty())?;
    let mut draft = Draft::new(state)?;
    if !added.is_empty() {
        grow(&mut draft, added, None);
    }
    if close && !state.closed {
        draft.push(Record::RunClosed {});
    }
    Ok(draft.finish())
}

/// Whether a run may be closed and, if something is to be added, takes items; for who wants to know before there are any.
///
/// # Errors
/// As [`extend`].
pub fn may_extend(state: &RunState, adds: bool) -> Result<(), Refusal> {
    let run = || state.id.to_string();
    if state.is_over() {
        return Err(Refusal::Over { run: run(), word: state.word() });
    }
    if !state.opened.open_ended {
        return Err(Refusal::NotOpenEnded { run: run() });
    }
    match adds {
        true if state.cancel.is_some() => Err(Refusal::Stopping { run: run() }),
        true if state.closed => Err(Refusal::Closed { run: run() }),
        true | false => Ok(()),
    }
}

/// What a run owes by itself: asks people for the approvals whose time has come, and completes a run that has nothing left
/// to do and was not completed in the step that left it so: it grew in it by nothing but items that were skipped at once, or
/// it has patterns, which had not been asked then. As long as one owes an answer ([`RunState::due`]) the run stays open.
///
/// # Errors
/// [`Refusal::Over`].
pub fn settle(state: &RunState) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    approve::ask(&mut draft);
    draft.settles();
    Ok(draft.finish())
}

/// Pushes the items, and where each of them stands at once. `source` is the item whose pattern adds them.
pub(super) fn grow(draft: &mut Draft<'_>, added: Vec<Added>, source: Option<usize>) {
    let mut fresh: BTreeMap<ItemId, Standing> = BTreeMap::new();
    let mut after = Vec::new();
    for item in added.iter().flat_map(|chunk| &chunk.items) {
        let standing = standing(draft.state, &fresh, item, source);
        match &standing {
            Standing::Pending => {}
            Standing::Ready => {
                after.push(Record::ItemReady { item: item.id.clone(), cause: ReadyCause::Dependencies });
            }
            Standing::Skipped(due_to, cause) => {
                let (item, due_to, cause) = (item.id.clone(), due_to.clone(), *cause);
                after.push(Record::ItemSkipped { item, cause, due_to });
            }
        }
        fresh.insert(item.id.clone(), standing);
    }
    for chunk in added {
        draft.push(Record::ItemsAdded(Box::new(chunk)));
    }
    for record in after {
        draft.push(record);
    }
}

/// Where a new item stands at once.
enum Standing {
    Pending,
    Ready,
    /// Because of this item.
    Skipped(ItemId, SkipCause),
}

fn standing(state: &RunState, fresh: &BTreeMap<ItemId, Standing>, item: &AddedItem, source: Option<usize>) -> Standing {
    let mut waits = false;
    for dep in &item.depends_on {
        match (fresh.get(dep), state.index_of(dep)) {
            (Some(Standing::Skipped(due_to, cause)), _) => return Standing::Skipped(due_to.clone(), *cause),
            (None, Some(ix)) => match over(state, ix, source) {
                Some((due_to, cause)) => return Standing::Skipped(due_to, cause),
                None => waits |= state.items[ix].status != ItemStatus::Done,
            },
            (Some(Standing::Pending | Standing::Ready), _) | (None, None) => waits = true,
        }
    }
    if waits { Standing::Pending } else { Standing::Ready }
}

/// Because of which item nothing new may depend on this one, if so. By design, where that item's pattern is yet to answer:
/// it adds what is skipped here once more.
fn over(state: &RunState, ix: usize, source: Option<usize>) -> Option<(ItemId, SkipCause)> {
    let item = &state.items[ix];
    if state.is_barred(ix) && source != Some(ix) {
        return Some((item.id.clone(), SkipCause::Pattern));
    }
    if !item.status.is_terminal() || item.status == ItemStatus::Done {
        return None;
    }
    let due_to = item.due_to.clone().unwrap_or_else(|| item.id.clone());
    let answers = state.index_of(&due_to).is_some_and(|of| state.due.contains(&of));
    Some((due_to, if answers { SkipCause::Pattern } else { SkipCause::Dependency }))
}
