//! `hold`: start nothing new in a run, or park it.

use agora_engine::operations::{CancelArgs, CancelMode};

use super::cancel;
use crate::cli::Context;
use crate::error::{Exit, Failure};

/// The arguments of `hold`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agora-admin hold RUN --reason \"until the review is done\"\n  agora-admin hold RUN --park --reason \"the machine is needed\"\n  agora-admin release RUN"
)]
pub(crate) struct Args {
    /// The run's whole id
    run: String,
    /// Stop what runs, too: it starts anew after the release, without having used up an attempt
    #[arg(long)]
    park: bool,
    /// Why; at most 1,000 characters, kept as evidence
    #[arg(long, default_value = "held on the command line")]
    reason: String,
}

/// Holds a run.
///
/// # Errors
/// For a run that is not there.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let doing = format!("hold {}", args.run);
    let (mode, drain) = (Some(CancelMode::Hold), args.park.then_some(false));
    let wish = CancelArgs { run_id: args.run, item_id: None, mode, drain, reason: args.reason };
    // Only a driver stops what runs.
    cancel::ask(context, wish, doing, args.park).await
}
