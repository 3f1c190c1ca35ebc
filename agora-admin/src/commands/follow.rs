//! Watching a run to its end: a live table on a terminal, a line per event elsewhere, and the run's exit code.
//!
//! This process drives if no other does. Whatever ends the watching, open runs are handed over and go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agora_core::error::{Class, Problem};
use agora_engine::Engine;
use agora_engine::operations::{Caller, Event, InboxRow, RunRow, StatusArgs, Until, View, WatchArgs, WatchReply};
use serde::Serialize;

use super::live::Live;
use super::{rows, status};
use crate::cli::signals::Signals;
use crate::cli::{Context, detach};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// Seconds that one call to the engine waits: nothing is lost between two.
const WAIT_SECONDS: u32 = 25;
/// Seconds without an event before it is told what a run waits for.
const QUIET_SECONDS: u32 = 3;
/// Events that one call brings.
const EVENTS_MAX: u32 = 500;
/// How often a live table is drawn when nothing happens: its durations grow.
const TICK: Duration = Duration::from_secs(1);
/// How long a run that is over may take to be sealed before that is left to the next driver.
const SEAL_TIME_MAX: Duration = Duration::from_secs(10);

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    until: Option<Instant>,
}

impl Patience {
    /// So many seconds from now; without a number, for ever.
    pub(super) fn seconds(seconds: Option<u64>) -> Self {
        let until = seconds.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
        Self { until }
    }

    /// For so long from now, and not longer than this.
    fn and_at_most(self, time: Duration) -> Self {
        let then = Instant::now() + time;
        Self { until: Some(self.until.map_or(then, |until| until.min(then))) }
    }

    fn left(self) -> Duration {
        self.until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
    }
}

/// Why the watching ended.
enum Ended {
    /// The run is over.
    Over(RunRow),
    /// It does not go on without somebody.
    Asks(RunRow),
    /// It does not go on, since a stop could not be verified.
    Unverified(RunRow),
    /// The time ran out.
    TimedOut,
    /// Somebody asked this process to end.
    Interrupted,
}

/// The last line that programs are told.
#[derive(Serialize)]
struct Last<'a> {
    event: &'static str,
    why: &'static str,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a RunRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inbox: Vec<InboxRow>,
}

/// Says where the journal stands, so that what is watched later starts here.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn here(engine: &Engine, caller: &Caller) -> Result<String, Failure> {
    let args = WatchArgs { wait_seconds: Some(0), limit: Some(1), ..WatchArgs::default() };
    let reply = engine.watch(caller, args, &|_| {}).await.doing("look where the journal stands")?;
    Ok(reply.cursor)
}

/// The failure of a submission that gave no run.
pub(super) fn no_run(doing: String) -> Result<Exit, Failure> {
    Err(Failure::one(doing, Problem::new(Class::Bug, "internal", "the run has no id")))
}

/// Watches a run until it is over, asks, the time runs out or somebody interrupts.
///
/// # Errors
/// For a run that is not there, or when standard output is gone.
pub(super) async fn to_the_end(
    context: &Context,
    engine: &Arc<Engine>,
    run: &str,
    from: Option<String>,
    patience: Patience,
) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let caller = context.caller()?;
    let driver = engine.drive();
    let mut follow = Follow {
        context,
        engine,
        caller: &caller,
        run: run.to_owned(),
        cursor: from,
        live: None,
        quiet: false,
        waits_for: None,
    };
    if context.out.is_live() {
        follow.live = Some(Live::start(&context.out));
    }
    let ended = follow.run(&mut signals, patience).await;
    drop(follow.live.take());
    driver.stop().await;
    let ended = ended?;
    let exit = tell_end(context, engine, &caller, run, &ended).await;
    let driving = detach::hand_over(context, engine).await?;
    if !matches!(ended, Ended::Over(_)) {
        driving.tell(context);
    }
    exit
}

struct Follow<'a> {
    context: &'a Context,
    engine: &'a Arc<Engine>,
    caller: &'a Caller,
    run: String,
    cursor: Option<String>,
    live: Option<Live>,
    /// Whether nothing happened since it was last looked at what the run waits for.
    quiet: bool,
    /// What was last told that the run waits for.
    waits_for: Option<String>,
}

