//! The store as a whole, for `doctor`: nothing is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agora_core::error::Coded as _;
use agora_core::id::{Digest, RunId};
use agora_core::record::{Entry, GrowthCause, Record};
use agora_core::state::{ItemState, RunState};
use agora_core::time::Time;
use serde::Serialize;

use super::OpError;
use super::verify::{self, Checks};
use super::verify_log::Log;
use crate::engine::Engine;
use crate::journal::{Ledger, Projected, RunSummary, StoreError, Stored, read_grown};
use crate::keys::Keys;

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
    /// `store-integrity`, `run-log`, `run-journal`, `run-projection`, `artifact-bytes`.
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

    fn fail(code: &'static str, run: Option<&RunId>, detail: String) -> Self {
        let hint = Some("keep a copy of the home, and restore the last backup".to_owned());
        Self { code, run_id: run.map(ToString::to_string), status: CheckStatus::Fail, detail, hint }
    }

    /// A check that the store did not let be made. Damage is a finding; a store that is busy may answer later.
    fn error(code: &'static str, run: Option<&RunId>, error: &StoreError) -> Self {
        let status = match error {
            StoreError::Busy | StoreError::Full => CheckStatus::Unknown,
            _ => CheckStatus::Fail,
        };
        let run_id = run.map(ToString::to_string);
        Self { code, run_id, status, detail: format!("{}: {error}", error.code()), hint: error.hint() }
    }

    /// The checks that failed.
    fn failed(code: &'static str, run: Option<&RunId>, checks: Checks) -> impl Iterator<Item = Self> {
        let run = run.cloned();
        checks.0.into_iter().filter(|check| check.status == "fail").map(move |check| {
            Self::fail(code, run.as_ref(), format!("{}: {}", check.code, check.detail.unwrap_or_default()))
        })
    }
}

/// What looking at one run gave.
#[derive(Default)]
struct Looked {
    rows: Vec<StoreCheck>,
    id: Option<RunId>,
    entries: u64,
    /// Patches and outputs that were accepted, and what every attempt reported, logged and found in its own check.
    artifacts: BTreeSet<Digest>,
}

impl Engine {
    /// Looks at the whole store: SQLite's own check, chain, tree, checkpoint and story of every run (I6, I8), that every
    /// run of the log is there, that the projections agree with a replay, and that the bytes of accepted artifacts, logs
    /// and reports exist (I5; `deep`: and match). What is damaged is a row of the answer, and the rest is looked at all the
    /// same.
    ///
    /// # Errors
    /// When the store does not answer at all.
    pub async fn check_store(&self, deep: bool) -> Result<Vec<StoreCheck>, OpError> {
        let mut rows = Vec::new();
        match self.journal.call(|ledger| ledger.integrity()).await {
            Ok(()) => rows.push(StoreCheck::ok("store-integrity", "SQLite finds nothing wrong".to_owned())),
            Err(error) => rows.push(StoreCheck::fail("store-integrity", None, error.to_string())),
        }
        let mut log = Log::new(&self.keys);
        let (mut runs, mut entries, mut artifacts) = (0_u64, 0_u64, 0_u64);
        for key in self.journal.call(|ledger| ledger.run_keys()).await? {
            let (back, looked) = self.look_at(key, log).await?;
            log = back;
            runs += 1;
            entries += looked.entries;
            artifacts += looked.artifacts.len() as u64;
            rows.extend(looked.rows);
            if let Some(id) = looked.id {
                self.check_artifacts(&id, &looked.artifacts, deep, &mut rows).await;
            }
            if rows.len() > FOUND_MAX {
                let detail =
                    format!("more than {FOUND_MAX} findings: what comes after the first {runs} runs was not looked at");
                rows.push(StoreCheck { status: CheckStatus::Unknown, ..StoreCheck::fail("run-journal", None, detail) });
                return Ok(rows);
            }
        }
        rows.push(StoreCheck::ok("run-journal", format!("{runs} runs, {entries} entries looked at")));
        rows.push(StoreCheck::ok("artifact-bytes", format!("{artifacts} artifacts, logs and reports looked at")));
        rows.extend(self.check_log(log).await?);
        Ok(rows)
    }

