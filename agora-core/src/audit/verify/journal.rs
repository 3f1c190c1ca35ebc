//! Step 3: every entry of a journal, alone and after the one before it. Each is hashed once, for chain and tree alike.

use super::Code;
use super::checks::Checks;
use super::story::Told;
use crate::audit::chain::{ChainCheck, ChainError, Checked, LOG_SEED};
use crate::audit::checkpoint::run_origin;
use crate::error::Coded as _;
use crate::id::{Hash, RunId};
use crate::record::{Entry, LogEntry, Record};

/// The checks of an entry.
const CODES: [Code; 7] = [
    Code::EntryLimit,
    Code::EntryEncoding,
    Code::EntrySchema,
    Code::EntryRun,
    Code::EntrySeq,
    Code::EntryPrev,
    Code::EntryTime,
];

/// The journal of a run, as far as it could be read.
pub(super) struct Run {
    /// Its entries, where every one is canonical and in its schema.
    pub(super) told: Option<Vec<Told>>,
    /// How many there are.
    pub(super) size: u64,
    /// The root over them.
    pub(super) root: Hash,
    /// The leaf of the first.
    pub(super) first: Option<Hash>,
}

/// The log of runs, whole.
pub(super) struct Log {
    /// Its entries, where every one is canonical and in its schema.
    pub(super) told: Option<Vec<LogEntry>>,
    /// Their leaves.
    pub(super) leaves: Vec<Hash>,
    /// The root over them.
    pub(super) root: Hash,
}

/// Reads the entries of a run.
pub(super) fn run(log: &str, id: &RunId, entries: &[String], checks: &mut Checks) -> Run {
    judge(entries.len(), checks);
    let origin = run_origin(log, id);
    let seed = entries.first().and_then(|entry| plan_of(entry));
    let mut chain = ChainCheck::new(&origin, seed.as_deref().unwrap_or_default(), Some(id.as_str()));
    let mut told = Some(Vec::with_capacity(entries.len()));
    let mut first = None;
    for (at, bytes) in entries.iter().enumerate() {
        let mut checked = chain.entry(bytes.as_bytes());
        first = first.or(Some(checked.leaf));
        if at == 0 && seed.is_none() {
            // The genesis is made of the plan's digest: without it nothing can be said.
            checked.problems.retain(|problem| !matches!(problem, ChainError::Prev { .. }));
            checks.untold(Code::EntryPrev, "entry 0", "entry 0 does not name a plan");
        }
        let leaf = checked.leaf;
        let read = schema_of(checked, "entry", at, Entry::of_value, checks);
        match (&mut told, read) {
            (Some(told), Some(entry)) => told.push(Told { entry, leaf }),
            (told, None) => *told = None,
            (None, Some(_)) => {}
        }
    }
    let head = chain.into_head();
    Run { told, size: head.size(), root: head.root(), first }
}

/// Reads the entries of the log, all of them.
pub(super) fn log(origin: &str, entries: &[String], checks: &mut Checks) -> Log {
    judge(entries.len(), checks);
    let mut chain = ChainCheck::new(origin, LOG_SEED, None);
    let mut told = Some(Vec::with_capacity(entries.len()));
    let mut leaves = Vec::with_capacity(entries.len());
    for (at, bytes) in entries.iter().enumerate() {
        let checked = chain.entry(bytes.as_bytes());
        leaves.push(checked.leaf);
        match (&mut told, schema_of(checked, "log entry", at, LogEntry::of_value, checks)) {
            (Some(told), Some(entry)) => told.push(entry),
            (told, None) => *told = None,
            (None, Some(_)) => {}
        }
    }
    Log { told, leaves, root: chain.into_head().root() }
}

/// Reads one entry of the log that stands alone, with its proof.
pub(super) fn alone(bytes: &str, place: &str, checks: &mut Checks) -> Option<LogEntry> {
    for code in [Code::EntryLimit, Code::EntryEncoding, Code::EntrySchema] {
        checks.judge(code, 1);
    }
    LogEntry::from_bytes(bytes.as_bytes()).map_err(|error| checks.error(&error, place)).ok()
}

fn judge(entries: usize, checks: &mut Checks) {
    CODES.into_iter().for_each(|code| checks.judge(code, entries as u64));
}

fn schema_of<E>(
    checked: Checked,
    what: &str,
    at: usize,
    schema: impl Fn(serde_json::Value) -> Result<E, crate::record::EntryError>,
    checks: &mut Checks,
) -> Option<E> {
    for problem in &checked.problems {
        checks.error(problem, format!("{what} {at}"));
    }
    // A member of the frame that is missing was told with the chain.
    let told = checked.problems.iter().any(|problem| problem.code() == Code::EntrySchema.as_str());
    match schema(checked.value?) {
        Ok(entry) => Some(entry),
        Err(error) => {
            if !told {
                checks.error(&error, format!("{what} {at}"));
            }
            None
        }
    }
}

/// The plan's digest as a run's first entry has it, which its genesis is made of.
fn plan_of(entry: &str) -> Option<String> {
    match Entry::from_bytes(entry.as_bytes()).ok()?.record {
        Record::RunOpened(opened) => Some(opened.plan.to_string()),
        _ => None,
    }
}
