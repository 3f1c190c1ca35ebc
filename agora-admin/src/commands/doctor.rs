//! `doctor`: every check a line, with the remedy.

use serde::Serialize;

use crate::cli::Context;
use crate::doctor::{self, Check, Status};
use crate::error::{Exit, Failure};
use crate::output::{Line, Style};

/// The arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is changed and no model is called. Exit codes: 0 nothing failed, 1 a check failed, 2 one could not be made\n\nExamples:\n  agora-admin doctor\n  agora-admin --format json doctor --deep"
)]
pub(crate) struct Args {
    /// Read every accepted artifact again and compare its digest
    #[arg(long)]
    deep: bool,
}

#[derive(Serialize)]
struct Reply {
    /// The worst of them.
    status: Status,
    checks: Vec<Check>,
}

/// Makes all checks.
///
/// # Errors
/// When standard output is gone: what is wrong is an answer here, not an error.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let checks = doctor::all(context, args.deep).await;
    let status = checks.iter().map(Check::status).max().unwrap_or(Status::Ok);
    let reply = Reply { status, checks };
    context.out.reply(&reply, |page| {
        doctor::show(page, &reply.checks);
        let count = |status: Status| reply.checks.iter().filter(|check| check.status() == status).count();
        let summary = Status::ALL.map(|status| format!("{} {}", count(status), status.word())).join(", ");
        page.blank();
        page.line(Line::of("home").and_style(Style::Bold, context.home.display().to_string()).and(summary));
    })?;
    Ok(match status {
        Status::Ok | Status::Warn => Exit::Done,
        Status::Unknown => Exit::Untold,
        Status::Fail => Exit::Failed,
    })
}
