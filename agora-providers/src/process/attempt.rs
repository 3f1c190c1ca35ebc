//! The folder of an attempt, and `attempt.json` in it: whose it is and what was read back before its box was started.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use agora_core::id::{Digest, Enc};
use agora_core::isolation::Isolation;
use agora_core::seam::ComputeError;
use agora_core::worker::AttemptId;
use serde::{Deserialize, Serialize};

/// Its name.
const ATTEMPT: &str = "attempt.json";
/// The folder of all of them.
const ATTEMPTS: &str = "attempts";
/// The largest that is read, in bytes; an isolation report has a few KiB.
const ATTEMPT_BYTES_MAX: u64 = 256 * 1024;

/// Returns the folder, below a home, of the attempts' folders. The engine fills each before it launches.
#[must_use]
pub fn attempts_folder(home: &Path) -> PathBuf {
    home.join(ATTEMPTS)
}

/// `attempt.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttemptFile {
    /// Whose the folder is.
    pub(super) attempt: AttemptId,
    /// What is enforced, read back.
    pub(super) isolation: Isolation,
    /// Version of the worker.
    pub(super) worker_version: Enc,
    /// Digest of the worker's executable.
    pub(super) worker_digest: Digest,
}

impl AttemptFile {
    /// Reads it, if it is there.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(folder.join(ATTEMPT)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = Vec::new();
        file.take(ATTEMPT_BYTES_MAX).read_to_end(&mut text)?;
        Ok(Some(serde_json::from_slice(&text)?))
    }

    /// Writes it whole or not at all.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, self)?;
        file.as_file().sync_all()?;
        file.persist(folder.join(ATTEMPT)).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    }
}

/// Says whether a folder is one that may be launched from: ours, complete, and with nothing in `out/` yet.
pub(super) fn check_folder(folder: &Path, expected: &Path) -> Result<(), ComputeError> {
    let bad = |why: String| Err(ComputeError::Failed(format!("the folder {} {why}", folder.display())));
    let found = match std::fs::symlink_metadata(folder) {
        Ok(found) => found,
        Err(error) => return bad(format!("cannot be read: {error}")),
    };
    if !found.is_dir() {
        return bad("is no folder".to_owned());
    }
    if std::os::unix::fs::MetadataExt::uid(&found) != rustix::process::geteuid().as_raw() {
        return bad("belongs to somebody else".to_owned());
    }
    if folder.canonicalize().ok() != expected.canonicalize().ok() {
        return bad(format!("is not that of its attempt, {}", expected.display()));
    }
    for (name, is_folder) in [("task.json", false), ("in", true), ("out", true)] {
        match std::fs::symlink_metadata(folder.join(name)) {
            Ok(found) if is_folder && found.is_dir() || !is_folder && found.is_file() => {}
            Ok(_) => return bad(format!("has a {name} of another kind")),
            Err(error) => return bad(format!("has no {name}: {error}")),
        }
    }
    Ok(())
}

/// Says whether nothing has been written for the attempt yet.
pub(super) fn check_out_empty(folder: &Path) -> Result<(), ComputeError> {
    let mut entries = std::fs::read_dir(folder.join("out")).map_err(|error| ComputeError::Failed(error.to_string()))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(ComputeError::Failed(format!("the folder {} has something in out/ already", folder.display()))),
    }
}
