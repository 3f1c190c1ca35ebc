//! What a change of the registry comes to, as data and for people.

use std::path::Path;

use agora_admin::registry::{Change, ChangeError, Deployed, Document, Editor, Lag, Mode, Op, Others};
use agora_core::registry::Seen;
use agora_core::seam::BlobStore;
use agora_engine::Engine;
use agora_engine::operations::OpError;
use serde::Serialize;

use super::rows;
use crate::cli::{Context, now};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// What was changed, or would be.
#[derive(Debug, Serialize)]
struct Reply {
    dry_run: bool,
    version_before: u64,
    /// The version in force now.
    version: u64,
    changes: Vec<ChangeReply>,
    unchanged: usize,
    lagging: Vec<LagReply>,
}

#[derive(Debug, Serialize)]
struct ChangeReply {
    change: &'static str,
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<String>,
}

/// A subagent that holds another content of a capability than its name now has.
#[derive(Debug, Serialize)]
pub(crate) struct LagReply {
    subagent: String,
    capability: String,
    holds: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<String>,
}

impl From<&Lag> for LagReply {
    fn from(lag: &Lag) -> Self {
        Self {
            subagent: lag.subagent.to_string(),
            capability: lag.capability.to_string(),
            holds: lag.holds.to_string(),
            current: lag.current.map(|digest| digest.to_string()),
        }
    }
}

/// All problems of a refused change, not the first alone.
pub(crate) fn all(error: &ChangeError) -> OpError {
    OpError { problems: error.problems() }
}

/// The registry's writing side of a home.
pub(crate) struct Registry {
    blobs: std::sync::Arc<dyn BlobStore>,
    seen: Option<Seen>,
}

impl Registry {
    /// Opens it. Where there is a store, an older registry than it has accepted is refused here too.
    ///
    /// # Errors
    /// `home-missing`, `home-foreign`, and what keeps the home from opening.
    pub(crate) async fn open(context: &Context) -> Result<Self, Failure> {
        context.need_home()?;
        let seen = match Engine::has_store(&context.home) {
            true => context.engine().await?.registry_seen().await.doing("read which registry was accepted last")?,
            false => None,
        };
        Ok(Self { blobs: context.blobs()?, seen })
    }

    /// Its editor.
    pub(crate) fn editor<'a>(&'a self, home: &'a Path) -> Editor<'a> {
        Editor::new(home, self.blobs.as_ref(), self.seen.as_ref(), now())
    }
}

/// Deploys a document, and says what came of it.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) async fn deploy(
    context: &Context,
    document: &Document,
    others: Others,
    mode: Mode,
    doing: String,
) -> Result<Exit, Failure> {
    let registry = Registry::open(context).await?;
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let deployed = registry.editor(&context.home).deploy(document, &environment.collect(), others, mode, &doing).await;
    let deployed = deployed.map_err(|error| all(&error)).doing(doing)?;
    tell(context, &deployed, mode)
}

/// Says what came of a change.
///
/// # Errors
/// When standard output is gone.
pub(crate) fn tell(context: &Context, deployed: &Deployed, mode: Mode) -> Result<Exit, Failure> {
    let version = deployed.published.as_ref().map_or(deployed.before, |published| published.version);
    let reply = Reply {
        dry_run: mode == Mode::DryRun,
        version_before: deployed.before,
        version,
        changes: deployed.changes.iter().filter(|change| change.op != Op::Same).map(row).collect(),
        unchanged: deployed.unchanged,
        lagging: deployed.lagging.iter().map(LagReply::from).collect(),
    };
    context.out.reply(&reply, |page| {
        for change in deployed.changes.iter().filter(|change| change.op != Op::Same) {
            show(page, change);
        }
        page.line(Line::of(format!("= {} unchanged", deployed.unchanged)));
        page.line(match (mode, reply.version > reply.version_before) {
            (Mode::DryRun, _) => Line::of(format!("nothing was done; the registry is at version {version}")),
            (Mode::Apply, true) => Line::of(Cell::new(format!("published version {version}")).style(Style::Good)),
            (Mode::Apply, false) => Line::of(format!("nothing to change; the registry is at version {version}")),
        });
        lagging(page, &deployed.lagging);
    })?;
    Ok(Exit::Done)
}

fn row(change: &Change) -> ChangeReply {
    ChangeReply {
        change: match change.op {
            Op::Added => "added",
            Op::Changed => "changed",
            Op::Removed => "removed",
            Op::Same => "same",
        },
        kind: change.kind.as_str(),
        name: change.name.to_string(),
        before: change.old.map(|digest| digest.to_string()),
        after: change.new.map(|digest| digest.to_string()),
        details: change.details.clone(),
    }
}

fn show(page: &mut Page, change: &Change) {
    let style = match change.op {
        Op::Added => Style::Good,
        Op::Changed => Style::Warn,
        Op::Removed => Style::Bad,
        Op::Same => Style::Dim,
    };
    let digest = change.new.or(change.old).map(|digest| rows::short(&digest.to_string())).unwrap_or_default();
    let details = if change.details.is_empty() { String::new() } else { format!("({})", change.details.join("; ")) };
    page.line(
        Line::of(Cell::new(change.op.sign().to_string()).style(style))
            .and(change.kind.as_str())
            .and_style(Style::Bold, change.name.as_str())
            .and_style(Style::Dim, digest)
            .and(details),
    );
}

/// Shows who lags behind, and how to catch up.
pub(crate) fn lagging(page: &mut Page, lagging: &[Lag]) {
    for lag in lagging {
        let what = if lag.current.is_some() { "another content of" } else { "the removed" };
        page.line(
            Line::of(Cell::new("lags:").style(Style::Warn))
                .and(format!("the subagent {} holds {what} {}", lag.subagent, lag.capability)),
        );
        page.next(format!("agora-admin subagent assign {}", lag.subagent));
    }
}
