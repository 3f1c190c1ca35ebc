//! `audit`: the verification report of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use agora_core::audit::verify::{Axis, Evidence, NOT_SHOWN, NOTHING, SPEC, Verdict, Verifier, verify as verify_bundle};
use agora_core::error::{Class, Problem};
use agora_core::id::RunId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accept::internal;
use super::export::ExportArgs;
use super::verify::Found;
use super::verify_log::Log;
use super::{Caller, OpError, verify};
use crate::engine::Engine;
use crate::journal::{Ledger, RunSummary, StoreError};

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
pub struct AxisRow {
    /// `integrity`, `authenticity`, `tamper`, `completeness`, `time`, `isolation`, `credentials`, `authorisation`.
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
    pub axes: Vec<AxisRow>,
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

/// The checks that were made, by row, and what they come to.
struct Judged {
    axes: BTreeMap<&'static str, &'static str>,
    checks: Vec<CheckRow>,
    failed: bool,
}

impl Engine {
    /// Verifies the evidence of a run: first what only the store can tell, its bytes against what is kept beside them; then
    /// its bundle, by the auditor's own checks, with the keys that it brings.
    ///
    /// # Errors
    /// For runs that are not there, and what may pass (`later`). What is wrong with the evidence is in the reply.
    pub async fn audit(&self, caller: &Caller, args: AuditArgs) -> Result<AuditReply, OpError> {
        let (run, found) = self.look_at_run(caller, args.run_id).await?;
        let of_store = found.checks;
        let judged = if of_store.failed() { Judged::broken() } else { self.judge(caller, &run.id).await? };
        let failed = of_store.failed() || judged.failed;
        let verdict = match (failed, run.sealed) {
            (true, _) => "failed",
            (false, true) => "verified",
            (false, false) => "open",
        };
        let checks: Vec<CheckRow> = of_store.0.into_iter().chain(judged.checks).collect();
        let axes = Axis::ALL.into_iter().filter_map(|axis| {
            let value = (*judged.axes.get(axis.as_str())?).to_owned();
            Some(AxisRow { axis: axis.as_str().to_owned(), value })
        });
        let full = args.full.unwrap_or(false);
        Ok(AuditReply {
            run_id: run.id.to_string(),
            verdict: verdict.to_owned(),
            entries: found.entries,
            root: found.root,
            checkpoint: run.checkpoint.map(|note| String::from_utf8_lossy(&note).into_owned()),
            axes: axes.collect(),
            passed: checks.iter().filter(|check| check.status == "pass").count() as u64,
            checks: checks.into_iter().filter(|check| full || check.status == "fail").collect(),
            collected: run.collected.map(|at| at.to_string()),
            not_shown: NOT_SHOWN.map(str::to_owned).to_vec(),
        })
    }

    async fn look_at_run(&self, caller: &Caller, given: String) -> Result<(RunSummary, Found), OpError> {
        let key = self.find_run(caller, &given, false).await?.key;
        let keys = Arc::clone(&self.keys);
        let look = move |ledger: &mut Ledger| {
            // A run is sealed in its row and in the log at once, and so it is looked at.
            ledger.at_one_moment(|ledger| {
                let run = ledger.summary_at(key)?.ok_or(StoreError::NoRun(given))?;
                let mut log = Log::new(&keys);
                log.read(ledger)?;
                let mut found = verify::run(&run, &ledger.journal_of(key)?, &log, &keys);
                log.settle(&mut found.checks);
                Ok((run, found))
            })
        };
        Ok(self.journal.call(look).await?)
    }

    /// Verifies the bundle that the run has now.
    async fn judge(&self, caller: &Caller, run: &RunId) -> Result<Judged, OpError> {
        let wish = ExportArgs { run_id: run.to_string(), whole_log: true, ..ExportArgs::default() };
        let bytes = match self.export_run(caller, wish).await {
            Ok(bytes) => bytes,
            Err(error) if error.first().class == Class::Later => return Err(error),
            Err(error) => return Ok(Judged::without_bundle(&error.first())),
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let judge = move || {
            let evidence = Evidence { bundle: Ok(&bytes), policy: None, require: &[], fetched: None };
            verify_bundle(&evidence, Verifier { version, spec: SPEC.to_owned(), binary: None })
        };
        let report = tokio::task::spawn_blocking(judge).await.map_err(|error| internal(&error))?;
        let checks = report.checks.into_iter().map(|row| CheckRow {
            code: row.code.to_owned(),
            status: row.status.as_str().to_owned(),
            detail: match (row.r#where, row.detail) {
                (Some(place), Some(detail)) => Some(format!("{place}: {detail}")),
                (place, detail) => place.or(detail),
            },
        });
        Ok(Judged { axes: report.axes, checks: checks.collect(), failed: report.verdict == Verdict::Failed })
    }
}

impl Judged {
    /// Of what was changed after it was written, nothing else can be said.
    fn broken() -> Self {
        let value = |axis: &Axis| if *axis == Axis::Integrity { "broken" } else { NOTHING };
        let axes = Axis::ALL.iter().map(|axis| (axis.as_str(), value(axis))).collect();
        Self { axes, checks: Vec::new(), failed: true }
    }

    fn without_bundle(problem: &Problem) -> Self {
        let detail = Some(format!("there is no bundle of it: {}", problem.message));
        let check = CheckRow { code: problem.code.clone(), status: "fail".to_owned(), detail };
        Self { checks: vec![check], ..Self::broken() }
    }
}
