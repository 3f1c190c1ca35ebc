//! The loop around the turns: waits for inputs, commits and timers, takes a turn, performs what it led to.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use agora_core::error::{Class, Coded as _, Problem};
use agora_core::id::{Enc, RunId};
use agora_core::worker::AttemptId;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;

use super::Input;
use super::clock::{Clocks, Leap};
use super::sweep::sweep;
use super::turn::{self, Known, Turn};
use crate::config::Config;
use crate::engine::STORE_FILE;
use crate::hub::Hub;
use crate::journal::{Journal, StoreError};
use crate::keys::Keys;
use crate::perform::{Assignment, Control, Growth, RunContext, Wanted, World, grow, life, log_note, log_place, seal};
use crate::wake::Commits;

/// How many inputs one turn takes at most.
const INPUTS_MAX: usize = 1024;
/// How long starts wait for company before they are committed.
const STARTED_PAUSE: Duration = Duration::from_millis(2);
/// How long the loop waits before it tries a store again that is full or busy.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// How long it waits before it signs, seals or lets a run grow again after that failed.
const SIGN_PAUSE: Duration = Duration::from_secs(5);
/// How often targets that are down are asked again while runs are open.
const PROBE_PAUSE: Duration = Duration::from_secs(30);
/// How long a driver that ends waits for the removal of folders that it has begun; the next one removes what is left.
const REMOVE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long it waits before it sweeps again what could not be swept.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);
/// The longest sleep of a timer: a day.
const SLEEP_MAX: Duration = Duration::from_secs(86_400);

/// What the driver needs of the engine.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) journal: Journal,
    pub(crate) keys: Arc<Keys>,
    pub(crate) config: Arc<Config>,
    pub(crate) world: World,
    pub(crate) wake: Commits,
    pub(crate) hub: Arc<Hub>,
}

/// The background task that drives while this process holds the driver's lock. Dropping it ends that at once, as a crash
/// would: what runs goes on, and the next driver finds it.
pub struct Driver {
    stop: watch::Sender<bool>,
    state: watch::Receiver<Phase>,
    failure: Arc<OnceLock<Problem>>,
    /// The task; gone once it is waited for.
    task: Option<JoinHandle<()>>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Another process drives.
    Waiting,
    /// This one drives, and there is something to do.
    Busy,
    /// This one drives, and nothing is left to do.
    Idle,
}

impl Driver {
    /// Stops driving: what runs goes on without this process, and the next driver finds it.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        // The task ends by itself; if it panicked, it has ended too.
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }

    /// Returns true when this process drives and nothing is left to do, false when it cannot drive any more.
    pub async fn idle(&self) -> bool {
        self.state.clone().wait_for(|phase| *phase == Phase::Idle).await.is_ok()
    }

    /// Why this process could not take the lock, or that its home is gone, once [`Driver::ended`] returned; none when it
    /// ended for another reason, which the log says.
    #[must_use]
    pub fn failure(&self) -> Option<Problem> {
        self.failure.get().cloned()
    }

    /// Returns when this process cannot drive any more: the lock or the store is not to be had. The log says why.
    pub async fn ended(&self) {
        let mut state = self.state.clone();
        while state.changed().await.is_ok() {}
    }

    /// Whether this process holds the driver's lock.
    #[must_use]
    pub fn drives(&self) -> bool {
        *self.state.borrow() != Phase::Waiting
    }
}

/// Starts to drive as soon as nobody else does.
pub(crate) fn start(parts: Parts, inputs: mpsc::UnboundedReceiver<Input>) -> Driver {
    let (stop, stopped) = watch::channel(false);
    let (phase, state) = watch::channel(Phase::Waiting);
    let failure = Arc::new(OnceLock::new());
    let failed = Arc::clone(&failure);
    let home = parts.world.home.clone();
    let place = place_of(&home);
    let task = tokio::spawn(async move {
        let mut stopped = stopped;
        let lock = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            lock = parts.world.host.lock(&parts.world.home) => lock,
        };
        let held = match lock {
            Ok(held) => held,
            Err(error) => {
                tracing::error!(code = error.code(), %error, "the driver's lock cannot be taken; nothing is driven from here");
                // Nothing else sets it.
                let _ = failed.set(error.problem());
                return;
            }
        };
        // A key may have been replaced while another process drove; from here on none is.
        let parts = match with_keys_in_force(parts).await {
            Ok(parts) => parts,
            Err(problem) => {
                tracing::error!(code = problem.code, %problem, "the keys cannot be used; nothing is driven from here");
                let _ = failed.set(problem);
                return;
            }
        };
        tracing::info!("driving");
        let mut wake = parts.wake.clone();
        let mut run = Loop::new(parts, inputs, phase);
        tokio::select! {
            biased;
            problem = gone(&home, place, &mut wake) => {
                tracing::error!(code = problem.code, %problem, "nothing is driven from here any more");
                let _ = failed.set(problem);
            }
            () = run.run() => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
        run.end().await;
        drop(held);
    });
    Driver { stop, state, failure, task: Some(task) }
}

