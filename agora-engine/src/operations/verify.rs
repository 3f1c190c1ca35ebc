//! The checks of one run as the store holds it, with the codes of `docs/audit.md`: its bytes, and what is kept beside them.
//! Everything is hashed anew from the exact bytes.

use agora_core::audit::chain::{ChainCheck, ChainHead};
use agora_core::audit::checkpoint::{Checkpoint, RoleKeys, run_origin};
use agora_core::audit::history::KeyHistory;
use agora_core::audit::merkle::leaf_hash;
use agora_core::audit::note::VerifyKey;
use agora_core::audit::policy::{PolicyKey, PublicKey, Window};
use agora_core::audit::verify::story::{Told, tell};
use agora_core::error::Coded as _;
use agora_core::id::RunId;
use agora_core::record::{Entry, Record};
use agora_core::state::RunState;

use super::audit::CheckRow;
use super::verify_log::{Log, first_leaf};
use crate::journal::{RunSummary, Stored};
use crate::keys::{Keys, Role};

/// How many failures of one kind are listed.
const LISTED_MAX: usize = 20;

/// A code, and what is wrong.
pub(super) type Failed = (String, String);

/// What the checks of a run found.
pub(super) struct Found {
    /// How many entries there are.
    pub(super) entries: u64,
    /// The root over them.
    pub(super) root: String,
    /// What the entries tell, if they could be replayed to their end.
    pub(super) story: Option<RunState>,
    /// The checks of the run itself and of its place in the log.
    pub(super) checks: Checks,
}

/// Collects what each check says.
#[derive(Default)]
pub(super) struct Checks(pub(super) Vec<CheckRow>);

impl Checks {
    fn row(&mut self, code: &str, status: &str, detail: Option<String>) {
        self.0.push(CheckRow { code: code.to_owned(), status: status.to_owned(), detail });
    }

    /// One pass, or each failure.
    pub(super) fn settle(&mut self, code: &str, passed: &str, failures: Vec<Failed>) {
        if failures.is_empty() {
            self.row(code, "pass", Some(passed.to_owned()));
        }
        let (found, more) = (failures.len(), failures.len().saturating_sub(LISTED_MAX));
        for (code, detail) in failures.into_iter().take(LISTED_MAX) {
            self.row(&code, "fail", Some(detail));
        }
        if more > 0 {
            self.row(code, "fail", Some(format!("{more} more failures, of {found}, are not listed")));
        }
    }

    /// Whether any of them failed.
    pub(super) fn failed(&self) -> bool {
        self.0.iter().any(|row| row.status == "fail")
    }
}

/// Checks a run. What is wrong with the log as a whole is not repeated here.
pub(super) fn run(run: &RunSummary, entries: &[Stored], log: &Log, keys: &Keys) -> Found {
    let mut checks = Checks::default();
    let origin = run_origin(keys.origin().as_str(), &run.id);
    let head = chain(&mut checks, &origin, run, entries);
    let story = story(&mut checks, run, entries);
    checkpoint(&mut checks, run, &origin, &head, log, keys);
    let failures = log.about(run, &head, first_leaf(entries));
    checks.settle("log", "opened in the log, and sealed there if it is complete", failures);
    Found { entries: head.size(), root: head.root().to_string(), story, checks }
}

/// Canonical form, positions, chain and times, and that the stored leaves are those of the bytes.
fn chain(checks: &mut Checks, origin: &str, run: &RunSummary, entries: &[Stored]) -> ChainHead {
    let mut check = ChainCheck::new(origin, &run.plan_digest, Some(run.id.as_str()));
    let mut failures = Vec::new();
    for (seq, (bytes, leaf)) in entries.iter().enumerate() {
        let checked = check.entry(bytes);
        failures.extend(checked.problems.iter().map(|problem| (problem.code().to_owned(), problem.to_string())));
        if checked.leaf.0 != leaf.as_slice() {
            let what = format!("the stored leaf of entry {seq} is not the hash of its bytes");
            failures.push(("entry-leaf".to_owned(), what));
        }
    }
    let passed = format!("{} entries, each canonical and chained to the one before", entries.len());
    checks.settle("entry-prev", &passed, failures);
    check.into_head()
}

/// Tells the story, as an auditor does, and replays what the entries lead to.
fn story(checks: &mut Checks, run: &RunSummary, entries: &[Stored]) -> Option<RunState> {
    let (mut told, mut failures) = (Vec::new(), Vec::new());
    for (seq, (bytes, _)) in entries.iter().enumerate() {
        match Entry::from_bytes(bytes) {
            Ok(entry) => told.push(Told { entry, leaf: leaf_hash(bytes) }),
            Err(error) => failures.push(("entry-schema".to_owned(), format!("entry {seq}: {error}"))),
        }
    }
    // Without an entry before it, nothing can be said of where one comes.
    let whole = failures.is_empty();
    let mut forced = 0;
    if whole {
        let mut story = tell(&told);
        if run.sealed {
            story.judge_seal();
        }
        forced = story.forced.len();
        let problems = story.problems.iter();
        failures.extend(problems.map(|told| {
            let item = told.item.as_ref().map(|item| format!(", item {item}")).unwrap_or_default();
            (told.code.as_str().to_owned(), format!("entry {}{item}: {}", told.seq, told.detail))
        }));
    }
    let state = whole.then(|| replay(&run.id, told));
    match &state {
        Some(Err(illegal)) if failures.is_empty() => failures.push(("story-order".to_owned(), illegal.clone())),
        _ => {}
    }
    let sound = failures.is_empty();
    let passed = match forced {
        0 => "every record came where it may".to_owned(),
        _ => format!("every record came where it may; {forced} cancelled on an operator's word, not proven gone"),
    };
    checks.settle("story", &passed, failures);
    state.and_then(Result::ok).filter(|_| sound)
}

