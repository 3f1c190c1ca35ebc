//! What each check judged, and what it found.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Code;
use crate::error::Coded;

/// How many failures of one check are told one by one; the last row counts the rest.
const TOLD_MAX: usize = 20;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All that there was to judge holds.
    Pass,
    /// Something does not.
    Fail,
    /// It could not be judged.
    Unchecked,
    /// There was nothing to judge: no tick.
    None,
}

impl Status {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unchecked => "unchecked",
            Self::None => "none",
        }
    }
}

/// One row of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckRow {
    /// The check.
    pub code: &'static str,
    /// How it ended.
    pub status: Status,
    /// Where: entry, item, member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#where: Option<String>,
    /// What was found, or why it could not be judged. Printable ASCII.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Debug, Default)]
struct Found {
    judged: u64,
    failures: Vec<(String, String)>,
    failed: u64,
    untold: Vec<(String, String)>,
}

/// Collects.
#[derive(Debug, Default)]
pub(super) struct Checks {
    found: BTreeMap<Code, Found>,
}

impl Checks {
    /// Something was judged, whatever came of it.
    pub(super) fn judge(&mut self, code: Code, things: u64) {
        self.found.entry(code).or_default().judged += things;
    }

    /// Something is wrong; of a check that only tells what could not be checked, that it could not.
    pub(super) fn fail(&mut self, code: Code, place: impl Into<String>, detail: impl Into<String>) {
        if code.is_untold() {
            self.untold(code, place, detail);
            return;
        }
        let found = self.found.entry(code).or_default();
        found.failed += 1;
        if found.failures.len() < TOLD_MAX {
            found.failures.push((place.into(), printable(&detail.into())));
        }
    }

    /// The same of an error with a code of the list; one with another is a failure of its step's schema.
    pub(super) fn error(&mut self, error: &dyn Coded, place: impl Into<String>) {
        let code = Code::of(error.code()).unwrap_or(Code::BundleSchema);
        self.fail(code, place, error.to_string());
    }

    /// Something could not be judged.
    pub(super) fn untold(&mut self, code: Code, place: impl Into<String>, why: impl Into<String>) {
        let found = self.found.entry(code).or_default();
        if found.untold.len() < TOLD_MAX {
            found.untold.push((place.into(), printable(&why.into())));
        }
    }

    /// None of these could be judged, for one reason.
    pub(super) fn untold_all(&mut self, codes: impl Fn(Code) -> bool, why: &str) {
        for code in Code::ALL.iter().copied().filter(|code| codes(*code) && !code.is_untold()) {
            self.untold(code, "", why);
        }
    }

    /// Judges one thing by what went wrong with it.
    pub(super) fn settle(&mut self, code: Code, place: &str, wrong: Option<String>) {
        self.judge(code, 1);
        if let Some(detail) = wrong {
            self.fail(code, place, detail);
        }
    }

    /// Whether any of these failed.
    pub(super) fn failed(&self, codes: impl Fn(Code) -> bool) -> bool {
        self.found.iter().any(|(code, found)| codes(*code) && found.failed > 0)
    }

    /// Whether any of these could not be judged.
    pub(super) fn is_untold(&self, codes: impl Fn(Code) -> bool) -> bool {
        self.found.iter().any(|(code, found)| codes(*code) && !found.untold.is_empty())
    }

    /// The rows, in the order of the checks.
    pub(super) fn rows(&self) -> Vec<CheckRow> {
        let mut rows = Vec::new();
        for code in Code::ALL.iter().copied() {
            self.rows_of(code, &mut rows);
        }
        rows
    }

    fn rows_of(&self, code: Code, rows: &mut Vec<CheckRow>) {
        let empty = Found::default();
        let found = self.found.get(&code).unwrap_or(&empty);
        let row = |status, place: &str, detail: Option<String>| CheckRow {
            code: code.as_str(),
            status,
            r#where: (!place.is_empty()).then(|| place.to_owned()),
            detail: detail.filter(|detail| !detail.is_empty()),
        };
        rows.extend(found.failures.iter().map(|(place, detail)| row(Status::Fail, place, Some(detail.clone()))));
        let more = found.failed - found.failures.len() as u64;
        if more > 0 {
            rows.push(row(Status::Fail, "", Some(format!("and {more} more"))));
        }
        rows.extend(found.untold.iter().map(|(place, why)| row(Status::Unchecked, place, Some(why.clone()))));
        if found.failed == 0 && found.untold.is_empty() {
            let status = if found.judged > 0 { Status::Pass } else { Status::None };
            let detail = (found.judged > 1).then(|| format!("{} judged", found.judged));
            rows.push(row(status, "", detail));
        }
    }
}

/// Errors repeat some of what hostile bytes say: nothing but printable ASCII of it, and not too much.
fn printable(text: &str) -> String {
    let shown = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    text.chars().take(300).map(shown).collect()
}
