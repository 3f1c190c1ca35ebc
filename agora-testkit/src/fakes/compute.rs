//! A compute provider whose attempts are calls of a closure: no process, no sleep, ten thousand in seconds.
//!
//! An attempt is run inside its `launch`, unless its item is held: then it runs when it is released. Everything a test may
//! want to go wrong is asked for by item: a launch that fails or hangs, a worker that is lost, a stop that proves nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agora_core::id::{Digest, Enc, ItemId};
use agora_core::isolation::{Isolation, Network, Probes};
use agora_core::seam::{ComputeError, ComputeProvider, Ended, Found, Handle, LaunchSpec, Launched};
use agora_core::target::{Profile, Target};
use agora_core::worker::{AttemptId, Outcome, Status, Task};
use async_trait::async_trait;
use tokio::sync::watch;

use super::outcome::{self, VERSION, outcome_of};

type Script = dyn Fn(&Task, &Path) -> Outcome + Send + Sync;

/// An attempt that was launched.
#[derive(Debug, Clone)]
struct FakeBox {
    launched: Launched,
    folder: PathBuf,
    /// How it ended, once it has.
    ended: Option<Ended>,
}

#[derive(Debug, Default)]
struct State {
    boxes: BTreeMap<AttemptId, FakeBox>,
    handles: BTreeMap<Handle, AttemptId>,
    launches: BTreeMap<AttemptId, u64>,
    starts: BTreeMap<AttemptId, u64>,
    hold_all: bool,
    held: BTreeSet<ItemId>,
    /// Items whose attempts end without an outcome; how many of them.
    lost: BTreeMap<ItemId, u64>,
    /// Items whose launches never return.
    hung: BTreeSet<ItemId>,
    launch_failures: BTreeMap<ItemId, VecDeque<ComputeError>>,
    stop_failures: BTreeMap<ItemId, VecDeque<ComputeError>>,
    /// Items whose attempts no stop ends.
    unstoppable: BTreeSet<ItemId>,
    /// How often a stop of an item's attempts was asked for.
    stops: BTreeMap<ItemId, u64>,
    isolation_failure: Option<String>,
    running_most: usize,
}

struct Shared {
    script: Box<Script>,
    state: Mutex<State>,
    /// Counts changes, so that nobody has to look again and again.
    changes: watch::Sender<u64>,
}

/// The fake provider. Clones are the same provider, as a new driver finds it after a restart.
#[derive(Clone)]
pub struct FakeCompute(Arc<Shared>);

impl fmt::Debug for FakeCompute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeCompute").field("state", &*self.state()).finish_non_exhaustive()
    }
}

impl Default for FakeCompute {
    /// Every attempt is done, without a patch.
    fn default() -> Self {
        Self::new(|task, _| outcome_of(task, Status::Done))
    }
}

impl FakeCompute {
    /// Runs this for every attempt: it may write into `out/` of the folder, and returns the outcome, which is written
    /// there last.
    pub fn new(script: impl Fn(&Task, &Path) -> Outcome + Send + Sync + 'static) -> Self {
        let shared = Shared { script: Box::new(script), state: Mutex::default(), changes: watch::Sender::new(0) };
        Self(Arc::new(shared))
    }

    /// Holds the attempts of an item: they run and do not end, until they are released or stopped.
    pub fn hold(&self, item: &ItemId) {
        self.change(|state| state.held.insert(item.clone()));
    }

    /// Holds every attempt that is launched from now on.
    pub fn hold_all(&self) {
        self.change(|state| state.hold_all = true);
    }

    /// Ends an item's attempts that are held, as the script says, and holds no further ones of it. Launches of it that hang
    /// go on.
    pub fn release(&self, item: &ItemId) {
        self.change(|state| {
            state.held.remove(item);
            state.hung.remove(item);
        });
        self.run_held(|attempt| attempt.item == *item);
    }

    /// Ends every attempt that is held, as the script says, and holds no further ones.
    pub fn release_all(&self) {
        self.change(|state| {
            state.hold_all = false;
            state.held.clear();
        });
        self.run_held(|_| true);
    }

