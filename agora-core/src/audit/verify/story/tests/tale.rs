//! A story for tests: records with names, so that one of them can be changed.

use crate::audit::merkle::leaf_hash;
use crate::audit::verify::story::{Story, StoryCode, Told, tell};
use crate::decide::testing::{at, digest, enc, item_id, run_id, word};
use crate::id::{Digest, Hash, ItemId, engine_actor};
use crate::record::{
    AttemptFinished, AttemptLeased, CancelRequested, CancelScope, CancelVia, Entry, InputUse, OutcomeWord,
    QuestionAnswered, QuestionAsked, Record, RunCompleted, RunOutcome, UsedInput,
};
use crate::worker::Reason;

/// Records in order, each with the name that tests know it by.
#[derive(Debug, Clone, Default)]
pub(super) struct Tale {
    pub(super) told: Vec<Told>,
    names: Vec<String>,
}

impl Tale {
    /// Appends a record and returns its position.
    pub(super) fn push(&mut self, name: &str, record: Record) -> u64 {
        self.insert(self.told.len(), name, record)
    }

    /// Puts a record at a position; what names a later one goes on to name the same.
    pub(super) fn insert(&mut self, at: usize, name: &str, record: Record) -> u64 {
        assert!(name.is_empty() || !self.names.iter().any(|known| known == name), "{name} is there twice");
        let place = at as u64;
        self.renumber(|seq| if seq >= place { seq + 1 } else { seq });
        let told = Told { leaf: leaf_hash(name.as_bytes()), entry: entry(record) };
        self.told.insert(at, told);
        self.names.insert(at, name.to_owned());
        place
    }

    /// Puts a record before the one of this name.
    pub(super) fn before(&mut self, next: &str, name: &str, record: Record) -> u64 {
        self.insert(self.at(next), name, record)
    }

    /// Takes a record out; what named it names nothing.
    pub(super) fn remove(&mut self, name: &str) -> Record {
        let at = self.at(name);
        let told = self.told.remove(at);
        self.names.remove(at);
        let gone = at as u64;
        self.renumber(|seq| match seq.cmp(&gone) {
            std::cmp::Ordering::Less => seq,
            std::cmp::Ordering::Equal => u64::MAX,
            std::cmp::Ordering::Greater => seq - 1,
        });
        told.entry.record
    }

    /// Ends the story with the record of this name.
    pub(super) fn keep_to(&mut self, name: &str) {
        let len = self.at(name) + 1;
        self.told.truncate(len);
        self.names.truncate(len);
    }

    /// Ends the story before the record of this name.
    pub(super) fn keep_before(&mut self, name: &str) {
        let len = self.at(name);
        self.told.truncate(len);
        self.names.truncate(len);
    }

    /// The position of the record of this name.
    pub(super) fn at(&self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).unwrap_or_else(|| panic!("no {name}: {:?}", self.names))
    }

    pub(super) fn seq(&self, name: &str) -> u64 {
        self.at(name) as u64
    }

    pub(super) fn name(&self, at: usize) -> &str {
        &self.names[at]
    }

    pub(super) fn record(&mut self, name: &str) -> &mut Record {
        let at = self.at(name);
        &mut self.told[at].entry.record
    }

    pub(super) fn set(&mut self, name: &str, record: Record) {
        *self.record(name) = record;
    }

    pub(super) fn leaf(&self, name: &str) -> Hash {
        self.told[self.at(name)].leaf
    }

    /// Exchanges a record and the next one; what names them follows.
    pub(super) fn swap(&mut self, at: usize) {
        let (one, next) = (at as u64, at as u64 + 1);
        self.told.swap(at, at + 1);
        self.names.swap(at, at + 1);
        self.renumber(|seq| match seq {
            seq if seq == one => next,
            seq if seq == next => one,
            seq => seq,
        });
    }

    pub(super) fn renumber(&mut self, to: impl Fn(u64) -> u64) {
        for told in &mut self.told {
            each_seq(&mut told.entry.record, &mut |seq| *seq = to(*seq));
        }
    }

    pub(super) fn tell(&self) -> Story {
        tell(&self.told)
    }

    /// The codes of what is wrong, each once.
    pub(super) fn codes(&self) -> Vec<StoryCode> {
        let mut codes: Vec<_> = self.tell().problems.iter().map(|problem| problem.code).collect();
        codes.sort();
        codes.dedup();
        codes
    }

    #[track_caller]
    pub(super) fn is_good(&self) {
        let problems = self.tell().problems;
        assert!(problems.is_empty(), "{problems:#?}\n{:?}", self.names);
    }
}

