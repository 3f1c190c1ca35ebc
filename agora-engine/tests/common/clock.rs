//! A clock that stands still until a test turns it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use agora_core::time::Time;
use agora_engine::host::{Host, ThisMachine};

/// The clock. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct HandClock(Arc<AtomicI64>);

impl HandClock {
    /// A clock that stands at the machine's time.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(ThisMachine.now().micros())))
    }

    /// Turns it on by this many milliseconds; back, if they are negative.
    pub(crate) fn turn(&self, ms: i64) {
        self.0.fetch_add(ms * 1000, Ordering::SeqCst);
    }
}

impl Host for HandClock {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}
