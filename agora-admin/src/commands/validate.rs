//! `validate`: check a plan and show how it would run.

use std::path::PathBuf;

use agora_core::limits::PLAN_BYTES_MAX;
use agora_engine::operations::{DryRun, SubmitReply};

use super::rows;
use crate::cli::{Context, input};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// Items of a layer, or of the critical path, that text shows; JSON has them all.
const ITEMS_SHOWN_MAX: usize = 12;
/// Layers, locks and resolved items that text shows.
const ROWS_SHOWN_MAX: usize = 40;

/// The arguments of `validate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is stored and nothing runs. Every problem is listed, each with the nearest name.\n\nExamples:\n  agora-admin validate plan.json\n  agora-admin --field dry_run.critical_path validate plan.json"
)]
pub(crate) struct Args {
    /// The plan; - reads it from standard input
    plan: PathBuf,
}

/// Checks a plan.
///
/// # Errors
/// Every problem of the plan.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let plan = input::read(&args.plan, "the plan", PLAN_BYTES_MAX)?;
    let engine = context.engine().await?;
    let doing = format!("validate {}", args.plan.display());
    let reply = engine.submit_bytes(&context.caller()?, &plan, true, None).await.doing(doing)?;
    context.out.reply(&reply, |page| {
        show(page, &reply);
        page.next(format!("agora-admin submit {}", args.plan.display()));
    })?;
    Ok(Exit::Done)
}

fn show(page: &mut Page, reply: &SubmitReply) {
    page.line(
        Line::of(rows::state(&reply.state).style(Style::Good))
            .and(format!("{} in {}", rows::count(reply.items, "item"), rows::count(reply.layers, "layer")))
            .and_style(Style::Dim, format!("registry version {}", reply.registry_version)),
    );
    rows::warnings(page, &reply.warnings);
    if let Some(dry) = &reply.dry_run {
        show_dry(page, dry);
    }
}

fn some(items: &[String], between: &str) -> String {
    let shown = items.iter().take(ITEMS_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(between);
    match items.len().saturating_sub(ITEMS_SHOWN_MAX) {
        0 => shown,
        more => format!("{shown}{between}… and {more} more"),
    }
}

fn show_dry(page: &mut Page, dry: &DryRun) {
    page.facts([("plan", Cell::new(&dry.plan_digest)), ("longest chain", Cell::new(some(&dry.critical_path, " → ")))]);
    page.blank();
    page.heading("layers");
    let layers = dry.layers.iter().enumerate().take(ROWS_SHOWN_MAX);
    page.facts(layers.map(|(at, layer)| ("", Cell::new(format!("{}. {}", at + 1, some(layer, ", "))))));
    left_out(page, dry.layers.len());
    if !dry.contention.is_empty() {
        page.blank();
        page.heading("locks that items contend for");
        page.facts(
            dry.contention.iter().take(ROWS_SHOWN_MAX).map(|(key, items)| (key.as_str(), Cell::new(some(items, ", ")))),
        );
        left_out(page, dry.contention.len());
    }
    if !dry.resolved.is_empty() {
        page.blank();
        let rows = dry.resolved.iter().take(ROWS_SHOWN_MAX).map(|row| {
            let uses: Vec<String> =
                row.uses.iter().map(|(name, digest)| format!("{name} {}", rows::short(digest))).collect();
            vec![Cell::new(&row.item_id), Cell::new(&row.target), Cell::new(&row.model), Cell::new(uses.join(", "))]
        });
        page.table(&["item", "target", "model", "uses"], rows.collect());
        left_out(page, dry.resolved.len());
    }
}

fn left_out(page: &mut Page, all: usize) {
    if all > ROWS_SHOWN_MAX {
        page.line(Line::of(format!("… and {} more: --format json shows all", all - ROWS_SHOWN_MAX)).indent(2));
    }
}
