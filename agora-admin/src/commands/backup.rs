//! `backup`: the home in one file.

use std::path::PathBuf;

use agora_admin::backup::{Made, Secrets, write};
use serde::Serialize;

use super::rows;
use crate::cli::{Context, now};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Style};

/// The arguments of `backup`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Programs may go on meanwhile. The file has mode 0600, and nothing is written over. It holds the private keys, so whoever has it can sign in this home's name: --without-keys leaves them out, and then keys/ has to be kept another way.\n\nExit codes: 0 it was made, 1 it was made without blobs whose bytes are damaged\n\nExamples:\n  agora-admin backup /mnt/backups/agora-2026-11-21.tar\n  agora-admin --home /srv/agora backup agora.tar --without-keys"
)]
pub(crate) struct Args {
    /// The new file
    file: PathBuf,
    /// Leave the private keys out
    #[arg(long)]
    without_keys: bool,
}

#[derive(Serialize)]
struct Reply {
    file: String,
    size_bytes: u64,
    blobs: u64,
    blob_bytes: u64,
    /// Whether the private keys are in it.
    keys: bool,
    /// Digests of blobs that were left out.
    damaged: Vec<String>,
}

/// Makes a backup.
///
/// # Errors
/// Why none was made.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let doing = format!("make the backup {}", args.file.display());
    let engine = context.engine().await?;
    let secrets = if args.without_keys { Secrets::LeaveOut } else { Secrets::Include };
    let Made { size_bytes, blobs, blob_bytes, damaged } =
        write(&engine, &args.file, secrets, now()).await.doing(doing)?;
    let damaged: Vec<String> = damaged.iter().map(ToString::to_string).collect();
    let file = args.file.display().to_string();
    let reply = Reply { file, size_bytes, blobs, blob_bytes, keys: !args.without_keys, damaged };
    context.out.reply(&reply, |page| {
        page.line(
            Line::of("backup")
                .and_style(Style::Bold, &reply.file)
                .and(rows::size(reply.size_bytes))
                .and(rows::count(reply.blobs, "blob"))
                .and_style(Style::Warn, if reply.keys { "holds the private keys" } else { "without the private keys" }),
        );
        for digest in &reply.damaged {
            page.line(Line::of(Cell::new("left out").style(Style::Bad)).and(digest).and("its bytes are damaged"));
        }
        page.next(format!("agora-admin --home NEW restore {}", reply.file));
    })?;
    Ok(if reply.damaged.is_empty() { Exit::Done } else { Exit::Failed })
}