    /// Looks at one run, and hands the log back with what was appended to it meanwhile.
    async fn look_at(&self, key: i64, mut log: Log) -> Result<(Log, Looked), OpError> {
        let keys = Arc::clone(&self.keys);
        let looked = move |ledger: &mut Ledger| {
            let mut looked = Looked::default();
            // A run is sealed in its row and in the log at once, and so it is looked at.
            let done = ledger.at_one_moment(|ledger| look(ledger, key, &mut log, &keys, &mut looked));
            if let Err(error) = done {
                let mut row = StoreCheck::error("run-journal", looked.id.as_ref(), &error);
                if looked.id.is_none() {
                    row.detail = format!("the run in row {key}: {}", row.detail);
                }
                looked.rows.push(row);
            }
            Ok((log, looked))
        };
        Ok(self.journal.call(looked).await?)
    }

    /// Looks at the log as a whole: its chain, its end, and that the runs it names are there.
    async fn check_log(&self, mut log: Log) -> Result<Vec<StoreCheck>, OpError> {
        let keys = Arc::clone(&self.keys);
        let rows = move |ledger: &mut Ledger| {
            let present = ledger.at_one_moment(|ledger| {
                log.read(ledger)?;
                log.ends(ledger, &keys)?;
                ledger.run_ids()
            });
            let present = match present {
                Ok(present) => present,
                Err(error) => return Ok(vec![StoreCheck::error("run-log", None, &error)]),
            };
            let mut checks = Checks::default();
            log.settle(&mut checks);
            let mut rows: Vec<_> = StoreCheck::failed("run-log", None, checks).collect();
            let gone = log.runs().filter(|id| !present.contains(id.as_str())).take(FOUND_MAX);
            let what = "log-opened: the log has its opening, and the store does not have the run";
            rows.extend(gone.map(|id| StoreCheck::fail("run-log", Some(id), what.to_owned())));
            if rows.is_empty() {
                rows.push(StoreCheck::ok("run-log", format!("{} runs opened, and all are there", present.len())));
            }
            Ok(rows)
        };
        Ok(self.journal.call(rows).await?)
    }

