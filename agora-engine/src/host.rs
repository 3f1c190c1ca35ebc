//! The machine under the engine: its clock, its threads, its locks, and what can go wrong with its disk. The machine itself
//! unless a test is another one; a simulation is one in which nothing happens by chance.

use std::io;
use std::path::Path;
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agora_core::time::Time;
use async_trait::async_trait;

pub use crate::driver::LockError;
use crate::driver::acquire;
pub use crate::wake::Wake;

/// Something to run on behalf of the journal.
pub type Job = Box<dyn FnOnce() + Send>;
/// Runs jobs one after another, in the order in which they are given; false once it cannot any more.
pub type Serial = Box<dyn Fn(Job) -> bool + Send + Sync>;

/// Where the journal stands, for a host that breaks things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A call of the journal is about to begin.
    Call,
    /// A transaction is about to begin.
    Begin,
    /// All is written and nothing is committed.
    Commit,
    /// All is committed and nobody knows it yet.
    Committed,
}

/// What goes wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no room.
    Full,
    /// Another process holds it for too long.
    Busy,
    /// The disk fails.
    Failed,
    /// The process is gone.
    Gone,
}

/// The machine, as one process sees it.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// The wall-clock time of records.
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// The time since some moment in this process's life, by a clock that nobody turns.
    fn steady(&self) -> Duration {
        static SINCE: LazyLock<Instant> = LazyLock::new(Instant::now);
        SINCE.elapsed()
    }

    /// Returns once the wall clock shows this time, or earlier: when it was set.
    async fn reached(&self, time: Time) {
        crate::alarm::reached(time, self.now()).await;
    }

    /// What runs the journal's jobs: a thread, which ends with this value.
    ///
    /// # Errors
    /// When there is no thread to be had.
    fn serial(&self) -> io::Result<Serial> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("agora-journal".to_owned()).spawn(move || {
            while let Ok(job) = inbox.recv() {
                job();
            }
        })?;
        Ok(Box::new(move |job| jobs.send(job).is_ok()))
    }

    /// Waits until this process alone holds the driver's lock of a home. It is let go with the value, or with the process,
    /// however that ends.
    ///
    /// # Errors
    /// When nobody can hold it.
    async fn lock(&self, home: &Path) -> Result<Box<dyn Send + Sync>, LockError> {
        Ok(Box::new(acquire(home).await?))
    }

    /// Tells of every commit to the store in this folder, by whatever process.
    fn wake(&self, home: &Path) -> Wake {
        Wake::start(home)
    }

    /// Says to whoever listens on the home that a commit is there to be read.
    fn tell(&self, store: &Path) {
        crate::wake::tell(store);
    }

    /// What goes wrong at this step; nothing, unless this is a test.
    ///
    /// # Errors
    /// The fault.
    fn at(&self, step: Step) -> Result<(), Fault> {
        let _ = step;
        Ok(())
    }
}

/// The machine as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisMachine;

impl Host for ThisMachine {}
