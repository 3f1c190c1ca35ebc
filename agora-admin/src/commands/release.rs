//! `release`: let a held run go on.

use agora_engine::operations::AnswerArgs;

use crate::cli::{Context, detach};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::Line;

/// The arguments of `release`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  agora-admin release RUN")]
pub(crate) struct Args {
    /// The run's whole id
    run: String,
}

/// Releases a hold.
///
/// # Errors
/// For a run that is not there or not held.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let wish = AnswerArgs { run_id: args.run.clone(), ..AnswerArgs::default() };
    let reply = engine.answer(&context.caller()?, wish).await.doing(format!("release {}", args.run))?;
    context.out.reply(&reply, |page| {
        page.line(Line::of(&reply.state).and(&reply.run_id));
        page.next(format!("agora-admin watch {}", reply.run_id));
    })?;
    detach::hand_over(context, &engine).await?.tell(context);
    Ok(Exit::Done)
}
