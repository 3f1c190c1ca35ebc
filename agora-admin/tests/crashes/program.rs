//! A real program that runs beside the test: its lines as they come, and its end.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before the test fails: far beyond what it takes, on a machine that is busy too.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A started program. It is killed if the test loses it.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    taken: Cell<usize>,
    log: Receiver<String>,
    /// When it was started.
    pub(crate) started: Instant,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, lines, taken: Cell::new(0), log, started }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    pub(crate) fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The next line of its standard output, if it comes within this time; none as well when there will be no more.
    pub(crate) fn line_within(&self, time: Duration) -> Option<String> {
        let line = self.lines.recv_timeout(time).ok()?;
        self.taken.set(self.taken.get() + 1);
        Some(line)
    }

    /// The next line of its standard output, which must come.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        match self.line_within(DEADLINE) {
            Some(line) => line,
            None => panic!("no line in time; standard error:\n{}", self.said()),
        }
    }

    /// Waits for so many events of this kind.
    #[track_caller]
    pub(crate) fn events(&self, kind: &str, count: usize) {
        let mut found = 0;
        while found < count {
            let event: Value = serde_json::from_str(&self.line()).unwrap();
            found += usize::from(event["event"] == kind);
        }
    }

    /// What came on standard error until now.
    pub(crate) fn said(&self) -> String {
        self.log.try_iter().collect::<Vec<_>>().join("\n")
    }

    /// How many lines it said in all, once it has ended.
    pub(crate) fn lines_said(&self) -> usize {
        self.taken.get() + self.lines.iter().count()
    }

    /// Kills it as nothing can be caught, and waits until it is gone. Says whether it was there to be killed.
    pub(crate) fn kill(&mut self) -> bool {
        // It may have ended by itself a moment ago.
        let _ = self.child.kill();
        self.end().signal() == Some(9)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        assert!(gone(self.pid()), "it does not end; standard error:\n{}", self.said());
        self.child.wait().unwrap()
    }

    /// Waits for its end, which must be this code.
    #[track_caller]
    pub(crate) fn ends(&mut self, code: i32) {
        let status = self.end();
        assert_eq!(status.code(), Some(code), "standard error:\n{}", self.said());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has usually ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // Nobody reads any more: the program must not be held up by that.
            let _ = send.send(line);
        }
    });
    lines
}

/// The process that started this one, or whoever took it over.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// Waits until a process has ended, child or not, and says whether it has.
pub(crate) fn gone(pid: i32) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let Ok(pidfd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else { return true };
    let deadline = Instant::now() + DEADLINE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().try_into().unwrap(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return ready > 0,
            Err(error) => assert_eq!(error, rustix::io::Errno::INTR),
        }
    }
}
