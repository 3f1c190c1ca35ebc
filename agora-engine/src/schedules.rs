//! Waits for the slots of schedules and has their runs opened. What is decided is decided in the store, so that it does not
//! matter how many processes do this, or when one of them dies.
//!
//! ```text
//!  commits ──► did schedules come or go? ──┐
//!  the wall clock shows the next slot ─────┼─► which slots are due? ──► fire, a few at a time ──► decided in the store
//!  a firing ended ─────────────────────────┘
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agora_core::cron::Cron;
use agora_core::time::Time;
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::engine::Engine;
use crate::journal::{Marks, Schedule, StoreError};
use crate::operations::Fired;

/// How many slots are fired at once: each may read a whole workspace.
const FIRING_MAX: usize = 8;
/// How long a slot waits that could not be decided, or a store that could not be read.
const RETRY_PAUSE: Duration = Duration::from_secs(60);

/// Fires slots as long as it lives. What it has begun when it goes is either decided or not: the next one goes on from there.
pub struct Schedules(JoinHandle<()>);

impl Drop for Schedules {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Engine {
    /// Starts to fire the slots of this home's schedules: first what was missed, of each schedule the latest slot alone.
    #[must_use]
    pub fn fire_schedules(self: &Arc<Self>) -> Schedules {
        Schedules(tokio::spawn(Watch::new(Arc::clone(self)).run()))
    }
}

/// A schedule that can be read.
struct Known {
    schedule: Arc<Schedule>,
    cron: Cron,
    /// Slots up to here are decided.
    decided: Time,
    /// The first slot after that.
    next: Option<Time>,
    /// Whether a slot is being fired.
    firing: bool,
    /// When the slot that could not be decided is tried again.
    retry: Option<Instant>,
}

impl Known {
    fn decided_to(&mut self, slot: Time) {
        self.decided = self.decided.max(slot);
        self.next = self.cron.next(self.decided);
    }
}

struct Watch {
    engine: Arc<Engine>,
    marks: Option<Marks>,
    known: BTreeMap<i64, Known>,
    firing: JoinSet<Fired>,
    fired: BTreeMap<Id, (i64, Time)>,
}

impl Watch {
    fn new(engine: Arc<Engine>) -> Self {
        Self { engine, marks: None, known: BTreeMap::new(), firing: JoinSet::new(), fired: BTreeMap::new() }
    }

    async fn run(mut self) {
        let mut commits = self.engine.wake.subscribe();
        loop {
            // What is committed from here on wakes again.
            commits.catch_up();
            if let Err(error) = self.read().await {
                tracing::error!(%error, "the schedules cannot be read; they are tried again");
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            }
            let next = self.begin();
            let retry = self.known.values().filter_map(|known| known.retry).min();
            let host = Arc::clone(&self.engine.host);
            tokio::select! {
                Some(ended) = self.firing.join_next_with_id() => self.end(ended),
                () = commits.changed() => {}
                () = async { match next { Some(time) => host.reached(time).await, None => std::future::pending().await } } => {}
                () = async { match retry { Some(at) => tokio::time::sleep_until(at).await, None => std::future::pending().await } } => {}
            }
        }
    }

    /// Reads the schedules if some came or went.
    async fn read(&mut self) -> Result<(), StoreError> {
        let known = self.marks;
        let read = self.engine.journal.call(move |ledger| {
            ledger.look(|ledger| {
                let marks = ledger.schedule_marks()?;
                Ok(if known == Some(marks) { None } else { Some((marks, ledger.schedules()?)) })
            })
        });
        let Some((marks, schedules)) = read.await? else { return Ok(()) };
        let mut before = std::mem::take(&mut self.known);
        for schedule in schedules {
            let cron = match Cron::new(&schedule.cron, &schedule.zone) {
                Ok(cron) => cron,
                Err(errors) => {
                    let why = errors.first().map(ToString::to_string);
                    tracing::error!(schedule = %schedule.name, why, "this schedule has no slots, the others go on");
                    continue;
                }
            };
            let (key, decided) = (schedule.key, schedule.decided);
            let new = || Known { schedule: Arc::new(schedule), cron, decided, next: None, firing: false, retry: None };
            let mut known = before.remove(&key).unwrap_or_else(new);
            known.decided_to(decided);
            self.known.insert(key, known);
        }
        self.marks = Some(marks);
        Ok(())
    }

    /// Fires what is due, the oldest slot first, and says when the next one will be.
    fn begin(&mut self) -> Option<Time> {
        let (now, moment) = (self.engine.host.now(), Instant::now());
        let (mut due, mut next) = (Vec::new(), None::<Time>);
        for (key, known) in &mut self.known {
            known.retry = known.retry.filter(|at| *at > moment);
            match known.next {
                Some(slot) if slot > now => next = next.into_iter().chain([slot]).min(),
                // Looked at again when it ended, or when it is tried again.
                Some(_) if known.firing || known.retry.is_some() => {}
                Some(_) => due.extend(known.cron.due(known.decided, now).map(|slot| (slot, *key))),
                None => {}
            }
        }
        due.sort_unstable();
        for (slot, key) in due {
            // The end of one of them leads here again.
            if self.firing.len() >= FIRING_MAX {
                break;
            }
            let Some(known) = self.known.get_mut(&key) else { continue };
            known.firing = true;
            let (engine, schedule) = (Arc::clone(&self.engine), Arc::clone(&known.schedule));
            let task = self.firing.spawn(async move { engine.fire(&schedule, slot).await });
            self.fired.insert(task.id(), (key, slot));
        }
        next
    }

    /// Takes note of how a firing ended.
    fn end(&mut self, ended: Result<(Id, Fired), JoinError>) {
        let (id, fired) = match ended {
            Ok((id, fired)) => (id, fired),
            Err(error) => {
                tracing::error!(%error, "a slot's firing broke off; it is tried again");
                (error.id(), Fired::Later)
            }
        };
        let Some((key, slot)) = self.fired.remove(&id) else { return };
        if fired == Fired::Changed {
            // Another process decided it, or the schedule is another one.
            self.marks = None;
        }
        let Some(known) = self.known.get_mut(&key) else { return };
        known.firing = false;
        match fired {
            Fired::Decided => known.decided_to(slot),
            Fired::Later => known.retry = Some(Instant::now() + RETRY_PAUSE),
            Fired::Changed => {}
        }
    }
}
