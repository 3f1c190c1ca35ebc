//! A driver for tests: it plays decisions on a board as the engine does, and keeps the bytes of every entry.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Approve, Cancel, Decision, Effect, Finish, LeaseTerms, Refusal, Verdict};
use crate::audit::chain::genesis;
use crate::audit::merkle::leaf_hash;
use crate::choose::{Board, Capacity, Grant};
use crate::id::{Digest, Enc, Hash, ItemId, RunId, Word, engine_actor};
use crate::isolation::{Isolation, Network, Probes};
use crate::record::{
    AddedItem, AddedNeed, AttemptFinished, AttemptStarted, BudgetRef, CancelVia, Entry, GrowthCause, InputUse,
    LogPlace, OutcomeWord, OutputArtifact, PatchArtifact, Record, RegistryRef, RunOpened, UsageCount, WorkerRef,
};
use crate::state::{Applied, Illegal, ItemState, ItemStatus, Knobs, Rule, RunState};
use crate::time::Time;
use crate::worker::Reason;

pub(crate) fn enc(text: &str) -> Enc {
    Enc::encode(text)
}

pub(crate) fn word(text: &str) -> Word {
    Word::new(text).unwrap()
}

pub(crate) fn item_id(text: &str) -> ItemId {
    ItemId::new(text).unwrap()
}

pub(crate) fn run_id(text: &str) -> RunId {
    RunId::new(text).unwrap()
}

pub(crate) fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// Milliseconds after the first moment of every test.
pub(crate) fn at(ms: u64) -> Time {
    "2026-11-20T18:07:00.000000Z".parse::<Time>().unwrap().plus_ms(ms)
}

/// An item of a test's plan.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) id: String,
    pub(crate) deps: Vec<String>,
    pub(crate) needs: Vec<(String, Option<String>)>,
    pub(crate) locks: Vec<String>,
    pub(crate) executor: String,
    pub(crate) priority: u8,
    pub(crate) attempts_max: u64,
    pub(crate) backoff_ms: u64,
    pub(crate) rule: Option<Rule>,
}

/// An item that depends on these, with two attempts and nothing else.
pub(crate) fn planned(id: impl Into<String>, deps: &[&str]) -> Planned {
    Planned {
        id: id.into(),
        deps: deps.iter().map(|dep| (*dep).to_owned()).collect(),
        needs: Vec::new(),
        locks: Vec::new(),
        executor: "dispatch".to_owned(),
        priority: 0,
        attempts_max: 2,
        backoff_ms: 1_000,
        rule: None,
    }
}

impl Planned {
    pub(crate) fn locks(mut self, keys: &[&str]) -> Self {
        self.locks = keys.iter().map(|key| (*key).to_owned()).collect();
        self
    }

    pub(crate) fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    pub(crate) fn attempts(mut self, attempts_max: u64) -> Self {
        self.attempts_max = attempts_max;
        self
    }

    pub(crate) fn executor(mut self, executor: &str) -> Self {
        self.executor = executor.to_owned();
        self
    }

    pub(crate) fn need(mut self, from: &str, path: Option<&str>) -> Self {
        self.needs.push((from.to_owned(), path.map(str::to_owned)));
        self
    }

    pub(crate) fn added(&self) -> AddedItem {
        let need = |(from, path): &(String, Option<String>)| AddedNeed {
            key: enc(&format!("from-{from}")),
            item: item_id(from),
            usage: if path.is_some() { InputUse::Output } else { InputUse::Patch },
            path: path.as_ref().map(|path| enc(path)),
        };
        AddedItem {
            id: item_id(&self.id),
            digest: digest(&self.id),
            executor: enc(&self.executor),
            depends_on: self.deps.iter().map(|dep| item_id(dep)).collect(),
            needs: self.needs.iter().map(need).collect(),
            locks: self.locks.iter().map(|key| enc(key)).collect(),
            uses: Vec::new(),
        }
    }

    fn knobs(&self) -> Knobs {
        Knobs {
            priority: self.priority,
            attempts_max: self.attempts_max,
            backoff_ms: self.backoff_ms,
            model: None,
            refs: Vec::new(),
            question: (self.executor == "approval").then(|| digest("question")),
            rule: self.rule,
        }
    }
}

