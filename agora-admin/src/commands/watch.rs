//! `watch`: see a run through to its end.

use super::follow::{self, Patience};
use crate::cli::Context;
use crate::error::{Exit, Failure};

/// The arguments of `watch`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "This process drives if no other does; Ctrl-C stops watching, never the run.\nExit codes: 0 done, 1 failed or cancelled, 3 timed out, 8 an answer is needed\n\nExamples:\n  agora-admin watch RUN\n  agora-admin watch RUN | grep item.failed             one line per event when piped\n  agora-admin --format json watch RUN --timeout 600    one JSON value a line"
)]
pub(crate) struct Args {
    /// The run: its id or a unique prefix
    run: String,
    /// Wait at most so many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// Watches a run.
///
/// # Errors
/// For a run that is not there.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    follow::to_the_end(context, &engine, &args.run, None, Patience::seconds(args.timeout)).await
}
