//! SIGINT and SIGTERM, as one thing to wait for.

use agora_core::error::{Class, Problem};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Failure;

/// The signals that ask this process to end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on, so that neither ends the process by itself.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen =
            || Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? });
        listen().map_err(|error: std::io::Error| {
            Failure::one("listen for signals", Problem::new(Class::Bug, "internal", error.to_string()))
        })
    }

    /// Returns when one came.
    pub(crate) async fn came(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