pub(crate) fn opened(queue: &str) -> RunOpened {
    RunOpened {
        log: enc("example.com/agora"),
        log_seq: 7,
        plan: digest("plan"),
        queue: enc(queue),
        registry: RegistryRef { version: 3, digest: digest("snapshot"), note: digest("note") },
        targets: Vec::new(),
        tools: None,
        agora: enc("0.1.0"),
        open_ended: false,
        base: None,
        budget: None,
        retain_days: None,
    }
}

pub(crate) fn budget(microusd: Option<u64>, tokens: Option<u64>, wall_ms: Option<u64>) -> Option<BudgetRef> {
    Some(BudgetRef { microusd, tokens, wall_ms })
}

pub(crate) fn isolation() -> Isolation {
    Isolation {
        provider: "process".to_owned(),
        profile: "test".to_owned(),
        weaker: Vec::new(),
        probes: Probes::default(),
        network: Network { mode: "none".to_owned(), boundary: "netns".to_owned(), ..Network::default() },
        jail: None,
        kernel: None,
        namespaces: Vec::new(),
        no_new_privs: None,
        rlimits: BTreeMap::new(),
        tree: None,
        uid_separation: None,
        worker: None,
        more: BTreeMap::new(),
    }
}

pub(crate) fn place(size: u64) -> LogPlace {
    LogPlace { size, root: Hash([1; 32]), sig: "AAAA".to_owned() }
}

pub(crate) fn started_record(item: &str, attempt: u64, fence: u64) -> AttemptStarted {
    AttemptStarted {
        item: item_id(item),
        attempt,
        fence,
        handle: enc("box"),
        isolation: isolation(),
        image: None,
        worker: WorkerRef { version: enc("0.1.0"), digest: digest("worker") },
        task: digest("task"),
        secrets: Vec::new(),
    }
}

/// What an attempt reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    Done,
    /// With a patch, and an output at `report.json`.
    Patch,
    Fail(Reason),
    Lost,
    Ask,
}

pub(crate) fn finished_record(item: &str, attempt: u64, fence: u64, report: Report) -> AttemptFinished {
    let (outcome, reason) = match report {
        Report::Done | Report::Patch => (OutcomeWord::Done, None),
        Report::Fail(reason) => (OutcomeWord::Failed, Some(reason)),
        Report::Lost => (OutcomeWord::Lost, Some(Reason::WorkerLost)),
        Report::Ask => (OutcomeWord::NeedsInput, None),
    };
    let made = report == Report::Patch;
    let usage =
        UsageCount { input_tokens: Some(30), output_tokens: Some(12), cost_microusd: Some(5), ..UsageCount::default() };
    AttemptFinished {
        item: item_id(item),
        attempt,
        fence,
        outcome,
        duration_ms: 10,
        outputs: made
            .then(|| OutputArtifact { digest: digest("output"), size_bytes: 6, path: enc("report.json") })
            .into_iter()
            .collect(),
        models: Vec::new(),
        class: reason.map(Reason::class),
        reason,
        exit_code: None,
        signal: None,
        start_tree: Some(digest("start")),
        result_tree: Some(digest("result")),
        patch: made.then(|| PatchArtifact { digest: digest(item), size_bytes: 1, files: 1, flags: Vec::new() }),
        draft: None,
        verify: None,
        usage: Some(usage),
        usage_broker: None,
        log: None,
        report: None,
        egress: None,
    }
}

pub(crate) fn terms() -> LeaseTerms {
    LeaseTerms {
        target: enc("local"),
        target_digest: digest("target"),
        provider: word("process"),
        message: None,
        deadline_ms: 60_000,
        refused: None,
    }
}

/// A board, a clock, and the journal of every run as bytes.
#[derive(Default)]
pub(crate) struct Player {
    pub(crate) board: Board,
    pub(crate) capacity: Capacity,
    pub(crate) ms: u64,
    pub(crate) journals: BTreeMap<RunId, Vec<(Vec<u8>, Hash)>>,
    knobs: BTreeMap<RunId, BTreeMap<ItemId, Knobs>>,
    /// Whether entries become bytes and are read again; the large tests do without.
    pub(crate) bytes: bool,
    /// Records so far.
    pub(crate) records: usize,
    pub(crate) effects: Vec<Effect>,
}

