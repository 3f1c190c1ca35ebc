//! Why nothing happens: the likely cause, what shows it, what it is not, and the next call.

use agora_core::choose::{Board, Capacity};
use agora_core::record::RunOutcome;
use agora_core::state::{Blocked, ItemState, ItemStatus, PatternFailure, RunState, StopCause};
use agora_core::time::Time;

use super::call::{Call as _, close};
use super::rows::{blocked_text, failure_text};
use super::status::Diagnosis;
use super::{AnswerArgs, ResultArgs, StatusArgs, View, WatchArgs};

/// How many lines of evidence at most.
const EVIDENCE_MAX: usize = 10;

/// Looks at a run.
pub(super) fn of(board: &Board, run: &RunState, now: Time, capacity: &Capacity, driven: bool) -> Diagnosis {
    if run.is_over() {
        return of_patterns(run).unwrap_or_else(|| over(run));
    }
    let id = &run.id;
    let blocked: Vec<(usize, Blocked)> = (0..run.items.len())
        .filter(|ix| run.items[*ix].status != ItemStatus::Pending)
        .flat_map(|ix| board.blocked(id, ix, now, capacity).into_iter().map(move |why| (ix, why)))
        .collect();
    let with = |wanted: fn(&Blocked) -> bool| -> Vec<String> {
        let line = |(ix, why): &(usize, Blocked)| format!("{}: {}", run.items[*ix].id, blocked_text(why));
        blocked.iter().filter(|(_, why)| wanted(why)).take(EVIDENCE_MAX).map(line).collect()
    };
    let watch = || WatchArgs { run_ids: Some(vec![id.to_string()]), ..WatchArgs::default() }.call();
    let release = AnswerArgs { run_id: id.to_string(), ..AnswerArgs::default() }.call();
    let inbox = StatusArgs { view: Some(View::Inbox), ..StatusArgs::default() }.call();
    let running = run.counts.of(ItemStatus::Running);
    // The order is that of what somebody can do something about.
    let mut candidates: Vec<(&str, Vec<String>, String)> = vec![
        ("question-open", with(|why| matches!(why, Blocked::Question { .. })), inbox),
        ("held", with(|why| matches!(why, Blocked::Hold)), release),
        (
            "no-driver",
            if driven { Vec::new() } else { vec!["no process holds driver.lock".to_owned()] },
            "an operator runs `agora-admin serve`".to_owned(),
        ),
        (
            "not-logged",
            with(|why| matches!(why, Blocked::NoDriver)),
            format!("{}; if it stays so, an operator runs `agora-admin doctor`", watch()),
        ),
        (
            "stop-unverified",
            run.items
                .iter()
                .filter(|item| item.is_stop_unverified(now))
                .take(EVIDENCE_MAX)
                .filter_map(unproven)
                .collect(),
            format!(
                "an operator sees to it that nothing of it runs, then runs `agora-admin force-resolve {id} ITEM --reason WHY`"
            ),
        ),
        (
            "target-down",
            with(|why| matches!(why, Blocked::TargetDown { .. })),
            "an operator runs `agora-admin doctor`".to_owned(),
        ),
        (
            "queue-gone",
            with(|why| matches!(why, Blocked::QueueGone { .. })),
            "an operator puts [queues.NAME] back into agora.toml and restarts `agora-admin serve`".to_owned(),
        ),
        ("stopping", with(|why| matches!(why, Blocked::Stopping)), watch()),
        ("lock-held", with(|why| matches!(why, Blocked::Lock { .. })), watch()),
        ("back-off", with(|why| matches!(why, Blocked::BackOff { .. })), watch()),
        ("open-ended", open_ended(run), close(id.as_str())),
        ("slots-full", with(|why| matches!(why, Blocked::Slot { .. })), watch()),
    ];
    if run.erred() {
        // Nothing waits for it, but the run will not be done.
        candidates.push(("pattern-failed", pattern_failures(run), status(run)));
    }
    let found = candidates.iter().position(|(_, evidence, _)| !evidence.is_empty());
    let holds = |code: &str| code == "held" && run.hold.is_some();
    let ruled_out = candidates
        .iter()
        .filter(|(code, evidence, _)| evidence.is_empty() && !holds(code))
        .map(|(code, ..)| (*code).to_owned())
        .collect();
    match found.and_then(|at| candidates.into_iter().nth(at)) {
        Some((code, evidence, next)) if running == 0 || code != "slots-full" => {
            Diagnosis { likely_issue: code.to_owned(), evidence, ruled_out, next }
        }
        _ => Diagnosis {
            likely_issue: "nothing-wrong".to_owned(),
            evidence: vec![format!("{running} running, {} ready", run.counts.of(ItemStatus::Ready))],
            ruled_out,
            next: watch(),
        },
    }
}

