//! `audit`: verify the evidence of a run.

use agora_engine::operations::{AuditArgs, AuditReply};

use super::rows;
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// The arguments of `audit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 verified, 1 a check failed, 2 nothing wrong so far but the run is not sealed yet\n\nExamples:\n  agora-admin audit RUN\n  agora-admin audit RUN --full --format json"
)]
pub(crate) struct Args {
    /// The run: its id or a unique prefix
    run: String,
    /// Show every check, not the failed ones alone
    #[arg(long)]
    full: bool,
}

/// Verifies the evidence of a run.
///
/// # Errors
/// For a run that is not there.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let wish = AuditArgs { run_id: args.run.clone(), full: Some(args.full) };
    let reply = engine.audit(&context.caller()?, wish).await.doing(format!("audit {}", args.run))?;
    context.out.reply(&reply, |page| show(page, &reply))?;
    Ok(exit(&reply.verdict))
}

fn exit(verdict: &str) -> Exit {
    match verdict {
        "verified" => Exit::Done,
        "failed" => Exit::Failed,
        _ => Exit::Untold,
    }
}

fn show(page: &mut Page, reply: &AuditReply) {
    let verdict = Cell::new(&reply.verdict).style(match exit(&reply.verdict) {
        Exit::Done => Style::Good,
        Exit::Failed => Style::Bad,
        _ => Style::Warn,
    });
    page.line(Line::of("run").and_style(Style::Bold, &reply.run_id).and(verdict));
    let mut facts = vec![("entries", Cell::new(reply.entries.to_string())), ("root", Cell::new(&reply.root))];
    facts.extend(reply.axes.iter().map(|axis| (axis.axis.as_str(), Cell::new(&axis.value))));
    if let Some(at) = &reply.collected {
        facts.push(("collected", Cell::new(format!("{}: the bytes of its results are gone", rows::when(at)))));
    }
    facts.push(("passed", Cell::new(rows::count(reply.passed, "check"))));
    page.facts(facts);
    if !reply.checks.is_empty() {
        page.blank();
        let rows = reply.checks.iter().map(|check| {
            let style = match check.status.as_str() {
                "pass" => Style::Good,
                "fail" => Style::Bad,
                _ => Style::Dim,
            };
            vec![
                Cell::new(&check.status).style(style),
                Cell::new(&check.code),
                Cell::new(check.detail.as_deref().unwrap_or_default()),
            ]
        });
        page.table(&["", "check", ""], rows.collect());
    }
    if let Some(checkpoint) = &reply.checkpoint {
        page.blank();
        page.heading("checkpoint");
        page.quote(checkpoint);
    }
    if !reply.not_shown.is_empty() {
        page.blank();
        page.heading("this does not show");
        reply.not_shown.iter().for_each(|line| page.line(Line::of(line).indent(2)));
    }
}
