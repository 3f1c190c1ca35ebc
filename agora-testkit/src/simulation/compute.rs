//! Boxes that live their own lives: they outlive every driver, end when and how the seed says, and are launched, stopped and
//! listed by a provider that fails in every way a real one does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agora_core::id::{Digest, Enc};
use agora_core::isolation::Isolation;
use agora_core::seam::{ComputeError, ComputeProvider, Ended, Found, Handle, LaunchSpec, Launched};
use agora_core::target::{Profile, Target};
use agora_core::worker::{AttemptId, Failure, Question, Reason, Status, Task};
use async_trait::async_trait;
use tokio::sync::Notify;

use super::{Chaos, Life};
use crate::fakes::outcome::{self, VERSION, outcome_of};
use crate::fakes::{handle_of, isolation_of, read_task};

#[derive(Debug, Clone)]
struct SimBox {
    launched: Launched,
    folder: PathBuf,
    ended: Option<Ended>,
    /// How often somebody was told of its end.
    told: u32,
    /// Whether no stop ends it.
    unstoppable: bool,
}

#[derive(Debug, Default)]
struct State {
    boxes: BTreeMap<AttemptId, SimBox>,
    /// Every box that was ever started.
    starts: BTreeMap<AttemptId, u32>,
    /// How many times in turn the provider neither lists nor stops, before it does.
    refusals: (u32, u32),
}

/// All boxes of the world. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct Boxes {
    state: Arc<Mutex<State>>,
    /// Wakes in the order of waiting.
    changes: Arc<Notify>,
    chaos: Chaos,
}

impl Boxes {
    /// A world without boxes.
    #[must_use]
    pub fn new(chaos: Chaos) -> Self {
        Self { state: Arc::default(), changes: Arc::default(), chaos }
    }

    /// The boxes that run.
    #[must_use]
    pub fn running(&self) -> Vec<AttemptId> {
        self.state().boxes.iter().filter(|(_, found)| found.ended.is_none()).map(|(id, _)| id.clone()).collect()
    }

    /// Puts a box there that nobody leases, in a world in which the provider fails once to list what there is, and once to
    /// stop it.
    pub fn stray(&self, attempt: &AttemptId, folder: PathBuf) {
        let launched = launched(attempt, &Target::default(), Profile::None);
        let stray = SimBox { launched, folder, ended: None, told: 0, unstoppable: false };
        self.change(|state| {
            state.boxes.insert(attempt.clone(), stray);
            state.refusals = (1, 1);
        });
    }