impl Player {
    /// Executors `dispatch` and `other`, queues as given.
    pub(crate) fn new(queues: &[(&str, u64)]) -> Self {
        let capacity = Capacity {
            queues: queues.iter().map(|(queue, slots)| (enc(queue), *slots)).collect(),
            executors: [("dispatch", "local"), ("other", "remote")].map(|(e, t)| (enc(e), enc(t))).into(),
            down: BTreeMap::new(),
            unready: BTreeSet::new(),
        };
        Self { capacity, bytes: true, ..Self::default() }
    }

    pub(crate) fn now(&self) -> Time {
        at(self.ms)
    }

    /// Opens a run and has the log vouch for it.
    pub(crate) fn open(&mut self, id: &str, opened: RunOpened, items: &[Planned]) {
        self.open_unlogged(id, opened, items);
        self.play(id, |state| super::logged(state, place(8))).unwrap();
    }

    pub(crate) fn open_unlogged(&mut self, id: &str, opened: RunOpened, items: &[Planned]) {
        let run = run_id(id);
        let knobs: BTreeMap<_, _> = items.iter().map(|item| (item_id(&item.id), item.knobs())).collect();
        let added = super::added(GrowthCause::Plan, None, items.iter().map(|i| (i.added(), Vec::new())).collect());
        let mut records = super::submit(opened.clone(), added).into_iter();
        let first = records.next().unwrap();
        let mut journal = Vec::new();
        if self.bytes {
            let prev = genesis(&format!("example.com/agora/run/{id}"), &opened.plan.to_string());
            let entry = Entry {
                run: run.clone(),
                seq: 0,
                prev,
                at: self.now(),
                actor: engine_actor(),
                auth: None,
                record: first,
            };
            let bytes = entry.to_bytes().unwrap();
            let leaf = leaf_hash(&bytes);
            journal.push((bytes, leaf));
        }
        self.journals.insert(run.clone(), journal);
        self.board.insert(RunState::open(run.clone(), engine_actor(), self.now(), opened, knobs.clone()));
        self.knobs.insert(run, knobs);
        self.commit(id, Decision { records: records.collect(), effects: Vec::new() });
    }

    pub(crate) fn run(&self, id: &str) -> &RunState {
        self.board.run(&run_id(id)).unwrap()
    }

    pub(crate) fn item(&self, run: &str, item: &str) -> &ItemState {
        self.run(run).item(&item_id(item)).unwrap()
    }

    pub(crate) fn status(&self, run: &str, item: &str) -> ItemStatus {
        self.item(run, item).status
    }

    /// Decides and commits.
    pub(crate) fn play(
        &mut self,
        id: &str,
        decide: impl FnOnce(&RunState) -> Result<Decision, Refusal>,
    ) -> Result<Vec<Record>, Refusal> {
        let decision = decide(self.run(id))?;
        let records = decision.records.clone();
        self.commit(id, decision);
        Ok(records)
    }

    pub(crate) fn commit(&mut self, id: &str, decision: Decision) {
        for record in decision.records {
            self.apply(id, record).unwrap();
        }
        self.effects.extend(decision.effects);
    }

    /// Appends one record, through its bytes.
    pub(crate) fn apply(&mut self, id: &str, record: Record) -> Result<Applied, Illegal> {
        let run = run_id(id);
        let state = self.board.run(&run).unwrap();
        let (seq, time) = (state.next_seq, self.now().max(state.last_at));
        let mut leaf = Hash([0; 32]);
        let mut record = record;
        if self.bytes {
            let journal = &self.journals[&run];
            let prev = journal.last().unwrap().1;
            let entry = Entry { run: run.clone(), seq, prev, at: time, actor: engine_actor(), auth: None, record };
            let bytes = entry.to_bytes().unwrap();
            assert_eq!(Entry::from_bytes(&bytes).unwrap(), entry);
            leaf = leaf_hash(&bytes);
            record = entry.record;
            let applied = self.board.apply(&run, time, leaf, &record)?;
            self.journals.get_mut(&run).unwrap().push((bytes, leaf));
            self.records += 1;
            return Ok(applied);
        }
        self.records += 1;
        self.board.apply(&run, time, leaf, &record)
    }

    pub(crate) fn next(&mut self) -> Option<Grant> {
        let now = self.now();
        self.board.next(now, &self.capacity)
    }

    /// Leases what starts next; the item's id.
    pub(crate) fn lease(&mut self) -> Option<(String, String)> {
        let grant = self.next()?;
        let id = grant.run.to_string();
        let item = self.run(&id).items[grant.item].id.to_string();
        let now = self.now();
        let terms = LeaseTerms { target: grant.target, ..terms() };
        self.play(&id, |state| super::lease(state, grant.item, terms, now)).unwrap();
        Some((id, item))
    }

