//! Lists the attempts that have a folder, and removes folders, whatever an agent left in them.

use std::collections::VecDeque;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use agora_core::seam::{ComputeError, Found};
use agora_jail::{BoxState, box_state};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::attempt::AttemptFile;
use super::handle::{BoxHandle, hex32};
use super::launch::name_of;
use super::provider::io_error;

/// What a folder that is being removed is called first: no attempt has such a name, so it is gone at once for everybody.
const GONE: &str = ".gone-";
/// Tells the folders apart that one process removes.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Lists every attempt with a box, and clears away what an interrupted removal left.
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
    // The engine has made it and not yet launched from it: it is no box yet.
    let Some(file) = AttemptFile::read(folder).map_err(failed)? else { return Ok(None) };
    if file.attempt.folder_name() != name_of(folder) {
        return Err(ComputeError::Failed(format!("{} holds the files of another attempt", folder.display())));
    }
    let (id, alive) = match box_state(folder).map_err(failed)? {
        BoxState::Never => (None, false),
        BoxState::Runs(id) => (id, true),
        BoxState::Ended(id, _) => (Some(id), false),
    };
    let handle = id.map(|id| BoxHandle { folder: name_of(folder), id }.text());
    Ok(Some(Found { attempt: file.attempt, handle, alive }))
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

/// Removes a folder with all that is in it. An agent made the tree: it may be deeper than any path is long, deeper than
/// there are descriptors, and have folders that even their owner may not enter. So each folder is opened by descriptor,
/// its folders are moved up to the top, and no link is followed.
fn clear(top: &Path) -> io::Result<()> {
    let root = match open_folder(CWD, top.as_os_str()) {
        Ok(root) => root,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut moved = 0u64;
    let mut todo = VecDeque::new();
    empty(&root, &root, &mut moved, &mut todo)?;
    while let Some(name) = todo.pop_front() {
        let folder = match open_folder(&root, OsStr::from_bytes(name.as_bytes())) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        empty(&folder, &root, &mut moved, &mut todo)?;
        unlink(&root, &name, AtFlags::REMOVEDIR)?;
    }
    match std::fs::remove_dir(top) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the files of a folder and moves its folders to the root, where they are `todo`.
fn empty(folder: &OwnedFd, root: &OwnedFd, moved: &mut u64, todo: &mut VecDeque<CString>) -> io::Result<()> {
    // Read whole before anything changes: what a folder lists while it changes is not defined.
    let entries = rustix::fs::Dir::read_from(folder)?.collect::<Result<Vec<_>, _>>()?;
    for entry in entries {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let is_folder = match entry.file_type() {
            FileType::Unknown => {
                let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(found.st_mode) == FileType::Directory
            }
            kind => kind == FileType::Directory,
        };
        if !is_folder {
            unlink(folder, name, AtFlags::empty())?;
            continue;
        }
        // Moving a folder writes its `..`, which takes the right to write it.
        rustix::fs::chmodat(folder, name, Mode::RWXU, AtFlags::empty())?;
        let new = loop {
            *moved += 1;
            let new = CString::new(format!("{GONE}{moved}")).map_err(io::Error::other)?;
            match rustix::fs::renameat_with(folder, name, root, &new, rustix::fs::RenameFlags::NOREPLACE) {
                Ok(()) => break new,
                // A name of the agent's choice: the next number.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        };
        todo.push_back(new);
    }
    Ok(())
}

fn open_folder(at: impl std::os::fd::AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

fn unlink(at: &OwnedFd, name: &std::ffi::CStr, flags: AtFlags) -> io::Result<()> {
    match rustix::fs::unlinkat(at, name, flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
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
    fn a_tree_deeper_than_any_path_is_long_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("0123456789abcdef0123456789abcdef");
        std::fs::create_dir(&folder).unwrap();
        let mut at = open_folder(CWD, folder.as_os_str()).unwrap();
        for _ in 0..300 {
            rustix::fs::mkdirat(&at, "deep-deep-deep", Mode::RWXU).unwrap();
            at = open_folder(&at, OsStr::new("deep-deep-deep")).unwrap();
        }
        drop(at);
        remove(&folder).unwrap();
        assert!(!folder.exists());
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