    /// Returns once nothing is left of any box.
    pub async fn none_left(&self) {
        loop {
            let changed = self.changes.notified();
            if self.state().boxes.is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Whether the provider refuses once more.
    fn refuses(&self, which: impl FnOnce(&mut (u32, u32)) -> &mut u32) -> bool {
        let mut state = self.state();
        let left = which(&mut state.refusals);
        let refuses = *left > 0;
        *left = left.saturating_sub(1);
        refuses
    }

    /// The boxes that no stop ends.
    #[must_use]
    pub fn unstoppable(&self) -> Vec<AttemptId> {
        self.state().boxes.iter().filter(|(_, found)| found.unstoppable).map(|(id, _)| id.clone()).collect()
    }

    /// From now on whatever is stopped ends.
    pub fn all_stoppable(&self) {
        self.change(|state| state.boxes.values_mut().for_each(|found| found.unstoppable = false));
    }

    /// How often each attempt was started.
    #[must_use]
    pub fn starts(&self) -> BTreeMap<AttemptId, u32> {
        self.state().starts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state());
        self.changes.notify_waiters();
        done
    }

    fn start(&self, spec: &LaunchSpec) -> Launched {
        if let Some(there) = self.state().boxes.get(&spec.attempt) {
            return there.launched.clone();
        }
        let launched = launched(&spec.attempt, &spec.target, spec.profile);
        self.chaos.step(format!("box {} starts", launched.handle));
        self.change(|state| {
            *state.starts.entry(spec.attempt.clone()).or_default() += 1;
            let started = SimBox {
                launched: launched.clone(),
                folder: spec.folder.clone(),
                ended: None,
                told: 0,
                unstoppable: false,
            };
            state.boxes.insert(spec.attempt.clone(), started);
        });
        let (boxes, attempt) = (self.clone(), spec.attempt.clone());
        tokio::spawn(async move { boxes.live(&attempt).await });
        launched
    }

    /// What becomes of a box that nobody stops.
    async fn live(&self, attempt: &AttemptId) {
        if self.chaos.strikes("worker-hung", 15) {
            return;
        }
        // Most work is short; some goes on for hours unless it is stopped.
        let longest = if self.chaos.below(12) == 0 { 10_000_000 } else { 8_000 };
        tokio::time::sleep(self.chaos.pause(longest)).await;
        let Some(folder) =
            self.state().boxes.get(attempt).filter(|found| found.ended.is_none()).map(|f| f.folder.clone())
        else {
            return;
        };
        if !self.chaos.strikes("worker-lost", 40) {
            self.write(&folder);
        }
        self.end(attempt, 0);
    }

    /// Writes what the worker says.
    fn write(&self, folder: &std::path::Path) {
        // A folder that is gone is that of a box nobody waits for any more.
        let Ok(task) = read_task(folder) else { return };
        let asked = task.resume.is_some();
        let mut outcome = outcome_of(&task, Status::Done);
        match self.chaos.below(100) {
            0..70 => {}
            70..80 => outcome = outcome_of(&task, Status::Failed),
            80..84 => {
                outcome = outcome_of(&task, Status::Failed);
                outcome.failure = Some(Failure {
                    not_before_ms: Some(self.chaos.below(5_000).into()),
                    ..Failure::new(Reason::RateLimited, "come back later")
                });
            }
            84..96 if !asked => {
                outcome = outcome_of(&task, Status::NeedsInput);
                let question = "go on?".to_owned();
                let options = vec!["yes".to_owned(), "no".to_owned()];
                outcome.question = Some(Question { question, options, context: None, partial_state: None });
            }
            _ if self.chaos.strikes("outcome-of-another-fence", 200) => outcome.attempt.fence += 1,
            _ if self.chaos.strikes("outcome-cancelled-by-nobody", 200) => {
                outcome = outcome_of(&task, Status::Cancelled)
            }
            _ => {}
        }
        self.say(folder, &task, &outcome);
    }

    fn say(&self, folder: &std::path::Path, task: &Task, outcome: &agora_core::worker::Outcome) {
        if let Err(error) = outcome::write(folder, outcome) {
            self.chaos.step(format!("{} cannot write its outcome: {error}", handle_of(&task.attempt)));
        }
    }

    fn end(&self, attempt: &AttemptId, exit_code: i32) {
        self.change(|state| {
            if let Some(found) = state.boxes.get_mut(attempt).filter(|found| found.ended.is_none()) {
                found.ended = Some(Ended { exit_code: Some(exit_code), detail: None });
                self.chaos.step(format!("box {} ends", found.launched.handle));
            }
        });
    }
}

fn launched(attempt: &AttemptId, target: &Target, profile: Profile) -> Launched {
    Launched {
        handle: handle_of(attempt),
        isolation: isolation_of(target, profile),
        image: None,
        worker_version: Enc::encode(VERSION),
        worker_digest: Digest::of(VERSION.as_bytes()),
    }
}

/// The boxes as one process reaches them.
#[derive(Debug, Clone)]
pub struct SimCompute {
    /// What there is.
    pub boxes: Boxes,
    /// Whose it is.
    pub life: Life,
    /// What breaks.
    pub chaos: Chaos,
    /// Where the folders of attempts are.
    pub attempts: PathBuf,
}

impl SimCompute {
    /// Waits as a provider makes one wait; dies, hangs or fails as the seed says.
    async fn turn(&self) {
        self.life.go_on().await;
        if self.chaos.strikes("crash-before-effect", 8) {
            self.life.die().await;
        }
        if self.chaos.below(4) == 0 {
            tokio::time::sleep(self.chaos.pause(50)).await;
            self.life.go_on().await;
        }
    }

    async fn done(&self) {
        if self.chaos.strikes("crash-after-effect", 8) {
            self.life.die().await;
        }
    }

    /// Attempts that the engine prepared.
    fn prepared(&self) -> BTreeMap<AttemptId, Found> {
        let folders = std::fs::read_dir(&self.attempts).into_iter().flatten().flatten();
        let tasks = folders.filter_map(|folder| read_task(&folder.path()).ok());
        tasks.map(|task| (task.attempt.clone(), Found { attempt: task.attempt, handle: None, alive: false })).collect()
    }

