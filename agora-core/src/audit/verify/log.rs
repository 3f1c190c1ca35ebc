//! Step 5: the log of runs, and this run's place in it.

use std::collections::{BTreeMap, BTreeSet};

use super::Code;
use super::checks::Checks;
use super::journal::{self, Log, Run};
use super::known::{Known, Told};
use super::story::Story;
use crate::audit::bundle::{FromSize, InLog, LogPart, WholeLog};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::history::KeyHistory;
use crate::audit::merkle::{leaf_hash, root, verify_consistency, verify_inclusion};
use crate::audit::policy::{KeyRole, Policy};
use crate::id::{Hash, RunId};
use crate::record::{LogEntry, LogPlace, LogRecord, Record, RunOpened};

/// What a bundle has of the log.
pub(super) struct Given<'a> {
    pub(super) checkpoint: &'a [u8],
    pub(super) consistency: &'a [FromSize],
    pub(super) entries: Option<&'a [String]>,
}

impl<'a> Given<'a> {
    pub(super) fn of_run(part: &'a LogPart) -> Self {
        Self { checkpoint: &part.checkpoint.0, consistency: &part.consistency, entries: part.entries.as_deref() }
    }

    pub(super) fn of_log(part: &'a WholeLog) -> Self {
        Self { checkpoint: &part.checkpoint.0, consistency: &part.consistency, entries: Some(&part.entries) }
    }
}

/// The log as far as it could be read.
pub(super) struct TheLog {
    /// Note B.
    pub(super) checkpoint: Option<Checkpoint>,
    proofs: BTreeMap<u64, Vec<Hash>>,
    /// Sizes whose proof was needed.
    needed: BTreeSet<u64>,
    /// All entries.
    pub(super) all: Option<Log>,
    /// Signature lines by keys nobody named.
    pub(super) ignored: u64,
}

/// Reads B and, where they are there, all entries.
pub(super) fn read(origin: &str, given: &Given<'_>, known: &mut Known, checks: &mut Checks) -> TheLog {
    let all = given.entries.map(|entries| journal::log(origin, entries, checks));
    let told = known.open(given.checkpoint, origin, KeyRole::Log, "log checkpoint", checks);
    let mut ignored = 0;
    if let Some(Told { checkpoint, keys, ignored: others }) = &told {
        ignored = *others;
        speak(known, keys, checkpoint.size, "log checkpoint", checks);
        if let Some(all) = &all {
            covers(checkpoint, all.leaves.len() as u64, &all.root, "log checkpoint", checks);
        }
    }
    let proofs = given.consistency.iter().map(|row| (row.from, row.proof.clone())).collect();
    TheLog { checkpoint: told.map(|told| told.checkpoint), proofs, needed: BTreeSet::new(), all, ignored }
}

/// A checkpoint of the log speaks at the position of the last entry that it covers.
pub(super) fn speak(known: &mut Known, keys: &[usize], size: u64, place: &str, checks: &mut Checks) {
    if !keys.is_empty() {
        known.speak(keys, size.saturating_sub(1), place, checks);
    }
}

/// Compares a checkpoint with the entries, all of which are at hand.
pub(super) fn covers(checkpoint: &Checkpoint, size: u64, root: &Hash, place: &str, checks: &mut Checks) {
    checks.judge(Code::CheckpointSize, 1);
    checks.judge(Code::CheckpointRoot, 1);
    if checkpoint.size != size {
        checks.fail(Code::CheckpointSize, place, format!("it is of {} entries, there are {size}", checkpoint.size));
    }
    if checkpoint.root != *root {
        checks.fail(Code::CheckpointRoot, place, "it has another root than the entries");
    }
}

impl TheLog {
    /// An entry that a proof shows at its own position of the log.
    fn holds(&self, entry: &LogEntry, part: &InLog, place: &str, checks: &mut Checks) {
        self.includes(Code::LogInclusion, entry, (part.entry.as_bytes(), &part.proof), place, checks);
    }

    /// The same, with the code that says so.
    pub(super) fn includes(
        &self,
        code: Code,
        entry: &LogEntry,
        (bytes, proof): (&[u8], &[Hash]),
        place: &str,
        checks: &mut Checks,
    ) {
        let Some(b) = &self.checkpoint else {
            checks.untold(code, place, "the log checkpoint could not be read");
            return;
        };
        let shown = verify_inclusion(entry.seq, b.size, &leaf_hash(bytes), proof, &b.root);
        let wrong = shown.err().map(|error| format!("its proof at position {} does not hold: {error}", entry.seq));
        checks.settle(code, place, wrong);
    }

