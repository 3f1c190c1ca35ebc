//! Lists the attempts that have a folder, and removes folders, whatever an agent left in them.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use agora_core::seam::{ComputeError, Found};
use agora_core::worker::{AttemptId, Task};
use agora_jail::{BoxState, box_state, clear};

use super::attempt::AttemptFile;
use super::handle::{BoxHandle, hex32};
use super::launch::name_of;
use super::provider::io_error;

/// What a folder that is being removed is called first: no attempt has such a name, so it is gone at once for everybody.
const GONE: &str = ".gone-";
/// Tells the folders apart that one process removes.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Lists every attempt that is prepared or has a box, and clears away what an interrupted removal left.
pub(super) fn list(attempts: &Path) -> Result<Vec<Found>, ComputeError> {
    let failed = |error: io::Error| io_error(&format!("listing {}", attempts.display()), &error);
    let entries = match std::fs::read_dir(attempts) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let folder = attempts.join(&name);
        match name.to_str() {
            Some(name) if name.starts_with(GONE) => {
                // Another process may be at it; what neither gets done is done next time.
                let _ = clear(&folder);
            }
            Some(name) if hex32(name).is_some() => match look(&folder) {
                Ok(attempt) => found.extend(attempt),
                // One that cannot be read must not hide the others from a recovery.
                Err(error) => tracing::warn!(folder = name, %error, "an attempt's folder is left out of the list"),
            },
            // Nothing that we made.
            _ => {}
        }
    }
    found.sort_by(|a: &Found, b| a.attempt.cmp(&b.attempt));
    Ok(found)
}

fn look(folder: &Path) -> Result<Option<Found>, ComputeError> {
    let failed = |error: io::Error| io_error(&format!("reading {}", folder.display()), &error);
    let Some(file) = AttemptFile::read(folder).map_err(failed)? else { return prepared(folder) };
    check_name(&file.attempt, folder)?;
    let (id, alive) = match box_state(folder).map_err(failed)? {
        BoxState::Never => (None, false),
        BoxState::Runs(id) => (id, true),
        BoxState::Ended(id, _) => (Some(id), false),
    };
    let handle = id.map(|id| BoxHandle { folder: name_of(folder), id }.text());
    Ok(Some(Found { attempt: file.attempt, handle, alive }))
}

/// An attempt that the engine has prepared and nobody has launched; one that it still prepares is none yet.
fn prepared(folder: &Path) -> Result<Option<Found>, ComputeError> {
    let bytes = match std::fs::read(folder.join("task.json")) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(&format!("reading {}", folder.display()), &error)),
    };
    let task: Task = agora_core::canon::from_bytes(&bytes)
        .map_err(|error| ComputeError::Failed(format!("{}/task.json: {error}", folder.display())))?;
    check_name(&task.attempt, folder)?;
    Ok(Some(Found { attempt: task.attempt, handle: None, alive: false }))
}

fn check_name(attempt: &AttemptId, folder: &Path) -> Result<(), ComputeError> {
    if attempt.folder_name() == name_of(folder) {
        return Ok(());
    }
    Err(ComputeError::Failed(format!("{} holds the files of another attempt", folder.display())))
}

/// Removes the folder of an attempt that has ended.
pub(super) fn remove(folder: &Path) -> Result<(), ComputeError> {
    let failed = |error: io::Error| io_error(&format!("removing {}", folder.display()), &error);
    if let BoxState::Runs(_) = box_state(folder).map_err(failed)? {
        return Err(ComputeError::Failed(format!("the box of {} still runs", folder.display())));
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let gone = folder.with_file_name(format!("{GONE}{}-{number}-{}", std::process::id(), name_of(folder)));
    match std::fs::rename(folder, &gone) {
        Ok(()) => clear(&gone).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn whatever_an_agent_left_is_removed_and_nothing_beyond() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), "x").unwrap();
        let folder = dir.path().join("0123456789abcdef0123456789abcdef");
        let locked = folder.join("work/locked");
        std::fs::create_dir_all(locked.join("inner")).unwrap();
        std::fs::write(locked.join("inner/file"), "x").unwrap();
        symlink(&outside, locked.join("link")).unwrap();
        symlink(&outside, folder.join(".gone-1")).unwrap();
        std::fs::create_dir(folder.join(".gone-2")).unwrap();
        std::fs::write(folder.join(OsStr::from_bytes(b"\xff\xfe")), "x").unwrap();
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o0)).unwrap();
        std::fs::set_permissions(folder.join("work"), std::fs::Permissions::from_mode(0o500)).unwrap();
        remove(&folder).unwrap();
        assert!(!folder.exists());
        assert!(outside.join("kept").exists());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        remove(&folder).unwrap();
    }

    #[test]
    fn a_removal_that_was_interrupted_is_finished_by_the_next_list() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(".gone-1-1-0123456789abcdef0123456789abcdef");
        std::fs::create_dir_all(left.join("a/b")).unwrap();
        std::fs::create_dir(dir.path().join("something-else")).unwrap();
        assert_eq!(list(dir.path()).unwrap(), []);
        assert!(!left.exists());
        assert!(dir.path().join("something-else").exists());
    }
}
