//! The replay: each record to its rules, and what they share.

use std::collections::{BTreeMap, BTreeSet};

use super::item::{End, Item, Standing};
use super::{Story, StoryCode, StoryProblem, Told};
use crate::id::{Enc, ItemId};
use crate::record::{CancelScope, GrowthCause, Record, RunOpened};
use crate::time::Time;

/// A story in the telling.
pub(super) struct Teller<'a> {
    entries: &'a [Told],
    /// The position of the entry that is judged.
    pub(super) at: usize,
    pub(super) story: Story,
    judged: [u64; StoryCode::ALL.len()],
    pub(super) opened: Option<&'a RunOpened>,
    pub(super) items: Vec<Item<'a>>,
    pub(super) index: BTreeMap<&'a str, usize>,
    /// Lock key to the item whose open attempt holds it.
    pub(super) locks: BTreeMap<&'a Enc, usize>,
    /// Whether nothing but the opening and the plan's items came so far.
    pub(super) begins: bool,
    /// The item that the entry before answers, if that added items of a pattern.
    pub(super) growing: Option<usize>,
    /// The position of the hold in force.
    pub(super) hold: Option<usize>,
    /// The position of the last hold that also stopped what ran.
    pub(super) park: Option<usize>,
    /// Whether a cancel is of the whole run.
    pub(super) run_cancelled: bool,
    pub(super) closed: bool,
    /// Whether a pattern could not go on.
    pub(super) erred: bool,
    /// The items because of which others were skipped by design, and whose pattern has not answered.
    pub(super) owing: BTreeSet<usize>,
    /// How many items ended so: done, failed, skipped, cancelled, denied.
    pub(super) ends: [u64; 5],
    /// How many were skipped by a pattern's design, or failed and were made good.
    pub(super) by_design: u64,
    pub(super) cost_microusd: u64,
}

impl<'a> Teller<'a> {
    pub(super) fn new(entries: &'a [Told]) -> Self {
        Self {
            entries,
            at: 0,
            story: Story { entries: entries.len() as u64, ..Story::default() },
            judged: [0; StoryCode::ALL.len()],
            opened: None,
            items: Vec::new(),
            index: BTreeMap::new(),
            locks: BTreeMap::new(),
            begins: true,
            growing: None,
            hold: None,
            park: None,
            run_cancelled: false,
            closed: false,
            erred: false,
            owing: BTreeSet::new(),
            ends: [0; 5],
            by_design: 0,
            cost_microusd: 0,
        }
    }

    pub(super) fn tell(mut self) -> Story {
        self.rule(StoryCode::Start, None, !self.entries.is_empty(), || "there are no entries".to_owned());
        for (at, told) in self.entries.iter().enumerate() {
            self.at = at;
            self.entry(&told.entry.record);
        }
        let judged = StoryCode::ALL.iter().map(|code| (*code, self.judged[*code as usize]));
        self.story.judged = judged.filter(|(_, count)| *count > 0).collect();
        self.story
    }

    fn entry(&mut self, record: &'a Record) {
        let opens = matches!(record, Record::RunOpened(_));
        if opens || self.at == 0 {
            self.rule(StoryCode::Start, None, opens && self.at == 0, || match opens {
                true => "the run is opened again".to_owned(),
                false => format!("the journal starts with {}", record.kind()),
            });
        }
        if self.story.outcome.is_some() {
            self.rule(StoryCode::End, record.item(), false, || format!("{} after run.completed", record.kind()));
            return;
        }
        let growing = self.growing.take();
        self.record(record, growing);
        self.begins &= match record {
            Record::RunOpened(_) => true,
            Record::ItemsAdded(body) => body.cause == GrowthCause::Plan,
            _ => false,
        };
    }

