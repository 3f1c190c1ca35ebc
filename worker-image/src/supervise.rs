//! One untrusted command, from its start until nothing of it runs any more.
//!
//! ```text
//!  agent ── stdout, stderr ──► pump threads ─┐
//!  jail  ── how it ended ────► wait thread ──┼─► one bounded channel ─► the loop of [`run`]: deadlines, log
//!  SIGTERM ──────────────────► `Stop` ───────┘
//! ```
//!
//! The channel is bounded, so an agent that writes faster than the log is slowed down, not buffered.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use agora_core::target::{Limits, Profile};
use agora_jail::{HowEnded, JailError, RunSpec, Stopper};

use crate::log::Stream;
use crate::stop::Stop;

/// Chunks of output on their way to the log.
const CHANNEL: usize = 64;
/// Bytes of a chunk.
const CHUNK_BYTES: usize = 32 << 10;
/// Longest wait for the rest of the output, once nothing of the command runs any more.
const DRAIN: Duration = Duration::from_secs(5);
/// Longest wait for a command to be gone after it was killed; the kernel may be writing its memory out.
const GONE: Duration = Duration::from_secs(60);

/// What wakes the loop.
#[derive(Debug)]
pub(crate) enum Event {
    Output(Stream, Vec<u8>),
    Closed,
    Ended(Result<HowEnded, JailError>),
    Stop,
}

/// What to run, and for how long.
pub(crate) struct Order {
    pub(crate) profile: Profile,
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) stdin: Vec<u8>,
    /// From now.
    pub(crate) timeout: Duration,
    /// Longest silence.
    pub(crate) idle: Option<Duration>,
    /// From TERM to KILL.
    pub(crate) grace: Duration,
}

/// Who ended the command. Claimed once: what comes second changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndedBy {
    Itself,
    Timeout,
    Idle,
    Stop,
}

/// How a command ended. Nothing of it runs any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) by: EndedBy,
}

impl Finished {
    /// Whether it ended by itself, and well.
    pub(crate) fn well(self) -> bool {
        self.by == EndedBy::Itself && self.code == Some(0)
    }

    /// Says how it ended, for messages.
    pub(crate) fn shown(self) -> String {
        match (self.by, self.code, self.signal) {
            (EndedBy::Timeout, ..) => "it took too long".to_owned(),
            (EndedBy::Idle, ..) => "it wrote nothing for too long".to_owned(),
            (EndedBy::Stop, ..) => "it was stopped".to_owned(),
            (EndedBy::Itself, Some(code), _) => format!("exit code {code}"),
            (EndedBy::Itself, None, Some(signal)) => format!("signal {signal}"),
            (EndedBy::Itself, None, None) => "it ended in an unknown way".to_owned(),
        }
    }
}

