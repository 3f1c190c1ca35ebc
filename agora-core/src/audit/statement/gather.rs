//! What the statements of a run are made of, found by reading its entries once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::payload::{Parts, payload};
use crate::canon::CanonError;
use crate::id::{ItemId, RunId};
use crate::record::{AddedItem, AttemptFinished, AttemptLeased, AttemptStarted, Entry, NamedRef, Record, RunOpened};
use crate::time::Time;

/// One statement that a run has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The position of its `item.done`.
    pub seq: u64,
    /// The item.
    pub item: ItemId,
    /// The bytes that are signed.
    pub payload: Vec<u8>,
}

/// An item so far: how it came, and its latest attempt.
struct Known {
    added: AddedItem,
    resolved: Arc<Vec<NamedRef>>,
    leased: Option<Box<AttemptLeased>>,
    started: Option<(Box<AttemptStarted>, Time)>,
    finished: Option<(Box<AttemptFinished>, Time, u64)>,
}

/// Reads the entries of one run in their order. That the story they tell can have been is for others to say; of one that
/// cannot, this says at most that something is missing.
#[derive(Default)]
pub struct Gather {
    opened: Option<(RunId, Box<RunOpened>)>,
    items: BTreeMap<ItemId, Known>,
}

impl Gather {
    /// Reads the next entry; returns a statement for an `item.done` by an attempt that made a patch or an output. What an
    /// approval accepts was made by no attempt, and has none.
    ///
    /// # Errors
    /// [`CanonError`] as of [`payload`], and [`CanonError::Shape`] for an `item.done` without a part that comes before it.
    pub fn read(&mut self, entry: Entry) -> Result<Option<Statement>, CanonError> {
        let Entry { run, seq, at, record, .. } = entry;
        match record {
            Record::RunOpened(opened) => self.opened = Some((run, opened)),
            Record::ItemsAdded(added) => {
                let resolved = Arc::new(added.resolved);
                for item in added.items {
                    let known = Known {
                        resolved: Arc::clone(&resolved),
                        leased: None,
                        started: None,
                        finished: None,
                        added: item,
                    };
                    self.items.insert(known.added.id.clone(), known);
                }
            }
            Record::AttemptLeased(body) => {
                if let Some(known) = self.items.get_mut(&body.item) {
                    (known.leased, known.started, known.finished) = (Some(body), None, None);
                }
            }
            Record::AttemptStarted(body) => {
                if let Some(known) = self.items.get_mut(&body.item) {
                    known.started = Some((body, at));
                }
            }
            Record::AttemptFinished(body) => {
                if let Some(known) = self.items.get_mut(&body.item) {
                    known.finished = Some((body, at, seq));
                }
            }
            Record::ItemDone { item, finished: Some(finished), .. } => return self.done(seq, &item, finished),
            Record::RunLogged(_)
            | Record::ItemReady { .. }
            | Record::ItemDone { .. }
            | Record::ItemFailed { .. }
            | Record::ItemRetried { .. }
            | Record::ItemWaiting { .. }
            | Record::ItemSkipped { .. }
            | Record::ItemCancelled { .. }
            | Record::ItemDenied { .. }
            | Record::QuestionAsked(_)
            | Record::QuestionAnswered(_)
            | Record::HoldSet { .. }
            | Record::HoldReleased { .. }
            | Record::CancelRequested(_)
            | Record::PatternFailed { .. }
            | Record::RunClosed {}
            | Record::RunCompleted(_) => {}
        }
        Ok(None)
    }

    /// The statement of an item that is done. Nothing comes after it, so that what was kept of it goes.
    fn done(&mut self, done: u64, id: &ItemId, by: u64) -> Result<Option<Statement>, CanonError> {
        let missing = |what: &str| CanonError::Shape(format!("entry {done}: {what} of the item {id} is not before it"));
        let known = self.items.remove(id).ok_or_else(|| missing("the addition"))?;
        let (finished, finished_at, at) = known.finished.ok_or_else(|| missing("the attempt"))?;
        if at != by {
            return Err(missing("the accepted attempt"));
        }
        if finished.patch.is_none() && finished.outputs.is_empty() {
            return Ok(None);
        }
        let (run, opened) = self.opened.as_ref().ok_or_else(|| missing("the run"))?;
        let leased = known.leased.ok_or_else(|| missing("the lease"))?;
        let (started, started_at) = known.started.ok_or_else(|| missing("the start"))?;
        let numbers = (finished.attempt, finished.fence);
        if (leased.attempt, leased.fence) != numbers || (started.attempt, started.fence) != numbers {
            return Err(missing("the lease or start"));
        }
        let parts = Parts {
            run,
            opened,
            item: &known.added,
            resolved: &known.resolved,
            leased: &leased,
            started: &started,
            started_at,
            finished: &finished,
            finished_at,
            done,
        };
        Ok(Some(Statement { seq: done, item: id.clone(), payload: payload(&parts)? }))
    }
}
