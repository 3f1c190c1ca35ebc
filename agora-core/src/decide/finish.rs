//! An attempt started or ended, or the log vouched for a run.

use super::draft::Draft;
use super::{Decision, Effect, Refusal};
use crate::canon::INTEGER_MAX;
use crate::id::{Digest, RunId};
use crate::record::{
    AttemptFinished, AttemptStarted, CancelProof, LogPlace, OutcomeWord, QuestionAsked, QuestionKind, Record,
    SkipCause, UsageCount,
};
use crate::retry;
use crate::state::{ItemStatus, Rule, RunState, StopCause};
use crate::time::Time;
use crate::worker::{FailureClass, Reason};

/// What one attempt is believed to have cost at most, in millionths of a US dollar: ten thousand dollars, so that
/// the sum over the attempts of the largest run is an integer that an entry can hold.
const ATTEMPT_COST_MICROUSD_MAX: u64 = 10_000_000_000;

/// How an attempt ended, checked: all it names exists and matches its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// The run.
    pub run: RunId,
    /// The record.
    pub finished: AttemptFinished,
    /// The question's bytes and number of options, exactly when the outcome is `needs_input`.
    pub question: Option<(Digest, u64)>,
    /// The provider's hint: another attempt not before this many milliseconds.
    pub hint_ms: Option<u64>,
    /// Why it failed, in agora's own words, where there is no outcome that says so.
    pub detail: Option<String>,
}

/// A log checkpoint is signed. It is recorded if it covers the run's opening and none before it did.
///
/// # Errors
/// [`Refusal::Over`].
pub fn logged(state: &RunState, place: LogPlace) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    // A checkpoint from before the opening vouches for nothing; the next one will.
    if !state.logged && place.size > state.opened.log_seq {
        draft.push(Record::RunLogged(place));
    }
    Ok(draft.finish())
}

/// The box of an attempt exists. Said twice, it changes nothing; one that was asked to stop meanwhile is stopped.
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::NoItem`], and [`Refusal::Stale`] when the attempt is not the running one (I7).
pub fn started(state: &RunState, started: AttemptStarted) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    let ix = running(&draft, &started.item, started.attempt, started.fence)?;
    let item = draft.item(ix);
    if item.lease.as_ref().is_some_and(|lease| lease.started.is_some()) {
        return Ok(Decision::default());
    }
    let handle = started.handle.clone();
    draft.push(Record::AttemptStarted(Box::new(started)));
    if let Some(attempt) = draft.attempt(ix)
        && item.is_stopping()
    {
        draft.effect(Effect::Stop { attempt, handle: Some(handle) });
    }
    Ok(draft.finish())
}

/// An attempt ended: its result is accepted, or it is tried again, or it asks, or it failed. A cancel that was recorded
/// before beats whatever it brought.
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::NoItem`], and [`Refusal::Stale`] when the attempt is not the running one (I7).
pub fn finish(state: &RunState, finish: Finish, now: Time) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(state)?;
    let ix = running(&draft, &finish.finished.item, finish.finished.attempt, finish.finished.fence)?;
    let item = draft.item(ix);
    let id = item.id.clone();
    let unstarted = item.lease.as_ref().is_none_or(|lease| lease.started.is_none());
    let stop = item.stop().map(|stop| stop.cause);
    let body = settle(finish.finished, stop, unstarted, finish.question.is_some());
    draft.add_cost(body.usage.as_ref().and_then(|usage| usage.cost_microusd).unwrap_or(0));
    let is_red = body.verify.as_ref().is_some_and(|verify| !verify.passed);
    let bars = matches!(item.knobs.rule, Some(Rule::Gate { fixes_max: Some(_) }));
    let outcome = body.outcome;
    let reason = body.reason.unwrap_or(Reason::OutcomeInvalid);
    if let Some(attempt) = draft.attempt(ix) {
        draft.effect(Effect::Remove(attempt));
    }
    let finished = draft.push(Record::AttemptFinished(Box::new(body)));
    match (item.cancel, outcome, finish.question) {
        (Some(request), ..) => {
            draft.push(Record::ItemCancelled { item: id, request, proof: CancelProof::Absent });
            draft.moves(ix, ItemStatus::Cancelled);
            draft.skip_dependents(ix);
        }
        (None, OutcomeWord::Done, _) => {
            draft.push(Record::ItemDone { item: id, finished: Some(finished), answered: None });
            draft.moves(ix, ItemStatus::Done);
            if is_red && bars {
                // Done, but a gate that is to be fixed: what depends on it comes again behind the fix.
                draft.skip_dependents_as(ix, SkipCause::Pattern);
            } else {
                draft.release_dependents(ix);
            }
        }
        (None, OutcomeWord::NeedsInput, Some((text, options))) => {
            let asked = draft.push(Record::QuestionAsked(Box::new(QuestionAsked {
                item: id.clone(),
                kind: QuestionKind::Input,
                text,
                options,
                subjects: Vec::new(),
                finished: Some(finished),
                expires: None,
            })));
            draft.push(Record::ItemWaiting { item: id, asked });
            draft.moves(ix, ItemStatus::Waiting);
        }
        (None, OutcomeWord::Cancelled, _) if stop == Some(StopCause::Park) => {
            draft.push(Record::ItemRetried { item: id, finished, class: reason.class(), reason, not_before: now });
            draft.moves(ix, ItemStatus::Ready);
        }
        (None, OutcomeWord::NeedsInput | OutcomeWord::Failed | OutcomeWord::Cancelled | OutcomeWord::Lost, _) => {
            let class = reason.class();
            match retry::not_before(state.id.as_str(), item, reason, finish.hint_ms, now) {
                Some(not_before) => {
                    draft.push(Record::ItemRetried { item: id, finished, class, reason, not_before });
                    draft.moves(ix, ItemStatus::Ready);
                }
                None => {
                    let (detail, answered) = (finish.detail.as_deref().map(super::lease::printable), None);
                    let finished = Some(finished);
                    draft.push(Record::ItemFailed { item: id, class, reason, detail, finished, answered });
                    draft.moves(ix, ItemStatus::Failed);
                    draft.skip_dependents(ix);
                }
            }
        }
    }
    Ok(draft.finish())
}