/// Why a command did not run, or was not seen to end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotRun {
    #[error(transparent)]
    Jail(#[from] JailError),
    #[error("{0}")]
    Lost(&'static str),
    #[error("start a thread: {0}")]
    Thread(std::io::Error),
}

/// Runs a command and hands on what it writes.
pub(crate) fn run(order: Order, stop: &Stop, on_output: &mut dyn FnMut(Stream, &[u8])) -> Result<Finished, CannotRun> {
    let Order { profile, argv, env, cwd, limits, stdin, timeout, idle, grace } = order;
    let mut jailed = agora_jail::run(&RunSpec { profile, argv, env, cwd, limits })?;
    let stopper = jailed.stopper();
    let (sender, events) = sync_channel(CHANNEL);
    if let Some(mut pipe) = jailed.stdin.take() {
        // A command that does not read its input is no error: the write ends when the command does.
        spawn(move || drop(pipe.write_all(&stdin)))?;
    }
    let mut open = 0;
    if let Some(pipe) = jailed.stdout.take() {
        open += 1;
        pump(pipe, Stream::Out, sender.clone())?;
    }
    if let Some(pipe) = jailed.stderr.take() {
        open += 1;
        pump(pipe, Stream::Err, sender.clone())?;
    }
    let listener = sender.clone();
    // Where that thread cannot be, the command is dropped, and with it ended.
    spawn(move || drop(sender.send(Event::Ended(jailed.wait()))))?;
    stop.listen(Some(listener));
    let mut watch =
        Watch { stop, stopper, deadline: Instant::now() + timeout, idle, heard: Instant::now(), grace, claim: None };
    let ended = watch.until_gone(&events, open, on_output);
    stop.listen(None);
    let (how, claim) = (ended?, watch.claim.map_or(EndedBy::Itself, |claim| claim.by));
    Ok(Finished { code: how.code, signal: how.signal, by: claim })
}

/// Starts a thread, or says that there is no room for one, which the standard short form would panic at.
fn spawn(act: impl FnOnce() + Send + 'static) -> Result<(), CannotRun> {
    thread::Builder::new().spawn(act).map(drop).map_err(CannotRun::Thread)
}

fn pump(mut pipe: impl Read + Send + 'static, stream: Stream, sender: SyncSender<Event>) -> Result<(), CannotRun> {
    spawn(move || {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match pipe.read(&mut chunk) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(read) => {
                    if sender.send(Event::Output(stream, chunk[..read].to_vec())).is_err() {
                        break;
                    }
                }
            }
        }
        // A loop that no longer listens has given up on the rest.
        let _ = sender.send(Event::Closed);
    })
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    by: EndedBy,
    /// When TERM becomes KILL; when KILL was sent, when to give up.
    next: Instant,
    killed: bool,
}

struct Watch<'a> {
    stop: &'a Stop,
    stopper: Stopper,
    deadline: Instant,
    idle: Option<Duration>,
    heard: Instant,
    grace: Duration,
    claim: Option<Claim>,
}

impl Watch<'_> {
    fn until_gone(
        &mut self,
        events: &Receiver<Event>,
        mut open: u32,
        on_output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<HowEnded, CannotRun> {
        let mut ended = None;
        let mut drained = None;
        while ended.is_none() || open > 0 {
            let until = match drained {
                Some(at) => at,
                None => self.act(Instant::now())?,
            };
            match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Event::Output(stream, bytes)) => {
                    self.heard = Instant::now();
                    on_output(stream, &bytes);
                }
                Ok(Event::Closed) => open -= 1,
                Ok(Event::Ended(how)) => {
                    ended = Some(how?);
                    drained = Some(Instant::now() + DRAIN);
                }
                Ok(Event::Stop) => {}
                // Whoever still holds a pipe is none of the command's; what it would write is not waited for.
                Err(RecvTimeoutError::Timeout) if drained.is_some() => break,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        ended.ok_or(CannotRun::Lost("nobody saw the command end"))
    }

    /// Does what is due and returns when the next thing is.
    fn act(&mut self, now: Instant) -> Result<Instant, CannotRun> {
        let Some(claim) = &mut self.claim else {
            let silent = self.idle.map(|idle| self.heard + idle);
            let by = if self.stop.requests() > 0 {
                EndedBy::Stop
            } else if now >= self.deadline {
                EndedBy::Timeout
            } else if silent.is_some_and(|at| now >= at) {
                EndedBy::Idle
            } else {
                return Ok(silent.map_or(self.deadline, |at| at.min(self.deadline)));
            };
            self.stopper.terminate();
            let next = if self.stop.requests() > 1 { now } else { now + self.grace };
            self.claim = Some(Claim { by, next, killed: false });
            return Ok(next);
        };
        if !claim.killed && (now >= claim.next || self.stop.requests() > 1) {
            self.stopper.kill();
            *claim = Claim { killed: true, next: now + GONE, ..*claim };
        } else if claim.killed && now >= claim.next {
            return Err(CannotRun::Lost("the command was killed and is not gone"));
        }
        Ok(claim.next)
    }
}
