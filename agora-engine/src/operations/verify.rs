//! The checks of one run's evidence, with the codes of `docs/audit.md`. Everything is hashed anew from the exact bytes.

use agora_core::audit::chain::{ChainCheck, ChainHead, LOG_SEED};
use agora_core::audit::checkpoint::{Checkpoint, RoleKeys, run_origin};
use agora_core::audit::merkle::{inclusion_proof, leaf_hash, verify_inclusion};
use agora_core::audit::note::VerifyKey;
use agora_core::error::Coded as _;
use agora_core::id::{Hash, RunId};
use agora_core::record::{Entry, LogEntry, LogRecord, Record};
use agora_core::state::{ItemStatus, RunState};

use super::audit::{Axis, CheckRow};
use crate::journal::RunSummary;
use crate::keys::{Keys, Role};

/// How many failures of one kind are listed.
const LISTED_MAX: usize = 20;

/// What the checks found.
pub(super) struct Found {
    pub(super) sealed: bool,
    pub(super) entries: u64,
    pub(super) root: String,
    pub(super) checkpoint: Option<String>,
    pub(super) axes: Vec<Axis>,
    pub(super) checks: Vec<CheckRow>,
}

/// Collects what each check says.
#[derive(Default)]
struct Checks(Vec<CheckRow>);

impl Checks {
    fn row(&mut self, code: &str, status: &str, detail: Option<String>) {
        self.0.push(CheckRow { code: code.to_owned(), status: status.to_owned(), detail });
    }

    /// One pass, or each failure.
    fn settle(&mut self, code: &str, passed: &str, failures: Vec<(String, String)>) {
        if failures.is_empty() {
            self.row(code, "pass", Some(passed.to_owned()));
        }
        for (code, detail) in failures.into_iter().take(LISTED_MAX) {
            self.row(&code, "fail", Some(detail));
        }
    }

    fn failed(&self) -> bool {
        self.0.iter().any(|row| row.status == "fail")
    }
}

type Stored = (Vec<u8>, Hash);

/// Checks a run.
pub(super) fn run(run: &RunSummary, entries: &[Stored], log: &[Stored], keys: &Keys) -> Found {
    let mut checks = Checks::default();
    let origin = run_origin(keys.origin().as_str(), &run.id);
    let head = chain(&mut checks, "entry-prev", &origin, &run.plan_digest, Some(run.id.as_str()), entries);
    let log_head = chain(&mut checks, "log-chain", keys.origin().as_str(), LOG_SEED, None, log);
    let story = story(&mut checks, &run.id, entries);
    checkpoint(&mut checks, run, &origin, &head, keys);
    in_log(&mut checks, run, log, &log_head, &head, entries);
    let axes = axes(&checks, run, story.as_ref());
    Found {
        sealed: run.sealed,
        entries: head.size(),
        root: head.root().to_string(),
        checkpoint: run.checkpoint.as_ref().map(|note| String::from_utf8_lossy(note).into_owned()),
        axes,
        checks: checks.0,
    }
}

/// Canonical form, positions, chain and times, and that the stored leaves are those of the bytes.
fn chain(
    checks: &mut Checks,
    code: &str,
    origin: &str,
    seed: &str,
    run: Option<&str>,
    entries: &[Stored],
) -> ChainHead {
    let mut check = ChainCheck::new(origin, seed, run);
    let mut failures = Vec::new();
    for (bytes, leaf) in entries {
        let checked = check.entry(bytes);
        failures.extend(checked.problems.iter().map(|problem| (problem.code().to_owned(), problem.to_string())));
        if leaf_hash(bytes) != *leaf {
            failures.push(("entry-leaf".to_owned(), "a stored leaf is not the hash of its entry".to_owned()));
        }
    }
    checks.settle(code, &format!("{} entries, each canonical and chained to the one before", entries.len()), failures);
    check.into_head()
}

/// Replays the entries: nothing came where it may not.
fn story(checks: &mut Checks, id: &RunId, entries: &[Stored]) -> Option<RunState> {
    let mut state: Option<RunState> = None;
    let mut failures = Vec::new();
    for (seq, (bytes, leaf)) in entries.iter().enumerate() {
        let entry = match Entry::from_bytes(bytes) {
            Ok(entry) => entry,
            Err(error) => {
                failures.push(("entry-schema".to_owned(), format!("entry {seq}: {error}")));
                continue;
            }
        };
        match (&mut state, entry.record) {
            (None, Record::RunOpened(opened)) => {
                let run = RunState::open(id.clone(), entry.actor, entry.at, *opened, std::collections::BTreeMap::new());
                state = Some(run.without_knobs());
            }
            (None, other) => {
                failures.push(("story-start".to_owned(), format!("the journal starts with {}", other.kind())));
                break;
            }
            (Some(run), record) => {
                if let Err(illegal) = run.apply(entry.at, *leaf, &record) {
                    failures.push(("story-order".to_owned(), illegal.to_string()));
                    break;
                }
            }
        }
    }
    if entries.is_empty() {
        failures.push(("story-start".to_owned(), "there are no entries".to_owned()));
    }
    checks.settle("story", "every record came where it may", failures);
    state
}

