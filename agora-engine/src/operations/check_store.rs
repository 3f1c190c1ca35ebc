//! The store as a whole, for `doctor`: nothing is changed.

use agora_core::error::Coded as _;
use agora_core::state::ItemStatus;
use serde::Serialize;

use super::OpError;
use super::verify;
use crate::engine::Engine;
use crate::journal::{Ledger, RunSummary, StoreError};

/// How many runs are looked at in one go.
const PAGE: u64 = 200;
/// How many findings are listed.
const FOUND_MAX: usize = 50;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Fine.
    Ok,
    /// Not as it should be, and nothing is lost.
    Warn,
    /// A promise is broken.
    Fail,
    /// It could not be found out.
    Unknown,
}

/// One finding about the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreCheck {
    /// `store-integrity`, `run-journal`, `run-projection`, `artifact-bytes`.
    pub code: &'static str,
    /// The run it is about; none: the store as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// How it went.
    pub status: CheckStatus,
    /// What was looked at, or what is wrong.
    pub detail: String,
    /// The remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl StoreCheck {
    fn ok(code: &'static str, detail: String) -> Self {
        Self { code, run_id: None, status: CheckStatus::Ok, detail, hint: None }
    }

    fn fail(code: &'static str, run: Option<&RunSummary>, detail: String) -> Self {
        let hint = Some("keep a copy of the home, and restore the last backup".to_owned());
        Self { code, run_id: run.map(|run| run.id.to_string()), status: CheckStatus::Fail, detail, hint }
    }
}

impl Engine {
    /// Looks at the whole store: SQLite's own check, chain, tree, checkpoint and story of every run (I6, I8), that the
    /// projections agree with a replay, and that the bytes of accepted artifacts exist (I5; `deep`: and match).
    ///
    /// # Errors
    /// When the store does not answer at all.
    pub async fn check_store(&self, deep: bool) -> Result<Vec<StoreCheck>, OpError> {
        let mut rows = Vec::new();
        match self.journal.call(|ledger| ledger.integrity()).await {
            Ok(()) => rows.push(StoreCheck::ok("store-integrity", "SQLite finds nothing wrong".to_owned())),
            Err(error) => rows.push(StoreCheck::fail("store-integrity", None, error.to_string())),
        }
        let (mut before, mut runs, mut entries, mut artifacts) = (None, 0_u64, 0_u64, 0_u64);
        loop {
            let page = self.journal.call(move |ledger| ledger.list(None, None, before, PAGE)).await?;
            let Some(last) = page.last() else { break };
            before = Some(last.key);
            for run in page {
                runs += 1;
                entries += run.entries;
                rows.extend(self.check_run(&run).await?);
                artifacts += self.check_artifacts(&run, deep, &mut rows).await?;
                if rows.len() > FOUND_MAX {
                    return Ok(rows);
                }
            }
        }
        rows.push(StoreCheck::ok("run-journal", format!("{runs} runs, {entries} entries looked at")));
        rows.push(StoreCheck::ok("artifact-bytes", format!("{artifacts} accepted artifacts looked at")));
        Ok(rows)
    }

    async fn check_run(&self, run: &RunSummary) -> Result<Vec<StoreCheck>, OpError> {
        let keys = std::sync::Arc::clone(&self.keys);
        let run = run.clone();
        let rows = move |ledger: &mut Ledger| {
            let mut rows = Vec::new();
            let journal = ledger.journal_of(run.key)?;
            let log = ledger.log_entries()?;
            let found = verify::run(&run, &journal, &log, &keys);
            for check in found.checks.iter().filter(|check| check.status == "fail") {
                let detail = format!("{}: {}", check.code, check.detail.clone().unwrap_or_default());
                rows.push(StoreCheck::fail("run-journal", Some(&run), detail));
            }
            if let Err(error) = compare(ledger, &run) {
                rows.push(StoreCheck::fail("run-projection", Some(&run), format!("{}: {error}", error.code())));
            }
            Ok(rows)
        };
        Ok(self.journal.call(rows).await?)
    }

    async fn check_artifacts(&self, run: &RunSummary, deep: bool, rows: &mut Vec<StoreCheck>) -> Result<u64, OpError> {
        let digests = self
            .with_run(&run.id, |ledger, id| {
                let items = ledger.board_ref().run(id).map(|run| run.items.as_slice()).unwrap_or_default();
                let accepted = items.iter().filter_map(|item| item.accepted.as_ref());
                let of = |a: &agora_core::state::Accepted| {
                    a.patch
                        .iter()
                        .map(|patch| patch.digest)
                        .chain(a.outputs.iter().map(|o| o.digest))
                        .collect::<Vec<_>>()
                };
                Ok(accepted.flat_map(of).collect::<Vec<_>>())
            })
            .await?;
        for digest in &digests {
            let found = match deep {
                true => self.blobs.get(digest).await.map(|_| true),
                false => self.blobs.has(digest).await,
            };
            match found {
                Ok(true) => {}
                Ok(false) => {
                    rows.push(StoreCheck::fail("artifact-bytes", Some(run), format!("{digest} is missing (I5)")))
                }
                Err(error) => rows.push(StoreCheck::fail("artifact-bytes", Some(run), error.to_string())),
            }
        }
        Ok(digests.len() as u64)
    }
}

/// Compares the projection of a run with a replay.
fn compare(ledger: &mut Ledger, row: &RunSummary) -> Result<(), StoreError> {
    ledger.catch_up()?;
    ledger.load(&row.id)?;
    let projected = ledger.projected(row.key)?;
    let run = ledger.board_ref().run(&row.id).ok_or_else(|| StoreError::NoRun(row.id.to_string()))?;
    let replayed: Vec<_> =
        run.items.iter().map(|item| (item.id.to_string(), item.status.as_str().to_owned(), item.attempts)).collect();
    let same =
        projected == replayed && (!run.is_over() || run.items.iter().all(|item| item.status != ItemStatus::Running));
    ledger.release(&row.id);
    if same {
        Ok(())
    } else {
        Err(StoreError::Corrupt(format!("the items of {} are not what a replay gives (I6)", row.id)))
    }
}
