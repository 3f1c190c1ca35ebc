//! `watch`: wait for something to happen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agora_core::id::RunId;
use agora_core::record::{Entry, Record};
use agora_core::time::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::call::Call as _;
use super::facts::{RunRow, Text};
use super::find::seen_as;
use super::rows::{detail_text, failure_text, run_row};
use super::status::{cursor, no_cursor};
use super::{Caller, OpError, ResultArgs, StatusArgs, View};
use crate::engine::Engine;
use crate::journal::{Ledger, StoreError};

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Until {
    /// Anything.
    Change,
    /// A question, a failure, a stop that nothing proves, or the end of a run.
    Attention,
    /// The end of every run that is watched.
    Terminal,
}

/// The arguments of `watch`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchArgs {
    /// The runs: ids or unique prefixes. Absent: all open ones of this actor.
    #[serde(default)]
    pub run_ids: Option<Vec<String>>,
    /// The cursor of an earlier answer. Absent: from now on.
    #[serde(default)]
    pub after: Option<String>,
    /// What to wait for; `attention` unless said.
    #[serde(default)]
    pub until: Option<Until>,
    /// The longest wait; 25 unless said.
    #[serde(default)]
    pub wait_seconds: Option<u32>,
    /// At most so many events; 50 unless said, 500 at most.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Event {
    /// The run.
    pub run_id: String,
    /// The item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
    /// The record's type: `item.done`, `attempt.started`, ….
    pub event: String,
    /// When.
    pub at: String,
    /// What is to know beside: attempt, reason, outcome, profile, as short text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// More of a failure, as it was recorded: it may quote what the worker said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text>,
}

/// The reply of `watch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WatchReply {
    /// What happened, oldest first.
    pub events: Vec<Event>,
    /// Give this as `after` the next time.
    pub cursor: String,
    /// Whether the time ran out before what was waited for.
    pub timed_out: bool,
    /// Whether there are more events than were asked for. Then it did not wait, whatever `until` says, and `runs` are ahead
    /// of `events`: call again with the cursor.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// How long it waited.
    pub waited_ms: u64,
    /// The runs that are watched, as they stand after the last event.
    pub runs: Vec<RunRow>,
    /// How long to wait the next time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggest_wait_seconds: Option<u32>,
    /// What to call next.
    pub next: String,
}

/// Events unless said.
const LIMIT_DEFAULT: u32 = 50;
/// Events at most.
const LIMIT_MAX: u32 = 500;
/// The wait unless said, in seconds.
const WAIT_DEFAULT: u32 = 25;
/// The longest wait, in seconds; the edges allow less.
const WAIT_MAX: u32 = 1500;
/// How many entries are looked at in one go.
const SCAN: u64 = 2000;
/// How many open runs are watched when none is named.
const RUNS_MAX: u64 = 200;
/// Bursts of changes are joined over this before they are told.
const JOIN: Duration = Duration::from_millis(250);
/// At least this often something is told.
const TELL: Duration = Duration::from_secs(10);

/// A watch under way.
struct Watch {
    /// The arguments of the next call, but for its cursor.
    again: WatchArgs,
    runs: BTreeSet<RunId>,
    at: i64,
    limit: usize,
    until: Until,
    events: Vec<Event>,
    met: bool,
    more: bool,
}

