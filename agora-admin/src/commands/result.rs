//! `result`: what came out of a run or an item.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use agora_core::error::{Class, Problem};
use agora_core::id::Digest;
use agora_engine::operations::{Part, ResultArgs, ResultReply};
use clap::ValueEnum;
use serde::Serialize;

use super::rows;
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// Which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Facts, and the agent's last words
    Summary,
    /// The patch in git's format
    Patch,
    /// The files the patch touches
    Files,
    /// An output; --path names it
    Output,
    /// The log
    Log,
    /// The outcome as the worker wrote it
    Manifest,
}

impl Which {
    fn part(self) -> Part {
        match self {
            Self::Summary => Part::Summary,
            Self::Patch => Part::Patch,
            Self::Files => Part::Files,
            Self::Output => Part::Output,
            Self::Log => Part::Log,
            Self::Manifest => Part::Manifest,
        }
    }

    /// Whether it is bytes that can be kept in a file.
    fn is_bytes(self) -> bool {
        match self {
            Self::Summary | Self::Files => false,
            Self::Patch | Self::Output | Self::Log | Self::Manifest => true,
        }
    }
}

/// The arguments of `result`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without ITEM: the run's merged patch, and conflicts. With --out the whole part is written exactly as it\nis kept; without, text is cut to a page and control characters are taken out.\n\nExamples:\n  agora-admin result RUN\n  agora-admin result RUN ITEM --part files\n  agora-admin result RUN --part patch --out - | git apply --check\n  agora-admin result RUN ITEM --part output --path report.json --out report.json"
)]
pub(crate) struct Args {
    /// The run: its id or a unique prefix
    run: String,
    /// The item
    item: Option<String>,
    /// Which part
    #[arg(long, value_enum, default_value = "summary")]
    part: Which,
    /// Which output, as the summary names it
    #[arg(long, value_name = "PATH", required_if_eq("part", "output"))]
    path: Option<String>,
    /// Write the whole part to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// With --out: write over a file that is there
    #[arg(long, requires = "out")]
    force: bool,
    /// From this byte on
    #[arg(long, conflicts_with = "out")]
    offset: Option<u32>,
    /// At most so many bytes, up to 262144
    #[arg(long, conflicts_with = "out", value_parser = clap::value_parser!(u32).range(1..=262_144))]
    limit: Option<u32>,
}

/// What was written to a file.
#[derive(Serialize)]
struct Written {
    file: String,
    digest: String,
    size_bytes: u64,
}

/// Shows what came out.
///
/// # Errors
/// For runs, items and parts that are not there.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let doing = format!("show the result of {}", args.item.as_ref().unwrap_or(&args.run));
    let engine = context.engine().await?;
    let caller = context.caller()?;
    if let Some(file) = &args.out {
        if !args.part.is_bytes() {
            let problem = Problem::new(Class::Caller, "part-not-bytes", "this part is not one file");
            return Err(Failure::one(
                doing,
                problem.hint("give --part patch, output, log or manifest, or --format json"),
            ));
        }
        let (item, path) = (args.item.as_deref(), args.path.as_deref());
        let bytes = engine.part_bytes(&caller, &args.run, item, args.part.part(), path).await.doing(doing)?;
        return keep(context, file, &bytes, args.force);
    }
    let wish = ResultArgs {
        run_id: args.run.clone(),
        item_id: args.item.clone(),
        part: Some(args.part.part()),
        path: args.path,
        offset: args.offset,
        limit: args.limit,
    };
    let reply = engine.result(&caller, wish).await.doing(doing)?;
    context.out.reply(&reply, |page| show(page, &reply, args.part))?;
    Ok(Exit::Done)
}