    /// Ends an item's running attempt without an outcome or, if none runs, the next one.
    pub fn lose(&self, item: &ItemId) {
        self.change(|state| {
            let running = state.boxes.iter_mut().find(|(attempt, held)| attempt.item == *item && held.ended.is_none());
            match running {
                Some((_, running)) => running.ended = Some(lost()),
                None => *state.lost.entry(item.clone()).or_default() += 1,
            }
        });
    }

    /// Fails the next launch of an item; several are used in turn. Nothing is started by it.
    pub fn fail_launch(&self, item: &ItemId, error: ComputeError) {
        self.change(|state| state.launch_failures.entry(item.clone()).or_default().push_back(error));
    }

    /// Makes launches of an item hang, having started nothing, until [`FakeCompute::release`].
    pub fn hang_launch(&self, item: &ItemId) {
        self.change(|state| state.hung.insert(item.clone()));
    }

    /// Fails the next stop of an item's attempt, and stops nothing; several are used in turn.
    pub fn fail_stop(&self, item: &ItemId, error: ComputeError) {
        self.change(|state| state.stop_failures.entry(item.clone()).or_default().push_back(error));
    }

    /// Makes every stop of an item's attempts end without a proof, and stops nothing; or lets them be stopped again.
    pub fn unstoppable(&self, item: &ItemId, unstoppable: bool) {
        self.change(|state| match unstoppable {
            true => state.unstoppable.insert(item.clone()),
            false => state.unstoppable.remove(item),
        });
    }

    /// Returns once a stop of an item's attempt was asked for.
    pub async fn wait_stop(&self, item: &ItemId) {
        self.until(|state| state.stops.contains_key(item)).await;
    }

    /// Returns once none of an item's attempts runs.
    pub async fn wait_gone(&self, item: &ItemId) {
        self.until(|state| !state.running().any(|attempt| attempt.item == *item)).await;
    }

    /// Takes the target down with this reason, or up again.
    pub fn fail_isolation(&self, why: Option<&str>) {
        self.change(|state| state.isolation_failure = why.map(str::to_owned));
    }

    /// How often an attempt was launched, repeats included.
    #[must_use]
    pub fn launches(&self, attempt: &AttemptId) -> u64 {
        self.state().launches.get(attempt).copied().unwrap_or(0)
    }

    /// How often an attempt was started: at most once, or the fake is broken.
    #[must_use]
    pub fn starts(&self, attempt: &AttemptId) -> u64 {
        self.state().starts.get(attempt).copied().unwrap_or(0)
    }