/// Makes a record of what is reported: one that says the same in all its members, whoever made the report.
fn settle(mut body: AttemptFinished, stop: Option<StopCause>, unstarted: bool, asked: bool) -> AttemptFinished {
    match (stop, body.outcome) {
        // The cancel was recorded first and fences the attempt: whatever it brought is evidence, not a result.
        (Some(StopCause::Cancel), _) => (body.outcome, body.reason) = (OutcomeWord::Cancelled, Some(Reason::Caller)),
        // So was the deadline's end.
        (Some(StopCause::Deadline), _) => (body.outcome, body.reason) = (OutcomeWord::Failed, Some(Reason::Wall)),
        // What had ended by itself before it was parked is worth what it brought.
        (Some(StopCause::Park), OutcomeWord::Cancelled | OutcomeWord::Lost) => {
            (body.outcome, body.reason) = (OutcomeWord::Cancelled, Some(Reason::Operator));
        }
        (Some(StopCause::Park), OutcomeWord::Done | OutcomeWord::NeedsInput | OutcomeWord::Failed) | (None, _) => {}
    }
    let refused = match body.outcome {
        // What the journal does not show as started has no isolation to show either.
        OutcomeWord::Done | OutcomeWord::NeedsInput if unstarted => Some(Reason::WorkerError),
        OutcomeWord::NeedsInput if !asked => Some(Reason::OutcomeInvalid),
        OutcomeWord::Done | OutcomeWord::NeedsInput => {
            body.reason = None;
            None
        }
        // The reason decides what follows; stopped by nobody, with the reason of a failure, is a failure.
        OutcomeWord::Cancelled if body.reason.is_some_and(|reason| reason.class() != FailureClass::Cancelled) => {
            body.reason
        }
        OutcomeWord::Failed | OutcomeWord::Cancelled => body.reason.is_none().then_some(Reason::OutcomeInvalid),
        OutcomeWord::Lost => body.reason.is_none().then_some(Reason::WorkerLost),
    };
    if let Some(reason) = refused {
        body.reason = Some(reason);
        if body.outcome != OutcomeWord::Lost {
            body.outcome = OutcomeWord::Failed;
        }
    }
    body.class = body.reason.map(Reason::class);
    for usage in [&mut body.usage, &mut body.usage_broker].into_iter().flatten() {
        cap(usage);
    }
    body.duration_ms = body.duration_ms.min(INTEGER_MAX);
    for number in [&mut body.exit_code, &mut body.signal].into_iter().flatten() {
        *number = (*number).min(INTEGER_MAX);
    }
    body.outputs.sort_by(|one, other| one.path.cmp(&other.path));
    body.outputs.dedup_by(|one, other| one.path == other.path);
    body
}

/// What a runtime claims to have used is not checked by anybody: it must not make the run's sums impossible to write.
fn cap(usage: &mut UsageCount) {
    let UsageCount { input_tokens, cached_tokens, output_tokens, cost_microusd, turns } = usage;
    for count in [input_tokens, cached_tokens, output_tokens, turns].into_iter().flatten() {
        *count = (*count).min(INTEGER_MAX);
    }
    if let Some(cost) = cost_microusd {
        *cost = (*cost).min(ATTEMPT_COST_MICROUSD_MAX);
    }
}

pub(super) fn running(draft: &Draft<'_>, id: &crate::id::ItemId, attempt: u64, fence: u64) -> Result<usize, Refusal> {
    let ix = draft.find(id)?;
    let open = draft
        .item(ix)
        .lease
        .as_ref()
        .is_some_and(|lease| lease.attempt == attempt && lease.fence == fence && lease.finished.is_none());
    if open { Ok(ix) } else { Err(Refusal::Stale { item: id.to_string(), attempt, fence }) }
}
