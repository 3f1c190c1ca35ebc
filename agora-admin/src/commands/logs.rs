//! `logs`: what an item's worker and agent logged.

use agora_engine::Engine;
use agora_engine::operations::{Caller, Page, Part, ResultArgs, StatusArgs, Until, View, WatchArgs};
use serde::Serialize;

use super::rows;
use crate::cli::Context;
use crate::cli::signals::Signals;
use crate::error::{Doing as _, Exit, Failure};

/// Bytes of one page: the most that the engine gives.
const PAGE_BYTES: u32 = 256 << 10;
/// Seconds between two looks at a log that grows, unless something happens before.
const LOOK_SECONDS: u32 = 1;

/// The arguments of `logs`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is printed was written by the worker and the agent; control characters are taken out.\n\nExamples:\n  agora-admin logs RUN ITEM\n  agora-admin logs RUN ITEM -f"
)]
pub(crate) struct Args {
    /// The run: its id or a unique prefix
    run: String,
    /// The item
    item: String,
    /// Go on until the item has ended
    #[arg(short, long)]
    follow: bool,
}

/// A piece of a log, as programs are told it.
#[derive(Serialize)]
struct Piece<'a> {
    offset: u64,
    total_bytes: u64,
    text: &'a str,
}

/// Prints the log.
///
/// # Errors
/// For runs, items and logs that are not there.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let caller = context.caller()?;
    let mut signals = Signals::listen()?;
    let mut offset = 0;
    loop {
        // Whether it has ended is asked before its log is read, so that the last words are not missed.
        let ended = if args.follow { has_ended(&engine, &caller, &args).await? } else { true };
        match page(&engine, &caller, &args, offset).await {
            Ok(Some(page)) => {
                print(context, &page)?;
                offset = u32::try_from(page.next_offset.unwrap_or(page.total_bytes)).unwrap_or(u32::MAX);
                if page.next_offset.is_some() {
                    continue;
                }
            }
            Ok(None) => {}
            // There is no log yet.
            Err(failure) if args.follow && !ended && failure.exit() == Exit::Missing => {}
            Err(failure) => return Err(failure),
        }
        if ended {
            return Ok(Exit::Done);
        }
        let wish = WatchArgs {
            run_ids: Some(vec![args.run.clone()]),
            until: Some(Until::Change),
            wait_seconds: Some(LOOK_SECONDS),
            ..WatchArgs::default()
        };
        let nobody = |_line: String| {};
        tokio::select! {
            reply = engine.watch(&caller, wish, &nobody) => { reply.doing(format!("watch {}", args.run))?; }
            () = signals.came() => return Ok(Exit::Untold),
        }
    }
}

async fn has_ended(engine: &Engine, caller: &Caller, args: &Args) -> Result<bool, Failure> {
    let wish = StatusArgs {
        view: Some(View::Item),
        run_id: Some(args.run.clone()),
        item_id: Some(args.item.clone()),
        ..StatusArgs::default()
    };
    let reply = engine.status(caller, wish).await.doing(format!("follow the log of {}", args.item))?;
    Ok(reply.items.first().is_none_or(|item| rows::is_end(&item.state) || item.state == "waiting"))
}

async fn page(engine: &Engine, caller: &Caller, args: &Args, offset: u32) -> Result<Option<Page>, Failure> {
    let wish = ResultArgs {
        run_id: args.run.clone(),
        item_id: Some(args.item.clone()),
        part: Some(Part::Log),
        path: None,
        offset: Some(offset),
        limit: Some(PAGE_BYTES),
    };
    let reply = engine.result(caller, wish).await.doing(format!("print the log of {}", args.item))?;
    Ok(reply.page.filter(|page| !page.content.text.is_empty()))
}

fn print(context: &Context, page: &Page) -> Result<(), Failure> {
    if context.out.for_people() {
        return context.out.write_untrusted(&page.content.text);
    }
    let piece = Piece { offset: page.offset, total_bytes: page.total_bytes, text: &page.content.text };
    context.out.event(&piece, Default::default)
}
