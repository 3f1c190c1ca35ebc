//! One call of a tool: what it may use, and how it ends early.

use std::sync::Arc;

use agora_engine::Engine;
use agora_engine::operations::{Caller, OpError};
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::home::internal;
use crate::progress::{Progress, Said};
use crate::stop::Stop;
use crate::waits::Waits;

/// Calls that read or write at once. Each may hold a page of a quarter of a megabyte and a reader of the store; more of
/// them only wait for each other.
const WORKING_MAX: usize = 16;

/// What a tool is given beside its arguments.
pub(crate) struct Call {
    /// The engine of the home.
    pub(crate) engine: Arc<Engine>,
    /// Who calls.
    pub(crate) caller: Caller,
    /// How long it may wait.
    pub(crate) waits: Waits,
    /// Where it says that it is alive.
    pub(crate) progress: Progress,
    /// Set when the client is gone.
    pub(crate) stop: Stop,
}

impl Call {
    /// Runs what waits and says so through `said`; it is dropped when the client goes away.
    ///
    /// # Errors
    /// As the work.
    pub(crate) async fn wait<T>(
        &self,
        said: Said,
        work: impl Future<Output = Result<T, OpError>>,
    ) -> Result<T, OpError> {
        tokio::select! {
            done = said.during(work) => done,
            () = self.stop.stopped() => Err(internal("the client is gone")),
        }
    }
}

/// Lets a bounded number of calls work at once.
#[derive(Debug, Clone)]
pub(crate) struct Desks(Arc<Semaphore>);

impl Desks {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(WORKING_MAX)))
    }

    /// Runs a call to its end, or until it is cancelled. A fault in it is an error of that call alone.
    ///
    /// # Errors
    /// As the work; `internal` for a fault.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        context: &RequestContext<RoleServer>,
        waits: bool,
        work: impl Future<Output = Result<T, OpError>> + Send + 'static,
    ) -> Result<T, OpError> {
        let desks = self.0.clone();
        // Dropping the set ends the task, wherever it is.
        let mut task = JoinSet::new();
        task.spawn(async move {
            // What mostly waits takes no desk from those who work. The semaphore is never closed.
            let _desk = if waits { None } else { desks.acquire_owned().await.ok() };
            work.await
        });
        let done = tokio::select! {
            done = task.join_next() => done,
            () = context.ct.cancelled() => return Err(internal("the request was cancelled")),
        };
        match done {
            Some(Ok(done)) => done,
            Some(Err(error)) => {
                tracing::error!(%error, "a call broke off");
                Err(internal("the call broke off"))
            }
            None => Err(internal("the call was never made")),
        }
    }
}