/// Which store a home has: its device and inode.
fn place_of(home: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(home.join(STORE_FILE)).ok().map(|found| (found.dev(), found.ino()))
}

/// Returns once a home was removed or moved away: what is open of it here is nobody's any more.
async fn gone(home: &Path, place: Option<(u64, u64)>, wake: &mut Commits) -> Problem {
    while place_of(home) == place {
        wake.changed().await;
    }
    let what = format!("{} was removed or moved away while it was driven", home.display());
    Problem::new(Class::Operator, "home-missing", what)
        .hint("to start anew run agora-admin init; where it was moved, start again with its new place")
}

/// Reads the keys again. Whoever replaces one holds the driver's lock, so these stay in force as long as it is held here.
async fn with_keys_in_force(parts: Parts) -> Result<Parts, Problem> {
    let history = parts.journal.call(|ledger| ledger.key_history()).await.map_err(|error| error.problem())?;
    let keys = Keys::in_force(&parts.world.home, &history).map_err(|error| error.problem())?;
    Ok(Parts { keys: Arc::new(keys), ..parts })
}

struct Loop {
    parts: Parts,
    inputs: mpsc::UnboundedReceiver<Input>,
    phase: watch::Sender<Phase>,
    known: Arc<Mutex<Known>>,
    clocks: Clocks,
    live: BTreeMap<AttemptId, (Control, AbortHandle)>,
    /// All that is performed; it ends with the loop.
    tasks: JoinSet<()>,
    /// Removals of what ended attempts left. Nothing waits for them but the end of the loop.
    removals: JoinSet<()>,
    reading: BTreeMap<RunId, Wanted>,
    logging: BTreeSet<RunId>,
    sealing: BTreeSet<RunId>,
    /// Runs whose pattern's answer is being checked.
    growing: BTreeSet<RunId>,
}

impl Loop {
    fn new(parts: Parts, inputs: mpsc::UnboundedReceiver<Input>, phase: watch::Sender<Phase>) -> Self {
        let known = Known { capacity: turn::capacity(&parts.config), ..Known::default() };
        Self {
            clocks: Clocks::new(parts.world.host.as_ref()),
            parts,
            inputs,
            phase,
            known: Arc::new(Mutex::new(known)),
            live: BTreeMap::new(),
            tasks: JoinSet::new(),
            removals: JoinSet::new(),
            reading: BTreeMap::new(),
            logging: BTreeSet::new(),
            sealing: BTreeSet::new(),
            growing: BTreeSet::new(),
        }
    }

    async fn run(&mut self) {
        self.probe_targets().await;
        if let Err(error) = self.parts.journal.call(|ledger| ledger.follow()).await {
            tracing::error!(%error, code = error.code(), "the store cannot be driven");
            return;
        }
        if !sweep(&self.parts).await {
            // A box that cannot be ended now must not run until another driver comes.
            let parts = self.parts.clone();
            self.tasks.spawn(async move {
                loop {
                    tokio::time::sleep(SWEEP_PAUSE).await;
                    if sweep(&parts).await {
                        break;
                    }
                }
            });
        }
        let mut due: Option<Duration> = Some(Duration::ZERO);
        let mut pending = Vec::new();
        let mut probed = Instant::now();
        loop {
            self.wait(&mut pending, due).await;
            if self.any_down() && probed.elapsed() >= PROBE_PAUSE {
                self.probe_targets().await;
                probed = Instant::now();
            }
            match self.turn(&mut pending).await {
                Ok(turn) => {
                    let open = turn.open;
                    due = self.perform(turn);
                    if open > 0 && self.any_down() {
                        // A target that was down for a moment must not stay so for this driver's life.
                        due = Some(due.unwrap_or(PROBE_PAUSE).min(PROBE_PAUSE));
                    }
                }
                Err(error) if error.class() == Class::Later => {
                    tracing::warn!(%error, code = error.code(), "the store is tried again");
                    tokio::time::sleep(STORE_PAUSE).await;
                    due = Some(Duration::ZERO);
                }
                Err(error) => {
                    tracing::error!(%error, code = error.code(), "the store cannot be driven any more");
                    return;
                }
            }
        }
    }

