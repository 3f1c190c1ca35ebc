//! `audit`: verify the evidence of a run, and hand it out: its signed statements, the bundle, and a page for people.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use agora_core::audit::verify::Requirement;
use agora_core::error::{Class, Problem};
use agora_engine::Engine;
use agora_engine::operations::{AuditArgs, AuditReply, ExportArgs};
use serde::Serialize;

use super::bundle::{self, Made};
use super::page::{self, Wish};
use super::rows;
use super::statements::{self, Written};
use super::verify;
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// The arguments of `audit`.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("written").args(["out", "html"]).multiple(true),
    after_help = "Exit codes: 0 verified, 1 a check failed, 2 nothing wrong so far but the run is not sealed yet\n\nExamples:\n  agora-admin audit RUN\n  agora-admin audit RUN --full --format json\n  agora-admin audit RUN --statements ./evidence\n  agora-admin audit RUN --out bundle.json\n  agora-admin audit RUN --html page.html --policy trust.toml\n  agora-admin audit --log --out log.json"
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
    /// Write a page of the run for people, in one new HTML file without scripts: graph, timeline, patches, checks. It shows
    /// what the bundle says and what a verification of it found
    #[arg(long, value_name = "PAGE.HTML", requires = "run")]
    html: Option<PathBuf>,
    /// The trust policy that the page's verification believes; without one it is self-asserted, and the page says so
    #[arg(long, value_name = "TRUST.TOML", requires = "html")]
    policy: Option<PathBuf>,
    /// What the page's verification requires: a value of an axis, met by it and by stronger ones; may be given several times
    #[arg(long, value_name = "VALUE", value_parser = Requirement::parse, requires = "html")]
    require: Vec<Requirement>,
    /// All entries of the log of runs, which show that no run is missing
    #[arg(long, requires = "written")]
    log: bool,
    /// A log checkpoint that the auditor has seen: its size. The bundle proves that the log continues it
    #[arg(long, value_name = "SIZE", requires = "written")]
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
    /// The page.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<page::Made>,
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
    let verdict = exit(&audit.verdict);
    let (bundle, page, verdict) = hand_out(context, &engine, &args, run, verdict).await?;
    let reply = Reply { audit, statements: written, bundle, page };
    context.out.reply(&reply, |text| {
        show(text, &reply.audit);
        if let Some(written) = &reply.statements {
            text.blank();
            text.heading("statements");
            written.iter().for_each(|one| text.line(Line::of(&one.envelope).indent(2)));
            if written.is_empty() {
                text.line(Line::of("none: no accepted attempt made a patch or an output").indent(2));
            }
        }
        reply.bundle.iter().for_each(|bundle| bundle.show(text));
        reply.page.iter().for_each(|page| page.show(text));
    })?;
    Ok(verdict)
}

/// Writes bundle and page, of the same bytes, and returns the worse of both verdicts.
async fn hand_out(
    context: &Context,
    engine: &Engine,
    args: &Args,
    run: &str,
    verdict: Exit,
) -> Result<(Option<Made>, Option<page::Made>, Exit), Failure> {
    if args.out.is_none() && args.html.is_none() {
        return Ok((None, None, verdict));
    }
    let (wish, bytes) = export(context, engine, args, run).await?;
    let bundle = args.out.as_ref().map(|file| bundle::write(file, &bytes)).transpose()?;
    let Some(file) = &args.html else { return Ok((bundle, None, verdict)) };
    let of = Wish { file, policy: args.policy.as_deref(), require: &args.require };
    let (page, report) = page::stored(context, &bytes, &wish, &of).await?;
    let verdict = match (verdict, verify::exit(report.verdict)) {
        (Exit::Failed, _) | (_, Exit::Failed) => Exit::Failed,
        (Exit::Done, other) => other,
        (untold, _) => untold,
    };
    Ok((bundle, Some(page), verdict))
}

/// The bundle, with proofs from all that the policy has seen: without them it would be called a smaller log.
async fn export(context: &Context, engine: &Engine, args: &Args, run: &str) -> Result<(ExportArgs, Vec<u8>), Failure> {
    let caller = context.caller()?;
    let (whole_log, artifacts, as_found) = (args.log, args.artifacts, args.out.is_none());
    let wish = |seen: Vec<u64>| {
        let since: BTreeSet<u64> = args.since.iter().copied().chain(seen).collect();
        let since = since.into_iter().collect();
        ExportArgs { run_id: run.to_owned(), whole_log, since, artifacts, as_found }
    };
    let mut asked = wish(page::seen(args.policy.as_deref()));
    let mut made = engine.export_run(&caller, asked.clone()).await;
    if made.as_ref().is_err_and(|error| error.problems.iter().any(|problem| problem.code == "since-beyond")) {
        // The log is smaller than the policy has seen it, which the verdict on it says better than an error.
        asked = wish(Vec::new());
        made = engine.export_run(&caller, asked.clone()).await;
    }
    Ok((asked, made.doing(format!("export {run}"))?))
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
