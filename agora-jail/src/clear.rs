//! Removes what an agent made. Its tree may be deeper than any path is long, deeper than there are descriptors, and have
//! folders that even their owner may not enter. So each folder is opened by descriptor, its folders are moved up to the
//! top, and nothing is held on the way down.

use std::collections::VecDeque;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// What folders are called that were moved up to be removed.
const MOVED: &str = ".gone-";

/// Removes a folder with all that is in it, following no link. One that is not there is removed.
///
/// # Errors
/// Those of the file system; then a part may be left, and another call goes on.
pub fn clear(top: &Path) -> io::Result<()> {
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
            let new = CString::new(format!("{MOVED}{moved}")).map_err(io::Error::other)?;
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
    use super::*;

    #[test]
    fn a_tree_deeper_than_any_path_is_long_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("work");
        std::fs::create_dir(&folder).unwrap();
        let mut at = open_folder(CWD, folder.as_os_str()).unwrap();
        for _ in 0..300 {
            rustix::fs::mkdirat(&at, "deep-deep-deep", Mode::RWXU).unwrap();
            at = open_folder(&at, OsStr::new("deep-deep-deep")).unwrap();
        }
        drop(at);
        clear(&folder).unwrap();
        assert!(!folder.exists());
    }
}
