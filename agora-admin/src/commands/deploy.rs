//! `deploy`: bring the registry to what a document says.

use std::path::{Path, PathBuf};

use agora_admin::registry::{DOCUMENT_BYTES_MAX, Document, Mode, Others, Syntax};

use super::changes;
use crate::cli::{Context, input};
use crate::error::{Exit, Failure};

/// The arguments of `deploy`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The document is TOML or JSON with the tables capability.NAME, subagent.NAME, env.NAME, pipeline.NAME.\nAll of it is checked first; then one new version is signed, or nothing changes.\n\nExamples:\n  agora-admin deploy --from agora.deploy.toml --dry-run\n  agora-admin deploy --from agora.deploy.toml\n  ./make-document | agora-admin deploy --from -"
)]
pub(crate) struct Args {
    /// The document; - reads it from standard input, and its paths start from this folder
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Only show what would change: no key is opened, nothing is stored
    #[arg(long)]
    dry_run: bool,
    /// Remove what the document does not name; one without any table is refused
    #[arg(long)]
    prune: bool,
}

/// Deploys a document.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let doing = format!("deploy {}", args.from.display());
    let document = document(&args.from, &doing)?;
    let others = if args.prune { Others::Prune } else { Others::Keep };
    changes::deploy(context, &document, others, mode(args.dry_run), doing).await
}

/// Whether a change is made.
pub(super) fn mode(dry_run: bool) -> Mode {
    if dry_run { Mode::DryRun } else { Mode::Apply }
}

fn document(from: &Path, doing: &str) -> Result<Document, Failure> {
    let read = if from.as_os_str() == "-" {
        let bytes_max = usize::try_from(DOCUMENT_BYTES_MAX).unwrap_or(usize::MAX);
        let bytes = input::read(from, "the document", bytes_max)?;
        Document::parse(&bytes, Syntax::of_bytes(&bytes), Path::new("."))
    } else {
        Document::read(from)
    };
    read.map_err(|problems| Failure::all(doing, problems))
}
