//! `audit`: verify the evidence of a run, and hand it out: its signed statements, and the bundle.

use std::path::{Path, PathBuf};

use agora_core::error::{Class, Problem};
use agora_engine::Engine;
use agora_engine::operations::{AuditArgs, AuditReply, ExportArgs};
use serde::Serialize;

use super::bundle::{self, Made};
use super::rows;
use super::statements::{self, Written};
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// The arguments of `audit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 verified, 1 a check failed, 2 nothing wrong so far but the run is not sealed yet\n\nExamples:\n  agora-admin audit RUN\n  agora-admin audit RUN --full --format json\n  agora-admin audit RUN --statements ./evidence\n  agora-admin audit RUN --out bundle.json\n  agora-admin audit --log --out log.json"
)]
pub(crate) struct Args {
    /// The run: its id or a unique prefix; with --log --out, none for the log itself
    #[arg(required_unless_present_all = ["log", "out"])]
    run: Option<String>,
    /// Show every check, not the failed ones alone
    #[arg(long, requires = "run")]
    full: bool,
    /// Write the signed statement of each accepted item into this folder, for in-toto tools and cosign
    #[arg(long, value_name = "DIR", requires = "run")]
    statements: Option<PathBuf>,
    /// Write the bundle: all that an auditor elsewhere needs to check the run, in one new file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// All entries of the log of runs, which show that no run is missing
    #[arg(long, requires = "out")]
    log: bool,
    /// A log checkpoint that the auditor has seen: its size. The bundle proves that the log continues it
    #[arg(long, value_name = "SIZE", requires = "out")]
    since: Vec<u64>,
    /// The bytes of patches, outputs, logs, reports and messages
    #[arg(long, requires_all = ["out", "run"])]
    artifacts: bool,
}

#[derive(Serialize)]
struct Reply {
    #[serde(flatten)]
    audit: AuditReply,
    /// The files that were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    statements: Option<Vec<Written>>,
    /// The bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<Made>,
}

/// Verifies the evidence of a run. Its statements are written only where no check failed.
///
/// # Errors
/// For a run that is not there; with `--statements`, for one that is not sealed, and for files that cannot be written.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let run = match (&args.run, &args.out) {
        (Some(run), _) => run,
        (None, Some(file)) => return log(context, &engine, file, &args.since).await,
        (None, None) => {
            let problem = Problem::new(Class::Caller, "usage", "neither a run nor a file for the log is named");
            let hint = "agora-admin audit RUN, or agora-admin audit --log --out FILE";
            return Err(Failure::one("audit", problem.hint(hint)));
        }
    };
    let wish = AuditArgs { run_id: run.clone(), full: Some(args.full) };
    let audit = engine.audit(&context.caller()?, wish).await.doing(format!("audit {run}"))?;
    let written = match &args.statements {
        Some(folder) if exit(&audit.verdict) != Exit::Failed => {
            let doing = format!("hand out the statements of {run}");
            let found = engine.statements(&context.caller()?, run).await.doing(doing)?;
            Some(statements::write(folder, &found)?)
        }
        _ => None,
    };
    let bundle = match &args.out {
        Some(file) => {
            let (whole_log, since, artifacts) = (args.log, args.since.clone(), args.artifacts);
            let wish = ExportArgs { run_id: run.clone(), whole_log, since, artifacts, as_found: false };
            let bytes = engine.export_run(&context.caller()?, wish).await.doing(format!("export {run}"))?;
            Some(bundle::write(file, &bytes)?)
        }
        None => None,
    };
    let reply = Reply { audit, statements: written, bundle };
    context.out.reply(&reply, |page| {
        show(page, &reply.audit);
        if let Some(written) = &reply.statements {
            page.blank();
            page.heading("statements");
            written.iter().for_each(|one| page.line(Line::of(&one.envelope).indent(2)));
            if written.is_empty() {
                page.line(Line::of("none: no accepted attempt made a patch or an output").indent(2));
            }
        }
        if let Some(bundle) = &reply.bundle {
            bundle.show(page);
        }
    })?;
    Ok(exit(&reply.audit.verdict))
}

/// The bundle of the log.
async fn log(context: &Context, engine: &Engine, file: &Path, since: &[u64]) -> Result<Exit, Failure> {
    let bytes = engine.export_log(since).await.doing("export the log")?;
    let made = bundle::write(file, &bytes)?;
    context.out.reply(&made, |page| made.show(page))?;
    Ok(Exit::Done)
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
