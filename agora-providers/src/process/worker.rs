//! The worker's executable: where it is, which version it says it is, and its digest.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use agora_core::id::{Digest, Enc};
use agora_core::seam::ComputeError;
use tokio::sync::Mutex;

use super::provider::compute_error;

/// The file name of the worker.
const WORKER: &str = "agora-worker";
/// How long it may take to say its version.
const VERSION_MAX: Duration = Duration::from_secs(20);

/// What is known of the worker's executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WorkerBuild {
    pub(super) path: PathBuf,
    pub(super) version: Enc,
    pub(super) digest: Digest,
}

/// The worker's executable. One whose bytes have not changed is not asked again.
#[derive(Debug, Default)]
pub(super) struct Worker {
    named: Option<PathBuf>,
    last: Mutex<Option<WorkerBuild>>,
}

impl Worker {
    /// One that was named instead of found.
    pub(super) fn named(path: PathBuf) -> Self {
        Self { named: Some(path), last: Mutex::default() }
    }

    /// Finds it, and refuses one that somebody else may write.
    ///
    /// # Errors
    /// [`ComputeError::Helper`].
    pub(super) async fn build(&self) -> Result<WorkerBuild, ComputeError> {
        let named = self.named.clone();
        let found = tokio::task::spawn_blocking(move || {
            let path = match named {
                Some(path) => agora_jail::trust(&path).map(|()| path)?,
                None => agora_jail::find_helper(WORKER)?,
            };
            let digest = agora_jail::executable_digest(&path)?;
            Ok((path, digest))
        });
        let (path, digest) = found
            .await
            .map_err(|error| ComputeError::Failed(error.to_string()))?
            .map_err(|error: agora_jail::JailError| compute_error(&error))?;
        if let Some(last) = &*self.last.lock().await
            && last.digest == digest
            && last.path == path
        {
            return Ok(last.clone());
        }
        let version = ask_version(&path).await?;
        let build = WorkerBuild { path, version, digest };
        *self.last.lock().await = Some(build.clone());
        Ok(build)
    }
}

/// `agora-worker --version` says `agora-worker 0.1.0`.
async fn ask_version(path: &Path) -> Result<Enc, ComputeError> {
    let refuse = |why: String| ComputeError::Helper(format!("{} does not say its version: {why}", path.display()));
    let mut command = tokio::process::Command::new(path);
    command.arg("--version").env_clear().current_dir("/");
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(VERSION_MAX, command.output())
        .await
        .map_err(|_| refuse("it takes too long".to_owned()))?
        .map_err(|error| refuse(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let word = text.lines().next().and_then(|line| line.split_whitespace().next_back());
    match word {
        Some(word) if output.status.success() && word.len() <= 64 => {
            Enc::new(word).map_err(|error| refuse(error.to_string()))
        }
        _ => Err(refuse(format!("it ended with {}", output.status))),
    }
}
