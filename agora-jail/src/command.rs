//! Runs one confined command: the caller's side of `agora-jail run`.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::channel::Channel;
use crate::error::JailError;
use crate::helper;
use crate::spec::{HowEnded, RunSpec, Said};
use crate::sys::{self, Tie};

/// How long the helper may take to confine and start a command. A loaded machine needs tens of milliseconds.
const START_MAX: Duration = Duration::from_secs(60);
/// The byte that asks the command's processes to end.
pub(crate) const ASK: u8 = b't';
/// The byte that ends them.
pub(crate) const END: u8 = b'k';

/// Starts a confined command and returns once it runs.
///
/// # Errors
/// [`JailError`]; then nothing runs. [`JailError::NotFound`] and [`JailError::NotExecutable`] speak of the command's own
/// program.
pub fn run(spec: &RunSpec) -> Result<Jailed, JailError> {
    spec.check()?;
    crate::profile::Policy::of(spec.profile)?;
    let (mut channel, theirs) = Channel::pair().map_err(|error| JailError::step("socketpair", error))?;
    let mut command = helper::command("run")?;
    command.arg("--control").arg(crate::verbs::number(&theirs));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Not tied to this thread's end, as that of one thread means nothing: the channel's end ends the command.
    let mut child = sys::spawn(&mut command, &[theirs.as_fd()], Tie::Free)
        .map_err(|error| JailError::step("starting agora-jail run", error))?;
    drop(theirs);
    match start(&mut channel, spec) {
        Ok(control) => Ok(Jailed {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            stopper: Stopper { control: Arc::new(control) },
            channel,
            child: Some(child),
        }),
        Err(error) => {
            // It ends what it may have started as soon as the channel is closed. By a thread, since one that is late may be
            // held by the kernel, and the caller must not be.
            drop(channel);
            std::thread::spawn(move || child.wait());
            Err(error)
        }
    }
}

fn start(channel: &mut Channel, spec: &RunSpec) -> Result<UnixStream, JailError> {
    // The helper may have refused and gone before all was sent: what it said counts, not that.
    let sent = channel.send(spec);
    match channel.receive(Some(START_MAX)) {
        Ok(Some(Said::Confined(_))) => {
            sent.and_then(|()| channel.writer()).map_err(|error| JailError::step("the channel", error))
        }
        Ok(Some(Said::Refused(refusal))) => Err(refusal.into()),
        Ok(Some(Said::Ended(_) | Said::Ready(_))) => Err(JailError::Lost("it spoke out of turn".to_owned())),
        Ok(None) => Err(JailError::Lost("it ended before the command was started".to_owned())),
        Err(error) => Err(JailError::step("waiting for the command to start", error)),
    }
}

/// A command that runs. Dropped without [`Jailed::wait`], it is killed, and the drop returns when nothing of it is left.
#[derive(Debug)]
pub struct Jailed {
    /// Writes to its standard input; closed by [`Jailed::wait`], unless it was taken.
    pub stdin: Option<ChildStdin>,
    /// Reads its standard output. Somebody has to, or a command that writes much never ends.
    pub stdout: Option<ChildStdout>,
    /// Reads its standard error, likewise.
    pub stderr: Option<ChildStderr>,
    stopper: Stopper,
    channel: Channel,
    child: Option<Child>,
}

impl Jailed {
    /// Returns what stops it from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Returns how the command ended, once nothing of it runs any more: also what it left in the background, in sessions
    /// of its own, or orphaned. Blocks for as long as the command runs.
    ///
    /// # Errors
    /// [`JailError::Lost`] if the helper ended before it said so. Then something of the command may still run, until the
    /// box ends.
    pub fn wait(mut self) -> Result<HowEnded, JailError> {
        drop(self.stdin.take());
        let said = self.channel.receive(None);
        if let Some(mut child) = self.child.take() {
            // All that counts was said above.
            let _ = child.wait();
        }
        match said {
            Ok(Some(Said::Ended(how))) => Ok(how),
            Ok(Some(Said::Refused(refusal))) => Err(refusal.into()),
            Ok(Some(_)) => Err(JailError::Lost("it spoke out of turn".to_owned())),
            Ok(None) => Err(JailError::Lost("it ended before the command did".to_owned())),
            Err(error) => Err(JailError::Lost(error.to_string())),
        }
    }
}

impl Drop for Jailed {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            self.stopper.kill();
            // The helper reads no pipe of the command's, so these cannot hold it up.
            let _ = child.wait();
        }
    }
}

/// Stops a command. Stopping what has ended does nothing.
#[derive(Debug, Clone)]
pub struct Stopper {
    control: Arc<UnixStream>,
}

impl Stopper {
    /// Asks every process of the command to end (SIGTERM).
    pub fn terminate(&self) {
        self.say(ASK);
    }

    /// Ends every process of the command (SIGKILL).
    pub fn kill(&self) {
        self.say(END);
    }

    fn say(&self, byte: u8) {
        // No reader: it has ended. A full buffer: thousands of these are waiting already.
        let _ = (&*self.control).write_all(&[byte]);
    }
}