    /// Leases all that may start; the ids of the items.
    pub(crate) fn lease_all(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.lease().map(|(_, item)| item)).collect()
    }

    fn identity(&self, run: &str, item: &str) -> (u64, u64) {
        let item = self.item(run, item);
        item.lease.as_ref().map_or((item.attempts, 0), |lease| (lease.attempt, lease.fence))
    }

    pub(crate) fn start(&mut self, run: &str, item: &str) -> Result<Vec<Record>, Refusal> {
        let (attempt, fence) = self.identity(run, item);
        self.play(run, |state| super::started(state, started_record(item, attempt, fence)))
    }

    /// Ends the running attempt as reported, whether or not it started.
    pub(crate) fn end(&mut self, run: &str, item: &str, report: Report) -> Result<Vec<Record>, Refusal> {
        let (attempt, fence) = self.identity(run, item);
        let question = (report == Report::Ask).then(|| (digest("question"), 2));
        let finished = finished_record(item, attempt, fence, report);
        let finish = Finish { run: run_id(run), finished, question, hint_ms: None, detail: None };
        let now = self.now();
        self.play(run, |state| super::finish(state, finish, now))
    }

    /// Starts and ends the running attempt.
    pub(crate) fn finish(&mut self, run: &str, item: &str, report: Report) -> Vec<Record> {
        self.start(run, item).unwrap();
        self.end(run, item, report).unwrap()
    }

    pub(crate) fn cancel(&mut self, run: &str, item: Option<&str>) -> Result<Vec<Record>, Refusal> {
        let item = item.map(item_id);
        let request = Cancel { item, via: CancelVia::Mcp, reason: word("requested"), note: None };
        self.play(run, |state| super::cancel(state, request))
    }

    pub(crate) fn answer(&mut self, run: &str, item: Option<&str>, question: u64) -> Result<Vec<Record>, Refusal> {
        let answer = Answer { item: item.map(item_id), question, answer: digest("answer") };
        self.play(run, |state| super::answer(state, answer))
    }

    /// Has a run know of items that are about to be added.
    pub(crate) fn learn(&mut self, run: &str, items: &[Planned]) {
        let knobs: BTreeMap<_, _> = items.iter().map(|item| (item_id(&item.id), item.knobs())).collect();
        self.board.learn(&run_id(run), knobs.clone());
        self.knobs.entry(run_id(run)).or_default().extend(knobs);
    }

    /// Extends a run, closes it, or both.
    pub(crate) fn extend(&mut self, run: &str, items: &[Planned], close: bool) -> Result<Vec<Record>, Refusal> {
        self.learn(run, items);
        let added = super::added(GrowthCause::Extend, None, items.iter().map(|i| (i.added(), Vec::new())).collect());
        self.play(run, |state| super::extend(state, added, close))
    }

    /// Asks for what is to be approved, and completes what can be.
    pub(crate) fn settle(&mut self, run: &str) -> Result<Vec<Record>, Refusal> {
        self.play(run, super::settle)
    }

    /// A person decides.
    pub(crate) fn approve(&mut self, run: &str, item: &str, verdict: Verdict) -> Result<Vec<Record>, Refusal> {
        let approve = Approve { item: item_id(item), question: None, verdict, note: Some(digest("note")) };
        self.play(run, |state| super::approve(state, approve))
    }

    /// The state that the bytes of a run's entries add up to. They tell a story without a problem.
    pub(crate) fn replay(&self, id: &RunId) -> RunState {
        assert_eq!(self.told(id).problems, []);
        let mut state = None;
        for (bytes, leaf) in &self.journals[id] {
            let entry = Entry::from_bytes(bytes).unwrap();
            match (&mut state, entry.record) {
                (None, Record::RunOpened(opened)) => {
                    state = Some(RunState::open(id.clone(), entry.actor, entry.at, *opened, self.knobs[id].clone()));
                }
                (None, other) => panic!("a run that starts with {}", other.kind()),
                (Some(state), record) => {
                    state.apply(entry.at, *leaf, &record).unwrap();
                }
            }
        }
        state.unwrap()
    }
}

/// The kinds of records, in order.
pub(crate) fn kinds(records: &[Record]) -> Vec<&'static str> {
    records.iter().map(Record::kind).collect()
}
