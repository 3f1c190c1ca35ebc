//! Writing small files so that a crash leaves the old one or the new one, never half of one.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use agora_core::error::{Class, Coded};

/// How temporary files begin; what a crash left of them is swept under the registry's lock.
const TEMPORARY: &str = ".agora-tmp-";

/// A file of the home folder that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {source}", .path.display())]
pub struct WriteError {
    /// The file or folder.
    pub path: PathBuf,
    /// As the system says it.
    pub source: io::Error,
}

impl WriteError {
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }
}

impl Coded for WriteError {
    fn class(&self) -> Class {
        if self.source.kind() == io::ErrorKind::StorageFull { Class::Later } else { Class::Operator }
    }
    fn code(&self) -> &'static str {
        if self.source.kind() == io::ErrorKind::StorageFull { "disk-full" } else { "home-not-writable" }
    }
    fn hint(&self) -> Option<String> {
        Some(if self.source.kind() == io::ErrorKind::StorageFull {
            "free some disk space and try again; nothing was changed".to_owned()
        } else {
            format!("check who owns {} and its mode", self.path.display())
        })
    }
    fn at(&self) -> Option<String> {
        Some(self.path.display().to_string())
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), WriteError> {
    std::fs::File::open(folder).and_then(|file| file.sync_all()).map_err(|source| WriteError::new(folder, source))
}

fn temporary(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    // Made with mode 0600 from the start: there is no moment in which others could open a key.
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn finish(path: &Path) -> Result<(), WriteError> {
    path.parent().map_or(Ok(()), sync_folder)
}

/// Puts these bytes in the place of whatever is there: temporary file, fsync, rename, fsync of the folder.
///
/// # Durability
/// When it returns, the new bytes outlive a crash of the machine.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let file = temporary(path, bytes).map_err(|source| WriteError::new(path, source))?;
    file.persist(path).map_err(|error| WriteError::new(path, error.error))?;
    finish(path)
}

/// Writes a file that is not there yet; `false` when there is something, which is left as it is.
///
/// # Durability
/// As [`replace`].
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<bool, WriteError> {
    let file = temporary(path, bytes).map_err(|source| WriteError::new(path, source))?;
    match file.persist_noclobber(path) {
        Ok(_) => finish(path).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(WriteError::new(path, error.error)),
    }
}

/// Removes temporary files that a crash left in a folder. Called under the lock, so that none is in use.
pub(crate) fn sweep(folder: &Path) -> Result<(), WriteError> {
    let failed = |source| WriteError::new(folder, source);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            std::fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_new_one_is_never_written_over() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        assert!(create(&path, b"one").unwrap());
        assert!(!create(&path, b"two").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        replace(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_what_a_crash_left_is_swept() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".agora-tmp-x"), b"half").unwrap();
        std::fs::write(home.path().join("snapshot.json"), b"whole").unwrap();
        sweep(home.path()).unwrap();
        let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["snapshot.json"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_a_code() {
        let error = replace(Path::new("/nonexistent/agora/file"), b"").unwrap_err();
        assert_eq!(error.code(), "home-not-writable");
    }
}
