//! `cancel`: stop a run or an item.

use agora_engine::operations::{CancelArgs, CancelMode, CancelReply};

use crate::cli::{Context, detach};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::Line;

/// The arguments of `cancel`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  agora-admin cancel RUN --reason \"wrong branch\"\n  agora-admin cancel RUN ITEM")]
pub(crate) struct Args {
    /// The run's whole id
    run: String,
    /// Only this item
    item: Option<String>,
    /// Why; at most 1,000 characters, kept as evidence
    #[arg(long, default_value = "cancelled on the command line")]
    reason: String,
}

/// Stops a run or an item.
///
/// # Errors
/// For runs and items that are not there.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let what = args.item.clone().unwrap_or_else(|| args.run.clone());
    let (mode, drain) = (Some(CancelMode::Stop), None);
    let wish = CancelArgs { run_id: args.run, item_id: args.item, mode, drain, reason: args.reason };
    ask(context, wish, format!("cancel {what}"), true).await
}

/// Asks the engine, and says what came of it. Where something may have to be stopped, it is seen to that somebody drives.
pub(super) async fn ask(context: &Context, wish: CancelArgs, doing: String, stops: bool) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let reply: CancelReply = engine.cancel(&context.caller()?, wish).await.doing(doing)?;
    context.out.reply(&reply, |page| {
        let what = reply.item_id.as_deref().unwrap_or(&reply.run_id);
        page.line(match reply.state.as_str() {
            "done" | "failed" | "skipped" | "denied" => Line::of(format!("{what} was {} before", reply.state)),
            state => Line::of(state).and(what),
        });
        if let Some(why) = &reply.reason_not_kept {
            page.line(Line::of("the reason is not kept as evidence:").and(why));
        }
        page.next(match reply.state.as_str() {
            "held" => format!("agora-admin release {}", reply.run_id),
            _ => format!("agora-admin status {}", reply.run_id),
        });
    })?;
    if stops {
        detach::hand_over(context, &engine).await?.tell(context);
    }
    Ok(Exit::Done)
}
