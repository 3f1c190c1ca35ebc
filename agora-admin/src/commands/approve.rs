//! `approve` and `reject`: a person decides what waits for approval.

use agora_core::decide::Verdict;
use agora_engine::operations::ApproveArgs;

use crate::cli::{Context, detach};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::Line;

/// The arguments of `approve` and `reject`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agora-admin status --view inbox          what waits for approval\n  agora-admin result RUN ITEM              what it is about: a patch before it\n  agora-admin approve RUN ITEM\n  agora-admin reject RUN ITEM --note \"the migration is missing\""
)]
pub(crate) struct Args {
    /// The run's whole id
    run: String,
    /// The approval
    item: String,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The same id and arguments give the first answer again
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Approves or rejects.
///
/// # Errors
/// For an item whose approval is not open.
pub(crate) async fn run(context: &Context, args: Args, verdict: Verdict) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let doing = match verdict {
        Verdict::Approved => format!("approve {}", args.item),
        Verdict::Rejected => format!("reject {}", args.item),
    };
    let (item, request_id) = (args.item.clone(), args.request_id);
    let wish = ApproveArgs { run_id: args.run, item_id: args.item, verdict, note: args.note, request_id };
    let reply = engine.approve(&context.caller()?, wish).await.doing(doing)?;
    context.out.reply(&reply, |page| {
        page.line(Line::of(&reply.state).and(&item).and(if reply.deduplicated { "(already)" } else { "" }));
        page.next(format!("agora-admin watch {}", reply.run_id));
    })?;
    detach::hand_over(context, &engine).await?.tell(context);
    Ok(Exit::Done)
}
