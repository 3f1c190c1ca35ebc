//! A slot and locks are granted: the lease of an attempt, or why there is none.

use super::draft::Draft;
use super::{Decision, Effect, Refusal};
use crate::id::{Digest, Enc, Word};
use crate::record::{AttemptLeased, InputUse, Record, UsedInput};
use crate::state::{ItemState, ItemStatus, RunState};
use crate::time::Time;
use crate::worker::{AttemptId, Reason};

/// What the engine knows about the attempt beside the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseTerms {
    /// The target's name.
    pub target: Enc,
    /// The digest of its configuration in use.
    pub target_digest: Digest,
    /// Its provider.
    pub provider: Word,
    /// What the agent is told. Absent: it could not be made, and the attempt will say why.
    pub message: Option<Digest>,
    /// When it must have ended, in milliseconds from now.
    pub deadline_ms: u64,
    /// Why no attempt may start any more (a revoked digest), with words of agora's own.
    pub refused: Option<(Reason, String)>,
}

/// Grants the ready item at this index its next attempt. An item that can never start fails instead: the run's budget is
/// used up, what it uses was revoked, or an item it depends on did not make what it needs.
///
/// # Errors
/// [`Refusal::Over`], and [`Refusal::ItemOver`] when the item is not ready any more, or there is none at this index.
pub fn lease(state: &RunState, ix: usize, terms: LeaseTerms, now: Time) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    let none = || Refusal::ItemOver { item: format!("(index {ix})"), word: "unknown" };
    let item = state.items.get(ix).ok_or_else(none)?;
    if item.status != ItemStatus::Ready {
        return Err(Refusal::ItemOver { item: item.id.to_string(), word: item.status.as_str() });
    }
    let spent = state.spent(now).map(|(reason, detail)| (reason, detail.to_owned()));
    let refused = spent.or(terms.refused);
    let inputs = match (refused, inputs(state, item)) {
        (Some((reason, detail)), _) => return Ok(fail(draft, ix, reason, &detail)),
        (None, Err(detail)) => return Ok(fail(draft, ix, Reason::NeedMissing, &detail)),
        (None, Ok(inputs)) => inputs,
    };
    let attempt = item.attempts + 1;
    let fence = item.ended.last().map_or(0, |ended| ended.finished.fence) + 1;
    draft.push(Record::AttemptLeased(Box::new(AttemptLeased {
        item: item.id.clone(),
        attempt,
        fence,
        target: terms.target,
        target_digest: terms.target_digest,
        provider: terms.provider,
        message: terms.message,
        model: item.knobs.model.clone(),
        inputs,
        locks: item.locks.clone(),
        deadline: now.plus_ms(terms.deadline_ms),
        reserved_microusd: None,
    })));
    draft.moves(ix, ItemStatus::Running);
    draft.effect(Effect::Launch(AttemptId { run: state.id.clone(), item: item.id.clone(), attempt, fence }));
    Ok(draft.finish())
}

fn fail(mut draft: Draft<'_>, ix: usize, reason: Reason, detail: &str) -> Decision {
    draft.push(Record::ItemFailed {
        item: draft.item(ix).id.clone(),
        class: reason.class(),
        reason,
        detail: Some(printable(detail)),
        finished: None,
        answered: None,
    });
    draft.moves(ix, ItemStatus::Failed);
    draft.skip_dependents(ix);
    draft.finish()
}

/// Text of agora's own as records hold it: printable ASCII, at most 256 bytes.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).take(256).collect()
}

/// What the attempt consumes, or what is missing of it: the patches of its direct dependencies, the products it asks for, what
/// the plan pinned, and the answer to its question.
fn inputs(state: &RunState, item: &ItemState) -> Result<Vec<UsedInput>, String> {
    let mut inputs = Vec::new();
    for dep in &item.depends_on {
        let dep = &state.items[*dep];
        let Some(accepted) = &dep.accepted else { continue };
        if let Some(patch) = &accepted.patch {
            inputs.push(UsedInput {
                usage: InputUse::Patch,
                digest: patch.digest,
                item: Some(dep.id.clone()),
                done: Some(accepted.done),
                key: None,
                path: None,
            });
        }
    }
    for need in &item.needs {
        let accepted = state.item(&need.item).and_then(|producer| producer.accepted.as_ref());
        let digest = accepted.and_then(|accepted| match need.usage {
            InputUse::Patch => accepted.patch.as_ref().map(|patch| patch.digest),
            InputUse::Output => {
                accepted.outputs.iter().find(|output| Some(&output.path) == need.path.as_ref()).map(|o| o.digest)
            }
            InputUse::Answer | InputUse::Ref => None,
        });
        let what = need.path.as_ref().map_or_else(|| "a patch".to_owned(), |path| format!("the output {path}"));
        let digest = digest.ok_or_else(|| format!("the item {} did not make {what}", need.item))?;
        inputs.push(UsedInput {
            usage: need.usage,
            digest,
            item: Some(need.item.clone()),
            done: accepted.map(|accepted| accepted.done),
            key: Some(need.key.clone()),
            path: need.path.clone(),
        });
    }
    for (key, digest) in &item.knobs.refs {
        let key = Some(Enc::encode(key));
        inputs.push(UsedInput { usage: InputUse::Ref, digest: *digest, item: None, done: None, key, path: None });
    }
    if let Some(digest) = item.question.as_ref().and_then(|question| question.answer) {
        let item = Some(item.id.clone());
        inputs.push(UsedInput { usage: InputUse::Answer, digest, item, done: None, key: None, path: None });
    }
    Ok(inputs)
}
