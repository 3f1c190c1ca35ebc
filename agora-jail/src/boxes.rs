//! Boxes, seen from outside: started, found again, signalled, and known to be gone.
//!
//! What a box leaves in its attempt's folder:
//!
//! | file | says |
//! |---|---|
//! | `launch.lock` | held from before a box is started until it has published its handle: launches take turns |
//! | `box.lock` | held while anything of the box runs |
//! | `box.handle` | there was a box, and which; written before its worker is started, so an attempt never runs twice |
//! | `box.json` | how it ended; absent if the box itself was killed |
//!
//! **Why a free lock proves that nothing is left.** The lock belongs to an open file that the box hands to the worker and
//! the worker to each `agora-jail run`; the command does not get it. The box ends only when it has no descendant left. If
//! the box is killed, the kernel kills the worker with it; each `agora-jail run` sees its channel closed, kills all its
//! descendants, and only then ends, so the lock is free when the last of them is gone. Where no wall keeps the command from
//! killing the box and its `agora-jail run` both, a free lock proves nothing about that command (`docs/jail.md`).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::error::JailError;
use crate::spec::Said;
use crate::sys::{self, Tie};
use crate::{family, helper, lock};

pub(crate) const LOCK: &str = "box.lock";
pub(crate) const LAUNCH_LOCK: &str = "launch.lock";
pub(crate) const HANDLE: &str = "box.handle";
pub(crate) const END: &str = "box.json";
/// How long a box may take to start its worker. It does so in milliseconds.
const START_MAX: Duration = Duration::from_secs(60);
/// The largest file a box leaves, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Which process a box is: no later one, of this or another boot, can be taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxId {
    /// Process id.
    pub pid: i32,
    /// Start time, in clock ticks since the machine started.
    pub start: u64,
    /// The kernel's id of this boot, 32 hex digits.
    pub boot: String,
    /// Inode of the pid namespace that the id belongs to.
    pub pid_namespace: u64,
}

impl BoxId {
    /// The calling process.
    pub(crate) fn own() -> io::Result<Self> {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let start = family::start_time(pid).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { pid, start, boot: boot_id()?, pid_namespace: pid_namespace()? })
    }

    /// Opens the process, which is readable once it has ended; `None` if it is gone.
    ///
    /// # Errors
    /// `Unsupported` if it belongs to another pid namespace: from here nothing can be said about it.
    pub fn open(&self) -> io::Result<Option<OwnedFd>> {
        if self.boot != boot_id()? {
            return Ok(None);
        }
        if self.pid_namespace != pid_namespace()? {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the box runs in another pid namespace"));
        }
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok((family::start_time(self.pid) == Some(self.start)).then_some(pidfd))
    }
}

fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().replace('-', ""))
}

fn pid_namespace() -> io::Result<u64> {
    Ok(std::fs::metadata("/proc/self/ns/pid")?.ino())
}

/// How a box ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxEnd {
    /// Exit code of the worker.
    pub code: Option<i32>,
    /// The signal that ended the worker.
    pub signal: Option<i32>,
    /// Processes that the worker left, killed by the box.
    pub leftovers: u64,
    /// What ended it, if it did not end by itself.
    pub stopped: Option<Stopped>,
    /// The end of the worker's standard error, where it did not exit with 0: printable ASCII, at most 2 KiB.
    pub detail: Option<String>,
}

/// What ended a box that did not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    /// It was asked, and the worker ended within its time.
    Asked,
    /// It was killed.
    Killed,
}

/// What is known of an attempt's box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoxState {
    /// There never was one.
    Never,
    /// Something of it runs. No id: it is about to publish it.
    Runs(Option<BoxId>),
    /// Nothing of it runs. No end: it was killed before it could write it.
    Ended(BoxId, Option<BoxEnd>),
}

/// Reads what is known of the box of an attempt.
///
/// # Errors
/// Those of the file system; `InvalidData` for a file that no box wrote.
pub fn box_state(folder: &Path) -> io::Result<BoxState> {
    // The lock first: a box that ends in between is still found as ended.
    let runs = lock::held(&folder.join(LOCK))?;
    let id = read(&folder.join(HANDLE))?;
    match (runs, id) {
        (true, id) => Ok(BoxState::Runs(id)),
        (false, Some(id)) => Ok(BoxState::Ended(id, read(&folder.join(END))?)),
        (false, None) => Ok(BoxState::Never),
    }
}

/// Returns when nothing of the box runs any more. Blocks without a deadline, so it wants a thread of its own.
///
/// # Errors
/// Those of the file system.
pub fn wait_box_gone(folder: &Path) -> io::Result<()> {
    lock::wait_free(&folder.join(LOCK))
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> io::Result<Option<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, FILE_BYTES_MAX), &mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

