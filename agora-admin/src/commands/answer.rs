//! `answer`: reply to a question that an item asked.

use std::path::Path;

use agora_engine::operations::AnswerArgs;

use crate::cli::{Context, detach, input};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::Line;

/// The longest answer that is read from standard input: the engine has its own, smaller limit.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The arguments of `answer`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agora-admin status --view inbox          what is asked, and by whom\n  agora-admin answer RUN ITEM \"use the staging key\"\n  agora-admin answer RUN ITEM --choice 2"
)]
// Clap puts a group that is required before what stands before it.
#[command(override_usage = "agora-admin answer [OPTIONS] <RUN> <ITEM> <TEXT|--choice <CHOICE>>")]
#[command(group = clap::ArgGroup::new("reply").required(true))]
pub(crate) struct Args {
    /// The run's whole id
    run: String,
    /// The item that asked
    item: String,
    /// The answer in words; - reads them from standard input
    #[arg(group = "reply")]
    text: Option<String>,
    /// The answer as one of the options, from 1
    #[arg(long, group = "reply", value_parser = clap::value_parser!(u32).range(1..))]
    choice: Option<u32>,
    /// The question's number [default: the one that is open]
    #[arg(long)]
    question: Option<u32>,
    /// The same id and arguments give the first answer again
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Answers a question.
///
/// # Errors
/// For questions that are not open.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let text = match args.text.as_deref() {
        Some("-") => {
            let bytes = input::read(Path::new("-"), "the answer", ANSWER_BYTES_MAX)?;
            Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
        }
        other => other.map(str::to_owned),
    };
    let wish = AnswerArgs {
        run_id: args.run.clone(),
        item_id: Some(args.item.clone()),
        question_id: args.question,
        text,
        choice: args.choice,
        request_id: args.request_id,
    };
    let caller = context.caller()?;
    let reply = match args.question {
        Some(_) => engine.answer(&caller, wish).await,
        None => engine.answer_open(&caller, wish).await,
    };
    let reply = reply.doing(format!("answer {}", args.item))?;
    context.out.reply(&reply, |page| {
        page.line(Line::of(&reply.state).and(&args.item).and(if reply.deduplicated { "(already)" } else { "" }));
        page.next(format!("agora-admin watch {}", reply.run_id));
    })?;
    detach::hand_over(context, &engine).await?.tell(context);
    Ok(Exit::Done)
}
