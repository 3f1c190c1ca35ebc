//! `submit`: start a run of a plan, or give an open-ended one more items, or close it.

use std::path::PathBuf;

use agora_core::limits::PLAN_BYTES_MAX;
use agora_engine::operations::{Extension, SubmitReply};
use serde::Serialize;

use super::follow::{self, Patience};
use super::rows;
use crate::cli::detach::Driving;
use crate::cli::{Context, detach, input};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Line, Page, Style};

/// The arguments of `submit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes with --watch: 0 done, 1 failed or cancelled, 3 timed out, 8 an answer is needed\n\nExamples:\n  agora-admin submit plan.json\n  agora-admin submit plan.json --watch --timeout 3600\n  jq '.queue = \"nightly\"' plan.json | agora-admin submit -\n  agora-admin submit more.json --extend $RUN\n  agora-admin submit --extend $RUN --close --watch\n  RUN=$(agora-admin --field run_id submit plan.json --request-id \"$CI_JOB_ID\")"
)]
pub(crate) struct Args {
    /// The plan, or with --extend the items as {"items": […]}; - reads it from standard input
    #[arg(required_unless_present = "close")]
    plan: Option<PathBuf>,
    /// Give this open-ended run the items; those that it has already are skipped
    #[arg(long, value_name = "RUN")]
    extend: Option<String>,
    /// With --extend: the run takes nothing more, and ends when every item has
    #[arg(long, requires = "extend")]
    close: bool,
    /// Watch the run to its end; this process drives if no other does
    #[arg(long)]
    watch: bool,
    /// With --watch: wait at most so many seconds
    #[arg(long, value_name = "SECONDS", requires = "watch")]
    timeout: Option<u64>,
    /// The same id and plan give the first answer again
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

#[derive(Serialize)]
struct Submitted<'a> {
    #[serde(flatten)]
    reply: &'a SubmitReply,
    driving: Driving,
}

/// Starts, extends or closes a run.
///
/// # Errors
/// Every problem of the plan.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let what = args.plan.as_ref().map(|plan| plan.display().to_string());
    let doing = match (&what, &args.extend) {
        (Some(plan), None) => format!("submit {plan}"),
        (Some(items), Some(run)) => format!("extend {run} by {items}"),
        (None, run) => format!("close {}", run.as_deref().unwrap_or_default()),
    };
    let plan = args.plan.as_ref().map(|plan| input::read(plan, "the plan", PLAN_BYTES_MAX)).transpose()?;
    let engine = context.engine().await?;
    let caller = context.caller()?;
    let from = if args.watch { Some(follow::here(&engine, &caller).await?) } else { None };
    let request_id = args.request_id.as_deref();
    let reply = match &args.extend {
        Some(run_id) => {
            let asked = Extension { run_id, items: plan.as_deref(), close: args.close, dry_run: false, request_id };
            engine.extend(&caller, asked).await
        }
        None => engine.submit_bytes(&caller, plan.as_deref().unwrap_or_default(), false, request_id).await,
    };
    let reply = reply.doing(&doing)?;
    let Some(run_id) = reply.run_id.clone() else { return follow::no_run(doing) };
    if let Some(from) = from {
        context.out.event(&reply, || headline(&reply))?;
        return follow::to_the_end(context, &engine, &run_id, Some(from), Patience::seconds(args.timeout)).await;
    }
    let driving = detach::hand_over(context, &engine).await?;
    context.out.reply(&Submitted { reply: &reply, driving }, |page| {
        show(page, &reply);
        page.next(format!("agora-admin watch {run_id}"));
    })?;
    driving.tell(context);
    Ok(Exit::Done)
}

fn headline(reply: &SubmitReply) -> Line {
    Line::of("run")
        .and_style(Style::Bold, reply.run_id.as_deref().unwrap_or_default())
        .and(rows::state(&reply.state))
        .and(match reply.added {
            None => format!("{} in {}", rows::count(reply.items, "item"), rows::count(reply.layers, "layer")),
            Some(added) => format!("{added} new, {} in all", rows::count(reply.items, "item")),
        })
        .and_style(Style::Dim, if reply.closed { "closed" } else { "" })
        .and_style(Style::Dim, format!("registry version {}", reply.registry_version))
        .and_style(Style::Warn, if reply.deduplicated { "(already submitted)" } else { "" })
}

/// Shows what was accepted.
pub(super) fn show(page: &mut Page, reply: &SubmitReply) {
    page.line(headline(reply));
    rows::warnings(page, &reply.warnings);
}