impl Follow<'_> {
    async fn run(&mut self, signals: &mut Signals, patience: Patience) -> Result<Ended, Failure> {
        // The first call does not wait: it says where the run stands, and from where on.
        let mut first = true;
        let mut sealing: Option<Patience> = None;
        loop {
            let patience = sealing.unwrap_or(patience);
            let wait = if first { Duration::ZERO } else { patience.left() };
            let Some(reply) = self.next(signals, wait).await? else { return Ok(Ended::Interrupted) };
            self.quiet = !first && reply.events.is_empty();
            first = false;
            self.cursor = Some(reply.cursor.clone());
            self.tell(&reply.events).await?;
            let Some(row) = reply.runs.into_iter().next() else { return Ok(Ended::TimedOut) };
            if reply.more {
                continue;
            }
            if rows::is_end(&row.state) {
                let until = *sealing.get_or_insert_with(|| patience.and_at_most(SEAL_TIME_MAX));
                if row.sealed || until.left().is_zero() {
                    return Ok(Ended::Over(row));
                }
                continue;
            }
            if asks(&row) {
                return Ok(Ended::Asks(row));
            }
            if is_unverified(&row) {
                return Ok(Ended::Unverified(row));
            }
            if patience.left().is_zero() {
                return Ok(Ended::TimedOut);
            }
            if self.quiet && self.live.is_none() && !moves(&row) {
                self.tell_what_it_waits_for().await?;
            }
        }
    }

    /// Tells what keeps the first item that is ready from running, once for each reason. A table shows it by itself.
    async fn tell_what_it_waits_for(&mut self) -> Result<(), Failure> {
        let wish = StatusArgs {
            view: Some(View::Run),
            run_id: Some(self.run.clone()),
            state: Some("ready".to_owned()),
            limit: Some(1),
            ..StatusArgs::default()
        };
        let reply = self.engine.status(self.caller, wish).await.doing("look what the run waits for")?;
        let Some(item) = reply.items.first().filter(|item| !item.blocked_by.is_empty()) else { return Ok(()) };
        let waits_for = item.blocked_by.join("; ");
        if self.waits_for.as_ref() != Some(&waits_for) {
            let line = Line::of(Cell::new("waiting").style(Style::Warn)).and_style(Style::Bold, &item.item_id);
            self.context.out.note(line.and(&waits_for));
            self.waits_for = Some(waits_for);
        }
        Ok(())
    }

    /// Waits for the next events; `None` when this process is asked to end.
    async fn next(&mut self, signals: &mut Signals, wait: Duration) -> Result<Option<WatchReply>, Failure> {
        let most = if self.quiet { WAIT_SECONDS } else { QUIET_SECONDS };
        let seconds = u32::try_from(wait.as_secs_f64().ceil() as u64).unwrap_or(most).min(most);
        let args = WatchArgs {
            run_ids: Some(vec![self.run.clone()]),
            after: self.cursor.clone(),
            until: Some(Until::Change),
            wait_seconds: Some(seconds),
            limit: Some(EVENTS_MAX),
        };
        let nobody = |_line: String| {};
        let watching = self.engine.watch(self.caller, args, &nobody);
        tokio::pin!(watching);
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + TICK, TICK);
        loop {
            tokio::select! {
                reply = &mut watching => return reply.doing(format!("watch {}", self.run)).map(Some),
                () = signals.came() => return Ok(None),
                _ = tick.tick(), if self.live.is_some() => {
                    if let Some(live) = &mut self.live {
                        live.draw(&self.context.out);
                    }
                }
            }
        }
    }

    /// Tells of events: in the table, or a line each.
    async fn tell(&mut self, events: &[Event]) -> Result<(), Failure> {
        if let Some(live) = &mut self.live {
            live.refresh(self.engine, self.caller, &self.run).await?;
            live.draw(&self.context.out);
            return Ok(());
        }
        for event in events {
            self.context.out.event(event, || event_line(event))?;
        }
        Ok(())
    }
}

