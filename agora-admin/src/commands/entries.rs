//! `capability`, `subagent`, `env` and `pipeline`: the registry, one entry at a time.

use agora_admin::registry::{Others, Shown};
use agora_core::id::Name;
use agora_core::registry::Kind;
use agora_core::registry::catalog::CatalogEntry;
use clap::Subcommand;
use serde::Serialize;

use super::changes::{self, Registry, all};
use super::deploy::mode;
use super::register::{CapabilityArgs, EnvArgs, SubagentArgs};
use super::rows;
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// The verbs of capabilities.
#[derive(Debug, Subcommand)]
pub(crate) enum CapabilityVerb {
    /// List the capabilities
    List,
    /// Show one with its files
    Show(NameArgs),
    /// Register the files of a folder
    Register(CapabilityArgs),
}

/// The verbs of subagents.
#[derive(Debug, Subcommand)]
pub(crate) enum SubagentVerb {
    /// List the subagents
    List,
    /// Show one with its prompts
    Show(NameArgs),
    /// Register one from a file
    Register(SubagentArgs),
    /// Freeze the current content of its capabilities, or of others
    Assign(AssignArgs),
}

/// The verbs of env bundles.
#[derive(Debug, Subcommand)]
pub(crate) enum EnvVerb {
    /// List the bundles
    List,
    /// Show one with its values
    Show(NameArgs),
    /// Register one from a file or from flags
    Register(EnvArgs),
}

/// The verbs of pipelines.
#[derive(Debug, Subcommand)]
pub(crate) enum PipelineVerb {
    /// List the pipelines
    List,
    /// Show one with its blocks
    Show(NameArgs),
}

/// The name of an entry.
#[derive(Debug, clap::Args)]
pub(crate) struct NameArgs {
    /// Its name
    name: Name,
}

