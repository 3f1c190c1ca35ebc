//! Removes what an agent made. Its tree may be deeper than any path is long, deeper than there are descriptors, and have
//! folders that even their owner may not enter. So each folder is opened by descriptor, its folders are moved up to the
//! top, and nothing is held on the way down.

use std::collections::VecDeque;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
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
    let root = match enter(CWD, top.as_os_str()) {
        Ok(root) => root,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut moved = 0u64;
    let mut todo = VecDeque::new();
    empty(&root, &root, &mut moved, &mut todo)?;
    while let Some(name) = todo.pop_front() {
        let folder = match enter(&root, OsStr::from_bytes(name.as_bytes())) {
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
        let _held = allow(folder, OsStr::from_bytes(name.to_bytes()))?;
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

/// Opens a folder to read it, whatever its mode.
fn enter(at: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let place = allow(at, name)?;
    rustix::fs::openat(&place, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Gives the owner of a folder all rights in it. The folder is held before its mode is changed, and changed through what is
/// held: a link that takes its place in between leads nowhere.
fn allow(at: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    // PATH takes no right in the folder itself.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(at, name, flags, Mode::empty())?;
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&place)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        // No mode is changed by such a descriptor itself, and older kernels have no other way.
        rustix::fs::chmod(format!("/proc/self/fd/{}", place.as_raw_fd()), Mode::RWXU)?;
    }
    Ok(place)
}

fn unlink(at: &OwnedFd, name: &std::ffi::CStr, flags: AtFlags) -> io::Result<()> {
    match rustix::fs::unlinkat(at, name, flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_tree_deeper_than_any_path_is_long_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("work");
        std::fs::create_dir(&folder).unwrap();
        let mut at = enter(CWD, folder.as_os_str()).unwrap();
        for _ in 0..300 {
            rustix::fs::mkdirat(&at, "deep-deep-deep", Mode::RWXU).unwrap();
            at = enter(&at, OsStr::new("deep-deep-deep")).unwrap();
        }
        drop(at);
        clear(&folder).unwrap();
        assert!(!folder.exists());
    }

    /// Does it as who has no more rights than the modes give: root's own go beyond them.
    fn by_the_modes<T: Send>(act: impl FnOnce() -> T + Send) -> T {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        let without = || {
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
            // Of this thread alone, which ends with it.
            set_capabilities(None, sets).unwrap();
            act()
        };
        std::thread::scope(|scope| scope.spawn(without).join().unwrap())
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn folders_that_nobody_may_enter_are_removed_the_top_too() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("work");
        std::fs::create_dir_all(top.join("shut/inner")).unwrap();
        std::fs::write(top.join("shut/inner/file"), "x").unwrap();
        for shut in ["shut/inner", "shut", ""] {
            set_mode(&top.join(shut), 0);
        }
        by_the_modes(|| {
            assert!(std::fs::read_dir(&top).is_err(), "the modes shut nobody out");
            clear(&top).unwrap();
        });
        assert!(!top.exists());
    }

    #[test]
    fn no_link_is_followed_and_what_it_leads_to_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, top) = (dir.path().join("outside"), dir.path().join("work"));
        std::fs::create_dir_all(&top).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), "x").unwrap();
        set_mode(&outside, 0o555);
        std::os::unix::fs::symlink(&outside, top.join("link")).unwrap();
        // As if the link had taken a folder's place after it was listed.
        let at = enter(CWD, top.as_os_str()).unwrap();
        assert_eq!(allow(&at, OsStr::new("link")).unwrap_err(), Errno::NOTDIR);
        assert_eq!(enter(&at, OsStr::new("link")).unwrap_err(), Errno::NOTDIR);
        clear(&top).unwrap();
        // Nor where it is the top itself.
        std::os::unix::fs::symlink(&outside, &top).unwrap();
        assert!(clear(&top).is_err());
        assert_eq!(std::fs::metadata(&outside).unwrap().permissions().mode() & 0o777, 0o555);
        assert!(outside.join("kept").exists() && top.is_symlink());
        set_mode(&outside, 0o755);
    }
}
