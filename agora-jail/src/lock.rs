//! File locks that say whether a box exists, held by open files, not by process ids.
//!
//! `flock` belongs to the open file, which children inherit: a lock is free only when every process that was handed it is
//! gone. That is why the box's lock goes on to the worker and to every `agora-jail run`, and stops at the command.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// How long to wait before a lock that somebody holds for a moment is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(2);

/// Opens a lock file, made if it is not there.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default())
        .open(path)
}

/// Takes a lock for itself alone, within some time.
///
/// # Errors
/// `TimedOut` if somebody held it all the time.
pub(crate) fn take(file: &File, within: Duration) -> io::Result<()> {
    let deadline = Instant::now() + within;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            // Not a wait for an event, which has no deadline with flock: who holds it does so for milliseconds.
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => std::thread::sleep(TRY_AGAIN),
            Err(Errno::WOULDBLOCK) => return Err(io::ErrorKind::TimedOut.into()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Says whether somebody holds the lock for itself. A lock file that is not there is held by nobody.
pub(crate) fn held(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    loop {
        // Shared, so that two who look do not see each other.
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => return Ok(false),
            Err(Errno::WOULDBLOCK) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns when nobody holds the lock any more. Blocks without a deadline.
pub(crate) fn wait_free(path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    loop {
        match flock(&file, FlockOperation::LockShared) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_seen_while_it_is_held_and_not_by_those_who_look() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(!held(&path).unwrap(), "there is none");
        let file = open(&path).unwrap();
        assert!(!held(&path).unwrap());
        take(&file, Duration::ZERO).unwrap();
        assert!(held(&path).unwrap());
        assert!(held(&path).unwrap());
        let second = open(&path).unwrap();
        assert_eq!(take(&second, Duration::ZERO).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(file);
        assert!(!held(&path).unwrap());
        wait_free(&path).unwrap();
        take(&second, Duration::ZERO).unwrap();
    }
}
