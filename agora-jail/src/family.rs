//! The descendants of this process: found, signalled, ended and reaped, until none is left.
//!
//! A helper is a *child subreaper*: a process whose parent ends becomes its child, however often it forks and whatever
//! session it makes. So a descendant cannot get away, and `waitpid` saying "no child" is the proof that nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open, pidfd_send_signal};

use crate::sys;

/// How long to wait for a death that sends no signal here: that of a grandchild, before it becomes a child.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A process, told apart from a later one of the same id by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    /// Its id.
    pub(crate) pid: i32,
    /// When it started, in clock ticks since the machine did.
    pub(crate) start: u64,
}

/// What `/proc/<pid>/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: i32,
    start: u64,
    /// It has ended and waits to be reaped.
    ended: bool,
}

/// Returns the start time of a process, or nothing if there is none.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    stat(pid).map(|stat| stat.start)
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// proc_pid_stat(5): `pid (comm) state ppid …`, the start time being field 22. The name in brackets is the process's own
/// choice, brackets and newlines included, so the fields are counted from the last bracket.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some(Stat { parent, start, ended: matches!(state, "Z" | "X" | "x") })
}

/// Returns every living descendant of this process.
fn descendants() -> io::Result<Vec<Seen>> {
    let mut children: BTreeMap<i32, Vec<(i32, Stat)>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push((pid, stat));
        }
    }
    let mut found = Vec::new();
    let mut todo = vec![rustix::process::getpid().as_raw_nonzero().get()];
    while let Some(parent) = todo.pop() {
        for (pid, stat) in children.remove(&parent).unwrap_or_default() {
            todo.push(pid);
            if !stat.ended {
                found.push(Seen { pid, start: stat.start });
            }
        }
    }
    Ok(found)
}

/// Signals a process, unless its id means another one by now. Says whether it was there.
fn signal(seen: Seen, signal: Signal) -> bool {
    let Some(pid) = Pid::from_raw(seen.pid) else { return false };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    // Once it is open, the descriptor can mean no other process; so what is looked at now is what is signalled.
    start_time(seen.pid) == Some(seen.start) && pidfd_send_signal(&pidfd, signal).is_ok()
}

/// What woke [`Family::wait`].
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Woken {
    /// Signals that came, by number, SIGCHLD left out.
    pub(crate) signals: Vec<i32>,
    /// The other descriptor is readable.
    pub(crate) other: bool,
}

/// This process's descendants, one of them being the main one.
#[derive(Debug)]
pub(crate) struct Family {
    signals: OwnedFd,
    main: Option<i32>,
    ended: Option<WaitStatus>,
    killed: BTreeSet<Seen>,
}

impl Family {
    /// Becomes the subreaper and starts to watch.
    pub(crate) fn new() -> io::Result<Self> {
        sys::default_signals()?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        // Without a readable /proc nobody could be found: better to learn it before anything is started. Nobody is there to
        // be found yet, so that looking at every process of the machine would be for nothing.
        drop(std::fs::read_dir("/proc")?);
        start_time(rustix::process::getpid().as_raw_nonzero().get()).ok_or(io::ErrorKind::NotFound)?;
        let signals = sys::signal_fd(&[Signal::CHILD, Signal::TERM, Signal::QUIT, Signal::INT, Signal::HUP])?;
        Ok(Self { signals, main: None, ended: None, killed: BTreeSet::new() })
    }

    /// Names the main process; it has been started and not yet been waited for.
    pub(crate) fn set_main(&mut self, pid: u32) {
        self.main = i32::try_from(pid).ok();
    }

    /// How the main process ended, if it has.
    pub(crate) fn ended(&self) -> Option<WaitStatus> {
        self.ended
    }

    /// Waits for a child's end, a signal, the other descriptor, or the time.
    pub(crate) fn wait(&mut self, other: Option<BorrowedFd<'_>>, within: Option<Duration>) -> io::Result<Woken> {
        let mut woken = Woken::default();
        {
            let mut fds = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN)];
            fds.extend(other.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            let within = within.map(|within| Timespec {
                tv_sec: i64::try_from(within.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: within.subsec_nanos().into(),
            });
            match poll(&mut fds, within.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            woken.other = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        }
        let mut info = [0; 128];
        while let Ok(128) = rustix::io::read(&self.signals, &mut info) {
            // signalfd(2): the first field of signalfd_siginfo is the number, as 32 bits.
            let number = i32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
            if number != Signal::CHILD.as_raw() {
                woken.signals.push(number);
            }
        }
        self.reap()?;
        Ok(woken)
    }

    /// Reaps all that has ended. Says whether a child is left.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if Some(pid.as_raw_nonzero().get()) == self.main && self.ended.is_none() {
                        self.ended = Some(status);
                    }
                }
                Ok(None) => return Ok(true),
                Err(rustix::io::Errno::CHILD) => return Ok(false),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Asks every descendant to end.
    pub(crate) fn ask_all(&self) -> io::Result<()> {
        for seen in descendants()? {
            signal(seen, Signal::TERM);
        }
        Ok(())
    }

    /// Asks the main process to end.
    pub(crate) fn ask_main(&self) {
        // Not yet reaped, so its id cannot mean another process.
        if let (Some(pid), None) = (self.main.and_then(Pid::from_raw), self.ended) {
            // It may have ended this moment, which is as good.
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
    }

    /// Kills every descendant and returns when there is none, with the number of those that the main one left.
    pub(crate) fn end_all(&mut self) -> io::Result<u64> {
        while self.reap()? {
            // A process that forks between the look and its end leaves one that the next look finds: what was killed
            // forks no more, so this ends.
            for seen in descendants()? {
                if signal(seen, Signal::KILL) && Some(seen.pid) != self.main {
                    self.killed.insert(seen);
                }
            }
            if !self.reap()? {
                break;
            }
            self.wait(None, Some(LOOK_AGAIN))?;
        }
        Ok(self.killed.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_cannot_hide_behind_its_name() {
        let plain = b"42 (sh) S 7 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1 1";
        let evil = b"42 (a) Z 1 1\n(b) S 7 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1 1";
        let expected = Some(Stat { parent: 7, start: 12345, ended: false });
        assert_eq!(parse_stat(plain), expected);
        assert_eq!(parse_stat(evil), expected);
        assert_eq!(parse_stat(b"42 (sh) Z 7"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn this_process_has_a_start_time_and_nobody_else_has_its_id() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(start_time(pid).is_some());
        assert_eq!(start_time(i32::MAX), None);
        assert!(!signal(Seen { pid, start: 0 }, Signal::KILL), "another start time is another process");
    }
}