    /// Waits for something to do, and takes all that is there.
    async fn wait(&mut self, pending: &mut Vec<Input>, due: Option<Duration>) {
        let timer = tokio::time::sleep(due.unwrap_or(SLEEP_MAX).min(SLEEP_MAX));
        tokio::select! {
            biased;
            input = self.inputs.recv() => pending.extend(input),
            // Never, where nobody tells of commits: then the timers are all there is.
            () = self.parts.wake.changed() => {}
            () = timer => {}
        }
        while self.tasks.try_join_next().is_some() {}
        while self.removals.try_join_next().is_some() {}
        self.drain(pending);
        if !pending.is_empty() && pending.iter().all(|input| matches!(input, Input::Started(..))) {
            // Nothing waits for a start to be recorded, and after a crash it is found again: a short attempt's end may
            // come along and share its commit.
            if let Ok(input) = tokio::time::timeout(STARTED_PAUSE, self.inputs.recv()).await {
                pending.extend(input);
            }
            self.drain(pending);
        }
    }

    fn drain(&mut self, pending: &mut Vec<Input>) {
        while pending.len() < INPUTS_MAX {
            let Ok(input) = self.inputs.try_recv() else { break };
            pending.push(input);
        }
    }

    async fn turn(&mut self, pending: &mut Vec<Input>) -> Result<Turn, StoreError> {
        let inputs = Arc::new(std::mem::take(pending));
        for input in inputs.iter() {
            self.note(input);
        }
        let revoked = self.parts.hub.revoked().await;
        let (known, config) = (Arc::clone(&self.known), Arc::clone(&self.parts.config));
        let taken = Arc::clone(&inputs);
        let leap = self.clocks.look(self.parts.world.host.as_ref());
        if let Some(Leap { by_ms, back }) = leap {
            tracing::warn!(by_ms, back, "the wall clock leapt");
        }
        let result = self
            .parts
            .journal
            .call(move |ledger| {
                let mut known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                known.revoked = revoked;
                known.leap = leap;
                turn::take(ledger, &config, &mut known, &taken)
            })
            .await;
        if result.is_ok() {
            self.clocks.recorded();
        } else {
            // Nothing of a failed turn is stored: its inputs come again.
            pending.extend(Arc::try_unwrap(inputs).unwrap_or_default());
        }
        result
    }

    /// Takes note of what ended outside.
    fn note(&mut self, input: &Input) {
        match input {
            Input::Finished(finish) => {
                let id = AttemptId {
                    run: finish.run.clone(),
                    item: finish.finished.item.clone(),
                    attempt: finish.finished.attempt,
                    fence: finish.finished.fence,
                };
                self.live.remove(&id);
            }
            Input::Logged(runs, _) | Input::NotLogged(runs) => self.logging.retain(|run| !runs.contains(run)),
            Input::Read(run, _) => {
                self.reading.remove(run);
            }
            Input::Sealed(run, _) => {
                self.sealing.remove(run);
            }
            Input::Grown(run, _) | Input::NotGrown(run) => {
                self.growing.remove(run);
            }
            Input::Started(..) | Input::Expired(_) => {}
        }
    }

    /// Performs what a turn led to, and says when the next one is due.
    fn perform(&mut self, turn: Turn) -> Option<Duration> {
        for assignment in turn.attempts {
            self.begin(assignment);
        }
        for attempt in turn.stops {
            if let Some((control, _)) = self.live.get(&attempt) {
                let _ = control.stop.send(true);
            }
        }
        for (_, (control, _)) in self.live.iter().filter(|(attempt, _)| turn.aside.contains(&attempt.run)) {
            let _ = control.stop.send(true);
        }
        for attempt in turn.removes {
            self.remove(attempt);
        }
        for run in turn.seals {
            self.seal(run);
        }
        for (run, growth) in turn.grows {
            self.grow(run, growth);
        }
        for (run, wanted) in turn.wants {
            self.read(run, wanted);
        }
        self.log(turn.unlogged);
        let quiet = self.live.is_empty()
            && self.sealing.is_empty()
            && self.reading.is_empty()
            && self.logging.is_empty()
            && self.growing.is_empty();
        let idle = turn.open == 0 && quiet && !turn.more;
        self.phase.send_if_modified(|phase| {
            let next = if idle { Phase::Idle } else { Phase::Busy };
            std::mem::replace(phase, next) != next
        });
        if turn.more {
            return Some(Duration::ZERO);
        }
        let now = self.parts.world.host.now();
        turn.due.map(|due| Duration::from_millis(due.ms_since(now).max(1)))
    }

    fn begin(&mut self, assignment: Assignment) {
        if self.live.contains_key(&assignment.attempt) {
            return;
        }
        let id = assignment.attempt.clone();
        let (stop, asked) = watch::channel(false);
        let task = self.tasks.spawn(life(self.parts.world.clone(), assignment, asked));
        self.live.insert(id, (Control { stop }, task));
    }