    async fn check_artifacts(&self, run: &RunId, digests: &BTreeSet<Digest>, deep: bool, rows: &mut Vec<StoreCheck>) {
        for digest in digests {
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
    }
}

/// Looks at one run. What was found before an error is kept.
fn look(ledger: &mut Ledger, key: i64, log: &mut Log, keys: &Keys, looked: &mut Looked) -> Result<(), StoreError> {
    let Some(run) = ledger.summary_at(key)? else { return Ok(()) };
    looked.id = Some(run.id.clone());
    looked.entries = run.entries;
    log.read(ledger)?;
    let entries = ledger.journal_of(key)?;
    let found = verify::run(&run, &entries, log, keys);
    looked.rows.extend(StoreCheck::failed("run-journal", Some(&run.id), found.checks));
    // What cannot be replayed cannot be compared; that it cannot be is told above.
    let Some(state) = found.story else { return Ok(()) };
    let mut differences = run_differences(&run, &state);
    differences.extend(item_differences(&ledger.projected(key)?, &state));
    match ledger.plan_found(key)? {
        Some(digest) if digest == state.opened.plan => {}
        Some(digest) => differences.push(format!("the stored plan is {digest}, the run's is {}", state.opened.plan)),
        None => differences.push("the stored plan is gone".to_owned()),
    }
    differences.extend(growth_differences(&entries, &ledger.growth(key)?));
    if !differences.is_empty() {
        let detail = format!("not what a replay gives (I6): {}", differences.join("; "));
        looked.rows.push(StoreCheck::fail("run-projection", Some(&run.id), detail));
    }
    let accepted = state.items.iter().filter_map(|item| item.accepted.as_ref());
    let accepted = accepted.flat_map(|accepted| {
        let patch = accepted.patch.iter().map(|patch| patch.digest);
        patch.chain(accepted.outputs.iter().map(|output| output.digest))
    });
    let ended = state.items.iter().flat_map(|item| &item.ended).flat_map(|ended| {
        let ended = &ended.finished;
        let log = ended.log.iter().map(|log| log.digest);
        log.chain(ended.report).chain(ended.verify.iter().map(|verify| verify.report))
    });
    if run.collected.is_none() {
        looked.artifacts = accepted.chain(ended).collect();
    }
    Ok(())
}

/// Where a run's row differs from a replay. Its seal and checkpoint follow from the log and are checked with it; the
/// folder of its workspace follows from nothing.
fn run_differences(row: &RunSummary, run: &RunState) -> Vec<String> {
    let time = |at: Option<Time>| at.map_or_else(|| "none".to_owned(), |at| at.to_string());
    let facts = [
        ("actor", row.actor.clone(), run.actor.to_string()),
        ("queue", row.queue.clone(), run.opened.queue.to_string()),
        ("plan", row.plan_digest.clone(), run.opened.plan.to_string()),
        ("opened", row.opened_at.to_string(), run.opened_at.to_string()),
        ("place in the log", row.log_seq.to_string(), run.opened.log_seq.to_string()),
        ("state", row.state.clone(), run.word().to_owned()),
        ("logged", row.logged.to_string(), run.logged.to_string()),
        ("held", row.held.to_string(), run.hold.is_some().to_string()),
        ("completed", time(row.completed_at), time(run.completed.map(|(_, at)| at))),
        ("cost in microusd", row.cost_microusd.to_string(), run.cost_microusd.to_string()),
        ("entries", row.entries.to_string(), run.next_seq.to_string()),
    ];
    let differs = facts.into_iter().filter(|(_, row, replayed)| row != replayed);
    differs.map(|(what, row, replayed)| format!("{what}: {row}, not {replayed}")).collect()
}

/// Where the items that are stored beside the journal are not those that its entries add.
fn growth_differences(entries: &[Stored], stored: &BTreeMap<u64, Vec<u8>>) -> Vec<String> {
    let mut adds = BTreeSet::new();
    let mut differences = Vec::new();
    for (bytes, _) in entries {
        let Ok(entry) = Entry::from_bytes(bytes) else { continue };
        let Record::ItemsAdded(added) = &entry.record else { continue };
        if added.cause == GrowthCause::Plan {
            continue;
        }
        adds.insert(entry.seq);
        if let Err(why) = read_grown(added, stored.get(&entry.seq).map(Vec::as_slice)) {
            differences.push(format!("entry {}: {why}", entry.seq));
        }
    }
    let stray = stored.keys().filter(|seq| !adds.contains(seq));
    differences.extend(stray.map(|seq| format!("items are stored for entry {seq}, which adds none")));
    differences
}

/// Where the rows of a run's items differ from a replay; the first one, since one mistake often shifts all.
fn item_differences(rows: &[Projected], run: &RunState) -> Option<String> {
    let row = |item: &ItemState, ix, (status, since): (&str, Time)| Projected {
        id: item.id.to_string(),
        ix,
        status: status.to_owned(),
        attempts: item.attempts,
        since,
    };
    let replayed = run.items.iter().zip(0..).map(|(item, ix)| row(item, ix, item.standing()));
    // A stop that an earlier version wrote down shows on no item.
    let earlier = |at: u64| {
        let item = usize::try_from(at).ok().and_then(|at| run.items.get(at));
        item.map(|item| row(item, at, (item.status.as_str(), item.since)))
    };
    if rows.len() != run.items.len() {
        return Some(format!("{} items, not {}", rows.len(), run.items.len()));
    }
    let (row, replayed) =
        rows.iter().zip(replayed).find(|(row, now)| *row != now && Some(*row) != earlier(now.ix).as_ref())?;
    let shown = |item: &Projected| {
        format!("{} at {}: {}, {} attempts, since {}", item.id, item.ix, item.status, item.attempts, item.since)
    };
    Some(format!("the item {}, not {}", shown(row), shown(&replayed)))
}
