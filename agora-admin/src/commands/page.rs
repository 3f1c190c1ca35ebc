//! Writing the page of a run into a file.

use std::path::Path;

use agora_core::audit::bundle::Bundle;
use agora_core::audit::policy::Policy;
use agora_core::audit::verify::{Report, Requirement};
use agora_core::id::Digest;
use agora_core::limits::POLICY_BYTES_MAX;
use agora_core::record::Entry;
use agora_engine::operations::ExportArgs;
use serde::Serialize;

use super::bundle;
use super::verify::{Trust, read};
use crate::cli::Context;
use crate::error::Failure;
use crate::html::{Page, Recheck, Run, Texts};
use crate::output::{self, Line};

/// A page that was written.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    file: String,
    digest: Digest,
    size_bytes: u64,
    /// The verdict that it shows.
    verdict: &'static str,
    /// The bundle that it was made of.
    bundle: Digest,
}

impl Made {
    /// Shows where it is, and what it says.
    pub(crate) fn show(&self, page: &mut output::Page) {
        page.blank();
        page.heading("page");
        page.line(Line::of(&self.file).indent(2));
        page.line(Line::of("it says").and(self.verdict).and("of the bundle").and(self.bundle.to_string()).indent(2));
    }
}

/// What a page is made with, beside the bundle.
pub(crate) struct Wish<'a> {
    /// The file.
    pub(crate) file: &'a Path,
    /// The trust policy.
    pub(crate) policy: Option<&'a Path>,
    /// What is required.
    pub(crate) require: &'a [Requirement],
}

/// The sizes of the log that a policy has seen: a bundle has to prove that the log continues them. A policy that cannot be read
/// has seen none; the verdict says so.
pub(crate) fn seen(policy: Option<&Path>) -> Vec<u64> {
    let text = policy.and_then(|path| String::from_utf8(read(path, POLICY_BYTES_MAX as u64).ok()?).ok());
    let policy = text.and_then(|text| Policy::parse(&text).ok());
    policy.into_iter().flat_map(|policy| policy.seen).map(|seen| seen.size).collect()
}

/// Writes the page of a bundle that was exported as this was asked for, with the texts of this home.
///
/// # Errors
/// `file-unwritable`; as the blobs say when they cannot be opened.
pub(crate) async fn stored(
    context: &Context,
    bundle: &[u8],
    asked: &ExportArgs,
    wish: &Wish<'_>,
) -> Result<(Made, Report), Failure> {
    let trust = Trust { policy: wish.policy, require: wish.require, anchor: None };
    let report = trust.judge(Ok(bundle));
    let blobs = context.blobs()?;
    let read = Read::of(bundle);
    let run = Run::of(&read.entries);
    let texts = Texts::stored(&run, blobs.as_ref()).await;
    let recheck = Recheck { policy: wish.policy.and_then(digest), export: Some(command(&report, asked)) };
    let made = read.write(wish.file, &run, &report, &texts, &recheck)?;
    Ok((made, report))
}

/// Writes the page of a bundle from elsewhere, with the texts that are in it.
///
/// # Errors
/// `file-unwritable`.
pub(crate) fn bundled(bundle: &[u8], report: &Report, file: &Path, policy: Option<&Path>) -> Result<Made, Failure> {
    let read = Read::of(bundle);
    let run = Run::of(&read.entries);
    let texts = match &read.bundle {
        Some(Bundle::Run(bundle)) => Texts::bundled(&run, &bundle.artifacts),
        Some(Bundle::Log(_)) | None => Texts::default(),
    };
    read.write(file, &run, report, &texts, &Recheck { policy: policy.and_then(digest), export: None })
}

/// The digest of a policy, where it can be read.
fn digest(policy: &Path) -> Option<Digest> {
    read(policy, POLICY_BYTES_MAX as u64).ok().map(|bytes| Digest::of(&bytes))
}

/// A bundle as far as it can be read, and its entries.
struct Read {
    digest: Digest,
    bundle: Option<Bundle>,
    entries: Vec<Entry>,
    unread: usize,
}

impl Read {
    fn of(bytes: &[u8]) -> Self {
        let bundle = Bundle::parse(bytes).ok();
        let texts = match &bundle {
            Some(Bundle::Run(bundle)) => bundle.entries.as_slice(),
            Some(Bundle::Log(_)) | None => &[],
        };
        let entries: Vec<Entry> = texts.iter().filter_map(|entry| Entry::from_bytes(entry.as_bytes()).ok()).collect();
        let unread = texts.len() - entries.len();
        Self { digest: Digest::of(bytes), entries, unread, bundle }
    }

    fn write(
        &self,
        file: &Path,
        run: &Run<'_>,
        report: &Report,
        texts: &Texts,
        recheck: &Recheck,
    ) -> Result<Made, Failure> {
        let page = Page { report, bundle: self.bundle.as_ref(), run, unread: self.unread, texts, recheck };
        let html = page.write();
        bundle::create(file, html.as_bytes())?;
        Ok(Made {
            file: file.display().to_string(),
            digest: Digest::of(html.as_bytes()),
            size_bytes: html.len() as u64,
            verdict: report.verdict.as_str(),
            bundle: self.digest,
        })
    }
}

/// The command that writes the same bundle.
fn command(report: &Report, asked: &ExportArgs) -> String {
    let run = report.run.as_ref().map_or("RUN", |run| run.as_str());
    let mut text = format!("agora-admin audit {run} --out bundle.json");
    text.push_str(if asked.whole_log { " --log" } else { "" });
    asked.since.iter().for_each(|size| text.push_str(&format!(" --since {size}")));
    text.push_str(if asked.artifacts { " --artifacts" } else { "" });
    text
}
