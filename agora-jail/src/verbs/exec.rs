//! `agora-jail exec`: the last process before a command. It confines itself, reads back, and becomes the command.
//!
//! It is started by `run` alone. Its channel is closed by the kernel the moment the command starts: the end of it, after
//! `confined`, is the news that the command runs.

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use crate::channel::Channel;
use crate::error::Refusal;
use crate::spec::{RunSpec, Said};
use crate::{confine, program, sys};

pub(super) fn exec(mut channel: Channel) -> ExitCode {
    let refusal = match become_command(&mut channel) {
        Ok(never) => match never {},
        Err(refusal) => refusal,
    };
    super::refuse(&mut channel, refusal);
    ExitCode::from(super::CANNOT)
}

fn become_command(channel: &mut Channel) -> Result<Infallible, Refusal> {
    let spec: RunSpec = channel
        .receive(None)
        .map_err(|error| Refusal::BadSpec { why: error.to_string() })?
        .ok_or_else(|| Refusal::step("reading the command", "the channel is closed"))?;
    let (name, arguments) =
        spec.argv.split_first().ok_or_else(|| Refusal::BadSpec { why: "there is no program".to_owned() })?;
    let policy = super::probe::policy(spec.profile)?;
    sys::default_signals().map_err(|error| Refusal::step("signals", error))?;
    std::env::set_current_dir(&spec.cwd)
        .map_err(|error| Refusal::step(format!("entering {}", spec.cwd.display()), error))?;
    let found = program::find(name, spec.env.get("PATH").map(String::as_str))?;
    let confined = confine::confine(&policy, &spec.limits)?;
    channel.send(&Said::Confined(confined)).map_err(|error| Refusal::step("the channel", error))?;
    let mut command = Command::new(&found);
    command.arg0(name).args(arguments).env_clear().envs(&spec.env);
    let error = command.exec();
    // The file was there: what is not there is its interpreter.
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "its interpreter is not there".to_owned(),
        _ => error.to_string(),
    };
    Err(Refusal::NotExecutable { program: name.clone(), why })
}
