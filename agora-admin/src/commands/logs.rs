//! `logs`: what an item's worker and agent logged.

use agora_core::error::{Class, Problem};
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
    let mut reader = Reader::default();
    loop {
        // Whether it has ended is asked before its log is read, so that the last words are not missed.
        let ended = if args.follow { has_ended(&engine, &caller, &args).await? } else { true };
        match page(&engine, &caller, &args, reader.offset).await {
            Ok(page) => {
                let read = reader.read(&page);
                if let Read::New { .. } = read {
                    print(context, &page)?;
                }
                match read {
                    Read::New { more: true } | Read::Another => continue,
                    Read::New { more: false } | Read::Nothing => {}
                }
            }
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

/// Whose log was read, and how far.
#[derive(Default)]
struct Reader {
    source: String,
    offset: u32,
}

/// What a page was.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// More of the log; there may be more yet.
    New { more: bool },
    /// All of it was read before.
    Nothing,
    /// It is of another attempt, whose log is read from its start.
    Another,
}

impl Reader {
    fn read(&mut self, page: &Page) -> Read {
        if page.content.source != self.source {
            self.source.clone_from(&page.content.source);
            if page.offset > 0 || self.offset > 0 {
                self.offset = 0;
                return Read::Another;
            }
        }
        if page.content.text.is_empty() {
            return Read::Nothing;
        }
        self.offset = u32::try_from(page.next_offset.unwrap_or(page.total_bytes)).unwrap_or(u32::MAX);
        Read::New { more: page.next_offset.is_some() }
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

async fn page(engine: &Engine, caller: &Caller, args: &Args, offset: u32) -> Result<Page, Failure> {
    let wish = ResultArgs {
        run_id: args.run.clone(),
        item_id: Some(args.item.clone()),
        part: Some(Part::Log),
        path: None,
        offset: Some(offset),
        limit: Some(PAGE_BYTES),
    };
    let doing = format!("print the log of {}", args.item);
    let reply = engine.result(caller, wish).await.doing(&doing)?;
    let none = || Failure::one(doing, Problem::new(Class::Bug, "internal", "a log without a page"));
    reply.page.ok_or_else(none)
}

fn print(context: &Context, page: &Page) -> Result<(), Failure> {
    if context.out.for_people() {
        return context.out.write_untrusted(&page.content.text);
    }
    let piece = Piece { offset: page.offset, total_bytes: page.total_bytes, text: &page.content.text };
    context.out.event(&piece, Default::default)
}

#[cfg(test)]
mod tests {
    use agora_engine::operations::Text;

    use super::*;

    /// A page of `attempt`'s log of so many bytes.
    fn page(attempt: u64, offset: u64, total_bytes: u64, limit: u64) -> Page {
        let end = total_bytes.min(offset + limit);
        let text = "x".repeat(usize::try_from(end.saturating_sub(offset)).unwrap());
        let source = format!("r/i/{attempt}");
        let content = Text { untrusted: true, source, sha256: String::new(), bytes: 0, truncated: false, text };
        Page { offset, total_bytes, next_offset: (end < total_bytes).then_some(end), resource: None, content }
    }

    #[test]
    fn every_attempt_is_read_from_its_start() {
        let mut reader = Reader::default();
        assert_eq!(reader.read(&page(1, 0, 150, 100)), Read::New { more: true });
        assert_eq!(reader.read(&page(1, 100, 150, 100)), Read::New { more: false });
        assert_eq!((reader.read(&page(1, 150, 150, 100)), reader.offset), (Read::Nothing, 150));
        // The next attempt's log is shorter, or longer: either is read whole.
        for (attempt, bytes) in [(2, 60), (3, 170)] {
            assert_eq!(
                (reader.read(&page(attempt, reader.offset.into(), bytes, 200)), reader.offset),
                (Read::Another, 0)
            );
            assert_eq!(reader.read(&page(attempt, 0, bytes, 200)), Read::New { more: false });
            assert_eq!(u64::from(reader.offset), bytes);
        }
    }
}
