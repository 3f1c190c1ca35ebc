//! Small files of the home folder, read as they are: never through a link, never a device, never without a bound.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use agora_core::error::{Class, Coded};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

/// Why a file of the home folder was not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A link stands where the file should be.
    #[error("{} is a symbolic link, and links are not followed here", .0.display())]
    Link(PathBuf),
    /// A folder, device, pipe or socket stands where the file should be, or a file where the folder should be.
    #[error("{} is not {wanted}", .path.display())]
    Kind {
        /// Where.
        path: PathBuf,
        /// What should be there.
        wanted: &'static str,
    },
    /// It is larger than such a file may be.
    #[error("{} is over the limit of {bytes_max} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most it may have.
        bytes_max: u64,
    },
    /// There are more files than such a folder may have.
    #[error("{} has more than {entries_max} entries", .path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// The most it may have.
        entries_max: usize,
    },
    /// The system refuses.
    #[error("{} cannot be read: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// As the system says it.
        source: io::Error,
    },
}

impl Coded for FileError {
    fn class(&self) -> Class {
        Class::Operator
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Link(_) | Self::Kind { .. } => "home-file-kind",
            Self::TooLarge { .. } | Self::TooMany { .. } => "home-file-too-large",
            Self::Io { .. } => "home-file-unreadable",
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Link(path) => format!("put the file itself at {}, owned by you", path.display()),
            Self::Kind { path, wanted } => format!("move what is at {} away and put back {wanted}", path.display()),
            Self::TooLarge { path, .. } => {
                format!("agora expects a smaller file: is {} the right one?", path.display())
            }
            Self::TooMany { path, .. } => format!("agora expects fewer files: is {} the right folder?", path.display()),
            Self::Io { path, .. } => format!("check who owns {} and its mode", path.display()),
        })
    }
    fn at(&self) -> Option<String> {
        let (Self::Link(path)
        | Self::Kind { path, .. }
        | Self::TooLarge { path, .. }
        | Self::TooMany { path, .. }
        | Self::Io { path, .. }) = self;
        Some(path.display().to_string())
    }
}

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listed {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, pipe or socket.
    Other,
}

/// A file as it was read.
#[derive(Debug)]
pub struct Found {
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

fn refused(path: &Path, wanted: &'static str, errno: Errno) -> FileError {
    match errno {
        Errno::LOOP => FileError::Link(path.to_owned()),
        // ENXIO: a socket, or a pipe nobody writes to.
        Errno::NOTDIR | Errno::ISDIR | Errno::NXIO => FileError::Kind { path: path.to_owned(), wanted },
        other => FileError::Io { path: path.to_owned(), source: other.into() },
    }
}

/// A folder held open, so that what is read from it cannot be swapped for a link on the way.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

impl Folder {
    /// Opens the folder; `None` when there is nothing. Its own last component must not be a link.
    ///
    /// # Errors
    /// [`FileError`] for a link, for anything that is not a folder, or as the system says.
    pub fn open(path: &Path) -> Result<Option<Self>, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(CWD, path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { path: path.to_owned(), fd })),
            Err(Errno::NOENT) => Ok(None),
            // With O_DIRECTORY a link is ENOTDIR: ask again to tell the two apart.
            Err(Errno::NOTDIR) if path.is_symlink() => Err(FileError::Link(path.to_owned())),
            Err(errno) => Err(refused(path, "a folder", errno)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a folder in it.
    ///
    /// # Errors
    /// [`FileError`] for a link, for anything that is not a folder, or as the system says.
    pub fn folder(&self, name: &OsStr) -> Result<Self, FileError> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { path, fd }),
            Err(errno) => Err(refused(&path, "a folder", errno)),
        }
    }

    /// Lists what is in it, without `.` and `..`, in no order, at most `entries_max` of it: more is
    /// [`FileError::TooLarge`], counted in entries.
    ///
    /// # Errors
    /// [`FileError`] as the system says, or for too many entries.
    pub fn list(&self, entries_max: usize) -> Result<Vec<(OsString, Listed)>, FileError> {
        let io = |errno| refused(&self.path, "a folder", errno);
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if entries.len() == entries_max {
                return Err(FileError::TooMany { path: self.path.clone(), entries_max });
            }
            let kind = match entry.file_type() {
                // Some file systems do not say in the listing.
                FileType::Unknown => {
                    let stat = statat(&self.fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW).map_err(io)?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                known => known,
            };
            let listed = match kind {
                FileType::RegularFile => Listed::File,
                FileType::Directory => Listed::Folder,
                FileType::Symlink => Listed::Link,
                _ => Listed::Other,
            };
            entries.push((OsStr::from_bytes(name).to_owned(), listed));
        }
        Ok(entries)
    }

    /// Reads a regular file in it; `None` when there is nothing of that name.
    ///
    /// # Errors
    /// [`FileError`] for a link, an irregular file, more than `bytes_max` bytes, or as the system says.
    pub fn read(&self, name: impl AsRef<Path>, bytes_max: u64) -> Result<Option<Found>, FileError> {
        read_at(&self.fd, name.as_ref(), self.path.join(name.as_ref()), bytes_max)
    }
}