    fn remove(&mut self, attempt: AttemptId) {
        let world = self.parts.world.clone();
        let target = self.parts.config.targets.values().next().cloned().unwrap_or_default();
        self.removals.spawn(async move {
            let removed = match world.compute(&target) {
                Ok(provider) => provider.remove(&attempt).await,
                Err(error) => Err(error),
            };
            if let Err(error) = removed {
                tracing::warn!(item = %attempt.item, run = %attempt.run, %error, "an attempt's folder is left behind");
            }
        });
    }

    fn seal(&mut self, run: RunId) {
        if !self.sealing.insert(run.clone()) {
            return;
        }
        let Parts { journal, keys, world, .. } = self.parts.clone();
        self.tasks.spawn(async move {
            let sealed = seal(&journal, &keys, &run).await;
            let noted = match &sealed {
                Ok(()) => log_note(&journal, &keys).await,
                Err(_) => Ok(()),
            };
            if let Err(error) = sealed.as_ref().and(noted.as_ref()) {
                tracing::error!(%run, %error, "a run is not sealed yet; it is tried again");
            }
            let done = sealed.is_ok();
            if !done {
                tokio::time::sleep(SIGN_PAUSE).await;
            }
            let _ = world.inputs.send(Input::Sealed(run, done));
        });
    }

    fn grow(&mut self, run: RunId, growth: Growth) {
        if !self.growing.insert(run.clone()) {
            return;
        }
        let Parts { config, world, hub, .. } = self.parts.clone();
        self.tasks.spawn(async move {
            let input = match grow(growth, &hub, &config, world.blobs.as_ref()).await {
                Ok(grown) => Input::Grown(run, Box::new(grown)),
                Err(error) => {
                    tracing::error!(%run, %error, "what a pattern adds is not checked yet; it is tried again");
                    tokio::time::sleep(SIGN_PAUSE).await;
                    Input::NotGrown(run)
                }
            };
            let _ = world.inputs.send(input);
        });
    }

    fn read(&mut self, run: RunId, wanted: Wanted) {
        if self.reading.get(&run) == Some(&wanted) {
            return;
        }
        self.reading.insert(run.clone(), wanted.clone());
        let world = self.parts.world.clone();
        self.tasks.spawn(async move {
            let context = RunContext::load(wanted, world.blobs.as_ref()).await;
            let _ = world.inputs.send(Input::Read(run, Arc::new(context)));
        });
    }

    fn log(&mut self, unlogged: Vec<RunId>) {
        let runs: Vec<RunId> = unlogged.into_iter().filter(|run| self.logging.insert(run.clone())).collect();
        if runs.is_empty() {
            return;
        }
        let Parts { journal, keys, world, .. } = self.parts.clone();
        self.tasks.spawn(async move {
            let input = match log_place(&journal, &keys).await {
                Ok(place) => Input::Logged(runs, place),
                Err(error) => {
                    tracing::error!(%error, "the log's checkpoint is not signed; it is tried again");
                    tokio::time::sleep(SIGN_PAUSE).await;
                    Input::NotLogged(runs)
                }
            };
            let _ = world.inputs.send(input);
        });
    }

    fn any_down(&self) -> bool {
        !self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).capacity.down.is_empty()
    }

    /// Asks each target's provider what it would enforce; a target that cannot give it is down.
    async fn probe_targets(&self) {
        let down = probe(&self.parts.config, &self.parts.world).await;
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).capacity.down = down;
    }

    /// Ends the loop's own tasks. Boxes go on. What is being removed is removed: who ends because nothing is left to do must
    /// not leave half a folder to a driver that may never come.
    async fn end(mut self) {
        self.tasks.shutdown().await;
        let removed = async { while self.removals.join_next().await.is_some() {} };
        if tokio::time::timeout(REMOVE_TIME_MAX, removed).await.is_err() {
            tracing::warn!(left = self.removals.len(), "folders of ended attempts are left behind");
        }
        self.removals.shutdown().await;
        self.live.clear();
        // A ledger that cannot be asked any more needs nothing.
        let _ = self
            .parts
            .journal
            .call(|ledger| {
                ledger.unfollow();
                Ok(())
            })
            .await;
    }
}

/// Targets that cannot run anything now, with the reason.
pub(crate) async fn probe(config: &Config, world: &World) -> BTreeMap<Enc, String> {
    let mut down = BTreeMap::new();
    for (name, target) in &config.targets {
        let offered = match world.compute(target) {
            Ok(provider) => provider.isolation(target).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = offered {
            tracing::warn!(target_name = %name, %error, "a target is down");
            down.insert(Enc::encode(name.as_str()), error.to_string());
        }
    }
    down
}
