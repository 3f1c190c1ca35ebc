//! `serve`: drive the runs of this home.

use crate::cli::Context;
use crate::error::{Exit, Failure};
use crate::serve::{Until, drive};

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "One process drives a home at a time; others wait until it ends. SIGTERM and SIGINT drain.\nSlots of schedules are fired while it runs, except with --until-idle.\n\nExamples:\n  agora-admin serve                under a service manager\n  agora-admin serve --until-idle   in a script: see all open runs through"
)]
pub(crate) struct Args {
    /// End when nothing is left to do
    #[arg(long)]
    until_idle: bool,
    /// Be a session of its own, and log to the home alone
    #[arg(long, hide = true, requires = "until_idle")]
    detached: bool,
}

impl Args {
    /// Whether this is the copy that goes on in the background.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached
    }
}

/// Drives until asked to end.
///
/// # Errors
/// When the home does not open.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    if args.detached {
        // Not reached by a signal to the group of whoever started it. It fails only for the leader of a group, which has
        // what is wanted.
        let _leader = rustix::process::setsid();
    }
    let engine = context.engine().await.inspect_err(|failure| {
        if let Some(problem) = failure.problems.first() {
            tracing::error!(%problem, "failed to open the home");
        }
    })?;
    drive(context, &engine, if args.until_idle { Until::Idle } else { Until::Asked }).await?;
    Ok(Exit::Done)
}
