//! The engine behind the tools: opened by the first call that needs it, driven from then on, handed over at the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agora_core::id::{Digest, Enc, Word};
use agora_core::record::CancelVia;
use agora_engine::operations::{Caller, OpError};
use agora_engine::{Driver, Engine, Options};
use tokio::sync::{Mutex, OnceCell};

use crate::cli::Settings;
use crate::identity;
use crate::linger;
use crate::providers::BuiltIn;
use crate::stop::Stop;

/// How long the driver may take to put down what it holds before the process ends without it: the lock is the operating
/// system's and is free then in any case.
const STOP_TIME_MAX: Duration = Duration::from_secs(2);

/// A home that is opened late, so that a client which only lists the tools needs none.
#[derive(Clone)]
pub(crate) struct Home {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    workspace: Option<PathBuf>,
    engine: OnceCell<Arc<Engine>>,
    driver: Mutex<Option<Driver>>,
    stop: Stop,
}

impl Home {
    /// Names a home. Nothing is opened yet.
    pub(crate) fn new(settings: &Settings, stop: Stop) -> Self {
        let inner = Inner {
            path: settings.home.clone(),
            workspace: settings.workspace.clone(),
            engine: OnceCell::new(),
            driver: Mutex::new(None),
            stop,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Set when the client is gone.
    pub(crate) fn stop(&self) -> &Stop {
        &self.inner.stop
    }

    /// Who calls.
    pub(crate) fn caller(&self, tools: Digest) -> Result<Caller, OpError> {
        let words = (Word::new("mcp-stdio"), Enc::new("owner"));
        let (Ok(how), Ok(rule)) = words else {
            return Err(internal("a fixed word is not one"));
        };
        Ok(Caller {
            actor: identity::actor(),
            how,
            rule,
            via: CancelVia::Mcp,
            cwd: self.inner.workspace.clone(),
            tools: Some(tools),
            all_runs: false,
        })
    }

    /// The engine. The first call that succeeds opens it and starts to drive; one that fails is made again by the next, so
    /// an operator can mend a home under a running client.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub(crate) async fn engine(&self) -> Result<Arc<Engine>, OpError> {
        let open = async {
            let engine = open(&self.inner.path).await?;
            *self.inner.driver.lock().await = Some(engine.drive());
            Ok(engine)
        };
        self.inner.engine.get_or_try_init(|| open).await.cloned()
    }

    /// Leaves the runs to whoever goes on with them: a detached copy if any are open and the configuration wants it. The
    /// copy waits for the driver's lock before this process gives it up, so that nobody drives for an instant only.
    pub(crate) async fn close(&self) {
        let Some(engine) = self.inner.engine.get() else { return };
        let Some(driver) = self.inner.driver.lock().await.take() else { return };
        // Whoever else drives goes on, or hands over in turn.
        let is_needed = driver.drives() && engine.lingers() && engine.has_open_runs().await.unwrap_or(true);
        if is_needed && let Err(error) = linger::hand_over(&self.inner.path).await {
            // What runs goes on without a driver; the next process on this home takes it up.
            tracing::error!(%error, "failed to leave a driver behind");
        }
        if tokio::time::timeout(STOP_TIME_MAX, driver.stop()).await.is_err() {
            tracing::warn!("the driver did not stop in time");
        }
        // A run may have come between the look and the end: its submitter found a driver here and started none.
        let is_left =
            !is_needed && engine.lingers() && !engine.driven() && engine.has_open_runs().await.unwrap_or(false);
        if is_left && let Err(error) = linger::hand_over(&self.inner.path).await {
            tracing::error!(%error, "failed to leave a driver behind");
        }
    }
}

/// Opens the engine of a home with agora's own providers.
///
/// # Errors
/// As [`Engine::open`].
pub(crate) async fn open(home: &Path) -> Result<Arc<Engine>, OpError> {
    Engine::open(Options::new(home.to_path_buf(), Arc::new(BuiltIn))).await
}

/// A promise of this process that does not hold.
pub(crate) fn internal(what: &str) -> OpError {
    let problem = agora_core::error::Problem::new(agora_core::error::Class::Bug, "internal", what);
    OpError::one(problem.hint("try again; if it stays, tell the operator to look into logs/agora-mcp.log of the home"))
}