fn entry(record: Record) -> Entry {
    let (run, prev, actor) = (run_id("run"), Hash([0; 32]), engine_actor());
    Entry { run, seq: 0, prev, at: at(0), actor, auth: None, record }
}

/// Every position that a record names.
fn each_seq(record: &mut Record, change: &mut impl FnMut(&mut u64)) {
    match record {
        Record::ItemDone { finished, answered, .. } | Record::ItemFailed { finished, answered, .. } => {
            finished.iter_mut().chain(answered).for_each(change);
        }
        Record::ItemRetried { finished: seq, .. }
        | Record::ItemWaiting { asked: seq, .. }
        | Record::ItemCancelled { request: seq, .. }
        | Record::HoldReleased { hold: seq } => change(seq),
        Record::QuestionAsked(body) => body.finished.iter_mut().for_each(change),
        Record::QuestionAnswered(body) => change(&mut body.asked),
        Record::AttemptLeased(body) => body.inputs.iter_mut().filter_map(|input| input.done.as_mut()).for_each(change),
        _ => {}
    }
}

pub(super) fn leased(item: &str, number: u64, inputs: Vec<UsedInput>) -> Record {
    Record::AttemptLeased(Box::new(AttemptLeased {
        item: item_id(item),
        attempt: number,
        fence: number,
        target: enc("local"),
        target_digest: digest("target"),
        provider: word("process"),
        message: None,
        model: None,
        inputs,
        locks: Vec::new(),
        deadline: at(60_000),
        reserved_microusd: None,
    }))
}

pub(super) fn input(usage: InputUse, of: Digest, item: &str, done: Option<u64>, key: Option<&str>) -> UsedInput {
    let path = (usage == InputUse::Output).then(|| enc("report.json"));
    UsedInput { usage, digest: of, item: Some(item_id(item)), done, key: key.map(enc), path }
}

pub(super) fn stopped(item: &str, number: u64, reason: Reason) -> Record {
    Record::AttemptFinished(Box::new(AttemptFinished {
        class: Some(reason.class()),
        reason: Some(reason),
        ..AttemptFinished::new(item_id(item), number, number, OutcomeWord::Cancelled)
    }))
}

pub(super) fn done(item: &str, finished: u64) -> Record {
    Record::ItemDone { item: item_id(item), finished: Some(finished), answered: None }
}

pub(super) fn failed(item: &str, reason: Reason, finished: Option<u64>) -> Record {
    Record::ItemFailed { item: item_id(item), class: reason.class(), reason, detail: None, finished, answered: None }
}

pub(super) fn retried(item: &str, reason: Reason, finished: u64) -> Record {
    Record::ItemRetried { item: item_id(item), finished, class: reason.class(), reason, not_before: at(0) }
}

pub(super) fn cancel(scope: CancelScope, item: Option<&str>, attempt: Option<u64>) -> Record {
    let (via, reason, item) = (CancelVia::Cli, word("requested"), item.map(item_id));
    Record::CancelRequested(CancelRequested { scope, item, attempt, via, reason, note: None })
}

pub(super) fn asked(body: QuestionAsked) -> Record {
    Record::QuestionAsked(Box::new(body))
}

pub(super) fn answered(body: QuestionAnswered) -> Record {
    Record::QuestionAnswered(body)
}

/// Done, failed, skipped, cancelled, and what it cost.
pub(super) fn completed(outcome: RunOutcome, counts: [u64; 5]) -> Record {
    let [done, failed, skipped, cancelled, cost_microusd] = counts;
    Record::RunCompleted(RunCompleted { outcome, done, failed, skipped, cancelled, denied: 0, cost_microusd })
}

pub(super) fn id(item: &str) -> ItemId {
    item_id(item)
}
