//! `agora-jail run`: starts one confined command, and ends when nothing of it is left.

use std::io;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::channel::Channel;
use crate::command::{ASK, END};
use crate::error::Refusal;
use crate::family::Family;
use crate::spec::{ReadBack, RunSpec, Said};
use crate::sys::{self, Tie};

/// How long confining may take; shorter than the caller's patience, so that the caller hears why.
const CONFINE_MAX: Duration = Duration::from_secs(45);

pub(super) fn run(mut channel: Channel) -> bool {
    let spec: RunSpec = match channel.receive(None) {
        Ok(Some(spec)) => spec,
        Ok(None) => return false,
        Err(error) => return super::refuse(&mut channel, Refusal::BadSpec { why: error.to_string() }),
    };
    let mut family = match Family::new() {
        Ok(family) => family,
        Err(error) => return super::refuse(&mut channel, Refusal::step("becoming the subreaper", error)),
    };
    let confined = start(&mut family, &spec).and_then(|confined| {
        // From here on these belong to the command alone: who reads them sees their end when it ends.
        release_streams().map_err(|error| Refusal::step("closing the streams", error))?;
        Ok(confined)
    });
    let said = match confined {
        Ok(confined) => channel.send(&Said::Confined(confined)).is_ok(),
        Err(refusal) => {
            // What was started for it, if anything, must not outlive the answer.
            return family.end_all().is_ok() & super::refuse(&mut channel, refusal);
        }
    };
    if said && let Err(error) = supervise(&mut family, &mut channel) {
        let _ = family.end_all();
        return super::refuse(&mut channel, Refusal::step("watching the command", error));
    }
    match family.end_all() {
        Ok(leftovers) => channel.send(&Said::Ended(super::how_ended(family.ended(), leftovers))).is_ok(),
        Err(error) => super::refuse(&mut channel, Refusal::step("ending the command", error)),
    }
}

/// Starts the command through `agora-jail exec`, this same executable, and returns when it runs.
fn start(family: &mut Family, spec: &RunSpec) -> Result<ReadBack, Refusal> {
    let (mut channel, theirs) = Channel::pair().map_err(|error| Refusal::step("socketpair", error))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg("exec").arg("--control").arg(super::number(&theirs)).env_clear();
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let child = sys::spawn(&mut command, &[theirs.as_fd()], Tie::DiesWithParent)
        .map_err(|error| Refusal::step("starting agora-jail exec", error))?;
    drop(theirs);
    family.set_main(child.id());
    channel
        .send(spec)
        .and_then(|()| channel.finish())
        .map_err(|error| Refusal::step("handing on the command", error))?;
    let mut confined = None;
    loop {
        match channel.receive(Some(CONFINE_MAX)) {
            Ok(Some(Said::Confined(read_back))) => confined = Some(read_back),
            Ok(Some(Said::Refused(refusal))) => return Err(refusal),
            Ok(Some(_)) => return Err(Refusal::step("starting the command", "it spoke out of turn")),
            Ok(None) => {
                return confined
                    .ok_or_else(|| Refusal::step("starting the command", "it ended before it was confined"));
            }
            Err(error) => return Err(Refusal::step("starting the command", error)),
        }
    }
}

fn release_streams() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Returns when the command has ended, or is to be.
fn supervise(family: &mut Family, channel: &mut Channel) -> io::Result<()> {
    while family.ended().is_none() {
        let woken = family.wait(Some(channel.as_fd()), None)?;
        if !woken.signals.is_empty() {
            family.ask_all()?;
        }
        if woken.other {
            match channel.bytes()? {
                // Whoever wanted the command is gone, and with it the use of it.
                None => return Ok(()),
                Some(bytes) if bytes.contains(&END) => return Ok(()),
                Some(bytes) if bytes.contains(&ASK) => family.ask_all()?,
                Some(_) => {}
            }
        }
    }
    Ok(())
}
