//! The transition table: where a record takes an item, by where it stands.
//!
//! One test walks every pair of standing and record and keeps the result as a test snapshot, the illegal pairs included.

use super::item::ItemStatus;
use crate::record::Record;

/// Where a record takes an item that stands at `from`; `None` where it may not come. `ended` says whether its running
/// attempt has finished.
pub(super) fn target_status(from: ItemStatus, ended: bool, record: &Record) -> Option<ItemStatus> {
    use ItemStatus::{Cancelled, Denied, Done, Failed, Pending, Ready, Running, Skipped, Waiting};
    let (to, legal) = match record {
        Record::ItemReady { .. } => (Ready, matches!(from, Pending | Waiting)),
        Record::ItemDone { finished: Some(_), .. } => (Done, from == Running && ended),
        Record::ItemDone { finished: None, .. } => (Done, from == Waiting),
        Record::ItemFailed { .. } => (Failed, matches!(from, Pending | Ready | Waiting) || from == Running && ended),
        Record::ItemRetried { .. } => (Ready, from == Running && ended),
        // Ready: an approval, for which nothing runs.
        Record::ItemWaiting { .. } => (Waiting, from == Ready || from == Running && ended),
        Record::ItemSkipped { .. } => (Skipped, from == Pending),
        Record::ItemCancelled { .. } => {
            (Cancelled, matches!(from, Pending | Ready | Waiting) || from == Running && ended)
        }
        Record::ItemDenied { .. } => (Denied, matches!(from, Pending | Ready | Waiting)),
        Record::RunOpened(_)
        | Record::ItemsAdded(_)
        | Record::RunLogged(_)
        | Record::AttemptLeased(_)
        | Record::AttemptStarted(_)
        | Record::AttemptFinished(_)
        | Record::QuestionAsked(_)
        | Record::QuestionAnswered(_)
        | Record::HoldSet { .. }
        | Record::HoldReleased { .. }
        | Record::CancelRequested(_)
        | Record::PatternFailed { .. }
        | Record::RunClosed {}
        | Record::RunCompleted(_) => return None,
    };
    legal.then_some(to)
}
