//! The machine of one process: time that is played, a journal without a thread, a lock that goes with the process, and a
//! disk that fails.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use agora_core::seam::{BlobError, BlobStore, ComputeError, ComputeProvider};
use agora_core::target::Target;
use agora_core::time::Time;
use agora_engine::Providers;
use agora_engine::host::{Fault, Host, LockError, Serial, Step, Wake};
use agora_testkit::fakes::MemoryBlobs;
use agora_testkit::simulation::{Boxes, Chaos, Life, SimBlobs, SimCompute};
use async_trait::async_trait;
use tokio::sync::{Mutex, broadcast};
use tokio::time::Instant;

use super::invariants::Checker;

/// When every schedule begins: 2030-01-01.
const BEGIN_MICROS: i64 = 1_893_456_000_000_000;

/// What all processes share.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) chaos: Chaos,
    pub(crate) boxes: Boxes,
    pub(crate) blobs: MemoryBlobs,
    pub(crate) checker: Arc<Checker>,
    commits: broadcast::Sender<()>,
    lock: Arc<Mutex<()>>,
    began: Instant,
    /// How far the wall clock was turned.
    turned: Arc<AtomicI64>,
}

impl World {
    pub(crate) fn new(chaos: Chaos, blobs: MemoryBlobs, checker: Arc<Checker>) -> Self {
        Self {
            boxes: Boxes::new(chaos.clone()),
            chaos,
            blobs,
            checker,
            commits: broadcast::Sender::new(1),
            lock: Arc::default(),
            began: Instant::now(),
            turned: Arc::default(),
        }
    }

    fn committed(&self) {
        self.checker.look();
        self.checker.compare(&self.boxes.running());
        // Nobody may listen.
        let _ = self.commits.send(());
    }

    /// Turns the wall clock of all processes by so many milliseconds.
    pub(crate) fn turn_clock(&self, ms: i64) {
        self.turned.fetch_add(ms * 1000, Ordering::Relaxed);
    }
}

/// The world as one process has it.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) world: World,
    pub(crate) life: Life,
}

impl Process {
    fn dies(&self, kind: &'static str, per_mille: u32) -> bool {
        let dies = self.world.chaos.strikes(kind, per_mille);
        if dies {
            self.life.kill();
        }
        dies
    }
}

#[async_trait]
impl Host for Process {
    fn now(&self) -> Time {
        let since = i64::try_from(self.world.began.elapsed().as_micros()).unwrap();
        Time::from_micros(BEGIN_MICROS + since + self.world.turned.load(Ordering::Relaxed))
    }

    fn steady(&self) -> Duration {
        self.world.began.elapsed()
    }

    fn serial(&self) -> io::Result<Serial> {
        Ok(Box::new(|job| {
            job();
            true
        }))
    }

    async fn lock(&self, _: &Path) -> Result<Box<dyn Send + Sync>, LockError> {
        self.life.go_on().await;
        let held = Arc::clone(&self.world.lock).lock_owned().await;
        self.life.go_on().await;
        self.world.chaos.step("a process drives");
        Ok(Box::new(held))
    }

    fn wake(&self, _: &Path) -> Wake {
        Wake::of(self.world.commits.clone())
    }

    fn tell(&self, _: &Path) {
        self.world.committed();
    }

    fn at(&self, step: Step) -> Result<(), Fault> {
        if !self.life.lives() {
            return Err(Fault::Gone);
        }
        let chaos = &self.world.chaos;
        match step {
            Step::Call if chaos.strikes("store-read", 1) => Err(Fault::Failed),
            Step::Begin if chaos.strikes("store-busy", 10) => Err(Fault::Busy),
            Step::Commit if chaos.strikes("disk-full", 10) => Err(Fault::Full),
            Step::Commit if chaos.strikes("disk-failed", 2) => Err(Fault::Failed),
            Step::Commit if self.dies("crash-before-commit", 8) => Err(Fault::Gone),
            Step::Committed if self.dies("crash-after-commit", 8) => {
                // Nobody is told, and yet it is there.
                self.world.committed();
                Err(Fault::Gone)
            }
            Step::Call | Step::Begin | Step::Commit | Step::Committed => Ok(()),
        }
    }
}

impl Providers for Process {
    fn compute(&self, home: &Path, _: &Target) -> Result<Arc<dyn ComputeProvider>, ComputeError> {
        let Self { world, life } = self.clone();
        Ok(Arc::new(SimCompute { boxes: world.boxes, life, chaos: world.chaos, attempts: home.join("attempts") }))
    }
    fn blobs(&self, _: &Path) -> Result<Arc<dyn BlobStore>, BlobError> {
        let Self { world, life } = self.clone();
        Ok(Arc::new(SimBlobs { blobs: world.blobs, life, chaos: world.chaos }))
    }
    fn attempts(&self, home: &Path) -> std::path::PathBuf {
        home.join("attempts")
    }
}
