//! What an auditor is told, and what no check can show.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::axes::Axis;
use super::checks::{CheckRow, Status};
use crate::id::{Digest, RunId};

/// The format of a report.
pub const REPORT_FORMAT: &str = "agora-report/v1";
/// The version of the rules, which is that of the bundle.
pub const SPEC: &str = "agora-audit/v1";

/// What no bundle can show. Every report says so.
pub const NOT_SHOWN: [&str; 5] = [
    "that the work is right",
    "that the host was honest before it wrote",
    "that the holder of a key signed nothing false",
    "which model really ran",
    "what deleted bytes said",
];

/// Who verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verifier {
    /// Its version.
    pub version: String,
    /// [`SPEC`].
    pub spec: String,
    /// The digest of the program, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<Digest>,
}

/// The verdict, which is the exit code too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Every check that was made holds, and every requirement is met.
    #[serde(rename = "verified")]
    Verified,
    /// A check failed.
    #[serde(rename = "failed")]
    Failed,
    /// Nothing failed, and not all that was asked for could be checked.
    #[serde(rename = "could-not-check")]
    CouldNotCheck,
}

impl Verdict {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::CouldNotCheck => "could-not-check",
        }
    }

    /// The exit code of a program that says it.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Failed => 1,
            Self::CouldNotCheck => 2,
        }
    }
}

/// The report of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// [`REPORT_FORMAT`].
    pub format: &'static str,
    /// Who verified.
    pub verifier: Verifier,
    /// The digest of the bundle's bytes, where they could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// The log's origin, as the bundle says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The run, as the bundle says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Axis to value.
    pub axes: BTreeMap<&'static str, &'static str>,
    /// What was required.
    pub required: Vec<&'static str>,
    /// The checks, in order.
    pub checks: Vec<CheckRow>,
    /// Runs that were opened in the log and never sealed, where all of it is at hand.
    pub unsealed: Vec<RunId>,
    /// What a reader should know besides.
    pub notes: Vec<String>,
    /// What this cannot show.
    pub not_shown: [&'static str; 5],
    /// The verdict.
    pub verdict: Verdict,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.verdict.as_str())?;
        for (what, value) in [
            ("run", self.run.as_ref().map(ToString::to_string)),
            ("log", self.origin.clone()),
            ("bundle", self.bundle.map(|d| d.to_string())),
        ] {
            if let Some(value) = value {
                writeln!(f, "  {what:<14} {value}")?;
            }
        }
        if !self.axes.is_empty() {
            writeln!(f)?;
        }
        for axis in Axis::ALL {
            let Some(value) = self.axes.get(axis.as_str()) else { continue };
            writeln!(f, "  {:<14} {value}", axis.as_str())?;
        }
        if !self.required.is_empty() {
            writeln!(f, "  {:<14} {}", "required", self.required.join(", "))?;
        }
        self.checks(f)?;
        if !self.unsealed.is_empty() {
            writeln!(f, "\nopened and never sealed")?;
            self.unsealed.iter().try_for_each(|run| writeln!(f, "  {run}"))?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nnotes")?;
            self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        }
        writeln!(f, "\nthis does not show")?;
        self.not_shown.iter().try_for_each(|what| writeln!(f, "  {what}"))
    }
}

impl Report {
    /// The report as JSON, for programs; ended by an LF.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Nothing in it can fail to be written: names are texts, and no map has other keys.
        serde_json::to_string_pretty(self).map_or_else(|_| String::new(), |text| text + "\n")
    }

    fn checks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |status| self.checks.iter().filter(move |row| row.status == status);
        let (passed, nothing) = (of(Status::Pass).count(), of(Status::None).count());
        writeln!(f, "\nchecks: {passed} passed, {nothing} had nothing to judge")?;
        for row in of(Status::Fail).chain(of(Status::Unchecked)) {
            let place = row.r#where.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
            let detail = row.detail.as_deref().unwrap_or_default();
            writeln!(f, "  {:<9} {:<22} {place}{detail}", row.status.as_str(), row.code)?;
        }
        Ok(())
    }
}
