//! Who runs what is asked of the ledger: one job after another, on a thread that owns nothing else.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::{Ledger, StoreError};
use crate::host::{Host, Serial, Step};

/// A handle to the ledger and to what runs its jobs, which ends with the last handle.
#[derive(Clone)]
pub(crate) struct Journal {
    ledger: Arc<Mutex<Option<Ledger>>>,
    jobs: Arc<Serial>,
    host: Arc<dyn Host>,
}

impl Journal {
    /// Opens the store of a home.
    ///
    /// # Errors
    /// [`StoreError`] as the store says.
    pub(crate) async fn open(path: &Path, origin: String, host: Arc<dyn Host>) -> Result<Self, StoreError> {
        let jobs = host.serial().map_err(|error| StoreError::Sqlite(error.to_string()))?;
        let journal = Self { ledger: Arc::default(), jobs: Arc::new(jobs), host: Arc::clone(&host) };
        let path = path.to_owned();
        journal
            .run(move |ledger| {
                *ledger = Some(Ledger::open(&path, origin, host)?);
                Ok(())
            })
            .await?;
        Ok(journal)
    }

    /// Runs a closure on the ledger and returns what it returns.
    ///
    /// # Errors
    /// What the closure says, or [`StoreError::Closed`].
    ///
    /// # Cancellation
    /// A dropped future does not take the closure back: it runs to its end.
    pub(crate) async fn call<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Ledger) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        self.run(|ledger| job(ledger.as_mut().ok_or(StoreError::Closed)?)).await
    }

    async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Option<Ledger>) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let (done, answer) = oneshot::channel();
        let (ledger, host) = (Arc::clone(&self.ledger), Arc::clone(&self.host));
        let sent = (self.jobs)(Box::new(move || {
            // A job that panicked leaves a ledger that nobody may rely on.
            let result = host.at(Step::Call).map_err(StoreError::from).and_then(|()| {
                let mut ledger = ledger.lock().map_err(|_| StoreError::Closed)?;
                job(&mut ledger)
            });
            // Whoever asked may be gone; then nobody needs the answer.
            let _ = done.send(result);
        }));
        if !sent {
            return Err(StoreError::Closed);
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }
}
