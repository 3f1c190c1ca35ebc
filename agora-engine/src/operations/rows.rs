//! From the state to the rows that replies share.

use agora_core::choose::{Board, Capacity};
use agora_core::id::{Digest, ItemId, RunId};
use agora_core::state::{Blocked, ItemState, ItemStatus, RunState};
use agora_core::text::{Source, Untrusted};
use agora_core::time::Time;
use agora_core::worker::{FailureClass, Reason};

use super::facts::{AttemptRow, ItemRow, PatchStat, RunRow, StateCounts, Text};
use crate::journal::{ItemCounts, RunSummary};

/// Bytes of a failure's detail; records hold no more.
const DETAIL_BYTES_MAX: usize = 256;

/// A run's row.
pub(super) fn run_row(run: &RunSummary, counts: ItemCounts, now: Time) -> RunRow {
    RunRow {
        run_id: run.id.to_string(),
        state: run.state.clone(),
        sealed: run.sealed,
        held: run.held,
        collected: run.collected.map(|at| at.to_string()),
        queue: run.queue.clone(),
        actor: run.actor.clone(),
        opened: run.opened_at.to_string(),
        completed: run.completed_at.map(|at| at.to_string()),
        duration_ms: run.completed_at.unwrap_or(now).ms_since(run.opened_at),
        items: StateCounts(counts),
        cost_usd: (run.cost_microusd > 0).then(|| usd(run.cost_microusd)),
    }
}

/// Money as decimal text.
fn usd(microusd: u64) -> String {
    format!("{}.{:06}", microusd / 1_000_000, microusd % 1_000_000)
}

/// `class: reason`.
pub(super) fn failure_text(class: FailureClass, reason: Reason) -> String {
    let class = serde_json::to_value(class).ok().and_then(|value| value.as_str().map(str::to_owned));
    format!("{}: {}", class.unwrap_or_default(), reason.as_str())
}

/// An item's row.
pub(super) fn item_row(board: &Board, run: &RunState, ix: usize, now: Time, capacity: &Capacity) -> ItemRow {
    let item = &run.items[ix];
    let first = item.ended.first().map(|ended| ended.leased_at).or(item.lease.as_ref().map(|lease| lease.at));
    let until = if item.status.is_terminal() { item.since } else { now };
    let accepted = item.accepted.as_ref();
    ItemRow {
        item_id: item.id.to_string(),
        state: state_word(item, now).to_owned(),
        executor: item.executor.to_string(),
        attempts: item.attempts,
        depends_on: item.depends_on.iter().map(|dep| run.items[*dep].id.to_string()).collect(),
        blocked_by: board.blocked(&run.id, ix, now, capacity).iter().map(blocked_text).collect(),
        failure: item.failure.map(|(class, reason)| failure_text(class, reason)),
        detail: item.detail.as_ref().map(|detail| detail_text(detail, &run.id, &item.id)),
        due_to: item.due_to.as_ref().map(ToString::to_string),
        duration_ms: first.map(|first| until.ms_since(first)),
        patch: accepted.and_then(|accepted| accepted.patch.as_ref()).map(|patch| PatchStat {
            digest: patch.digest.to_string(),
            size_bytes: patch.size_bytes,
            files: patch.files,
            flags: patch.flags.iter().map(ToString::to_string).collect(),
        }),
        outputs: accepted.map(|accepted| accepted.outputs.len() as u64).filter(|count| *count > 0),
        verified: item.last().and_then(|last| last.verify.as_ref()).map(|verify| verify.passed),
        question_id: open_question(item),
    }
}

/// The number of the question that waits for an answer.
pub(super) fn open_question(item: &ItemState) -> Option<u64> {
    let waits = item.status == ItemStatus::Waiting;
    item.question.as_ref().filter(|question| waits && question.answer.is_none()).map(|question| question.asked)
}

/// The word for where an item stands.
pub(super) fn state_word(item: &ItemState, now: Time) -> &'static str {
    match item.is_stopping() {
        true if item.is_stop_unverified(now) => "stopping_unverified",
        true => "stopping",
        false => item.status.as_str(),
    }
}