impl Engine {
    /// Waits for something to happen. `progress` is told a short line at once, at changes (bursts joined over 250 ms) and
    /// at least every 10 s.
    ///
    /// # Errors
    /// For runs that are not there.
    ///
    /// # Cancellation
    /// Dropping the future stops the wait at once; nothing is lost.
    pub async fn watch(
        &self,
        caller: &Caller,
        args: WatchArgs,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<WatchReply, OpError> {
        let started = Instant::now();
        let wait = Duration::from_secs(u64::from(args.wait_seconds.unwrap_or(WAIT_DEFAULT).min(WAIT_MAX)));
        let mut wake = self.wake.subscribe();
        let mut watch = self.begin_watch(caller, &args).await?;
        let mut told = String::new();
        let mut last_told = Instant::now();
        loop {
            wake.catch_up();
            let rows = self.scan(&mut watch).await?;
            let line = progress_line(&rows);
            if line != told || last_told.elapsed() >= TELL {
                progress(line.clone());
                (told, last_told) = (line, Instant::now());
            }
            let all_over = rows.iter().all(|row| row.state != "open" && row.sealed);
            let asks = rows.iter().any(needs_somebody);
            let met = watch.more
                || match watch.until {
                    Until::Change => !watch.events.is_empty() || all_over,
                    Until::Attention => watch.met || all_over || asks,
                    Until::Terminal => all_over,
                };
            let left = wait.saturating_sub(started.elapsed());
            if met || left.is_zero() {
                return Ok(reply(watch, rows, !met, started.elapsed()));
            }
            let nap = left.min(TELL.saturating_sub(last_told.elapsed()).max(Duration::from_millis(1)));
            // Timing out here only means that it is time to tell, or to answer. Without a waker the timers are all there is.
            if let Ok(()) = tokio::time::timeout(nap, wake.changed()).await
                && watch.until != Until::Change
                && !watch.runs.is_empty()
            {
                tokio::time::sleep(JOIN.min(left)).await;
            }
        }
    }

    async fn begin_watch(&self, caller: &Caller, args: &WatchArgs) -> Result<Watch, OpError> {
        let mut runs = BTreeSet::new();
        let mut again = WatchArgs { until: args.until, limit: args.limit, ..WatchArgs::default() };
        match &args.run_ids {
            Some(given) => {
                for id in given {
                    runs.insert(self.find_run(caller, id, false).await?.id);
                }
                again.run_ids = Some(runs.iter().map(ToString::to_string).collect());
            }
            None => {
                let actor = seen_as(caller);
                let open = move |ledger: &mut Ledger| ledger.list(actor.as_deref(), Some("open"), None, RUNS_MAX);
                runs.extend(self.journal.call(open).await?.into_iter().map(|run| run.id));
            }
        }
        let newest = self.journal.call(|ledger| ledger.newest()).await?;
        let at = match &args.after {
            // Entries are never taken away: a later one was given out by another store, or by this one before it was restored,
            // and would hide what happens until then.
            Some(after) => cursor(after).ok().filter(|at| *at <= newest).ok_or_else(|| no_cursor("after"))?,
            None => newest,
        };
        let limit = usize::try_from(args.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)).unwrap_or(1);
        let until = args.until.unwrap_or(Until::Attention);
        Ok(Watch { again, runs, at, limit, until, events: Vec::new(), met: false, more: false })
    }

    /// Reads on to the last event, or as far as there is room, and says where the runs stand then.
    async fn scan(&self, watch: &mut Watch) -> Result<Vec<RunRow>, OpError> {
        loop {
            let (at, runs, now) = (watch.at, watch.runs.clone(), self.host.now());
            // Both in one look: what happens between them would be told of a run and not as an event.
            let look = move |ledger: &mut Ledger| {
                ledger.look(|ledger| {
                    let entries = ledger.entries_after(at, SCAN)?;
                    Ok((entries, rows_of(ledger, &runs, now)?))
                })
            };
            let (entries, rows) = self.journal.call(look).await?;
            let last = (entries.len() as u64) < SCAN;
            for row in entries {
                if watch.runs.contains(&row.run) {
                    if watch.events.len() == watch.limit {
                        watch.more = true;
                        return Ok(rows);
                    }
                    let entry = Entry::from_bytes(&row.bytes)
                        .map_err(|error| StoreError::Corrupt(format!("an entry of the run {}: {error}", row.run)))?;
                    watch.met |= needs_attention(&entry.record);
                    watch.events.extend(event(&entry));
                }
                watch.at = row.pos;
            }
            if last {
                return Ok(rows);
            }
        }
    }
}

fn rows_of(ledger: &Ledger, runs: &BTreeSet<RunId>, now: Time) -> Result<Vec<RunRow>, StoreError> {
    let mut rows = Vec::new();
    for id in runs {
        if let Some(run) = ledger.summary(id)? {
            rows.push(run_row(&run, ledger.item_counts(run.key, now)?, now));
        }
    }
    Ok(rows)
}

/// Whether an item waits for an answer, or for somebody to see to it that it is gone.
fn needs_somebody(row: &RunRow) -> bool {
    ["waiting", "stopping_unverified"].iter().any(|state| row.items.0.contains_key(*state))
}

fn needs_attention(record: &Record) -> bool {
    matches!(
        record,
        Record::QuestionAsked(_) | Record::ItemFailed { .. } | Record::PatternFailed { .. } | Record::RunCompleted(_)
    )
}

