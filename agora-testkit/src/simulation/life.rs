//! One process: alive until it is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
struct Shared {
    dead: AtomicBool,
    /// Wakes in the order of waiting, as a `watch` does not: nothing here happens by chance.
    told: Notify,
}

/// Whether a process is alive. Clones are the same process.
#[derive(Debug, Clone, Default)]
pub struct Life(Arc<Shared>);

impl Life {
    /// Kills it.
    pub fn kill(&self) {
        self.0.dead.store(true, Ordering::SeqCst);
        self.0.told.notify_waiters();
    }

    /// Whether it lives.
    #[must_use]
    pub fn lives(&self) -> bool {
        !self.0.dead.load(Ordering::SeqCst)
    }

    /// Returns once it is killed.
    pub async fn killed(&self) {
        let told = self.0.told.notified();
        tokio::pin!(told);
        told.as_mut().enable();
        if self.lives() {
            told.await;
        }
    }

    /// Goes on in a process that lives, and never returns in one that was killed.
    pub async fn go_on(&self) {
        if !self.lives() {
            std::future::pending::<()>().await;
        }
    }

    /// Kills it, and never returns.
    pub async fn die(&self) {
        self.kill();
        std::future::pending::<()>().await;
    }
}
