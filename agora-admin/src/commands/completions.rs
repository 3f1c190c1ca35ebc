//! `completions`: what a shell needs to complete verbs and flags.

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde::Serialize;

use crate::cli::{Cli, Context};
use crate::error::{Exit, Failure};

/// The arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agora-admin completions bash > /etc/bash_completion.d/agora-admin\n  agora-admin completions zsh  > ~/.zfunc/_agora-admin\n  agora-admin completions fish > ~/.config/fish/completions/agora-admin.fish"
)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Serialize)]
struct Completions {
    shell: String,
    script: String,
}

/// Prints the script.
///
/// # Errors
/// When standard output is gone.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "agora-admin", &mut script);
    if context.out.for_people() {
        // As it is: a shell reads it.
        context.out.write(&script)?;
    } else {
        let script = String::from_utf8_lossy(&script).into_owned();
        context.out.reply(&Completions { shell: args.shell.to_string(), script }, |_| {})?;
    }
    Ok(Exit::Done)
}
