//! A clock that stands still until a test turns it, and one that follows the time of a runtime that is paused.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use agora_core::time::Time;
use agora_engine::host::{Host, Serial, ThisMachine, Wake};
use async_trait::async_trait;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

/// The clock. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct HandClock {
    /// Wall-clock time, in microseconds.
    wall: Arc<AtomicI64>,
    /// Time that really passed, in microseconds.
    steady: Arc<AtomicI64>,
    /// Whoever waits for a time hears that it was turned.
    turned: Arc<Notify>,
}

impl HandClock {
    /// A clock that stands at the machine's time.
    pub(crate) fn new() -> Self {
        // Room to turn it back: steady time is never below zero.
        Self::at(ThisMachine.now())
    }

    /// A clock that stands at this time.
    pub(crate) fn at(time: Time) -> Self {
        Self {
            wall: Arc::new(AtomicI64::new(time.micros())),
            steady: Arc::new(AtomicI64::new(1 << 50)),
            turned: Arc::default(),
        }
    }

    /// Lets this many milliseconds pass; or takes them back, if they are negative.
    pub(crate) fn turn(&self, ms: i64) {
        self.steady.fetch_add(ms * 1000, Ordering::SeqCst);
        self.leap(ms);
    }

    /// Sets the wall clock alone: no time passes.
    pub(crate) fn leap(&self, ms: i64) {
        self.wall.fetch_add(ms * 1000, Ordering::SeqCst);
        self.turned.notify_waiters();
    }
}

#[async_trait]

impl Host for HandClock {
    fn now(&self) -> Time {
        Time::from_micros(self.wall.load(Ordering::SeqCst))
    }

    fn steady(&self) -> Duration {
        Duration::from_micros(self.steady.load(Ordering::SeqCst).unsigned_abs())
    }

    async fn reached(&self, time: Time) {
        let turned = self.turned.notified();
        if self.now() < time {
            turned.await;
        }
    }
}

/// A machine in a runtime whose time is paused: what waits for a timer has it at once, and nothing else passes time. Clones
/// are the same machine.
#[derive(Debug, Clone)]
pub(crate) struct PlayedClock {
    began: (Time, Instant),
    commits: broadcast::Sender<()>,
}

impl PlayedClock {
    pub(crate) fn new() -> Self {
        Self { began: (ThisMachine.now(), Instant::now()), commits: broadcast::Sender::new(16) }
    }

    /// How much time has passed.
    pub(crate) fn passed(&self) -> Duration {
        self.began.1.elapsed()
    }
}

#[async_trait]
impl Host for PlayedClock {
    fn now(&self) -> Time {
        self.began.0.plus_ms(u64::try_from(self.passed().as_millis()).unwrap())
    }

    fn steady(&self) -> Duration {
        self.passed()
    }

    async fn reached(&self, time: Time) {
        tokio::time::sleep(Duration::from_millis(time.ms_since(self.now()))).await;
    }

    // A thread of its own would be something that a runtime without work does not wait for.
    fn serial(&self) -> std::io::Result<Serial> {
        Ok(Box::new(|job| {
            job();
            true
        }))
    }

    fn wake(&self, _: &Path) -> Wake {
        Wake::of(self.commits.clone())
    }

    fn tell(&self, _: &Path) {
        // Nobody may listen.
        let _ = self.commits.send(());
    }
}