/// What of an entry is told; the opening of a run and its items are not.
fn event(entry: &Entry) -> Option<Event> {
    let (mut details, mut more) = (BTreeMap::new(), None);
    let mut say = |key: &str, value: String| details.insert(key.to_owned(), value);
    match &entry.record {
        Record::RunOpened(_) | Record::ItemsAdded(_) | Record::RunLogged(_) => return None,
        Record::AttemptLeased(body) => {
            say("attempt", body.attempt.to_string());
            say("target", body.target.to_string());
        }
        Record::AttemptStarted(body) => {
            say("attempt", body.attempt.to_string());
            say("profile", body.isolation.profile.clone());
        }
        Record::AttemptFinished(body) => {
            say("attempt", body.attempt.to_string());
            say("outcome", body.outcome.as_str().to_owned());
            say("duration_ms", body.duration_ms.to_string());
            if let Some((class, reason)) = body.class.zip(body.reason) {
                say("failure", failure_text(class, reason));
            }
            if let Some(patch) = &body.patch {
                say("patch_files", patch.files.to_string());
                say("patch_bytes", patch.size_bytes.to_string());
            }
        }
        Record::ItemFailed { item, class, reason, detail, .. } => {
            say("failure", failure_text(*class, *reason));
            more = detail.as_ref().map(|detail| detail_text(detail, &entry.run, item));
        }
        Record::ItemRetried { class, reason, not_before, .. } => {
            say("failure", failure_text(*class, *reason));
            say("not_before", not_before.to_string());
        }
        Record::ItemSkipped { due_to, .. } => {
            say("due_to", due_to.to_string());
        }
        Record::ItemWaiting { asked, .. } => {
            say("question_id", asked.to_string());
        }
        Record::ItemCancelled { proof, .. } => {
            say("proof", proof.as_str().to_owned());
        }
        Record::HoldSet { mode, .. } => {
            say("mode", mode.as_str().to_owned());
        }
        Record::CancelRequested(body) => {
            say("scope", body.scope.as_str().to_owned());
            say("via", body.via.as_str().to_owned());
            say("reason", body.reason.to_string());
        }
        Record::PatternFailed { pattern, reason } => {
            say("pattern", pattern.to_string());
            say("reason", reason.to_string());
        }
        Record::RunCompleted(body) => {
            say("outcome", body.outcome.as_str().to_owned());
        }
        Record::ItemReady { .. }
        | Record::ItemDone { .. }
        | Record::ItemDenied { .. }
        | Record::QuestionAsked(_)
        | Record::QuestionAnswered(_)
        | Record::HoldReleased { .. }
        | Record::RunClosed {} => {}
    }
    Some(Event {
        run_id: entry.run.to_string(),
        item_id: entry.record.item().map(ToString::to_string),
        event: entry.record.kind().to_owned(),
        at: entry.at.to_string(),
        details,
        detail: more,
    })
}

/// At most 200 characters: how many items of how many runs stand where.
fn progress_line(rows: &[RunRow]) -> String {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (state, count) in rows.iter().flat_map(|row| &row.items.0) {
        *sums.entry(state).or_default() += count;
    }
    let parts: Vec<String> = sums.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let line = format!("{} runs: {}", rows.len(), parts.join(", "));
    line.chars().take(200).collect()
}

fn reply(watch: Watch, rows: Vec<RunRow>, timed_out: bool, waited: Duration) -> WatchReply {
    let cursor = watch.at.to_string();
    let open = rows.iter().filter(|row| row.state == "open").count();
    let waiting = rows.iter().any(needs_somebody);
    let again = WatchArgs { after: Some(cursor.clone()), ..watch.again }.call();
    let look = |view, row: Option<&RunRow>| {
        let run_id = row.map(|row| row.run_id.clone());
        StatusArgs { view: Some(view), run_id, ..StatusArgs::default() }.call()
    };
    let failed = rows.iter().find(|row| row.state == "failed");
    let next = match (failed.or(rows.first()), watch.more) {
        (_, true) => again,
        (None, false) => look(View::Runs, None),
        (Some(_), false) if waiting => look(View::Inbox, None),
        (Some(_), false) if open > 0 => again,
        (Some(row), false) if row.state == "failed" => look(View::Diagnose, Some(row)),
        (Some(row), false) => ResultArgs { run_id: row.run_id.clone(), ..ResultArgs::default() }.call(),
    };
    WatchReply {
        events: watch.events,
        cursor,
        timed_out,
        more: watch.more,
        waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
        runs: rows,
        suggest_wait_seconds: (open > 0).then_some(WAIT_DEFAULT),
        next,
    }
}