/// Reads a regular file; `None` when there is nothing. The last component is never followed as a link.
///
/// # Errors
/// [`FileError`] for a link, an irregular file, more than `bytes_max` bytes, or as the system says.
pub fn read(path: &Path, bytes_max: u64) -> Result<Option<Found>, FileError> {
    read_at(CWD, path, path.to_owned(), bytes_max)
}

fn read_at(folder: impl AsFd, name: &Path, shown: PathBuf, bytes_max: u64) -> Result<Option<Found>, FileError> {
    // O_NONBLOCK: opening a pipe must not wait for somebody to write to it.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = match openat(folder, name, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(refused(&shown, "a regular file", errno)),
    };
    let stat = fstat(&fd).map_err(|errno| refused(&shown, "a regular file", errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(FileError::Kind { path: shown, wanted: "a regular file" });
    }
    let limit = bytes_max.saturating_add(1);
    // Room for all of it at once: growing would leave copies of a key behind in freed memory.
    let room = u64::try_from(stat.st_size).unwrap_or(0).saturating_add(1).min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
    if let Err(source) = File::from(fd).take(limit).read_to_end(&mut bytes) {
        return Err(FileError::Io { path: shown, source });
    }
    if bytes.len() as u64 > bytes_max {
        return Err(FileError::TooLarge { path: shown, bytes_max });
    }
    Ok(Some(Found { bytes, mode: stat.st_mode & 0o7777 }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_read_and_a_link_a_pipe_and_a_large_one_are_not() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        std::fs::write(at("file"), b"12345").unwrap();
        symlink(at("file"), at("link")).unwrap();
        let sock = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(read(&at("file"), 5).unwrap().unwrap().bytes, b"12345");
        assert!(read(&at("none"), 5).unwrap().is_none());
        assert!(matches!(read(&at("file"), 4), Err(FileError::TooLarge { bytes_max: 4, .. })));
        assert!(matches!(read(&at("link"), 5), Err(FileError::Link(_))));
        assert!(matches!(read(&at("socket"), 5), Err(FileError::Kind { .. })));
        assert!(matches!(read(home.path(), 5), Err(FileError::Kind { .. })));
        drop(sock);
    }

    #[test]
    fn a_folder_is_opened_and_a_link_to_it_is_not() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("real")).unwrap();
        std::fs::write(home.path().join("real/file"), b"1").unwrap();
        symlink(home.path().join("real"), home.path().join("link")).unwrap();
        let folder = Folder::open(&home.path().join("real")).unwrap().unwrap();
        assert_eq!(folder.read("file", 9).unwrap().unwrap().bytes, b"1");
        assert!(folder.read("other", 9).unwrap().is_none());
        assert!(Folder::open(&home.path().join("none")).unwrap().is_none());
        assert!(matches!(Folder::open(&home.path().join("link")), Err(FileError::Link(_))));
        assert!(matches!(Folder::open(&home.path().join("real/file")), Err(FileError::Kind { .. })));
    }
}