/// What a box is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxSignal {
    /// To ask its worker to end, and to kill it after the grace.
    Ask,
    /// To kill all of it and end.
    End,
    /// Nothing any more: the box itself is killed, and the rest follows by the kernel's hand.
    Kill,
}

/// Signals a box that [`BoxId::open`] gave. One that has ended takes no notice.
///
/// # Errors
/// Those of the kernel.
pub fn signal_box(pidfd: &OwnedFd, signal: BoxSignal) -> io::Result<()> {
    let signal = match signal {
        BoxSignal::Ask => Signal::TERM,
        BoxSignal::End => Signal::QUIT,
        BoxSignal::Kill => Signal::KILL,
    };
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Starts the box of an attempt, or finds the one that was started: an attempt has at most one, ever.
///
/// Returns its id, and the child to reap if it was started by this call. The box is in a session of its own and outlives
/// the caller. `grace` is how long the worker has to end when the box is asked to.
///
/// # Errors
/// [`JailError`]; then no box was started. Takes at most two minutes.
pub fn start_box(folder: &Path, worker: &Path, grace: Duration) -> Result<(BoxId, Option<Child>), JailError> {
    let turn = lock::open(&folder.join(LAUNCH_LOCK)).map_err(|error| JailError::step("opening launch.lock", error))?;
    lock::take(&turn, START_MAX).map_err(|error| JailError::step("waiting for launch.lock", error))?;
    match box_state(folder).map_err(|error| JailError::step("reading the box's files", error))? {
        BoxState::Runs(Some(id)) | BoxState::Ended(id, _) => return Ok((id, None)),
        BoxState::Runs(None) => return Err(JailError::step("box.lock", "it is held by something that is no box")),
        BoxState::Never => {}
    }
    let (mut channel, theirs) = Channel::pair().map_err(|error| JailError::step("socketpair", error))?;
    let mut command = helper::command("box")?;
    command.arg("--control").arg(crate::verbs::number(&theirs));
    command.arg("--launch").arg(crate::verbs::number(&turn));
    command.arg("--attempt").arg(folder).arg("--worker").arg(worker);
    command.arg("--grace-ms").arg(grace.as_millis().to_string());
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = sys::spawn(&mut command, &[theirs.as_fd(), turn.as_fd()], Tie::Free)
        .map_err(|error| JailError::step("starting agora-jail box", error))?;
    drop(theirs);
    let error = match channel.receive(Some(START_MAX)) {
        Ok(Some(Said::Ready(id))) => return Ok((id, Some(child))),
        Ok(Some(Said::Refused(refusal))) => refusal.into(),
        Ok(Some(_)) => JailError::Lost("it spoke out of turn".to_owned()),
        Ok(None) => JailError::Lost("the box ended before it was ready".to_owned()),
        Err(error) => JailError::step("waiting for the box", error),
    };
    // Refused: it is about to end. Late: it has started no worker, or one that ends with it.
    let _ = child.kill();
    let _ = child.wait();
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_more_than_its_id() {
        let own = BoxId::own().unwrap();
        assert!(own.open().unwrap().is_some());
        assert!(BoxId { start: own.start + 1, ..own.clone() }.open().unwrap().is_none(), "a later process");
        assert!(BoxId { boot: "0".repeat(32), ..own.clone() }.open().unwrap().is_none(), "an earlier boot");
        assert!(BoxId { pid: i32::MAX, ..own.clone() }.open().unwrap().is_none(), "nobody");
        let elsewhere = BoxId { pid_namespace: 1, ..own }.open();
        assert_eq!(elsewhere.unwrap_err().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn the_state_follows_lock_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let id = BoxId::own().unwrap();
        assert_eq!(box_state(dir.path()).unwrap(), BoxState::Never);
        let file = lock::open(&dir.path().join(LOCK)).unwrap();
        lock::take(&file, Duration::ZERO).unwrap();
        assert_eq!(box_state(dir.path()).unwrap(), BoxState::Runs(None));
        std::fs::write(dir.path().join(HANDLE), serde_json::to_vec(&id).unwrap()).unwrap();
        assert_eq!(box_state(dir.path()).unwrap(), BoxState::Runs(Some(id.clone())));
        drop(file);
        assert_eq!(box_state(dir.path()).unwrap(), BoxState::Ended(id, None));
        std::fs::write(dir.path().join(HANDLE), "{}").unwrap();
        assert!(box_state(dir.path()).is_err());
    }
}
