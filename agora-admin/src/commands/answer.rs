//! `answer`: reply to a question that an item asked.

use std::path::Path;

use agora_core::error::{Class, Problem};
use agora_engine::Engine;
use agora_engine::operations::{AnswerArgs, StatusArgs, View};

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
    if text.as_deref().is_some_and(|text| text.trim().is_empty()) {
        let problem = Problem::new(Class::Caller, "answer-shape", "the answer is empty, and it cannot be taken back");
        return Err(Failure::one(format!("answer {}", args.item), problem.hint("say something, or give --choice")));
    }
    let question = match args.question {
        Some(number) => number,
        None => open_question(context, &engine, &args.run, &args.item).await?,
    };
    let wish = AnswerArgs {
        run_id: args.run.clone(),
        item_id: Some(args.item.clone()),
        question_id: Some(question),
        text,
        choice: args.choice,
        request_id: args.request_id,
    };
    let reply = engine.answer(&context.caller()?, wish).await.doing(format!("answer {}", args.item))?;
    context.out.reply(&reply, |page| {
        page.line(Line::of(&reply.state).and(&args.item).and(if reply.deduplicated { "(already)" } else { "" }));
        page.next(format!("agora-admin watch {}", reply.run_id));
    })?;
    detach::hand_over(context, &engine).await?.tell(context);
    Ok(Exit::Done)
}

async fn open_question(context: &Context, engine: &Engine, run: &str, item: &str) -> Result<u32, Failure> {
    let doing = format!("answer {item}");
    let wish = StatusArgs {
        view: Some(View::Item),
        run_id: Some(run.to_owned()),
        item_id: Some(item.to_owned()),
        ..StatusArgs::default()
    };
    let reply = engine.status(&context.caller()?, wish).await.doing(&doing)?;
    let open = reply.items.iter().find_map(|row| row.question_id).and_then(|number| u32::try_from(number).ok());
    open.ok_or_else(|| {
        let problem = Problem::new(Class::Missing, "question-missing", format!("{item} has no open question"));
        Failure::one(doing, problem.hint("`agora-admin status --view inbox` lists what is asked"))
    })
}