/// `subagent assign`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A new version of a capability reaches a subagent only by this, or by a deploy that names the subagent.\n\nExamples:\n  agora-admin subagent assign reviewer                       what its capabilities now are\n  agora-admin subagent assign reviewer house-rules style     these instead"
)]
pub(crate) struct AssignArgs {
    /// The subagent
    subagent: Name,
    /// Its capabilities from now on [default: those it has]
    capabilities: Vec<Name>,
    /// Take all capabilities away
    #[arg(long, conflicts_with = "capabilities")]
    none: bool,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Listed {
    entries: Vec<CatalogEntry>,
}

/// Does a verb of capabilities.
///
/// # Errors
/// As the registry says.
pub(crate) async fn capability(context: &Context, verb: CapabilityVerb) -> Result<Exit, Failure> {
    match verb {
        CapabilityVerb::List => list(context, Kind::Capability).await,
        CapabilityVerb::Show(args) => show(context, Kind::Capability, args.name).await,
        CapabilityVerb::Register(args) => {
            let doing = "register the capability".to_owned();
            changes::deploy(context, &args.document()?, Others::Keep, mode(args.dry_run), doing).await
        }
    }
}

/// Does a verb of subagents.
///
/// # Errors
/// As the registry says.
pub(crate) async fn subagent(context: &Context, verb: SubagentVerb) -> Result<Exit, Failure> {
    match verb {
        SubagentVerb::List => list(context, Kind::Subagent).await,
        SubagentVerb::Show(args) => show(context, Kind::Subagent, args.name).await,
        SubagentVerb::Register(args) => {
            let doing = "register the subagent".to_owned();
            changes::deploy(context, &args.document()?, Others::Keep, mode(args.dry_run), doing).await
        }
        SubagentVerb::Assign(args) => assign(context, args).await,
    }
}

/// Does a verb of env bundles.
///
/// # Errors
/// As the registry says.
pub(crate) async fn env(context: &Context, verb: EnvVerb) -> Result<Exit, Failure> {
    match verb {
        EnvVerb::List => list(context, Kind::Env).await,
        EnvVerb::Show(args) => show(context, Kind::Env, args.name).await,
        EnvVerb::Register(args) => {
            let doing = "register the env bundle".to_owned();
            changes::deploy(context, &args.document()?, Others::Keep, mode(args.dry_run), doing).await
        }
    }
}

/// Does a verb of pipelines.
///
/// # Errors
/// As the registry says.
pub(crate) async fn pipeline(context: &Context, verb: PipelineVerb) -> Result<Exit, Failure> {
    match verb {
        PipelineVerb::List => list(context, Kind::Pipeline).await,
        PipelineVerb::Show(args) => show(context, Kind::Pipeline, args.name).await,
    }
}

async fn assign(context: &Context, args: AssignArgs) -> Result<Exit, Failure> {
    let registry = Registry::open(context).await?;
    let mode = mode(args.dry_run);
    let named = (args.none || !args.capabilities.is_empty()).then_some(args.capabilities.as_slice());
    let deployed = registry.editor(&context.home).assign(&args.subagent, named, mode).await;
    let deployed = deployed.map_err(|error| all(&error)).doing(format!("assign to {}", args.subagent))?;
    changes::tell(context, &deployed, mode)
}

async fn list(context: &Context, kind: Kind) -> Result<Exit, Failure> {
    let registry = Registry::open(context).await?;
    let entries = registry.editor(&context.home).list(kind).await;
    let reply =
        Listed { entries: entries.map_err(|error| all(&error)).doing(format!("list the entries of kind {kind}"))? };
    context.out.reply(&reply, |page| {
        if reply.entries.is_empty() {
            page.line(format!("no {kind} is registered"));
            page.next(match kind {
                Kind::Pipeline => "agora-admin deploy --from agora.deploy.toml".to_owned(),
                Kind::Capability | Kind::Subagent | Kind::Env => format!("agora-admin {kind} register --help"),
            });
            return;
        }
        let rows = reply.entries.iter().map(|entry| {
            let note = match &entry.revoked {
                Some(why) => Cell::new(format!("revoked: {why}")).style(Style::Bad),
                None => Cell::new(entry.about.as_deref().unwrap_or_default()),
            };
            vec![
                Cell::new(entry.name.as_str()).style(Style::Bold),
                Cell::new(rows::short(&entry.digest.to_string())).style(Style::Dim),
                Cell::new(what(entry)),
                note,
            ]
        });
        page.table(&["name", "digest", "what", "about"], rows.collect());
    })?;
    Ok(Exit::Done)
}

/// What is to know of an entry, in one cell.
fn what(entry: &CatalogEntry) -> String {
    match entry.kind {
        Kind::Capability => format!(
            "{}, {}",
            rows::count(entry.files.unwrap_or_default(), "file"),
            rows::size(entry.size_bytes.unwrap_or_default())
        ),
        Kind::Env => entry.variables.join(" "),
        Kind::Pipeline => entry.blocks.join(" → "),
        Kind::Subagent => entry.subagent.as_ref().map_or_else(String::new, |line| {
            let mut parts = vec![format!("{} {}", line.runtime, line.model), format!("on {}", line.targets.join(" "))];
            if !line.expects.is_empty() {
                parts
                    .push(format!("expects {}", line.expects.keys().map(String::as_str).collect::<Vec<_>>().join(" ")));
            }
            if line.bypass {
                parts.push("bypass".to_owned());
            }
            parts.join(", ")
        }),
    }
}

async fn show(context: &Context, kind: Kind, name: Name) -> Result<Exit, Failure> {
    let registry = Registry::open(context).await?;
    let shown = registry.editor(&context.home).show(kind, &name).await;
    let shown: Shown = shown.map_err(|error| all(&error)).doing(format!("show the {kind} {name}"))?;
    context.out.reply(&shown, |page| show_page(page, &shown))?;
    Ok(Exit::Done)
}

fn show_page(page: &mut Page, shown: &Shown) {
    page.line(Line::of(shown.kind.as_str()).and_style(Style::Bold, shown.name.as_str()));
    let mut facts =
        vec![("digest", Cell::new(shown.digest.to_string())), ("since", Cell::new(format!("version {}", shown.since)))];
    if let Some(why) = &shown.revoked {
        facts.push(("revoked", Cell::new(why).style(Style::Bad)));
    }
    let before =
        shown.history.iter().map(|past| ("before", Cell::new(format!("{} since version {}", past.digest, past.since))));
    facts.extend(before);
    page.facts(facts);
    page.blank();
    // Laid out as the artifact is: whoever reads it wants every field, and nothing that is not one.
    page.quote(&serde_json::to_string_pretty(&shown.artifact).unwrap_or_default());
    for (name, text) in &shown.texts {
        page.blank();
        page.heading(*name);
        page.quote(text);
    }
}
