//! `force-resolve`: end an item whose stop nothing proves, on an operator's word.

use agora_engine::operations::ForceArgs;

use crate::cli::{Context, detach};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::Line;

/// The arguments of `force-resolve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Only for an item that is stopping_unverified; see that nothing of it runs first. The evidence says that you said so.\n\nExample:\n  agora-admin diagnose RUN\n  agora-admin force-resolve RUN ITEM --reason \"the machine it ran on is gone\""
)]
pub(crate) struct Args {
    /// The run's whole id
    run: String,
    /// The item
    item: String,
    /// How you know that it is gone; at most 1,000 characters, kept as evidence
    #[arg(long)]
    reason: String,
}

/// Ends the item.
///
/// # Errors
/// For an item that is not there, that is over, or whose stop may yet be proven.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let doing = format!("force-resolve {}", args.item);
    let wish = ForceArgs { run_id: args.run, item_id: args.item, reason: args.reason };
    let reply = engine.force_resolve(&context.caller()?, wish).await.doing(doing)?;
    context.out.reply(&reply, |page| {
        page.line(Line::of(&reply.state).and(&reply.item_id).and("on your word, and its locks are free"));
        if let Some(why) = &reply.reason_not_kept {
            page.line(Line::of("the reason is not kept as evidence:").and(why));
        }
        page.next(format!("agora-admin watch {}", reply.run_id));
    })?;
    // Whatever of it still runs is ended by a driver alone.
    detach::hand_over(context, &engine).await?.tell(context);
    Ok(Exit::Done)
}
