//! Files and folders beneath a held descriptor, reached one component at a time and never through a link.
//!
//! From the first foreign command on every path in the workspace may have been replaced by anything, so a name is never
//! resolved by the kernel on its own: each component is opened with `openat2` and the resolution flags below.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// No `..` above the root, no links of either kind, no other file system.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A folder that is held open; everything in it is named relative to it.
#[derive(Debug)]
pub(crate) struct Root {
    fd: OwnedFd,
}

impl Root {
    /// Opens a folder of the worker's own by its path.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { fd: rustix::fs::openat(CWD, path, FOLDER | OFlags::NOFOLLOW, Mode::empty())? })
    }

    /// The held descriptor.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens the folder at `path`; the empty path is the root itself.
    pub(crate) fn folder(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let mut fd = open_folder(self.fd(), b".")?;
        for name in components(path) {
            fd = open_folder(fd.as_fd(), name)?;
        }
        Ok(fd)
    }

    /// Opens the folder at `path`, making what is missing of it.
    pub(crate) fn make_folders(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let mut fd = open_folder(self.fd(), b".")?;
        for name in components(path) {
            match rustix::fs::mkdirat(&fd, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            fd = open_folder(fd.as_fd(), name)?;
        }
        Ok(fd)
    }

    /// Writes a new file. It must not exist.
    pub(crate) fn create(&self, path: &[u8], mode: u32, bytes: &[u8]) -> io::Result<()> {
        let (folder, name) = split(path);
        create_in(self.make_folders(folder)?.as_fd(), name, mode)?.write_all(bytes)
    }

    /// Makes a new link. It must not exist.
    pub(crate) fn link(&self, path: &[u8], target: &[u8]) -> io::Result<()> {
        let (folder, name) = split(path);
        Ok(rustix::fs::symlinkat(target, self.make_folders(folder)?, name)?)
    }

    /// Removes a file or link, if it is there.
    pub(crate) fn remove(&self, path: &[u8]) -> io::Result<()> {
        let (folder, name) = split(path);
        let folder = match self.folder(folder) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What is at `path`, links not followed; `None` when nothing is.
    pub(crate) fn stat(&self, path: &[u8]) -> io::Result<Option<Stat>> {
        let (folder, name) = split(path);
        let folder = match self.folder(folder) {
            Ok(folder) => folder,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the regular file at `path` for reading.
    pub(crate) fn open_file(&self, path: &[u8]) -> io::Result<File> {
        let (folder, name) = split(path);
        open_file(self.folder(folder)?.as_fd(), name)
    }

    /// Reads the regular file at `path`, at most `max` bytes; `None` when nothing is there.
    pub(crate) fn read(&self, path: &[u8], max: u64) -> io::Result<Option<Vec<u8>>> {
        if self.stat(path)?.is_none() {
            return Ok(None);
        }
        read_bounded(self.open_file(path)?, max).map(Some)
    }
}

/// Opens the folder `name` in `parent`, if it is one and no link.
pub(crate) fn open_folder(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    // Without NOFOLLOW, so that a link is an error of its own and not merely no folder.
    Ok(rustix::fs::openat2(parent, name, FOLDER, Mode::empty(), RESOLVE)?)
}

/// Opens the regular file `name` in `parent` for reading. Never waits: a pipe that took the name is refused.
pub(crate) fn open_file(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat2(parent, name, flags, Mode::empty(), RESOLVE)?;
    let stat = rustix::fs::fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        Ok(File::from(fd))
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

/// Makes the new file `name` in `parent`, with exactly this mode whatever the umask.
pub(crate) fn create_in(parent: BorrowedFd<'_>, name: &[u8], mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat2(parent, name, flags, Mode::from_raw_mode(0o600), RESOLVE)?;
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode))?;
    Ok(File::from(fd))
}

/// Reads all of a file, or fails when that is more than `max` bytes.
pub(crate) fn read_bounded(file: File, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {max} bytes")));
    }
    Ok(bytes)
}

/// The components of a path; none of the empty one.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

/// Folder and name of a path.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_reached_through_a_link_or_above_the_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink("..", dir.path().join("in/up")).unwrap();
        std::os::unix::fs::symlink("../secret", dir.path().join("in/file")).unwrap();
        let root = Root::open(&dir.path().join("in")).unwrap();
        assert!(root.read(b"up/secret", 10).is_err());
        assert!(root.read(b"file", 10).is_err());
        assert!(root.read(b"../secret", 10).is_err());
        assert!(root.create(b"up/new", 0o644, b"x").is_err());
        assert!(root.create(b"../new", 0o644, b"x").is_err());
        assert!(!dir.path().join("new").exists());
        root.create(b"a/b/new", 0o755, b"x").unwrap();
        assert_eq!(root.read(b"a/b/new", 1).unwrap().unwrap(), b"x");
        assert!(root.read(b"a/b/new", 0).is_err(), "one byte over the limit");
        assert_eq!(root.read(b"a/c/new", 1).unwrap(), None);
    }

    #[test]
    fn a_pipe_is_refused_without_waiting_for_a_writer() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        rustix::fs::mknodat(root.fd(), "pipe", FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(root.read(b"pipe", 10).is_err());
    }
}
