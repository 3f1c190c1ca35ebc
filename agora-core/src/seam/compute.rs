//! Where attempts run.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Class, Coded};
use crate::id::{Digest, Enc};
use crate::isolation::Isolation;
use crate::target::{Profile, Target};
use crate::worker::{AttemptId, Reason};

/// What names a box to its provider, also after a restart of the driver. Written into `attempt.started`.
pub type Handle = Enc;

/// What to launch. The folder is complete before the launch: `task.json`, `in/`, and an empty `out/`.
#[derive(Debug, Clone)]
pub struct LaunchSpec {
    /// Who it is; launching is idempotent by it.
    pub attempt: AttemptId,
    /// The attempt's folder (`docs/worker.md`), on this machine.
    pub folder: PathBuf,
    /// Where it runs.
    pub target: Target,
    /// The profile that `task.json` names, one of the target's and one that [`ComputeProvider::isolation`] offered.
    pub profile: Profile,
}

/// A box that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// Its name to the provider.
    pub handle: Handle,
    /// What is enforced, read back.
    pub isolation: Isolation,
    /// The image, by digest, where there is one.
    pub image: Option<Digest>,
    /// Version of the worker that runs in it.
    pub worker_version: Enc,
    /// Digest of the worker's executable.
    pub worker_digest: Digest,
}

/// A box that is gone. What it left lies in the attempt's folder, `out/outcome.json` last of all, if at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Exit code of the box's first process, if it is known.
    pub exit_code: Option<i32>,
    /// What the provider knows of why, for people.
    pub detail: Option<String>,
}

/// A box of this home that [`ComputeProvider::list`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose it is.
    pub attempt: AttemptId,
    /// Its name to the provider. Absent where it ended before it had one.
    pub handle: Option<Handle>,
    /// Whether anything of it still runs.
    pub alive: bool,
}

/// Why a provider could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// The isolation that the target names cannot be had on this machine.
    #[error("the isolation cannot be had: {0}")]
    Isolation(String),
    /// A helper executable is not where it should be, or is not to be trusted.
    #[error("{0}")]
    Helper(String),
    /// There is no room for another box now.
    #[error("no room for another attempt: {0}")]
    NoRoom(String),
    /// No box of this handle is known.
    #[error("no box {0} is known")]
    Unknown(Handle),
    /// It was asked to stop, and absence could not be proven in time.
    #[error("the box {0} could not be proven gone")]
    StopUnverified(Handle),
    /// Anything else.
    #[error("the provider failed: {0}")]
    Failed(String),
}

impl ComputeError {
    /// The reason of the attempt that fails by this.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Isolation(_) => Reason::IsolationUnavailable,
            Self::NoRoom(_) => Reason::NoRoom,
            Self::Helper(_) | Self::Unknown(_) | Self::StopUnverified(_) | Self::Failed(_) => Reason::LaunchFailed,
        }
    }
}

impl Coded for ComputeError {
    fn class(&self) -> Class {
        match self {
            Self::Isolation(_) | Self::Helper(_) => Class::Operator,
            Self::NoRoom(_) | Self::StopUnverified(_) | Self::Failed(_) => Class::Later,
            Self::Unknown(_) => Class::Missing,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Isolation(_) => "isolation-unavailable",
            Self::Helper(_) => "helper-missing",
            Self::NoRoom(_) => "no-room",
            Self::Unknown(_) => "box-unknown",
            Self::StopUnverified(_) => "stop-unverified",
            Self::Failed(_) => "provider-failed",
        }
    }
}

/// Runs attempts, each in a box of its own.
///
/// # Contract
/// - **Idempotency**: a second launch of the same attempt returns the first one's handle and starts nothing.
/// - **Durability**: a box outlives the process that launched it; `wait` and `stop` work from the handle alone, in another
///   process, after a restart.
/// - **Completion**: `wait` returns once nothing of the box runs any more, however it ended; it never returns early, and
///   may be called many times, also after the end.
/// - **Stopping**: `stop` returns when absence is *proven*: first a request to end, after a grace of 35 s the end. With
///   `at_once` there is no grace. Stopping what is gone succeeds.
/// - **Cancellation**: a dropped future stops nothing and starts nothing more.
#[async_trait]
pub trait ComputeProvider: Send + Sync {
    /// The word that records use: `process`, `docker`, `fargate`, `fake`.
    fn kind(&self) -> &'static str;

    /// Says what would really be enforced for an attempt on this target now, and by which profile of the target's list.
    ///
    /// # Errors
    /// [`ComputeError::Isolation`] where none of the list can be had, [`ComputeError::Helper`].
    async fn isolation(&self, target: &Target) -> Result<(Profile, Isolation), ComputeError>;

    /// Launches an attempt.
    ///
    /// # Errors
    /// All but `Unknown` and `StopUnverified`.
    async fn launch(&self, spec: &LaunchSpec) -> Result<Launched, ComputeError>;

    /// Returns once the box is gone.
    ///
    /// # Errors
    /// [`ComputeError::Unknown`] for a handle that was never of this provider, [`ComputeError::Failed`].
    async fn wait(&self, handle: &Handle) -> Result<Ended, ComputeError>;

    /// Ends the box and returns when it is proven gone.
    ///
    /// # Errors
    /// [`ComputeError::StopUnverified`], [`ComputeError::Failed`].
    async fn stop(&self, handle: &Handle, at_once: bool) -> Result<(), ComputeError>;

    /// Lists every box of this home, alive or not yet removed.
    ///
    /// # Errors
    /// [`ComputeError::Failed`].
    async fn list(&self) -> Result<Vec<Found>, ComputeError>;

    /// Removes what is left of an ended attempt. Removing what is not there succeeds.
    ///
    /// # Errors
    /// [`ComputeError::Failed`].
    async fn remove(&self, attempt: &AttemptId) -> Result<(), ComputeError>;
}
