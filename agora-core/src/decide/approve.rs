//! Approvals: what a person is asked to decide before what depends on it starts.

use super::draft::Draft;
use super::{Decision, Refusal};
use crate::id::{Digest, ItemId};
use crate::record::{AnswerDecision, QuestionAnswered, QuestionAsked, QuestionKind, Record};
use crate::state::{ItemStatus, RunState};
use crate::worker::Reason;

/// A person's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approve {
    /// Which approval.
    pub item: ItemId,
    /// The position of its `question.asked`, where the caller saw it; absent: the one that is open. There is never another.
    pub question: Option<u64>,
    /// Whether it is approved.
    pub verdict: Verdict,
    /// More, in the person's words; a blob.
    pub note: Option<Digest>,
}

/// What a person says to an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// What depends on it may start.
    Approved,
    /// What depends on it is skipped.
    Rejected,
}

/// Asks for the approvals whose time has come: once each, with the accepted patches of what they depend on as subjects.
pub(super) fn ask(draft: &mut Draft<'_>) {
    for ix in draft.state.unasked.iter().copied() {
        let item = draft.item(ix);
        // Absent for a verifier, who decides nothing.
        let Some(text) = item.knobs.question else { continue };
        let patch = |dep: &usize| Some(draft.item(*dep).accepted.as_ref()?.patch.as_ref()?.digest);
        let subjects = item.depends_on.iter().filter_map(patch).collect();
        let asked = draft.push(Record::QuestionAsked(Box::new(QuestionAsked {
            item: item.id.clone(),
            kind: QuestionKind::Approval,
            text,
            options: 0,
            subjects,
            finished: None,
            expires: None,
        })));
        draft.push(Record::ItemWaiting { item: item.id.clone(), asked });
        draft.moves(ix, ItemStatus::Waiting);
    }
}

/// Records a person's decision: an approved item is done, a rejected one has failed. That the caller is a person is for the
/// edge to see to. An approval is decided once: the second decision finds none open (C13).
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::NoItem`], [`Refusal::NoQuestion`].
pub fn approve(state: &RunState, approve: Approve) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    let ix = draft.find(&approve.item)?;
    let item = draft.item(ix);
    let none = || Refusal::NoApproval { item: item.id.to_string() };
    let open = item.question.as_ref().filter(|_| item.is_approval() && item.status == ItemStatus::Waiting);
    let open = open.filter(|open| approve.question.is_none_or(|seen| seen == open.asked)).ok_or_else(none)?;
    let decision = match approve.verdict {
        Verdict::Approved => AnswerDecision::Approved,
        Verdict::Rejected => AnswerDecision::Rejected,
    };
    let answered = draft.push(Record::QuestionAnswered(QuestionAnswered {
        asked: open.asked,
        leaf: open.leaf,
        decision,
        answer: approve.note,
    }));
    let id = item.id.clone();
    match approve.verdict {
        Verdict::Approved => {
            draft.push(Record::ItemDone { item: id, finished: None, answered: Some(answered) });
            draft.moves(ix, ItemStatus::Done);
            draft.release_dependents(ix);
        }
        Verdict::Rejected => {
            let reason = Reason::Rejected;
            draft.push(Record::ItemFailed {
                item: id,
                class: reason.class(),
                reason,
                detail: None,
                finished: None,
                answered: Some(answered),
            });
            draft.moves(ix, ItemStatus::Failed);
            draft.skip_dependents(ix);
        }
    }
    Ok(draft.finish())
}
