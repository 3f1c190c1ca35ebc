//! The wall clock, held against one that nobody turns.

use std::time::Duration;

use agora_core::limits::CLOCK_JUMP_MS_MIN;
use agora_core::time::Time;

use crate::host::Host;

/// By how much the wall clock leapt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leap {
    /// By how many milliseconds.
    pub(super) by_ms: u64,
    /// Whether back.
    pub(super) back: bool,
}

/// Both clocks, as they stood at the last look. What happens slowly is no leap, however far it goes.
#[derive(Debug)]
pub(super) struct Clocks {
    wall: Time,
    steady: Duration,
    /// Leaps that are not recorded yet, in milliseconds.
    owed_ms: i64,
}

impl Clocks {
    pub(super) fn new(host: &dyn Host) -> Self {
        Self { wall: host.now(), steady: host.steady(), owed_ms: 0 }
    }

    /// Looks at both, and returns the leap that is to be recorded.
    pub(super) fn look(&mut self, host: &dyn Host) -> Option<Leap> {
        let (wall, steady) = (host.now(), host.steady());
        let passed = i64::try_from(steady.saturating_sub(self.steady).as_micros()).unwrap_or(i64::MAX);
        let off_ms = wall.micros().saturating_sub(self.wall.micros()).saturating_sub(passed) / 1000;
        (self.wall, self.steady) = (wall, steady);
        if off_ms.unsigned_abs() > CLOCK_JUMP_MS_MIN {
            self.owed_ms = self.owed_ms.saturating_add(off_ms);
        }
        (self.owed_ms != 0).then_some(Leap { by_ms: self.owed_ms.unsigned_abs(), back: self.owed_ms < 0 })
    }

    /// The leap is recorded.
    pub(super) fn recorded(&mut self) {
        self.owed_ms = 0;
    }
}
