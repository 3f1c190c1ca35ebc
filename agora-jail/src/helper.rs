//! Finds the helper executables beside the running one, and refuses those that somebody else could have changed.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use agora_core::id::Digest;

use crate::error::JailError;

/// The name of this package's own executable.
pub const JAIL: &str = "agora-jail";
/// The largest executable that is hashed, in bytes; ours have a few MiB, with debug information a few hundred.
const EXECUTABLE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Finds a helper executable beside the running one, never through `PATH`. Cargo lays tests and examples one folder
/// deeper, in `deps` and `examples`, so from there the folder above is looked at too.
///
/// # Errors
/// [`JailError::HelperMissing`], [`JailError::HelperUntrusted`].
pub fn find_helper(name: &str) -> Result<PathBuf, JailError> {
    let running = std::env::current_exe().map_err(|error| JailError::step("finding the running executable", error))?;
    let mut folders: Vec<&Path> = running.parent().into_iter().collect();
    if let Some(folder) = running.parent().filter(|folder| folder.ends_with("deps") || folder.ends_with("examples")) {
        folders.extend(folder.parent());
    }
    find_in(&folders, name)
}

fn find_in(folders: &[&Path], name: &str) -> Result<PathBuf, JailError> {
    for folder in folders {
        let path = folder.join(name);
        if path.exists() {
            trust(&path)?;
            return Ok(path);
        }
    }
    let looked: Vec<String> = folders.iter().map(|folder| folder.join(name).display().to_string()).collect();
    Err(JailError::HelperMissing { name: name.to_owned(), looked: looked.join(", ") })
}

/// Says whether an executable is a file that root or the current user alone may write.
///
/// # Errors
/// [`JailError::HelperUntrusted`] naming the rule.
pub fn trust(path: &Path) -> Result<(), JailError> {
    let refuse = |why: String| JailError::HelperUntrusted { path: path.display().to_string(), why };
    let found = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
    let user = rustix::process::geteuid().as_raw();
    judge(&found, user).map_or(Ok(()), |why| Err(refuse(why)))
}

fn judge(found: &Metadata, user: u32) -> Option<String> {
    let mode = found.mode();
    if !found.is_file() {
        Some("it is no file".to_owned())
    } else if mode & 0o022 != 0 {
        Some(format!("its mode {:04o} lets group or others write it", mode & 0o7777))
    } else if mode & 0o111 == 0 {
        Some(format!("its mode {:04o} lets nobody run it", mode & 0o7777))
    } else if found.uid() != 0 && found.uid() != user {
        Some(format!("it belongs to uid {}, neither root nor the current user {user}", found.uid()))
    } else {
        None
    }
}

/// The helper as a command with an empty environment.
pub(crate) fn command(verb: &str) -> Result<Command, JailError> {
    let mut command = Command::new(find_helper(JAIL)?);
    command.arg(verb).env_clear();
    Ok(command)
}

/// Which file this is; a new version of it is a new file.
type Identity = (u64, u64, u64, i64, i64);

static DIGESTS: Mutex<BTreeMap<Identity, Digest>> = Mutex::new(BTreeMap::new());

/// Returns the digest of an executable. A file that has not changed since is not read twice.
///
/// # Errors
/// [`JailError::Failed`] if it cannot be read or is larger than 1 GiB.
pub fn executable_digest(path: &Path) -> Result<Digest, JailError> {
    let step = |error: std::io::Error| JailError::step(format!("reading {}", path.display()), error);
    let file = std::fs::File::open(path).map_err(step)?;
    let found = file.metadata().map_err(step)?;
    let identity = (found.dev(), found.ino(), found.len(), found.ctime(), found.ctime_nsec());
    if let Some(digest) = DIGESTS.lock().unwrap_or_else(PoisonError::into_inner).get(&identity) {
        return Ok(*digest);
    }
    if found.len() > EXECUTABLE_BYTES_MAX {
        return Err(JailError::step(format!("reading {}", path.display()), "it has more than 1 GiB"));
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, EXECUTABLE_BYTES_MAX), &mut bytes).map_err(step)?;
    let digest = Digest::of(&bytes);
    DIGESTS.lock().unwrap_or_else(PoisonError::into_inner).insert(identity, digest);
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_what_nobody_else_can_write_is_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("helper");
        std::fs::write(&file, "x").unwrap();
        let cases = [
            (0o755, None),
            (0o500, None),
            (0o775, Some("group or others write")),
            (0o757, Some("group or others write")),
            (0o644, Some("nobody run")),
        ];
        for (mode, expected) in cases {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            match (trust(&file), expected) {
                (Ok(()), None) => {}
                (Err(JailError::HelperUntrusted { why, .. }), Some(expected)) => {
                    assert!(why.contains(expected), "{why}")
                }
                (other, _) => panic!("{mode:o}: {other:?}"),
            }
        }
        assert!(matches!(trust(dir.path()), Err(JailError::HelperUntrusted { .. })));
    }

    #[test]
    fn an_executable_of_somebody_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("helper");
        std::fs::write(&file, "x").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let found = std::fs::metadata(&file).unwrap();
        assert_eq!(judge(&found, found.uid()), None);
        if found.uid() != 0 {
            assert!(judge(&found, found.uid() + 1).unwrap().contains("belongs to uid"));
        }
    }

    #[test]
    fn a_missing_helper_says_where_it_was_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let error = find_in(&[dir.path()], "agora-nothing").unwrap_err();
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
        std::fs::write(dir.path().join("agora-nothing"), "x").unwrap();
        std::fs::set_permissions(dir.path().join("agora-nothing"), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_in(&[dir.path()], "agora-nothing"), Ok(dir.path().join("agora-nothing")));
    }

    #[test]
    fn the_digest_follows_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("helper");
        std::fs::write(&file, "one").unwrap();
        assert_eq!(executable_digest(&file), Ok(Digest::of(b"one")));
        std::fs::write(dir.path().join("new"), "other").unwrap();
        std::fs::rename(dir.path().join("new"), &file).unwrap();
        assert_eq!(executable_digest(&file), Ok(Digest::of(b"other")));
    }
}
