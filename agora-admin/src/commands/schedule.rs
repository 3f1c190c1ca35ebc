//! `schedule`: plans that run again and again.

use std::path::PathBuf;

use agora_core::id::Name;
use agora_core::limits::PLAN_BYTES_MAX;
use agora_engine::Engine;
use agora_engine::operations::{LastSlot, ProblemRow, ScheduleArgs, ScheduleRow};
use clap::Subcommand;
use serde::Serialize;

use super::rows;
use crate::cli::{Context, input};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// How many problems of a schedule people are shown.
const PROBLEMS_SHOWN: usize = 3;

/// The verbs of schedules.
#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleVerb {
    /// Run a plan at the times that a cron expression names
    Add(AddArgs),
    /// List the schedules: what is next, and what became of the last slot
    List,
    /// Forget a schedule; runs that it opened go on
    Remove(RemoveArgs),
}

/// The arguments of `schedule add`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday).\nEach takes *, lists 1,15, ranges 1-5 and steps */5; months and days have names; L is the last day of a month.\n\nSlots are fired while `agora-admin serve` runs. Of slots that were missed the latest is fired, once.\nThe plan is read as it is now, and checked against registry and workspace anew for each slot.\nThe workspace cwd is the folder that this is called in.\n\nExamples:\n  agora-admin schedule add every-five --cron '*/5 * * * *' plan.json\n  agora-admin schedule add nightly --cron '30 2 * * MON-FRI' --tz Europe/Berlin plan.json\n  agora-admin schedule add nightly --cron '0 4 * * *' plan.json --replace"
)]
pub(crate) struct AddArgs {
    /// Its name; the runs are named NAME@SLOT
    name: Name,
    /// The plan, without an id; - reads it from standard input
    plan: PathBuf,
    /// Five fields of cron
    #[arg(long, value_name = "FIELDS")]
    cron: String,
    /// The time zone whose wall clock counts, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    tz: String,
    /// Take the place of the schedule that has the name
    #[arg(long)]
    replace: bool,
}

/// The arguments of `schedule remove`.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// Its name
    name: String,
}

#[derive(Serialize)]
struct Removed<'a> {
    name: &'a str,
    removed: bool,
}

/// Does a verb of schedules.
///
/// # Errors
/// Why it was not done.
pub(crate) async fn run(context: &Context, verb: ScheduleVerb) -> Result<Exit, Failure> {
    match verb {
        ScheduleVerb::Add(args) => add(context, args).await,
        ScheduleVerb::List => list(context).await,
        ScheduleVerb::Remove(args) => remove(context, &args.name).await,
    }
}

async fn add(context: &Context, args: AddArgs) -> Result<Exit, Failure> {
    let plan = input::read(&args.plan, "the plan", PLAN_BYTES_MAX)?;
    let engine = context.engine().await?;
    let wish =
        ScheduleArgs { name: args.name.clone(), cron: &args.cron, zone: &args.tz, plan: &plan, replace: args.replace };
    let doing = format!("schedule {} as {}", args.plan.display(), args.name);
    let reply = engine.add_schedule(&context.caller()?, wish).await.doing(doing)?;
    context.out.reply(&reply, |page| {
        page.line(
            Line::of("schedule")
                .and_style(Style::Bold, &reply.name)
                .and(&reply.cron)
                .and_style(Style::Dim, &reply.zone)
                .and(rows::count(reply.items, "item"))
                .and_style(Style::Dim, if reply.replaced { "(replaced)" } else { "" }),
        );
        let slots: Vec<String> = reply.slots.iter().map(|slot| rows::when(slot)).collect();
        page.line(Line::of("first slots:").and(slots.join(", ")).indent(2));
        rows::warnings(page, &reply.warnings);
        page.next("agora-admin schedule list");
    })?;
    tell(context, &engine);
    Ok(Exit::Done)
}

async fn list(context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let reply = engine.schedules().await.doing("list the schedules")?;
    context.out.reply(&reply, |page| {
        if reply.schedules.is_empty() {
            page.line("no schedules");
            page.next("agora-admin schedule add NAME --cron '*/5 * * * *' plan.json");
            return;
        }
        let rows = reply.schedules.iter().map(cells).collect();
        page.table(&["name", "cron", "zone", "next slot", "last slot", "became"], rows);
        reply.schedules.iter().for_each(|row| problems(page, row));
    })?;
    if !reply.schedules.is_empty() {
        tell(context, &engine);
    }
    Ok(Exit::Done)
}

async fn remove(context: &Context, name: &str) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    engine.remove_schedule(name).await.doing(format!("remove the schedule {name}"))?;
    context.out.reply(&Removed { name, removed: true }, |page| page.line(Line::of("removed").and(name)))?;
    Ok(Exit::Done)
}

/// Says that nobody fires slots, where that is known. Whether one who drives does, nobody can tell from here.
fn tell(context: &Context, engine: &Engine) {
    if !engine.driven() {
        let what = "nobody serves this home: slots are fired while `agora-admin serve` runs";
        context.out.note(Line::of(Cell::new(what).style(Style::Warn)));
    }
}

fn cells(row: &ScheduleRow) -> Vec<Cell> {
    let next = match (&row.due, &row.next) {
        (Some(due), _) => Cell::new(format!("due since {}", rows::when(due))).style(Style::Warn),
        (None, Some(next)) => Cell::new(rows::when(next)),
        (None, None) => Cell::new("none").style(Style::Bad),
    };
    vec![
        Cell::new(&row.name).style(Style::Bold),
        Cell::new(&row.cron),
        Cell::new(&row.zone).style(Style::Dim),
        next,
        Cell::new(row.last.as_ref().map_or_else(|| "none yet".to_owned(), |last| rows::when(&last.slot))),
        row.last.as_ref().map(became).unwrap_or_default(),
    ]
}

fn became(last: &LastSlot) -> Cell {
    match (&last.run_id, &last.state, last.problems.first()) {
        (Some(_), Some(state), _) => rows::state(state),
        (Some(_), None, _) => Cell::new("its run is not kept any more").style(Style::Dim),
        (None, _, Some(problem)) => Cell::new(&problem.code).style(Style::Bad),
        (None, ..) => Cell::default(),
    }
}

/// Adds what is wrong with a schedule or its last slot.
fn problems(page: &mut Page, row: &ScheduleRow) {
    let refused = row.last.iter().flat_map(|last| &last.problems);
    let all: Vec<&ProblemRow> = row.problem.iter().chain(refused).collect();
    for problem in all.iter().take(PROBLEMS_SHOWN) {
        let at = problem.at.as_ref().filter(|at| !at.is_empty()).map(|at| format!("(at {at})")).unwrap_or_default();
        page.line(
            Line::of(Cell::new(format!("{}:", row.name)).style(Style::Bad))
                .and(&problem.message)
                .and_style(Style::Dim, format!("[{}]", problem.code))
                .and_style(Style::Dim, at),
        );
        if let Some(hint) = &problem.hint {
            page.line(Line::of(hint).indent(2));
        }
    }
    if all.len() > PROBLEMS_SHOWN {
        page.line(Line::of(format!("{} more; --format json has all", all.len() - PROBLEMS_SHOWN)).indent(2));
    }
}