/// Whether a run stands still until somebody does something: only questions are left, or it is held.
fn asks(row: &RunRow) -> bool {
    if row.state != "open" || moves(row) || count(row, "stopping_unverified") > 0 {
        return false;
    }
    row.held || (count(row, "waiting") > 0 && count(row, "ready") == 0)
}

/// Whether nothing of a run moves any more, and a stop is not proven: what is ready may wait for the locks of that.
fn is_unverified(row: &RunRow) -> bool {
    row.state == "open" && count(row, "stopping_unverified") > 0 && !moves(row)
}

fn moves(row: &RunRow) -> bool {
    count(row, "running") + count(row, "stopping") > 0
}

fn count(row: &RunRow, state: &str) -> u64 {
    row.items.0.get(state).copied().unwrap_or(0)
}

fn event_line(event: &Event) -> Line {
    let style = match event.event.as_str() {
        "item.done" => Style::Good,
        "item.failed" | "item.denied" => Style::Bad,
        "item.retried" | "item.waiting" | "item.skipped" | "item.cancelled" | "cancel.requested" | "hold.set" => {
            Style::Warn
        }
        _ => Style::Plain,
    };
    let mut line = Line::of(Cell::new(rows::clock(&event.at)).style(Style::Dim))
        .and_style(style, &event.event)
        .and_style(Style::Bold, event.item_id.as_deref().unwrap_or_default());
    for (name, value) in &event.details {
        line = line.and(match (name.as_str(), value.parse()) {
            ("duration_ms", Ok(ms)) => format!("took={}", rows::duration(ms)),
            _ => format!("{name}={value}"),
        });
    }
    line.and(event.detail.as_ref().map(|detail| detail.text.as_str()).unwrap_or_default())
}

async fn tell_end(
    context: &Context,
    engine: &Engine,
    caller: &Caller,
    run: &str,
    ended: &Ended,
) -> Result<Exit, Failure> {
    let (why, exit, row) = match ended {
        Ended::Over(row) => ("over", if row.state == "done" { Exit::Done } else { Exit::Failed }, Some(row)),
        Ended::Asks(row) => ("asks", Exit::Question, Some(row)),
        Ended::Unverified(row) => ("stop_unverified", Exit::StopUnverified, Some(row)),
        Ended::TimedOut => ("timed_out", Exit::TimedOut, None),
        // How it ends is not known here.
        Ended::Interrupted => ("interrupted", Exit::Untold, None),
    };
    let inbox = match ended {
        Ended::Asks(row) | Ended::Unverified(row) => inbox(engine, caller, &row.run_id).await?,
        Ended::Over(_) | Ended::TimedOut | Ended::Interrupted => Vec::new(),
    };
    if !context.out.for_people() {
        let last = Last { event: "watch.ended", why, exit_code: exit.code(), run: row, inbox };
        context.out.event(&last, Line::default)?;
        return Ok(exit);
    }
    let mut page = Page::default();
    match ended {
        Ended::Over(row) => over(&mut page, engine, caller, row, context.out.is_live()).await?,
        Ended::Asks(row) | Ended::Unverified(row) => {
            page.line(rows::run_line(row));
            inbox.iter().for_each(|row| status::inbox_row(&mut page, row));
        }
        Ended::TimedOut => {
            page.line(Line::of(Cell::new("the time to wait ran out; the run goes on").style(Style::Warn)));
            page.next(format!("agora-admin watch {run}"));
        }
        Ended::Interrupted => page.next(format!("agora-admin watch {run}")),
    }
    context.out.write(context.out.render(&page).as_bytes())?;
    Ok(exit)
}

/// The end of a run: what became of its items, where they were not shown as it happened, and what to do now.
async fn over(page: &mut Page, engine: &Engine, caller: &Caller, row: &RunRow, live: bool) -> Result<(), Failure> {
    if live {
        let wish = StatusArgs {
            view: Some(View::Run),
            run_id: Some(row.run_id.clone()),
            limit: Some(200),
            ..StatusArgs::default()
        };
        let reply = engine.status(caller, wish).await.doing("show the run")?;
        rows::items(page, &reply.items);
        if let Some(total) = reply.total.filter(|total| *total > reply.items.len() as u64) {
            page.line(Line::of(format!("… and {} more", total - reply.items.len() as u64)).indent(2));
        }
        page.blank();
    }
    page.line(rows::run_line(row));
    let run = &row.run_id;
    page.next(match row.state.as_str() {
        _ if row.collected.is_some() => format!("agora-admin audit {run}"),
        "done" if made_patch(engine, caller, run).await? => {
            format!("agora-admin result {run}, then agora-admin apply {run}")
        }
        "failed" => format!("agora-admin diagnose {run}"),
        _ => format!("agora-admin status {run}"),
    });
    Ok(())
}

