//! A clock that stands still until a test turns it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use agora_core::time::Time;
use agora_engine::host::{Host, Machine};

/// The clock. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct HandClock {
    /// Wall-clock time, in microseconds.
    wall: Arc<AtomicI64>,
    /// Time that really passed, in microseconds.
    steady: Arc<AtomicI64>,
}

impl HandClock {
    /// A clock that stands at the machine's time.
    pub(crate) fn new() -> Self {
        // Room to turn it back: steady time is never below zero.
        Self { wall: Arc::new(AtomicI64::new(Machine.now().micros())), steady: Arc::new(AtomicI64::new(1 << 50)) }
    }

    /// Lets this many milliseconds pass; or takes them back, if they are negative.
    pub(crate) fn turn(&self, ms: i64) {
        self.steady.fetch_add(ms * 1000, Ordering::SeqCst);
        self.leap(ms);
    }

    /// Sets the wall clock alone: no time passes.
    pub(crate) fn leap(&self, ms: i64) {
        self.wall.fetch_add(ms * 1000, Ordering::SeqCst);
    }
}

impl Host for HandClock {
    fn now(&self) -> Time {
        Time::from_micros(self.wall.load(Ordering::SeqCst))
    }

    fn steady(&self) -> Duration {
        Duration::from_micros(self.steady.load(Ordering::SeqCst).unsigned_abs())
    }
}