fn role_key(keys: &Keys, role: Role) -> VerifyKey {
    let signer = keys.signer(role);
    VerifyKey { name: signer.name().to_owned(), public_key: signer.public_key() }
}

fn checkpoint(checks: &mut Checks, run: &RunSummary, origin: &str, head: &ChainHead, keys: &Keys) {
    let Some(note) = &run.checkpoint else {
        checks.row("checkpoint", if run.sealed { "fail" } else { "none" }, None);
        return;
    };
    let mine = [role_key(keys, Role::Run)];
    let others = [role_key(keys, Role::Log), role_key(keys, Role::Attest)];
    let name = mine[0].name.clone();
    let opened = Checkpoint::open(note, origin, RoleKeys { name: &name, keys: &mine, others: &others })
        .and_then(|opened| opened.checkpoint.covers(head.size(), &head.root()));
    let failures = opened.err().map(|error| (error.code().to_owned(), error.to_string()));
    checks.settle("checkpoint", "signed, over exactly these entries", failures.into_iter().collect());
}

/// The run's opening and seal in the log of runs.
fn in_log(
    checks: &mut Checks,
    run: &RunSummary,
    log: &[Stored],
    log_head: &ChainHead,
    head: &ChainHead,
    entries: &[Stored],
) {
    let leaves: Vec<Hash> = log.iter().map(|(bytes, _)| leaf_hash(bytes)).collect();
    let mut opened = Vec::new();
    let mut sealed = Vec::new();
    for (bytes, _) in log {
        match LogEntry::from_bytes(bytes).map(|entry| (entry.seq, entry.record)) {
            Ok((seq, LogRecord::RunOpened { run: id, plan, first, .. })) if id == run.id => {
                opened.push((seq, plan, first))
            }
            Ok((seq, LogRecord::RunSealed { run: id, size, root, .. })) if id == run.id => {
                sealed.push((seq, size, root))
            }
            _ => {}
        }
    }
    let first = entries.first().map(|(bytes, _)| leaf_hash(bytes));
    let mut failures = Vec::new();
    match opened.as_slice() {
        [(seq, plan, leaf)] if plan.to_string() == run.plan_digest && Some(*leaf) == first => {
            let proof = inclusion_proof(&leaves, *seq).unwrap_or_default();
            let at = usize::try_from(*seq).ok().and_then(|seq| leaves.get(seq)).copied();
            let included =
                at.is_some_and(|leaf| verify_inclusion(*seq, log_head.size(), &leaf, &proof, &log_head.root()).is_ok());
            if !included {
                failures.push(("log-inclusion".to_owned(), "the opening is not in the log's tree".to_owned()));
            }
        }
        [] => failures.push(("log-opened".to_owned(), "the log does not have the opening".to_owned())),
        [_] => failures.push(("log-opened".to_owned(), "the log has another opening".to_owned())),
        _ => failures.push(("log-resealed".to_owned(), "the run was opened twice".to_owned())),
    }
    match sealed.as_slice() {
        [(_, size, root)] if *size == head.size() && *root == head.root() => {}
        [] if !run.sealed => {}
        [] => failures.push(("log-sealed".to_owned(), "the log does not have the seal".to_owned())),
        [_] => failures.push(("log-sealed".to_owned(), "the log has another seal".to_owned())),
        _ => failures.push(("log-resealed".to_owned(), "the run was sealed twice".to_owned())),
    }
    checks.settle("log", "opened in the log, and sealed there if it is complete", failures);
}

fn axes(checks: &Checks, run: &RunSummary, state: Option<&RunState>) -> Vec<Axis> {
    let axis = |axis: &str, value: &str| Axis { axis: axis.to_owned(), value: value.to_owned() };
    let isolation = state.map_or("none", weakest_isolation);
    vec![
        axis("integrity", if checks.failed() { "broken" } else { "consistent" }),
        // The keys are this installation's own; an auditor brings them another way.
        axis("authenticity", "self-asserted"),
        axis("completeness", if run.sealed { "whole-run" } else { "open-run" }),
        axis("isolation", isolation),
    ]
}

/// The weakest isolation of an accepted attempt.
fn weakest_isolation(run: &RunState) -> &'static str {
    let done = run.items.iter().filter(|item| item.status == ItemStatus::Done);
    let reports: Vec<_> = done.filter_map(|item| item.ended.last()?.isolation.as_ref()).collect();
    if reports.is_empty() {
        "none"
    } else if reports.iter().any(|report| report.profile == "none") {
        "not-isolated"
    } else if reports.iter().all(|r| r.weaker.is_empty() && r.probes.failed.is_empty() && r.probes.passed > 0) {
        "fully-isolated"
    } else {
        "partly-isolated"
    }
}
