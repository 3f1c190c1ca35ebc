//! `workspace`, `target` and `queue`: what the configuration defines.

use agora_engine::operations::{CatalogArgs, CatalogEntry, CatalogKind, ProblemRow};
use clap::Subcommand;
use serde::Serialize;

use super::rows;
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Style};

/// The most pages that are read: a configuration has no more entries than this, fifty to a page.
const PAGES_MAX: usize = 1_000;

/// The verbs of workspaces.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkspaceVerb {
    /// List the folders that plans may work on
    List,
}

/// The verbs of targets.
#[derive(Debug, Subcommand)]
pub(crate) enum TargetVerb {
    /// List where attempts run, and what is enforced there now
    List,
}

/// The verbs of queues.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueVerb {
    /// List how many items run at once
    List,
}

#[derive(Serialize)]
struct Reply {
    entries: Vec<CatalogEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemRow>,
}

/// Lists the workspaces.
///
/// # Errors
/// When the home does not open.
pub(crate) async fn workspaces(context: &Context) -> Result<Exit, Failure> {
    list(context, CatalogKind::Workspace).await
}

/// Lists the targets.
///
/// # Errors
/// When the home does not open.
pub(crate) async fn targets(context: &Context) -> Result<Exit, Failure> {
    list(context, CatalogKind::Target).await
}

/// Lists the queues.
///
/// # Errors
/// When the home does not open.
pub(crate) async fn queues(context: &Context) -> Result<Exit, Failure> {
    list(context, CatalogKind::Queue).await
}

async fn list(context: &Context, kind: CatalogKind) -> Result<Exit, Failure> {
    let engine = context.engine().await?;
    let caller = context.caller()?;
    let mut reply = Reply { entries: Vec::new(), problems: Vec::new() };
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let args = CatalogArgs { kind: Some(kind), cursor: cursor.take(), ..CatalogArgs::default() };
        let page = engine.catalog(&caller, args).await.doing("list the configuration")?;
        reply.entries.extend(page.entries);
        reply.problems = page.problems;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    context.out.reply(&reply, |page| {
        let entries = reply.entries.iter().map(|entry| {
            let details: Vec<String> = entry.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let note = match &entry.problem {
                Some(problem) => Cell::new(format!("{}: {}", problem.code, problem.message)).style(Style::Bad),
                None => Cell::new(entry.about.as_deref().unwrap_or_default()),
            };
            vec![Cell::new(&entry.name).style(Style::Bold), Cell::new(details.join(" ")), note]
        });
        page.table(&["name", "what", ""], entries.collect());
        for problem in reply.entries.iter().filter_map(|entry| entry.problem.as_ref()) {
            if let Some(hint) = &problem.hint {
                page.next(hint);
            }
        }
        rows::warnings(page, &reply.problems);
    })?;
    Ok(Exit::Done)
}