    fn record(&mut self, record: &'a Record, growing: Option<usize>) {
        match record {
            Record::RunOpened(body) if self.at == 0 => {
                self.opened = Some(body);
                self.story.opened = Some(0);
            }
            Record::RunOpened(_) => {}
            Record::RunLogged(_) => self.story.logged.push(self.at as u64),
            Record::ItemsAdded(body) => self.added(body, growing),
            Record::PatternFailed { pattern, .. } => self.pattern_failed(pattern),
            Record::RunClosed {} => self.close(),
            Record::HoldSet { mode, .. } => self.set_hold(*mode),
            Record::HoldReleased { hold } => self.release_hold(*hold),
            Record::CancelRequested(body) => self.request_cancel(body),
            Record::RunCompleted(body) => self.complete(body),
            Record::AttemptLeased(body) => self.lease(body),
            Record::AttemptStarted(body) => self.start(body),
            Record::AttemptFinished(body) => self.finish(body),
            Record::QuestionAsked(body) => self.ask(body),
            Record::QuestionAnswered(body) => self.answer(body),
            Record::ItemReady { item, cause } => self.ready(item, *cause),
            Record::ItemWaiting { item, asked } => self.wait(item, *asked),
            Record::ItemDone { item, finished, answered } => self.done(item, *finished, *answered),
            Record::ItemFailed { item, reason, finished, answered, .. } => {
                self.failed(item, *reason, *finished, *answered);
            }
            Record::ItemRetried { item, finished, reason, .. } => self.retried(item, *finished, *reason),
            Record::ItemSkipped { item, cause, due_to } => self.skipped(item, *cause, due_to),
            Record::ItemCancelled { item, request, proof } => self.cancelled(item, *request, *proof),
            Record::ItemDenied { item, .. } => self.denied(item),
        }
    }

    /// Judges one thing, and says what is wrong where it does not hold.
    pub(super) fn rule(
        &mut self,
        code: StoryCode,
        item: Option<&ItemId>,
        holds: bool,
        detail: impl FnOnce() -> String,
    ) -> bool {
        self.judged[code as usize] += 1;
        if !holds {
            let (seq, item) = (self.at as u64, item.cloned());
            self.story.problems.push(StoryProblem { code, seq, item, detail: detail() });
        }
        holds
    }

    /// The item of this id, if it is known.
    pub(super) fn known(&mut self, id: &ItemId) -> Option<usize> {
        let found = self.index.get(id.as_str()).copied();
        self.rule(StoryCode::Item, Some(id), found.is_some(), || format!("there is no item {id}"));
        found
    }

    /// The item of this id, if it is known and has not ended.
    pub(super) fn living(&mut self, id: &ItemId) -> Option<usize> {
        let ix = self.known(id)?;
        let standing = self.items[ix].standing;
        let lives = !self.items[ix].is_over();
        self.rule(StoryCode::Item, Some(id), lives, || format!("the item {id} is {} already", standing.as_str()));
        lives.then_some(ix)
    }

    /// The earlier record at a position, if there is one.
    pub(super) fn earlier(&self, seq: u64) -> Option<&'a Told> {
        usize::try_from(seq).ok().filter(|seq| *seq < self.at).and_then(|seq| self.entries.get(seq))
    }

    /// When the entry that is judged was written.
    pub(super) fn now(&self) -> Time {
        self.entries.get(self.at).map(|told| told.entry.at).unwrap_or_default()
    }

    /// Whether the item was asked to stop, itself or with its run.
    pub(super) fn is_cancelled(&self, ix: usize) -> bool {
        self.run_cancelled || self.items[ix].cancelled
    }

    /// The item ends: no attempt of it may be open then.
    pub(super) fn end(&mut self, ix: usize, end: End) {
        let (id, open) = (self.items[ix].id, self.items[ix].open());
        self.rule(StoryCode::Item, Some(id), open.is_none(), || format!("an attempt at the item {id} is open"));
        self.free(ix);
        let item = &mut self.items[ix];
        item.standing = Standing::Over(end);
        self.ends[end as usize] += 1;
        if let Some(source) = item.source {
            let source = &mut self.items[source];
            source.members_open = source.members_open.saturating_sub(1);
            if end == End::Failed {
                source.members_failed.push(ix);
            }
        }
    }

    /// The locks of the item's attempt are free.
    pub(super) fn free(&mut self, ix: usize) {
        let Some(attempt) = self.items[ix].open() else { return };
        for key in &attempt.lease.locks {
            if self.locks.get(key) == Some(&ix) {
                self.locks.remove(key);
            }
        }
    }

    /// Whether a request to cancel at this position is of this item, alone or with its run.
    pub(super) fn requests(&self, seq: u64, id: &ItemId) -> Option<CancelScope> {
        match &self.earlier(seq)?.entry.record {
            Record::CancelRequested(body) => match body.scope {
                CancelScope::Run => Some(CancelScope::Run),
                CancelScope::Item => (body.item.as_ref() == Some(id)).then_some(CancelScope::Item),
                CancelScope::Attempt => None,
            },
            _ => None,
        }
    }
}
