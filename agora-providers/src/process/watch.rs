//! Waits for boxes and stops them, from the handle alone: by the box's process, and in the end by its lock.
//!
//! Nothing polls. A process that ends makes its pidfd readable, child or not; the lock that outlives it in the rare case is
//! waited for by a thread of its own, because such a wait cannot be cancelled and must not hold up a runtime's end.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agora_core::seam::{ComputeError, Ended, Handle};
use agora_jail::{BoxEnd, BoxId, BoxSignal, BoxState, Stopped, box_state, signal_box, wait_box_gone};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::handle::BoxHandle;
use super::launch::folder_of;
use super::provider::{ProcessProvider, blocking, io_error};

/// How long a box that kills everything may take to be gone (C07): milliseconds, unless the kernel holds a process.
const END_MAX: Duration = Duration::from_secs(15);

/// The boxes this process has asked to end: to a box, being asked again means at once.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<HashSet<Handle>>);

impl Asked {
    /// Says whether it is the first time.
    fn first(&self, handle: &Handle) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(handle.clone())
    }

    fn forget(&self, handle: &Handle) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(handle);
    }
}

impl ProcessProvider {
    pub(super) async fn wait_for(&self, handle: &Handle) -> Result<Ended, ComputeError> {
        let unknown = || ComputeError::Unknown(handle.clone());
        let read = BoxHandle::read(handle).ok_or_else(unknown)?;
        let folder = folder_of(&self.attempts(), &read);
        if !is_ours(&folder, &read.id).await? {
            return match (state(&folder).await?, read.id.open()) {
                // Somebody removed its folder and it still runs: it is gone when it is, not before.
                (BoxState::Never, Ok(Some(pidfd))) => {
                    process_ended(pidfd).await.map_err(|error| io_error("waiting for the box", &error))?;
                    Ok(folder_gone())
                }
                _ => Err(unknown()),
            };
        }
        gone(&folder, &read.id).await.map_err(|error| io_error("waiting for the box", &error))?;
        match state(&folder).await? {
            BoxState::Ended(_, end) => Ok(ended(end)),
            // Removed by somebody the moment it ended.
            BoxState::Never => Ok(folder_gone()),
            BoxState::Runs(_) => Err(ComputeError::Failed("the box's lock was taken again".to_owned())),
        }
    }

    pub(super) async fn stop_box(&self, handle: &Handle, at_once: bool) -> Result<(), ComputeError> {
        let Some(read) = BoxHandle::read(handle) else { return Err(ComputeError::Unknown(handle.clone())) };
        let folder = folder_of(&self.attempts(), &read);
        let known = is_ours(&folder, &read.id).await?;
        let failed = |error: io::Error| io_error("stopping the box", &error);
        let pidfd = read.id.open().map_err(failed)?;
        match &pidfd {
            // Removed, which nobody does to a box that runs.
            None if !known => return Ok(()),
            None => {}
            // A process of this identity that left no such file is not a box of this home.
            Some(_) if !known => return Err(ComputeError::Unknown(handle.clone())),
            Some(pidfd) if at_once => signal_box(pidfd, BoxSignal::End).map_err(failed)?,
            Some(pidfd) if self.asked.first(handle) => signal_box(pidfd, BoxSignal::Ask).map_err(failed)?,
            Some(_) => {}
        }
        let patience = if at_once || pidfd.is_none() { END_MAX } else { self.grace + END_MAX };
        if !gone_within(&folder, &read.id, patience).await? {
            if let Some(pidfd) = &pidfd {
                signal_box(pidfd, BoxSignal::Kill).map_err(failed)?;
            }
            if !gone_within(&folder, &read.id, END_MAX).await? {
                return Err(ComputeError::StopUnverified(handle.clone()));
            }
        }
        self.asked.forget(handle);
        Ok(())
    }
}

/// Whether the folder's box is, or was, this process. What the file says counts, not what the handle does.
async fn is_ours(folder: &Path, id: &BoxId) -> Result<bool, ComputeError> {
    Ok(match state(folder).await? {
        BoxState::Runs(Some(found)) | BoxState::Ended(found, _) => found == *id,
        BoxState::Runs(None) | BoxState::Never => false,
    })
}

async fn state(folder: &Path) -> Result<BoxState, ComputeError> {
    let folder = folder.to_owned();
    blocking(move || box_state(&folder).map_err(|error| io_error("reading the box's files", &error))).await
}

async fn gone_within(folder: &Path, id: &BoxId, within: Duration) -> Result<bool, ComputeError> {
    match tokio::time::timeout(within, gone(folder, id)).await {
        Ok(done) => done.map(|()| true).map_err(|error| io_error("waiting for the box", &error)),
        Err(_) => Ok(false),
    }
}

/// Returns when the process has ended and the lock is free: then nothing of the box runs.
async fn gone(folder: &Path, id: &BoxId) -> io::Result<()> {
    match id.open() {
        Ok(Some(pidfd)) => process_ended(pidfd).await?,
        Ok(None) => {}
        // Seen from another pid namespace: the lock alone can tell.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(error) => return Err(error),
    }
    lock_free(folder.to_owned()).await
}

/// Returns when the process of a pidfd has ended: then the descriptor is readable, and stays so.
#[expect(
    deprecated,
    reason = "its successor is unsafe for the sake of odd types; an OwnedFd is open and stays the same"
)]
pub(super) async fn process_ended(pidfd: OwnedFd) -> io::Result<()> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)?.readable().await?.retain_ready();
    Ok(())
}

async fn lock_free(folder: PathBuf) -> io::Result<()> {
    let look = folder.clone();
    let state = tokio::task::spawn_blocking(move || box_state(&look)).await.map_err(io::Error::other)?;
    if !matches!(state?, BoxState::Runs(_)) {
        return Ok(());
    }
    let (done, wait) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("box-lock".to_owned()).spawn(move || {
        // Nobody waits any more: fine.
        let _ = done.send(wait_box_gone(&folder));
    })?;
    wait.await.map_err(io::Error::other)?
}

fn folder_gone() -> Ended {
    Ended { exit_code: None, detail: Some("its folder is gone".to_owned()) }
}

fn ended(end: Option<BoxEnd>) -> Ended {
    let Some(end) = end else {
        let detail = "the box was killed, or the machine went down, before it could say how the worker ended";
        return Ended { exit_code: None, detail: Some(detail.to_owned()) };
    };
    let how = match (end.code, end.signal) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("the worker ended with exit code {code}")),
        (None, Some(signal)) => Some(format!("the worker was ended by signal {signal}")),
        (None, None) => Some("nobody knows how the worker ended".to_owned()),
    };
    let stopped = end.stopped.map(|stopped| match stopped {
        Stopped::Asked => "it had been asked to end".to_owned(),
        Stopped::Killed => "it was killed by a stop".to_owned(),
    });
    let left = (end.leftovers > 0).then(|| format!("{} processes that it left were killed", end.leftovers));
    let words = end.detail.map(|words| format!("its last words: {words}"));
    let parts: Vec<String> = [how, stopped, left, words].into_iter().flatten().collect();
    Ended { exit_code: end.code, detail: (!parts.is_empty()).then(|| parts.join("; ")) }
}
