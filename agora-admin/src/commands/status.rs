//! `status`: where things stand.

use agora_engine::operations::{InboxRow, StatusArgs, StatusReply, View};
use clap::ValueEnum;

use super::{diagnose, rows};
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// What to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Look {
    /// What needs somebody, oldest first
    Inbox,
    /// All runs
    Runs,
    /// One run and its items
    Run,
    /// One item and its attempts
    Item,
    /// Why nothing happens
    Diagnose,
}

/// The arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agora-admin status                   all runs\n  agora-admin status RUN               a run and its items\n  agora-admin status RUN ITEM          an item and its attempts\n  agora-admin status --view inbox      questions and holds, and the command for each"
)]
pub(crate) struct Args {
    /// The run: its id or a unique prefix
    run: Option<String>,
    /// The item
    item: Option<String>,
    /// What to look at [default: the item or run that is named, else the runs]
    #[arg(long, value_enum)]
    view: Option<Look>,
    /// Only runs or items in this state
    #[arg(long)]
    state: Option<String>,
    /// At most so many rows, up to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Go on where an earlier answer ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Shows where things stand.
///
/// # Errors
/// For runs and items that are not there.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let view = args.view.map(|look| match look {
        Look::Inbox => View::Inbox,
        Look::Runs => View::Runs,
        Look::Run => View::Run,
        Look::Item => View::Item,
        Look::Diagnose => View::Diagnose,
    });
    let wish = StatusArgs {
        view,
        run_id: args.run.clone(),
        item_id: args.item.clone(),
        state: args.state,
        limit: Some(args.limit),
        cursor: args.cursor,
    };
    let reply = engine.status(&context.caller()?, wish).await.doing("show the status")?;
    context.out.reply(&reply, |page| {
        show(page, &reply);
        if let Some(cursor) = &reply.cursor {
            let named = [args.run, args.item].into_iter().flatten().collect::<Vec<_>>().join(" ");
            page.next(format!("agora-admin status {named} --cursor {cursor}"));
        }
    })?;
    Ok(Exit::Done)
}

fn show(page: &mut Page, reply: &StatusReply) {
    match reply.view {
        View::Runs if reply.runs.is_empty() => page.line("no runs"),
        View::Runs => rows::runs(page, &reply.runs),
        View::Inbox if reply.inbox.is_empty() => page.line("nothing needs you"),
        View::Inbox => reply.inbox.iter().for_each(|row| inbox_row(page, row)),
        View::Run | View::Item => {
            if let Some(run) = &reply.run {
                page.line(rows::run_line(run));
            }
            if let (Some(run), Some(diagnosis)) = (&reply.run, &reply.diagnosis) {
                page.blank();
                diagnose::show(page, &run.run_id, diagnosis);
            }
            if !reply.items.is_empty() {
                page.blank();
                rows::items(page, &reply.items);
            }
            if !reply.attempts.is_empty() {
                page.blank();
                rows::attempts(page, &reply.attempts);
            }
        }
        View::Diagnose => {
            if let (Some(run), Some(diagnosis)) = (&reply.run, &reply.diagnosis) {
                diagnose::show(page, &run.run_id, diagnosis);
            }
        }
    }
}

/// Shows one thing that needs somebody, with the command that resolves it.
pub(crate) fn inbox_row(page: &mut Page, row: &InboxRow) {
    let item = row.item_id.as_deref().unwrap_or_default();
    page.line(
        Line::of(Cell::new(&row.kind).style(Style::Warn))
            .and(&row.run_id)
            .and_style(Style::Bold, item)
            .and_style(Style::Dim, format!("since {}", rows::when(&row.since))),
    );
    if let Some(question) = &row.question {
        page.quote(&question.text);
    }
    for (at, option) in row.options.iter().enumerate() {
        page.quote(&format!("{}. {}", at + 1, option.text));
    }
    if let Some(why) = &row.unreadable {
        page.line(Line::of(Cell::new("it cannot be shown:").style(Style::Bad)).and(why).indent(2));
    }
    let run = &row.run_id;
    let command = match row.kind.as_str() {
        "question" if row.options.is_empty() => format!("agora-admin answer {run} {item} \"…\""),
        "question" => format!("agora-admin answer {run} {item} --choice 1"),
        "approval" => format!("agora-admin approve {run} {item}"),
        "held" => format!("agora-admin release {run}"),
        "stopping_unverified" => {
            format!("agora-admin force-resolve {run} {item} --reason WHY, once nothing of it runs")
        }
        "damaged" => "agora-admin doctor".to_owned(),
        _ => format!("agora-admin diagnose {run}"),
    };
    page.next(command);
}