    /// Whether B continues a smaller log; that it could not be told says `false`, and nothing is told.
    fn continues(&mut self, size: u64, smaller: &Hash) -> Continues {
        let Some(b) = &self.checkpoint else { return Continues::Unknown };
        if size > b.size {
            return Continues::No(format!("it is of {size} entries, the log checkpoint of {}", b.size));
        }
        if let Some(proof) = self.proofs.get(&size) {
            self.needed.insert(size);
            return match verify_consistency(size, b.size, smaller, &b.root, proof) {
                Ok(()) => Continues::Yes,
                Err(error) => Continues::No(format!("the proof from size {size} does not hold: {error}")),
            };
        }
        if size == b.size {
            return if b.root == *smaller { Continues::Yes } else { Continues::Other };
        }
        let at_hand = self.all.as_ref().and_then(|all| all.leaves.get(..usize::try_from(size).ok()?));
        match at_hand {
            Some(leaves) if root(leaves) == *smaller => Continues::Yes,
            Some(_) => Continues::Other,
            None => Continues::Missing,
        }
    }

    /// A smaller checkpoint that the bundle itself relies on.
    pub(super) fn needs(&mut self, size: u64, smaller: &Hash, place: &str, checks: &mut Checks) {
        let wrong = match self.continues(size, smaller) {
            Continues::Yes => None,
            Continues::No(why) => Some(why),
            Continues::Other => Some(format!("the log has another root at size {size}")),
            Continues::Missing => Some(format!("there is no proof from size {size}")),
            Continues::Unknown => {
                checks.untold(Code::LogConsistency, place, "the log checkpoint could not be read");
                return;
            }
        };
        checks.settle(Code::LogConsistency, place, wrong);
    }

    /// What the auditor has seen before.
    pub(super) fn seen(&mut self, policy: &Policy, checks: &mut Checks) {
        for (at, seen) in policy.seen.iter().enumerate() {
            let place = format!("seen[{at}], size {}", seen.size);
            let Some(size) = self.checkpoint.as_ref().map(|b| b.size) else {
                checks.untold(Code::LogUnseen, place, "the log checkpoint could not be read");
                continue;
            };
            checks.judge(Code::LogRollback, 1);
            checks.judge(Code::LogFork, 1);
            if seen.size > size {
                checks.fail(
                    Code::LogRollback,
                    place,
                    format!("the log checkpoint is of {size} entries only: export again with --since {}", seen.size),
                );
                continue;
            }
            match self.continues(seen.size, &seen.root) {
                Continues::Yes => checks.judge(Code::LogUnseen, 1),
                Continues::Other => checks.fail(Code::LogFork, place, "the log has another root at this size"),
                Continues::No(why) => checks.fail(Code::LogConsistency, place, why),
                Continues::Missing | Continues::Unknown => {
                    let why = format!("there is no proof: export with --since {}", seen.size);
                    checks.fail(Code::LogUnseen, place, why);
                }
            }
        }
    }

    /// Proofs that nothing here needed: those for an auditor who has seen that size, where no policy names it. As far as
    /// they can be, they are checked against the entries.
    pub(super) fn rest(&mut self, checks: &mut Checks) {
        let rest: Vec<u64> = self.proofs.keys().filter(|size| !self.needed.contains(size)).copied().collect();
        for size in rest {
            let place = format!("log.consistency from {size}");
            let leaves = self.all.as_ref().and_then(|all| all.leaves.get(..usize::try_from(size).ok()?));
            match leaves.map(root) {
                Some(smaller) => self.needs(size, &smaller, &place, checks),
                None => checks.untold(Code::LogConsistency, place, "no checkpoint of this size is at hand"),
            }
        }
    }

    /// What only all entries show: no run twice, keys replaced by themselves. Returns the runs that were never sealed.
    pub(super) fn whole(&self, origin: &str, checks: &mut Checks) -> Vec<RunId> {
        let Some(entries) = self.all.as_ref().and_then(|all| all.told.as_ref()) else { return Vec::new() };
        let mut opened: BTreeMap<&RunId, u64> = BTreeMap::new();
        let mut sealed: BTreeSet<&RunId> = BTreeSet::new();
        for entry in entries {
            let place = format!("log entry {}", entry.seq);
            match &entry.record {
                LogRecord::RunOpened { run, .. } => {
                    let again = opened.insert(run, entry.seq).map(|_| format!("{run} is opened again"));
                    checks.settle(Code::LogResealed, &place, again);
                }
                LogRecord::RunSealed { run, opened: at, .. } => {
                    let again = (!sealed.insert(run)).then(|| format!("{run} is sealed again"));
                    checks.settle(Code::LogResealed, &place, again);
                    let wrong = (opened.get(run) != Some(at)).then(|| format!("{run} was not opened at {at}"));
                    checks.settle(Code::LogSealed, &place, wrong);
                }
                _ => {}
            }
        }
        let mut keys = KeyHistory::new(origin);
        for entry in entries {
            if let Err(error) = keys.learn(entry.seq, &entry.record) {
                checks.error(&error, format!("log entry {}", entry.seq));
            }
        }
        let rotated = entries.iter().filter(|entry| matches!(entry.record, LogRecord::KeyRotated { .. })).count();
        checks.judge(Code::KeyRotation, rotated as u64);
        opened.into_keys().filter(|run| !sealed.contains(run)).cloned().collect()
    }
}