    /// How many attempts were started in all.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.state().starts.values().sum()
    }

    /// Attempts that run now.
    #[must_use]
    pub fn running(&self) -> Vec<AttemptId> {
        self.state().running().cloned().collect()
    }

    /// The most attempts that ever ran at once.
    #[must_use]
    pub fn running_most(&self) -> usize {
        self.state().running_most
    }

    /// Returns once as many attempts run at the same time.
    pub async fn wait_running(&self, count: usize) {
        self.until(|state| state.running().count() >= count).await;
    }

    /// Returns once this attempt does not run.
    pub async fn wait_ended(&self, attempt: &AttemptId) {
        self.until(|state| !state.running().any(|running| running == attempt)).await;
    }

    /// Returns once an attempt at the item has been started; with its identity, that of the newest.
    ///
    /// # Panics
    /// Never: it waits until there is one.
    pub async fn wait_started(&self, item: &ItemId) -> AttemptId {
        self.until(|state| state.starts.keys().any(|attempt| attempt.item == *item)).await;
        let state = self.state();
        state
            .starts
            .keys()
            .filter(|attempt| attempt.item == *item)
            .max_by_key(|attempt| attempt.fence)
            .cloned()
            .unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state());
        self.0.changes.send_modify(|count| *count += 1);
        done
    }

    async fn until(&self, mut holds: impl FnMut(&State) -> bool) {
        let mut changes = self.0.changes.subscribe();
        while !holds(&self.state()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Runs the script for every held attempt that is meant and not held any more.
    fn run_held(&self, meant: impl Fn(&AttemptId) -> bool) {
        let attempts: Vec<AttemptId> = self.state().running().filter(|attempt| meant(attempt)).cloned().collect();
        for attempt in attempts {
            self.finish(&attempt);
        }
    }

    /// Runs the script for an attempt, without the lock: the script may ask the fake for things.
    fn finish(&self, attempt: &AttemptId) {
        let folder = {
            let mut state = self.state();
            let Some(running) = state.boxes.get(attempt).filter(|running| running.ended.is_none()) else { return };
            let folder = running.folder.clone();
            if let Some(left) = state.lost.get_mut(&attempt.item).filter(|left| **left > 0) {
                *left -= 1;
                drop(state);
                self.end(attempt, lost());
                return;
            }
            folder
        };
        let ended = match read_task(&folder) {
            Ok(task) => match outcome::write(&folder, &(self.0.script)(&task, &folder)) {
                Ok(()) => Ended { exit_code: Some(0), detail: None },
                Err(error) => Ended { exit_code: Some(1), detail: Some(error.to_string()) },
            },
            Err(why) => Ended { exit_code: Some(1), detail: Some(why) },
        };
        self.end(attempt, ended);
    }

    fn end(&self, attempt: &AttemptId, ended: Ended) {
        self.change(|state| {
            if let Some(running) = state.boxes.get_mut(attempt)
                && running.ended.is_none()
            {
                running.ended = Some(ended);
            }
        });
    }
}

impl State {
    fn running(&self) -> impl Iterator<Item = &AttemptId> {
        self.boxes.iter().filter(|(_, running)| running.ended.is_none()).map(|(attempt, _)| attempt)
    }

    fn find(&self, handle: &Handle) -> Option<(&AttemptId, &FakeBox)> {
        self.boxes.get_key_value(self.handles.get(handle)?)
    }
}

fn lost() -> Ended {
    Ended { exit_code: Some(137), detail: Some("the worker was lost".to_owned()) }
}

pub(crate) fn handle_of(attempt: &AttemptId) -> Handle {
    Enc::encode(&format!("fake:{}:{}:{}:{}", attempt.run, attempt.item, attempt.attempt, attempt.fence))
}

pub(crate) fn read_task(folder: &Path) -> Result<Task, String> {
    let bytes = std::fs::read(folder.join("task.json")).map_err(|error| format!("task.json: {error}"))?;
    agora_core::canon::from_bytes(&bytes).map_err(|error| format!("task.json: {error}"))
}

/// The fake stands in for the provider that the target names, and the report of an attempt names the one it was leased to.
pub(crate) fn isolation_of(target: &Target, profile: Profile) -> Isolation {
    Isolation {
        provider: target.provider.as_str().to_owned(),
        profile: profile.as_str().to_owned(),
        weaker: vec!["nothing is isolated: this is a fake".to_owned()],
        probes: Probes::default(),
        network: Network { mode: "open".to_owned(), boundary: "nothing".to_owned(), ..Network::default() },
        jail: None,
        kernel: None,
        namespaces: Vec::new(),
        no_new_privs: None,
        rlimits: BTreeMap::new(),
        tree: None,
        uid_separation: None,
        worker: None,
        more: BTreeMap::new(),
    }
}

#[async_trait]
impl ComputeProvider for FakeCompute {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn isolation(&self, target: &Target) -> Result<(Profile, Isolation), ComputeError> {
        if let Some(why) = &self.state().isolation_failure {
            return Err(ComputeError::Isolation(why.clone()));
        }
        match target.profiles.first() {
            Some(profile) => Ok((*profile, isolation_of(target, *profile))),
            None => Err(ComputeError::Isolation("the target names no profile".to_owned())),
        }
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Launched, ComputeError> {
        let attempt = &spec.attempt;
        self.change(|state| *state.launches.entry(attempt.clone()).or_default() += 1);
        let item = attempt.item.clone();
        self.until(|state| !state.hung.contains(&item)).await;
        let (launched, run) = self.change(|state| {
            if let Some(there) = state.boxes.get(attempt) {
                return Ok((there.launched.clone(), false));
            }
            if let Some(error) = state.launch_failures.get_mut(&attempt.item).and_then(VecDeque::pop_front) {
                return Err(error);
            }
            if !spec.target.profiles.contains(&spec.profile) {
                return Err(ComputeError::Isolation(format!("the target does not name {}", spec.profile.as_str())));
            }
            if !spec.folder.join("task.json").is_file() {
                return Err(ComputeError::Failed(format!("{} has no task.json", spec.folder.display())));
            }
            let launched = Launched {
                handle: handle_of(attempt),
                isolation: isolation_of(&spec.target, spec.profile),
                image: None,
                worker_version: Enc::encode(VERSION),
                worker_digest: Digest::of(VERSION.as_bytes()),
            };
            let running = FakeBox { launched: launched.clone(), folder: spec.folder.clone(), ended: None };
            state.boxes.insert(attempt.clone(), running);
            state.handles.insert(launched.handle.clone(), attempt.clone());
            *state.starts.entry(attempt.clone()).or_default() += 1;
            let held = state.hold_all || state.held.contains(&attempt.item);
            if held {
                state.running_most = state.running_most.max(state.running().count());
            }
            Ok((launched, !held))
        })?;
        if run {
            self.finish(attempt);
        }
        Ok(launched)
    }

    async fn wait(&self, handle: &Handle) -> Result<Ended, ComputeError> {
        let mut found = Err(ComputeError::Unknown(handle.clone()));
        self.until(|state| match state.find(handle) {
            None => true,
            Some((_, there)) => match &there.ended {
                None => false,
                Some(ended) => {
                    found = Ok(ended.clone());
                    true
                }
            },
        })
        .await;
        found
    }

    async fn stop(&self, handle: &Handle, at_once: bool) -> Result<(), ComputeError> {
        let running = self.change(|state| {
            let Some((attempt, there)) = state.find(handle) else { return Ok(None) };
            let (attempt, there) = (attempt.clone(), there.clone());
            *state.stops.entry(attempt.item.clone()).or_default() += 1;
            if there.ended.is_some() {
                return Ok(None);
            }
            if state.unstoppable.contains(&attempt.item) {
                return Err(ComputeError::StopUnverified(handle.clone()));
            }
            if let Some(error) = state.stop_failures.get_mut(&attempt.item).and_then(VecDeque::pop_front) {
                return Err(error);
            }
            Ok(Some((attempt, there.folder)))
        })?;
        let Some((attempt, folder)) = running else { return Ok(()) };
        if !at_once && let Ok(task) = read_task(&folder) {
            // A worker that is asked to end says so; one that cannot write is a lost one.
            let _ = outcome::write(&folder, &outcome_of(&task, Status::Cancelled));
        }
        let exit_code = if at_once { None } else { Some(0) };
        self.end(&attempt, Ended { exit_code, detail: Some("it was stopped".to_owned()) });
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Found>, ComputeError> {
        let found = |(attempt, there): (&AttemptId, &FakeBox)| Found {
            attempt: attempt.clone(),
            handle: Some(there.launched.handle.clone()),
            alive: there.ended.is_none(),
        };
        Ok(self.state().boxes.iter().map(found).collect())
    }

    async fn remove(&self, attempt: &AttemptId) -> Result<(), ComputeError> {
        let folder = self.change(|state| match state.boxes.get(attempt) {
            Some(there) if there.ended.is_none() => {
                Err(ComputeError::Failed(format!("{} still runs", there.launched.handle)))
            }
            Some(_) => Ok(state.boxes.remove(attempt).map(|there| there.folder)),
            None => Ok(None),
        })?;
        match folder.map(std::fs::remove_dir_all) {
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ComputeError::Failed(error.to_string()))
            }
            _ => Ok(()),
        }
    }
}