/// Whether an item of the run made a patch: without one there is nothing to apply.
async fn made_patch(engine: &Engine, caller: &Caller, run: &str) -> Result<bool, Failure> {
    let mut cursor = None;
    loop {
        let (view, run_id, state) = (Some(View::Run), Some(run.to_owned()), Some("done".to_owned()));
        let wish = StatusArgs { view, run_id, state, limit: Some(200), cursor, ..StatusArgs::default() };
        let reply = engine.status(caller, wish).await.doing("look for patches")?;
        if reply.items.iter().any(|item| item.patch.is_some()) {
            return Ok(true);
        }
        cursor = reply.cursor;
        if cursor.is_none() {
            return Ok(false);
        }
    }
}

async fn inbox(engine: &Engine, caller: &Caller, run: &str) -> Result<Vec<InboxRow>, Failure> {
    let wish =
        StatusArgs { view: Some(View::Inbox), run_id: Some(run.to_owned()), limit: Some(200), ..StatusArgs::default() };
    let reply = engine.status(caller, wish).await.doing("look what is asked")?;
    Ok(reply.inbox.into_iter().filter(|row| row.run_id == run).collect())
}

#[cfg(test)]
mod tests {
    use agora_engine::operations::StateCounts;

    use super::*;

    fn row(held: bool, counts: &[(&str, u64)]) -> RunRow {
        RunRow {
            run_id: "r".into(),
            state: "open".into(),
            sealed: false,
            held,
            collected: None,
            queue: "default".into(),
            actor: "human:a".into(),
            opened: "2026-11-20T18:07:00.000000Z".into(),
            completed: None,
            duration_ms: 0,
            items: StateCounts(counts.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect()),
            cost_usd: None,
        }
    }

    #[test]
    fn a_run_asks_when_nothing_moves_without_somebody() {
        assert!(asks(&row(false, &[("waiting", 1), ("pending", 3), ("done", 2)])));
        assert!(!asks(&row(false, &[("waiting", 1), ("running", 1)])));
        assert!(!asks(&row(false, &[("waiting", 1), ("ready", 1)])));
        assert!(!asks(&row(false, &[("pending", 1)])));
        assert!(asks(&row(true, &[("ready", 5)])));
        assert!(!asks(&row(true, &[("running", 1)])));
        assert!(!asks(&row(true, &[("stopping_unverified", 1)])), "an answer is not what it needs");
        assert!(!asks(&RunRow { state: "done".into(), ..row(false, &[("waiting", 1)]) }));
    }

    #[test]
    fn a_stop_that_nothing_proves_ends_the_watch_once_nothing_else_moves() {
        assert!(is_unverified(&row(false, &[("stopping_unverified", 1), ("pending", 3), ("ready", 1)])));
        assert!(is_unverified(&row(true, &[("stopping_unverified", 1), ("ready", 3)])));
        for moving in ["running", "stopping"] {
            assert!(!is_unverified(&row(false, &[("stopping_unverified", 1), (moving, 1)])), "{moving}");
        }
        assert!(!is_unverified(&row(false, &[("stopping", 1)])));
    }

    #[test]
    fn an_event_is_one_line() {
        let event = Event {
            run_id: "r".into(),
            item_id: Some("a".into()),
            event: "attempt.finished".into(),
            at: "2026-11-20T18:07:00.000000Z".into(),
            details: [("duration_ms", "3250"), ("outcome", "done\nx")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            detail: None,
        };
        assert_eq!(event_line(&event).render(false), "18:07:00 attempt.finished a took=3.2s outcome=done x");
    }
}
