//! `audit`: the verification report of a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::verify_log::Log;
use super::{Caller, OpError, verify};
use crate::engine::Engine;
use crate::journal::StoreError;

/// The arguments of `audit`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditArgs {
    /// The run: its id or a unique prefix.
    pub run_id: String,
    /// Every check with where it failed, not the failed ones alone.
    #[serde(default)]
    pub full: Option<bool>,
}

/// One axis of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Axis {
    /// `integrity`, `authenticity`, `completeness`, `isolation`.
    pub axis: String,
    /// Its value.
    pub value: String,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckRow {
    /// Its code.
    pub code: String,
    /// `pass`, `fail`, `unchecked`, `none`.
    pub status: String,
    /// What and where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The reply of `audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditReply {
    /// The run.
    pub run_id: String,
    /// `verified`, `failed`, `open` (nothing wrong so far, not sealed yet).
    pub verdict: String,
    /// How many entries its journal has.
    pub entries: u64,
    /// The root over them, 64 hex digits.
    pub root: String,
    /// The checkpoint's signed note, once it is sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// The axes.
    pub axes: Vec<Axis>,
    /// How many checks passed.
    pub passed: u64,
    /// The checks that failed; all of them with `full`.
    pub checks: Vec<CheckRow>,
    /// When the bytes of its results were removed to make room; what is verified here was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collected: Option<String>,
    /// What this does not show.
    pub not_shown: Vec<String>,
}

/// What no check of a journal can show.
const NOT_SHOWN: [&str; 4] = [
    "that the work is right",
    "that the host was honest before it wrote",
    "that the holder of a key signed nothing false",
    "which model really ran",
];

impl Engine {
    /// Verifies the evidence of a run: entries, chain, tree, checkpoint, its place in the log, and the story it tells.
    ///
    /// # Errors
    /// For runs that are not there. What is wrong with the evidence is in the reply.
    pub async fn audit(&self, caller: &Caller, args: AuditArgs) -> Result<AuditReply, OpError> {
        let key = self.find_run(caller, &args.run_id, false).await?.key;
        let keys = std::sync::Arc::clone(&self.keys);
        let given = args.run_id;
        let (run, found, checks) = self
            .journal
            .call(move |ledger| {
                // A run is sealed in its row and in the log at once, and so it is looked at.
                ledger.at_one_moment(|ledger| {
                    let run = ledger.summary_at(key)?.ok_or(StoreError::NoRun(given))?;
                    let mut log = Log::new(&keys);
                    log.read(ledger)?;
                    let mut found = verify::run(&run, &ledger.journal_of(key)?, &log, &keys);
                    let mut checks = std::mem::take(&mut found.checks);
                    log.settle(&mut checks);
                    checks.settle(
                        "log-inclusion",
                        "its opening leads to the log's root",
                        log.inclusion(&run.id).into_iter().collect(),
                    );
                    Ok((run, found, checks))
                })
            })
            .await?;
        let verdict = if checks.failed() {
            "failed"
        } else if run.sealed {
            "verified"
        } else {
            "open"
        };
        let axes = verify::axes(&checks, &run, found.story.as_ref());
        let passed = checks.0.iter().filter(|check| check.status == "pass").count() as u64;
        let full = args.full.unwrap_or(false);
        let checks = checks.0.into_iter().filter(|check| full || check.status == "fail").collect();
        Ok(AuditReply {
            run_id: run.id.to_string(),
            verdict: verdict.to_owned(),
            entries: found.entries,
            root: found.root,
            checkpoint: run.checkpoint.map(|note| String::from_utf8_lossy(&note).into_owned()),
            axes,
            passed,
            checks,
            collected: run.collected.map(|at| at.to_string()),
            not_shown: NOT_SHOWN.map(str::to_owned).to_vec(),
        })
    }
}