enum Continues {
    Yes,
    /// A proof does not hold.
    No(String),
    /// The log is another one at this size.
    Other,
    /// There is no proof.
    Missing,
    /// There is no log checkpoint.
    Unknown,
}

/// The run's facts, for what the log says of it.
pub(super) struct OfRun<'a> {
    pub(super) id: &'a RunId,
    pub(super) run: &'a Run,
    pub(super) opened: Option<&'a RunOpened>,
    pub(super) story: Option<&'a Story>,
}

/// The opening and the seal of this run in the log.
pub(super) fn place(
    of: &OfRun<'_>,
    part: &LogPart,
    sealed: Option<&LogEntry>,
    log: &TheLog,
    is_sealed: bool,
    checks: &mut Checks,
) {
    if let Some(entry) = journal::alone(&part.opened.entry, "log.opened", checks) {
        log.holds(&entry, &part.opened, "log.opened", checks);
        opening(of, &entry, checks);
    }
    if let (Some(entry), Some(part)) = (sealed, &part.sealed) {
        log.holds(entry, part, "log.sealed", checks);
        seal(of, entry, checks);
    }
    if is_sealed && part.sealed.is_none() {
        checks.settle(
            Code::LogSealed,
            "log.sealed",
            Some("it is not there, and the run is said to be sealed".to_owned()),
        );
    }
}

fn opening(of: &OfRun<'_>, entry: &LogEntry, checks: &mut Checks) {
    let place = "log.opened";
    let Some(opened) = of.opened else {
        checks.untold(Code::LogOpened, place, "entry 0 of the run could not be read");
        return;
    };
    let wrong = match &entry.record {
        LogRecord::RunOpened { run, plan, registry, first } => {
            let facts = [
                (run != of.id, "another run"),
                (*plan != opened.plan, "another plan"),
                (*registry != opened.registry, "another registry"),
                (Some(*first) != of.run.first, "another first entry"),
                (entry.seq != opened.log_seq, "another position than the run's own"),
            ];
            facts.into_iter().find(|(wrong, _)| *wrong).map(|(_, what)| format!("it states {what}"))
        }
        other => Some(format!("it is {}", other.kind())),
    };
    checks.settle(Code::LogOpened, place, wrong);
}

fn seal(of: &OfRun<'_>, entry: &LogEntry, checks: &mut Checks) {
    let wrong = match &entry.record {
        LogRecord::RunSealed { run, opened, size, root, outcome } => {
            let ended = of.story.map(|story| story.outcome);
            let facts = [
                (run != of.id, "another run"),
                (of.opened.is_some_and(|known| known.log_seq != *opened), "another opening"),
                (*size != of.run.size, "another number of entries"),
                (*root != of.run.root, "another root"),
                (ended.is_some_and(|ended| ended != Some(*outcome)), "another outcome"),
                (entry.seq <= *opened, "a seal before the opening"),
            ];
            facts.into_iter().find(|(wrong, _)| *wrong).map(|(_, what)| format!("it states {what}"))
        }
        other => Some(format!("it is {}", other.kind())),
    };
    checks.settle(Code::LogSealed, "log.sealed", wrong);
}

/// The log checkpoints that stand in the run: one before the first lease, over the opening; each signed, and continued by B.
pub(super) fn logged(of: &OfRun<'_>, origin: &str, log: &mut TheLog, known: &mut Known, checks: &mut Checks) {
    let Some(told) = &of.run.told else {
        checks.untold(Code::LogLate, "", "an entry of the run could not be read");
        return;
    };
    let (mut vouched, mut late) = (false, false);
    for entry in told.iter().map(|told| &told.entry) {
        match &entry.record {
            Record::RunLogged(place) => {
                let covers = of.opened.is_some_and(|opened| place.size > opened.log_seq);
                vouched |= covers;
                let wrong = (!covers).then(|| "it does not cover the run's opening".to_owned());
                checks.settle(Code::LogLate, &format!("entry {}", entry.seq), wrong);
                vouch(entry.seq, place, origin, log, known, checks);
            }
            Record::AttemptLeased(_) => {
                if !vouched && !late {
                    let what = "leased before the log vouched for the run's opening";
                    checks.fail(Code::LogLate, format!("entry {}", entry.seq), what);
                }
                late |= !vouched;
                checks.judge(Code::LogLate, 1);
            }
            _ => {}
        }
    }
}

fn vouch(seq: u64, place: &LogPlace, origin: &str, log: &mut TheLog, known: &mut Known, checks: &mut Checks) {
    let at = format!("entry {seq}");
    let checkpoint = Checkpoint { origin: origin.to_owned(), size: place.size, root: place.root };
    let note = format!("{}\n\u{2014} {origin} {}\n", checkpoint.text(), place.sig);
    if let Some(told) = known.open(note.as_bytes(), origin, KeyRole::Log, &at, checks) {
        speak(known, &told.keys, place.size, &at, checks);
    }
    log.needs(place.size, &place.root, &at, checks);
}
