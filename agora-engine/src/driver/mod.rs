//! The driver: the one process that performs effects, because it holds the OS lock on `driver.lock`.
//!
//! ```text
//!  attempts, signers ──inputs──►┐
//!  other processes' commits ───►├─► turn (journal thread): catch up, decide, append, choose ─commit─► effects ─► perform
//!  timers ─────────────────────►┘                                                                       │
//!        ▲──────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! `turn.rs` is one transaction; `task.rs` the loop around it; `clock.rs` notices when the wall clock leaps; `sweep.rs`
//! ends what no lease covers. Whatever is in flight when a driver
//! dies is derived again from the journal by the next one.

mod clock;
mod lock;
mod sweep;
mod task;
mod turn;

use std::sync::Arc;

use agora_core::decide::Finish;
use agora_core::id::RunId;
use agora_core::record::{AttemptStarted, LogPlace};
use agora_core::worker::AttemptId;

use crate::perform::{Grown, RunContext};

pub use lock::LockError;
pub(crate) use lock::{DriverLock, LOCK_FILE, acquire, is_held, try_acquire};
pub use task::Driver;
pub(crate) use task::{Parts, probe, start};
pub(crate) use turn::capacity;

/// Something that happened, for the next turn.
#[derive(Debug)]
pub(crate) enum Input {
    /// A box exists.
    Started(RunId, Box<AttemptStarted>),
    /// An attempt ended.
    Finished(Box<Finish>),
    /// A running attempt's deadline passed.
    Expired(AttemptId),
    /// The log vouches for these runs.
    Logged(Vec<RunId>, LogPlace),
    /// Signing failed; the runs are tried again.
    NotLogged(Vec<RunId>),
    /// A run's artifacts were read.
    Read(RunId, Arc<RunContext>),
    /// What a run's pattern adds was checked.
    Grown(RunId, Box<Grown>),
    /// It could not be checked yet; it is tried again.
    NotGrown(RunId),
    /// A run was sealed, or will be tried again.
    Sealed(RunId, bool),
}
