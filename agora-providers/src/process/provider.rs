//! The process provider: what its parts share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agora_core::isolation::Isolation;
use agora_core::seam::{ComputeError, ComputeProvider, Ended, Found, Handle, LaunchSpec, Launched};
use agora_core::target::{Profile, Target};
use agora_core::worker::AttemptId;
use agora_jail::JailError;
use async_trait::async_trait;

use super::attempt::attempts_folder;
use super::watch::Asked;
use super::worker::Worker;

/// The word of records and reports.
pub(super) const KIND: &str = "process";
/// How long a worker has to end when it is asked to: ten seconds for its agent, twenty for a draft, and some.
const GRACE: Duration = Duration::from_secs(35);

/// Runs attempts as processes of this machine.
#[derive(Debug)]
pub struct ProcessProvider {
    pub(super) home: PathBuf,
    pub(super) worker: Worker,
    pub(super) grace: Duration,
    pub(super) asked: Arc<Asked>,
}

impl ProcessProvider {
    /// Opens the provider of a home. It looks for its helpers when it needs them.
    ///
    /// # Errors
    /// [`ComputeError::Failed`] where the home's path cannot be made absolute.
    pub fn new(home: &Path) -> Result<Self, ComputeError> {
        let home = std::path::absolute(home)
            .map_err(|error| ComputeError::Failed(format!("the home {}: {error}", home.display())))?;
        Ok(Self { home, worker: Worker::default(), grace: GRACE, asked: Arc::default() })
    }

    /// Uses this worker instead of the one beside the running executable.
    #[must_use]
    pub fn with_worker(mut self, path: impl Into<PathBuf>) -> Self {
        self.worker = Worker::named(path.into());
        self
    }

    /// Gives workers this time to end when they are asked to, instead of 35 seconds.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The folder of all attempts.
    pub(super) fn attempts(&self) -> PathBuf {
        attempts_folder(&self.home)
    }

    /// The folder of one attempt.
    pub(super) fn folder(&self, attempt: &AttemptId) -> PathBuf {
        self.attempts().join(attempt.folder_name())
    }
}

#[async_trait]
impl ComputeProvider for ProcessProvider {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn isolation(&self, target: &Target) -> Result<(Profile, Isolation), ComputeError> {
        // Without a worker nothing can be launched, and the target is as good as down.
        self.worker.build().await?;
        self.probe_first(target).await
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Launched, ComputeError> {
        self.launch_once(spec).await
    }

    async fn wait(&self, handle: &Handle) -> Result<Ended, ComputeError> {
        self.wait_for(handle).await
    }

    async fn stop(&self, handle: &Handle, at_once: bool) -> Result<(), ComputeError> {
        self.stop_box(handle, at_once).await
    }

    async fn list(&self) -> Result<Vec<Found>, ComputeError> {
        let attempts = self.attempts();
        blocking(move || super::sweep::list(&attempts)).await
    }

    async fn remove(&self, attempt: &AttemptId) -> Result<(), ComputeError> {
        let folder = self.folder(attempt);
        blocking(move || super::sweep::remove(&folder)).await
    }
}

/// Runs it where blocking is allowed.
pub(super) async fn blocking<T, F>(work: F) -> Result<T, ComputeError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ComputeError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(ComputeError::Failed(format!("the work broke: {error}"))),
    }
}

/// What the jail's error means to the engine.
pub(super) fn compute_error(error: &JailError) -> ComputeError {
    match error {
        JailError::Unavailable { .. } => ComputeError::Isolation(error.to_string()),
        JailError::HelperMissing { .. } | JailError::HelperUntrusted { .. } => ComputeError::Helper(error.to_string()),
        JailError::BadSpec(_)
        | JailError::NotFound(_)
        | JailError::NotExecutable { .. }
        | JailError::Failed { .. }
        | JailError::Lost(_) => ComputeError::Failed(error.to_string()),
    }
}

/// What an error of the file system means to the engine.
pub(super) fn io_error(what: &str, error: &std::io::Error) -> ComputeError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            ComputeError::NoRoom(format!("{what}: {error}"))
        }
        _ => ComputeError::Failed(format!("{what}: {error}")),
    }
}
