//! Starts attempts: the profile is tried, `attempt.json` is written, the box is started; each at most once.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use agora_core::isolation::Isolation;
use agora_core::seam::{ComputeError, LaunchSpec, Launched};
use agora_core::target::{Limits, Profile, Target};
use agora_jail::{BoxState, JailError, box_state, start_box};

use super::attempt::{AttemptFile, check_folder, check_out_empty};
use super::handle::BoxHandle;
use super::provider::{KIND, ProcessProvider, blocking, compute_error, io_error};

/// How long a launch may take in all (C07). The jail's own bounds are a minute each, and a launch needs milliseconds.
const LAUNCH_MAX: Duration = Duration::from_secs(150);

impl ProcessProvider {
    /// The first profile of the target's list that this machine gives, tried and read back.
    pub(super) async fn probe_first(&self, target: &Target) -> Result<(Profile, Isolation), ComputeError> {
        let mut refused = Vec::new();
        for profile in &target.profiles {
            match probe(*profile, target.limits).await {
                Ok(isolation) => return Ok((*profile, isolation)),
                Err(ComputeError::Isolation(why)) => refused.push(why),
                Err(error) => return Err(error),
            }
        }
        if refused.is_empty() {
            refused.push("the target names no profile".to_owned());
        }
        Err(ComputeError::Isolation(refused.join("; ")))
    }

    pub(super) async fn launch_once(&self, spec: &LaunchSpec) -> Result<Launched, ComputeError> {
        match tokio::time::timeout(LAUNCH_MAX, self.launch_in_time(spec)).await {
            Ok(done) => done,
            Err(_) => Err(ComputeError::Failed(format!("the launch took more than {} s", LAUNCH_MAX.as_secs()))),
        }
    }

    async fn launch_in_time(&self, spec: &LaunchSpec) -> Result<Launched, ComputeError> {
        let folder = self.folder(&spec.attempt);
        let (given, expected) = (spec.folder.clone(), folder.clone());
        let before = blocking(move || {
            check_folder(&given, &expected)?;
            already_launched(&expected)
        });
        if let Some(launched) = before.await? {
            return Ok(launched);
        }
        if !spec.target.profiles.contains(&spec.profile) {
            let why = format!("the target does not name the profile {}", spec.profile.as_str());
            return Err(ComputeError::Isolation(why));
        }
        let worker = self.worker.build().await?;
        let isolation = probe(spec.profile, spec.target.limits).await?;
        let file = AttemptFile {
            attempt: spec.attempt.clone(),
            isolation,
            worker_version: worker.version,
            worker_digest: worker.digest,
        };
        let (grace, runtime) = (self.grace, tokio::runtime::Handle::current());
        blocking(move || {
            check_out_empty(&folder)?;
            file.write(&folder).map_err(|error| io_error("writing attempt.json", &error))?;
            let (id, child) = start_box(&folder, &worker.path, grace).map_err(|error| compute_error(&error))?;
            if let Some(child) = child {
                runtime.spawn(reap(child));
            }
            Ok(file.launched(&folder, id))
        })
        .await
    }
}

impl AttemptFile {
    fn launched(self, folder: &Path, id: agora_jail::BoxId) -> Launched {
        Launched {
            handle: BoxHandle { folder: name_of(folder), id }.text(),
            isolation: self.isolation,
            image: None,
            worker_version: self.worker_version,
            worker_digest: self.worker_digest,
        }
    }
}

/// What an earlier launch of the same attempt returned: also by another process, also if the box has ended since.
fn already_launched(folder: &Path) -> Result<Option<Launched>, ComputeError> {
    let state = box_state(folder).map_err(|error| io_error("reading the box's files", &error))?;
    let id = match state {
        // Between its lock and its handle: `start_box` takes its turn and finds it.
        BoxState::Never | BoxState::Runs(None) => return Ok(None),
        BoxState::Runs(Some(id)) | BoxState::Ended(id, _) => id,
    };
    let file = AttemptFile::read(folder)
        .map_err(|error| io_error("reading attempt.json", &error))?
        .ok_or_else(|| ComputeError::Failed(format!("{} has a box and no attempt.json", folder.display())))?;
    Ok(Some(file.launched(folder, id)))
}

pub(super) fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

async fn probe(profile: Profile, limits: Limits) -> Result<Isolation, ComputeError> {
    blocking(move || agora_jail::probe(KIND, profile, &limits).map_err(|error: JailError| compute_error(&error))).await
}

/// Reaps a box that this process started. Whether it is reaped tells nobody anything: that is what the lock is for.
async fn reap(mut child: Child) {
    match ended(&child).await {
        Ok(()) => drop(child.wait()),
        // No descriptor to wait on: a thread can.
        Err(_) => drop(std::thread::spawn(move || child.wait())),
    }
}

async fn ended(child: &Child) -> std::io::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or(std::io::ErrorKind::NotFound)?;
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    super::watch::process_ended(pidfd).await
}

/// The folder that a handle speaks of.
pub(super) fn folder_of(attempts: &Path, handle: &BoxHandle) -> PathBuf {
    attempts.join(&handle.folder)
}