/// The state that entries lead to, or which of them has no place in it.
fn replay(id: &RunId, told: Vec<Told>) -> Result<RunState, String> {
    let mut told = told.into_iter();
    let state = match told.next().map(|first| (first.entry.record, first.entry.actor, first.entry.at)) {
        Some((Record::RunOpened(opened), actor, at)) => {
            RunState::open(id.clone(), actor, at, *opened, std::collections::BTreeMap::new())
        }
        _ => return Err("the journal does not start with run.opened".to_owned()),
    };
    let mut state = state.without_knobs();
    for Told { entry, leaf } in told {
        state.apply(entry.at, leaf, &entry.record).map_err(|illegal| format!("entry {}: {illegal}", entry.seq))?;
    }
    Ok(state)
}

/// The public half of a role's key.
pub(super) fn role_key(keys: &Keys, role: Role) -> VerifyKey {
    let signer = keys.signer(role);
    VerifyKey { name: signer.name().to_owned(), public_key: signer.public_key() }
}

/// The keys of one role, and where each of them speaks.
pub(super) struct RoleWindows {
    /// Their name.
    pub(super) name: String,
    /// The public keys.
    pub(super) keys: Vec<VerifyKey>,
    /// The windows, in the same order; of a key that the log does not name there is none.
    windows: Vec<Option<PolicyKey>>,
}

impl RoleWindows {
    /// Those under the name of `own`, if it is among them; else it alone.
    pub(super) fn of(history: &KeyHistory, own: VerifyKey) -> Self {
        let known: Vec<PolicyKey> = history.named(&own.name).map(|known| known.key.clone()).collect();
        let name = own.name.clone();
        if !known.iter().any(|key| key.key.bytes() == own.public_key) {
            return Self { name, keys: vec![own], windows: vec![None] };
        }
        let public = |key: &PolicyKey| match key.key {
            PublicKey::Ed25519(public_key) => Some(VerifyKey { name: key.name.clone(), public_key }),
            PublicKey::P256(_) => None,
        };
        let (keys, windows) = known.into_iter().filter_map(|key| Some((public(&key)?, Some(key)))).unzip();
        Self { name, keys, windows }
    }

    /// Whether one of the keys at these positions speaks at an index of the log.
    pub(super) fn speak(&self, signed_by: &[usize], index: u64) -> Result<(), Window> {
        let mut outside = None;
        for at in signed_by {
            match self.windows.get(*at).and_then(Option::as_ref).map(|key| key.speaks_at(index)) {
                None | Some(Ok(())) => return Ok(()),
                Some(Err(error)) => outside = Some(error),
            }
        }
        outside.map_or(Ok(()), Err)
    }
}

fn checkpoint(checks: &mut Checks, run: &RunSummary, origin: &str, head: &ChainHead, log: &Log, keys: &Keys) {
    let Some(note) = &run.checkpoint else {
        match run.sealed {
            true => {
                let what = "the run is sealed, and its signed checkpoint is gone".to_owned();
                checks.settle("checkpoint", "", vec![("checkpoint-unsigned".to_owned(), what)]);
            }
            false => checks.row("checkpoint", "none", None),
        }
        return;
    };
    let windows = log.keys_of(Role::Run, keys);
    let others = [role_key(keys, Role::Log), role_key(keys, Role::Attest)];
    let opened = Checkpoint::open(note, origin, RoleKeys { name: &windows.name, keys: &windows.keys, others: &others })
        .and_then(|opened| opened.checkpoint.covers(head.size(), &head.root()).map(|()| opened.keys));
    let failures = match opened.map(|signed_by| (signed_by, log.seal_seq(&run.id))) {
        // It speaks where the log has the seal; that a seal is missing is told of elsewhere.
        Ok((signed_by, Some(seal))) => {
            windows.speak(&signed_by, seal).err().map(|error| (error.code().to_owned(), error.to_string()))
        }
        Ok((_, None)) => None,
        Err(error) => Some((error.code().to_owned(), error.to_string())),
    };
    checks.settle("checkpoint", "signed, over exactly these entries", failures.into_iter().collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_are_not_listed_are_counted() {
        let settled = |failures: usize| {
            let mut checks = Checks::default();
            checks.settle(
                "entry-prev",
                "",
                (0..failures).map(|at| ("entry-leaf".to_owned(), at.to_string())).collect(),
            );
            checks.0
        };
        assert_eq!(settled(LISTED_MAX).len(), LISTED_MAX);
        let rows = settled(LISTED_MAX + 3);
        assert_eq!(rows.len(), LISTED_MAX + 1);
        let last = rows.last().unwrap();
        assert_eq!((last.code.as_str(), last.status.as_str()), ("entry-prev", "fail"));
        assert!(last.detail.as_ref().unwrap().starts_with("3 more"), "{last:?}");
    }
}