/// The attempts of an item, in order.
pub(super) fn attempt_rows(item: &ItemState, now: Time) -> Vec<AttemptRow> {
    let mut rows: Vec<AttemptRow> = item
        .ended
        .iter()
        .map(|ended| AttemptRow {
            attempt: ended.finished.attempt,
            state: ended.finished.outcome.as_str().to_owned(),
            target: ended.target.to_string(),
            profile: ended.isolation.as_ref().map(|isolation| isolation.profile.clone()),
            leased: ended.leased_at.to_string(),
            duration_ms: ended.finished.duration_ms,
            failure: ended.finished.class.zip(ended.finished.reason).map(|(class, reason)| failure_text(class, reason)),
            exit_code: ended.finished.exit_code,
        })
        .collect();
    if let Some(lease) = item.lease.as_ref().filter(|lease| lease.finished.is_none()) {
        rows.push(AttemptRow {
            attempt: lease.attempt,
            state: "running".to_owned(),
            target: lease.target.to_string(),
            profile: lease.started.as_ref().map(|started| started.isolation.profile.clone()),
            leased: lease.at.to_string(),
            duration_ms: now.ms_since(lease.at),
            failure: None,
            exit_code: None,
        });
    }
    rows
}

/// Why an item does not run, as one line.
pub(super) fn blocked_text(blocked: &Blocked) -> String {
    match blocked {
        Blocked::Dependency { items } => {
            let names: Vec<&str> = items.iter().map(ItemId::as_str).collect();
            format!("dependency: {} not done", names.join(", "))
        }
        Blocked::NoDriver => "driver: no process has taken the run up yet".to_owned(),
        Blocked::Slot { queue, concurrency } => format!("slot: all {concurrency} of the queue {queue} are taken"),
        Blocked::QueueGone { queue } => format!("queue gone: {queue} is not in agora.toml any more"),
        Blocked::Lock { key, run, item } => format!("lock: {key} is held by {item} of the run {run}"),
        Blocked::BackOff { until } => format!("back-off: until {until}"),
        Blocked::Hold => "hold: the run is held".to_owned(),
        Blocked::Question { question } => format!("question: {question} waits for an answer"),
        Blocked::TargetDown { target, detail } => format!("target down: {target}: {detail}"),
        Blocked::Stopping => "stopping: its absence is not proven yet".to_owned(),
        Blocked::StopUnverified { since } => {
            format!("stopping_unverified: asked to stop at {since}, and its absence is still not proven")
        }
    }
}

/// Worker-made text in its envelope.
pub(super) fn text(bytes: Vec<u8>, run: &RunId, item: &ItemId, attempt: u64, limit_bytes: usize) -> Text {
    let source = Source { run: run.clone(), item: item.clone(), attempt };
    let envelope = Untrusted::new(bytes).envelope(source, limit_bytes);
    Text {
        untrusted: true,
        source: format!("{run}/{item}/{attempt}"),
        sha256: envelope.sha256,
        bytes: envelope.bytes,
        truncated: envelope.truncated,
        text: envelope.text,
    }
}

/// What was recorded of a failure: agora's own words, which may quote the worker's.
pub(super) fn detail_text(detail: &str, run: &RunId, item: &ItemId) -> Text {
    from(detail.as_bytes(), format!("{run}/{item}"), DETAIL_BYTES_MAX)
}

/// A text that is not one item's: a merged patch.
pub(super) fn merged_text(bytes: &[u8], run: &RunId, limit_bytes: usize) -> Text {
    from(bytes, format!("{run}/(merged)"), limit_bytes)
}

fn from(bytes: &[u8], source: String, limit_bytes: usize) -> Text {
    let shown = Untrusted::new(bytes.to_vec()).shown(limit_bytes);
    Text {
        untrusted: true,
        source,
        sha256: Digest::of(bytes).hex(),
        bytes: shown.bytes,
        truncated: shown.truncated,
        text: shown.text,
    }
}
