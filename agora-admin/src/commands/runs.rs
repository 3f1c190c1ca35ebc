//! `runs`: the list of runs, newest first.

use agora_engine::operations::{StatusArgs, View};

use super::rows;
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};

/// The arguments of `runs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  agora-admin runs --state open\n  agora-admin --format json runs --limit 200")]
pub(crate) struct Args {
    /// Only runs in this state
    #[arg(long, value_parser = ["open", "done", "failed", "cancelled"])]
    state: Option<String>,
    /// At most so many, up to 200
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Go on where an earlier answer ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Lists the runs.
///
/// # Errors
/// As `status` says.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let wish = StatusArgs {
        view: Some(View::Runs),
        state: args.state,
        limit: Some(args.limit),
        cursor: args.cursor,
        ..StatusArgs::default()
    };
    let reply = engine.status(&context.caller()?, wish).await.doing("list the runs")?;
    context.out.reply(&reply, |page| {
        if reply.runs.is_empty() {
            page.line("no runs");
            page.next("agora-admin submit plan.json");
            return;
        }
        rows::runs(page, &reply.runs);
        if let Some(cursor) = &reply.cursor {
            page.next(format!("agora-admin runs --cursor {cursor}"));
        }
    })?;
    Ok(Exit::Done)
}