    fn failed(&self, kind: &'static str, per_mille: u32) -> Result<(), ComputeError> {
        if self.chaos.strikes(kind, per_mille) { Err(ComputeError::Failed(kind.to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl ComputeProvider for SimCompute {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn isolation(&self, target: &Target) -> Result<(Profile, Isolation), ComputeError> {
        self.life.go_on().await;
        if self.chaos.strikes("target-down", 5) {
            return Err(ComputeError::Isolation("target-down".to_owned()));
        }
        let profile = *target.profiles.first().unwrap();
        Ok((profile, isolation_of(target, profile)))
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Launched, ComputeError> {
        self.turn().await;
        self.failed("launch-fails", 25)?;
        if self.chaos.strikes("launch-hangs", 4) {
            std::future::pending::<()>().await;
        }
        let launched = self.boxes.start(spec);
        self.failed("launch-fails-late", 15)?;
        if self.chaos.strikes("launch-hangs-late", 4) {
            std::future::pending::<()>().await;
        }
        self.done().await;
        Ok(launched)
    }

    async fn wait(&self, handle: &Handle) -> Result<Ended, ComputeError> {
        self.life.go_on().await;
        self.failed("wait-fails", 5)?;
        let ended = loop {
            let changed = self.boxes.changes.notified();
            let found = self.boxes.state().boxes.values().find(|found| found.launched.handle == *handle).cloned();
            match found {
                None => return Err(ComputeError::Unknown(handle.clone())),
                Some(SimBox { ended: Some(ended), .. }) => break ended,
                Some(_) => changed.await,
            }
        };
        self.life.go_on().await;
        let told = {
            let mut state = self.boxes.state();
            let found = state.boxes.values_mut().find(|found| found.launched.handle == *handle);
            found.map_or(0, |found| {
                found.told += 1;
                found.told
            })
        };
        if told == 2 {
            self.chaos.fired_too("end-told-twice");
        }
        Ok(ended)
    }

    async fn stop(&self, handle: &Handle, at_once: bool) -> Result<(), ComputeError> {
        self.turn().await;
        if self.boxes.refuses(|(_, stops)| stops) {
            return Err(ComputeError::StopUnverified(handle.clone()));
        }
        if self.chaos.strikes("stop-never", 60) {
            self.boxes.change(|state| {
                let found = state.boxes.values_mut().find(|found| found.launched.handle == *handle);
                found.into_iter().for_each(|found| found.unstoppable = true);
            });
        }
        let running = |found: &&SimBox| found.launched.handle == *handle && found.ended.is_none();
        if self.boxes.state().boxes.values().find(running).is_some_and(|found| found.unstoppable) {
            return Err(ComputeError::StopUnverified(handle.clone()));
        }
        if self.chaos.strikes("stop-unproven", 150) {
            return Err(ComputeError::StopUnverified(handle.clone()));
        }
        if self.chaos.strikes("stop-slow", 100) {
            tokio::time::sleep(Duration::from_secs(30)).await;
            self.life.go_on().await;
        }
        let found = self
            .boxes
            .state()
            .boxes
            .iter()
            .find(|(_, found)| found.launched.handle == *handle)
            .map(|(id, found)| (id.clone(), found.clone()));
        if let Some((attempt, SimBox { ended: None, folder, .. })) = found {
            if !at_once && let Ok(task) = read_task(&folder) {
                self.boxes.say(&folder, &task, &outcome_of(&task, Status::Cancelled));
            }
            self.boxes.end(&attempt, 137);
        }
        self.done().await;
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Found>, ComputeError> {
        self.turn().await;
        self.failed("list-fails", 60)?;
        if self.chaos.strikes("list-slow", 100) {
            tokio::time::sleep(self.chaos.pause(20_000)).await;
            self.life.go_on().await;
        }
        if self.boxes.refuses(|(lists, _)| lists) {
            return Err(ComputeError::Failed("it refuses".to_owned()));
        }
        let found = |(attempt, there): (&AttemptId, &SimBox)| Found {
            attempt: attempt.clone(),
            handle: Some(there.launched.handle.clone()),
            alive: there.ended.is_none(),
        };
        let mut all: BTreeMap<AttemptId, Found> = self.prepared();
        all.extend(self.boxes.state().boxes.iter().map(|there| (there.0.clone(), found(there))));
        Ok(all.into_values().collect())
    }

    async fn remove(&self, attempt: &AttemptId) -> Result<(), ComputeError> {
        self.turn().await;
        self.failed("remove-fails", 20)?;
        let folder = self.boxes.change(|state| match state.boxes.get(attempt) {
            Some(there) if there.ended.is_none() => Err(ComputeError::Failed("it still runs".to_owned())),
            _ => {
                state.boxes.remove(attempt);
                Ok(self.attempts.join(attempt.folder_name()))
            }
        })?;
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ComputeError::Failed(error.to_string())),
            _ => Ok(()),
        }
    }
}
