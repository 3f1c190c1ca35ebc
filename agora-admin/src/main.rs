//! The command line: reads it, does the verb, and ends with the exit code that says how it went.

mod cli;
mod commands;
mod doctor;
mod error;
mod html;
mod output;
mod serve;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::{Cli, Context, usage};
use crate::error::{Exit, Failure};
use crate::output::{OUTPUT_CLOSED, Output};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return unread(&error),
    };
    let out = Output::new(cli.global.format, cli.global.field.clone());
    match Context::resolve(&cli.global, out.clone()).and_then(|context| run(&context, cli)) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) if failure.problems.iter().any(|problem| problem.code == OUTPUT_CLOSED) => ExitCode::SUCCESS,
        Err(failure) => {
            out.failure(&failure);
            ExitCode::from(failure.exit().code())
        }
    }
}

/// Help, a version, or an error like all others.
fn unread(error: &clap::Error) -> ExitCode {
    let exit = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Exit::Wrong,
        _ => {
            let failure = usage::failure(error);
            Output::new(usage::format(&std::env::args_os().collect::<Vec<_>>()), None).failure(&failure);
            return ExitCode::from(failure.exit().code());
        }
    };
    // Clap knows which of the two streams, and whether it has colours; a stream that is gone hears nothing.
    let _gone = error.print();
    ExitCode::from(exit.code())
}

fn run(context: &Context, cli: Cli) -> Result<Exit, Failure> {
    cli::logs::start(&context.home, commands::reader(&cli.verb));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        let problem = agora_core::error::Problem::new(agora_core::error::Class::Later, "no-room", error.to_string());
        Failure::one("start the runtime", problem.hint("the system has no room for more threads: try again"))
    })?;
    let ended = runtime.block_on(commands::run(context, cli.verb));
    // What still reads or probes in a thread of its own holds up nobody.
    runtime.shutdown_background();
    ended
}
