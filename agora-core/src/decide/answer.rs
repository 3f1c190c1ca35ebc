//! Somebody answered a question.

use super::draft::Draft;
use super::{Decision, Refusal};
use crate::id::{Digest, ItemId};
use crate::record::{AnswerDecision, QuestionAnswered, ReadyCause, Record};
use crate::state::{ItemStatus, RunState};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whose question; absent: the question's number says it.
    pub item: Option<ItemId>,
    /// The position of `question.asked`.
    pub question: u64,
    /// The answer's bytes, a blob.
    pub answer: Digest,
}

/// Records the answer; the item is ready again. A question is answered once: the second answer finds none open (C13).
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::NoItem`], [`Refusal::NoQuestion`], [`Refusal::WantsApproval`].
pub fn answer(state: &RunState, answer: Answer) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    let none = |item: &str| Refusal::NoQuestion { item: item.to_owned(), question: answer.question };
    let asks = |ix: &usize| {
        let item = &state.items[*ix];
        let open = item.question.as_ref().is_some_and(|q| q.asked == answer.question && q.decision.is_none());
        item.status == ItemStatus::Waiting && open
    };
    let ix = match &answer.item {
        Some(id) => Some(draft.find(id)?).filter(asks).ok_or_else(|| none(id.as_str()))?,
        None => state.questions.get(&answer.question).copied().filter(asks).ok_or_else(|| none("(any)"))?,
    };
    let item = draft.item(ix);
    if item.is_approval() {
        return Err(Refusal::WantsApproval { item: item.id.to_string() });
    }
    let question = item.question.as_ref().ok_or_else(|| none(item.id.as_str()))?;
    draft.push(Record::QuestionAnswered(QuestionAnswered {
        asked: question.asked,
        leaf: question.leaf,
        decision: AnswerDecision::Answered,
        answer: Some(answer.answer),
    }));
    draft.push(Record::ItemReady { item: item.id.clone(), cause: ReadyCause::Answer });
    draft.moves(ix, ItemStatus::Ready);
    Ok(draft.finish())
}
