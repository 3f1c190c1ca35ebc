//! The thread that owns the connection.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::{Ledger, StoreError};
use crate::clock::Clock;

type Job = Box<dyn FnOnce(&mut Ledger) + Send>;

/// A handle to the journal's thread. The thread ends with the last handle.
#[derive(Clone)]
pub(crate) struct Journal {
    jobs: mpsc::Sender<Job>,
}

impl Journal {
    /// Opens the store of a home and starts the thread.
    ///
    /// # Errors
    /// [`StoreError`] as the store says.
    pub(crate) async fn open(path: &Path, origin: String, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (opened, answer) = oneshot::channel();
        let path = path.to_owned();
        std::thread::Builder::new()
            .name("agora-journal".to_owned())
            .spawn(move || {
                let mut ledger = match Ledger::open(&path, origin, clock) {
                    Ok(ledger) => ledger,
                    Err(error) => {
                        // Whoever asked may be gone; then nobody needs the answer.
                        let _ = opened.send(Err(error));
                        return;
                    }
                };
                let _ = opened.send(Ok(()));
                while let Ok(job) = inbox.recv() {
                    job(&mut ledger);
                }
            })
            .map_err(|error| StoreError::Sqlite(error.to_string()))?;
        answer.await.map_err(|_| StoreError::Closed)??;
        Ok(Self { jobs })
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
        let (done, answer) = oneshot::channel();
        self.jobs
            .send(Box::new(move |ledger| {
                let _ = done.send(job(ledger));
            }))
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}
