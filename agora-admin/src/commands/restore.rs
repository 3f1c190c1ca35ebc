//! `restore`: a home of a backup.

use std::path::PathBuf;

use agora_admin::backup::{Restored, restore};
use serde::Serialize;

use super::rows;
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Line, Style};

/// The arguments of `restore`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The home must be empty or not there. All of the file is checked before anything has the home's name. Two homes that go on from one backup would sign two histories in one name: let only one of them run\n\nExamples:\n  agora-admin --home /srv/agora restore /mnt/backups/agora-2026-11-21.tar"
)]
pub(crate) struct Args {
    /// What `backup` made
    file: PathBuf,
}

#[derive(Serialize)]
struct Reply {
    home: String,
    origin: String,
    made: String,
    agora: String,
    keys: bool,
    blobs: u64,
}

/// Restores a home.
///
/// # Errors
/// Why there is none.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let doing = format!("restore {} into {}", args.file.display(), context.home.display());
    let Restored { made, agora, origin, keys, blobs } = restore(&args.file, &context.home).doing(doing)?;
    let reply = Reply { home: context.home.display().to_string(), origin, made, agora, keys, blobs };
    context.out.reply(&reply, |page| {
        page.line(
            Line::of("home")
                .and_style(Style::Bold, &reply.home)
                .and(format!("is as it was at {}", rows::when(&reply.made)))
                .and(rows::count(reply.blobs, "blob"))
                .and_style(Style::Dim, format!("log {}", reply.origin)),
        );
        if !reply.keys {
            page.line(Line::of("the private keys are not in this backup: put keys/ of the old home into it").indent(5));
        }
        page.line(Line::of("the home it was made of must not run any more").indent(5));
        page.next("agora-admin doctor --deep");
    })?;
    Ok(Exit::Done)
}