fn keep(context: &Context, file: &Path, bytes: &[u8], force: bool) -> Result<Exit, Failure> {
    if file.as_os_str() == "-" {
        context.out.write(bytes)?;
        return Ok(Exit::Done);
    }
    write_new(file, bytes, force).map_err(|error| {
        let problem = Problem::new(Class::Caller, "file-unwritable", error.to_string()).at(file.display().to_string());
        let hint = match error.kind() {
            io::ErrorKind::AlreadyExists => "give --force to write over it, or another name",
            _ => "name a file that you may write, or - for standard output",
        };
        Failure::one(format!("write {}", file.display()), problem.hint(hint))
    })?;
    let size_bytes = bytes.len() as u64;
    let written = Written { file: file.display().to_string(), digest: Digest::of(bytes).to_string(), size_bytes };
    context.out.reply(&written, |page| {
        page.line(
            Line::of("wrote").and(&written.file).and(rows::size(size_bytes)).and_style(Style::Dim, &written.digest),
        );
    })?;
    Ok(Exit::Done)
}

fn write_new(file: &Path, bytes: &[u8], force: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o644);
    let mut file =
        if force { options.create(true).truncate(true).open(file)? } else { options.create_new(true).open(file)? };
    file.write_all(bytes)
}

fn show(page: &mut Page, reply: &ResultReply, which: Which) {
    match which {
        Which::Summary => summary(page, reply),
        Which::Files | Which::Patch | Which::Output | Which::Log | Which::Manifest => part(page, reply, which),
    }
}

fn summary(page: &mut Page, reply: &ResultReply) {
    let name = reply.item_id.as_deref().unwrap_or(&reply.run_id);
    page.line(Line::of(Cell::new(name).style(Style::Bold)).and(rows::state(&reply.state)));
    let mut facts: Vec<(&str, Cell)> = Vec::new();
    if let Some(failure) = &reply.failure {
        facts.push(("failure", Cell::new(failure).style(Style::Bad)));
    }
    if let Some(patch) = &reply.patch {
        facts.push(("patch", Cell::new(rows::patch(patch))));
        facts.push(("", Cell::new(&patch.digest).style(Style::Dim)));
    }
    if let Some(verify) = &reply.verify {
        let (word, style) = if verify.passed { ("passed", Style::Good) } else { ("failed", Style::Bad) };
        facts.push(("verify", Cell::new(word).style(style)));
    }
    if let Some(isolation) = &reply.isolation {
        facts.push(("isolation", Cell::new(isolation)));
    }
    if let Some(at) = &reply.collected {
        facts.push(("collected", Cell::new(format!("{}: the bytes are gone", rows::when(at)))));
    }
    page.facts(facts);
    for (what, names) in [
        ("files", &reply.files),
        ("outputs", &reply.outputs),
        ("left out", &reply.left_out),
        ("these patches do not apply together", &reply.conflicts),
    ] {
        if let Some(names) = names {
            rows::untrusted(page, what, names);
        }
    }
    for part in &reply.unreadable {
        page.line(Line::of(Cell::new("cannot be read:").style(Style::Bad)).and(part));
    }
    if let Some(detail) = &reply.failure_detail {
        rows::untrusted(page, "why", detail);
    }
    if let Some(report) = reply.verify.as_ref().and_then(|verify| verify.report.as_ref()) {
        rows::untrusted(page, "verify printed", report);
    }
    if let Some(words) = reply.claims.as_ref().and_then(|claims| claims.summary.as_ref()) {
        rows::untrusted(page, "the agent claims", words);
    }
    if reply.collected.is_some() {
        page.next(format!("agora-admin audit {}", reply.run_id));
    } else if reply.patch.is_some() {
        let item = reply.item_id.as_ref().map(|item| format!(" {item}")).unwrap_or_default();
        page.next(format!("agora-admin apply {}{item}", reply.run_id));
    }
}

fn part(page: &mut Page, reply: &ResultReply, which: Which) {
    let Some(part) = &reply.page else {
        page.line("there is nothing");
        return;
    };
    page.quote(&part.content.text);
    if let Some(next) = part.next_offset {
        page.line(Line::of(
            Cell::new(format!("{} of {}", rows::size(next), rows::size(part.total_bytes))).style(Style::Dim),
        ));
        let all = if which.is_bytes() { ", --out FILE for all of it" } else { "" };
        page.next(format!("--offset {next} for the next page{all}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_kept_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.patch");
        write_new(&file, b"one", false).unwrap();
        assert_eq!(write_new(&file, b"two", false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&file).unwrap(), b"one");
        write_new(&file, b"2", true).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"2");
    }
}