/// Of a run whose items have all ended, that it stays open until it is closed.
fn open_ended(run: &RunState) -> Vec<String> {
    let waits = run.may_grow() && run.counts.terminal() == run.counts.total();
    waits.then(|| "every item has ended; the run takes more until it is closed".to_owned()).into_iter().collect()
}

fn status(run: &RunState) -> String {
    StatusArgs { run_id: Some(run.id.to_string()), ..StatusArgs::default() }.call()
}

/// A line for each pattern of the run that could not go on: the item whose end it could not answer, and why.
pub(super) fn pattern_failures(run: &RunState) -> Vec<String> {
    let line = |failure: &PatternFailure| {
        let item = failure.item.as_ref().map_or_else(|| run.id.to_string(), ToString::to_string);
        format!("{item}: {}: {}", failure.pattern, failure.reason)
    };
    run.pattern_failures.iter().take(EVIDENCE_MAX).map(line).collect()
}

/// That patterns of the run could not go on, if any could not.
pub(super) fn of_patterns(run: &RunState) -> Option<Diagnosis> {
    let evidence = pattern_failures(run);
    let (likely_issue, ruled_out, next) = ("pattern-failed".to_owned(), Vec::new(), status(run));
    (!evidence.is_empty()).then_some(Diagnosis { likely_issue, evidence, ruled_out, next })
}

/// What is known of a stop that nothing proves: which attempt, where, since when, and why it was to stop.
fn unproven(item: &ItemState) -> Option<String> {
    let (lease, stop) = (item.lease.as_ref()?, item.stop()?);
    let cause = match stop.cause {
        StopCause::Cancel => "it was cancelled",
        StopCause::Deadline => "its deadline passed",
        StopCause::Park => "its run was parked",
    };
    let place = match &lease.started {
        Some(started) => format!("box {} on the target {}", started.handle, lease.target),
        None => format!("no box recorded, on the target {}", lease.target),
    };
    Some(format!("{}: attempt {}, {place}, asked to stop at {}: {cause}", item.id, lease.attempt, stop.at))
}

fn over(run: &RunState) -> Diagnosis {
    let failed = || run.items.iter().filter(|item| item.status == ItemStatus::Failed && !item.made_good);
    let line = |item: &ItemState| {
        let why = item.failure.map(|(class, reason)| failure_text(class, reason)).unwrap_or_default();
        // The detail may quote the worker: it is in the item's result, in its envelope.
        format!("{}: {why}", item.id)
    };
    let evidence: Vec<String> = failed().take(EVIDENCE_MAX).map(line).collect();
    let all_done = run.completed.is_some_and(|(outcome, _)| outcome == RunOutcome::Done);
    let (run_id, first) = (run.id.to_string(), failed().next().map(|item| item.id.to_string()));
    let (code, next) = match (first, all_done) {
        (Some(item), _) => ("failed", ResultArgs { run_id, item_id: Some(item), ..ResultArgs::default() }.call()),
        (None, true) => ("all-done", ResultArgs { run_id, ..ResultArgs::default() }.call()),
        (None, false) => ("cancelled", StatusArgs { run_id: Some(run_id), ..StatusArgs::default() }.call()),
    };
    let unfinished = run.items.iter().filter(|item| item.status != ItemStatus::Done);
    let evidence = match (evidence.is_empty(), all_done) {
        (false, _) => evidence,
        (true, true) => vec![format!("the run is {}", run.word())],
        (true, false) => {
            unfinished.take(EVIDENCE_MAX).map(|item| format!("{}: {}", item.id, item.status.as_str())).collect()
        }
    };
    Diagnosis { likely_issue: code.to_owned(), evidence, ruled_out: Vec::new(), next }
}
