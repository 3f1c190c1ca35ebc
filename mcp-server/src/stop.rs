//! The one signal that ends this process's work: the client went away, or somebody asked the process to end.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Set once, seen by everybody who waits.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Sender<bool>);

impl Stop {
    /// Makes one that is not set.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Sets it.
    pub(crate) fn now(&self) {
        self.0.send_replace(true);
    }

    /// Returns once it is set, at once if it is already.
    ///
    /// # Cancellation
    /// Safe: nothing is lost.
    pub(crate) async fn stopped(&self) {
        let mut seen = self.0.subscribe();
        // The sender lives as long as this value, so the wait ends with the signal alone.
        let _ = seen.wait_for(|set| *set).await;
    }

    /// Sets it when the process is asked to end.
    ///
    /// # Errors
    /// When the system does not let signals be watched.
    pub(crate) fn on_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let stop = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
            stop.now();
        });
        Ok(())
    }
}
