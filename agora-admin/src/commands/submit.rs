//! `submit`: start a run of a plan.

use std::path::PathBuf;

use agora_core::limits::PLAN_BYTES_MAX;
use agora_engine::operations::SubmitReply;
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
    after_help = "Exit codes with --watch: 0 done, 1 failed or cancelled, 3 timed out, 8 an answer is needed\n\nExamples:\n  agora-admin submit plan.json\n  agora-admin submit plan.json --watch --timeout 3600\n  jq '.queue = \"nightly\"' plan.json | agora-admin submit -\n  RUN=$(agora-admin --field run_id submit plan.json --request-id \"$CI_JOB_ID\")"
)]
pub(crate) struct Args {
    /// The plan; - reads it from standard input
    plan: PathBuf,
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

/// Starts a run.
///
/// # Errors
/// Every problem of the plan.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let doing = format!("submit {}", args.plan.display());
    let plan = input::read(&args.plan, "the plan", PLAN_BYTES_MAX)?;
    let engine = context.engine().await?;
    let caller = context.caller()?;
    let from = if args.watch { Some(follow::here(&engine, &caller).await?) } else { None };
    let reply = engine.submit_bytes(&caller, &plan, false, args.request_id.as_deref()).await.doing(&doing)?;
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
        .and(format!("{} in {}", rows::count(reply.items, "item"), rows::count(reply.layers, "layer")))
        .and_style(Style::Dim, format!("registry version {}", reply.registry_version))
        .and_style(Style::Warn, if reply.deduplicated { "(already submitted)" } else { "" })
}

/// Shows what was accepted.
pub(super) fn show(page: &mut Page, reply: &SubmitReply) {
    page.line(headline(reply));
    rows::warnings(page, &reply.warnings);
}
