//! `verify`: the auditor's checks of a bundle, by the same code as `agora-verify`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use agora_core::audit::verify::{Evidence, FETCHED_BYTES_MAX, Report, Requirement, SPEC, Verdict, Verifier, verify};
use agora_core::limits::{BUNDLE_BYTES_MAX, POLICY_BYTES_MAX};

use serde::Serialize;

use super::page;
use crate::cli::Context;
use crate::error::{Exit, Failure};
use crate::output::{Line, Page};

/// The arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 verified, 1 a check failed, 2 could not check all that was asked for\n\nExamples:\n  agora-admin verify bundle.json --policy trust.toml --require key-pinned --require whole-run"
)]
pub(crate) struct Args {
    /// The bundle, as `agora-admin audit RUN --out FILE` wrote it
    bundle: PathBuf,
    /// The trust policy, which you have by another way than the bundle
    #[arg(long, value_name = "TRUST.TOML")]
    policy: Option<PathBuf>,
    /// What you require: a value of an axis, met by it and by stronger ones; may be given several times
    #[arg(long, value_name = "VALUE", value_parser = Requirement::parse)]
    require: Vec<Requirement>,
    /// What a live check of an anchor fetched
    #[arg(long, value_name = "FETCHED.JSON")]
    anchor: Option<PathBuf>,
    /// Write a page for people: one HTML file without scripts. With a bundle of `--artifacts` it shows the patches
    #[arg(long, value_name = "PAGE.HTML")]
    html: Option<PathBuf>,
}

/// What a bundle is verified with.
pub(crate) struct Trust<'a> {
    /// The trust policy.
    pub(crate) policy: Option<&'a Path>,
    /// What is required beside it.
    pub(crate) require: &'a [Requirement],
    /// What a live check of an anchor fetched.
    pub(crate) anchor: Option<&'a Path>,
}

impl Trust<'_> {
    /// The verdict on a bundle. What could not be read is in it.
    pub(crate) fn judge(&self, bundle: Result<&[u8], String>) -> Report {
        let policy = self.policy.map(|path| {
            read(path, POLICY_BYTES_MAX as u64)
                .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()))
        });
        let fetched = self.anchor.map(|path| read(path, FETCHED_BYTES_MAX));
        let evidence = Evidence {
            bundle,
            policy: policy.as_ref().map(|policy| policy.as_deref().map_err(Clone::clone)),
            require: self.require,
            fetched: fetched.as_ref().map(|fetched| fetched.as_deref().map_err(Clone::clone)),
        };
        let verifier = Verifier { version: env!("CARGO_PKG_VERSION").to_owned(), spec: SPEC.to_owned(), binary: None };
        verify(&evidence, verifier)
    }
}

#[derive(Serialize)]
struct Reply {
    #[serde(flatten)]
    report: Report,
    /// The page.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<page::Made>,
}

/// Verifies a bundle. Needs no home.
///
/// # Errors
/// When the report cannot be printed, or the page not be written; what is wrong with the bundle is in the report.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let bundle = read(&args.bundle, BUNDLE_BYTES_MAX);
    let trust = Trust { policy: args.policy.as_deref(), require: &args.require, anchor: args.anchor.as_deref() };
    let bytes = bundle.as_deref().map_err(Clone::clone);
    let report = trust.judge(bytes.clone());
    let page = match &args.html {
        Some(file) => Some(page::bundled(bytes.unwrap_or_default(), &report, file, args.policy.as_deref())?),
        None => None,
    };
    let reply = Reply { report, page };
    context.out.reply(&reply, |text| {
        show(text, &reply.report);
        reply.page.iter().for_each(|page| page.show(text));
    })?;
    Ok(exit(reply.report.verdict))
}

/// The exit code of a verdict.
pub(crate) fn exit(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Verified => Exit::Done,
        Verdict::Failed => Exit::Failed,
        Verdict::CouldNotCheck => Exit::Untold,
    }
}

fn show(page: &mut Page, report: &Report) {
    report.to_string().lines().for_each(|line| page.line(Line::of(line)));
}

/// Reads a file; one that is longer than may be says so rather than fill the memory.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
