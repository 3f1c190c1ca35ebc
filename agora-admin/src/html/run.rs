//! What the entries of a run tell of its items and attempts. It judges nothing: whether they can have told it, the verifier
//! says. So it takes whatever comes: what names an item that there is not, or comes out of turn, is passed over.

use std::collections::{BTreeMap, BTreeSet};

use agora_core::id::ItemId;
use agora_core::record::{
    Added, AddedItem, AttemptFinished, AttemptLeased, AttemptStarted, Entry, GrowthCause, NamedRef, QuestionAnswered,
    QuestionAsked, Record, RunCompleted, RunOpened,
};
use agora_core::time::Time;

use super::show;

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Pending,
    Ready,
    Running,
    Waiting,
    Retrying,
    Done,
    Failed,
    Skipped,
    Cancelled,
    Denied,
}

impl State {
    pub(super) const ALL: [Self; 10] = [
        Self::Done,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
        Self::Denied,
        Self::Running,
        Self::Waiting,
        Self::Retrying,
        Self::Ready,
        Self::Pending,
    ];

    /// The word, which is its class in the style sheet, too.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
        }
    }

    /// A sign that needs no colour.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Done => "✓",
            Self::Failed => "✗",
            Self::Skipped => "–",
            Self::Cancelled | Self::Denied => "⊘",
            Self::Running => "▶",
            Self::Waiting => "?",
            Self::Retrying => "↻",
            Self::Pending | Self::Ready => "·",
        }
    }
}

/// A run, as its entries tell it.
pub(crate) struct Run<'a> {
    pub(super) opened: Option<&'a RunOpened>,
    /// The first entry.
    pub(super) first: Option<&'a Entry>,
    pub(super) last: Option<&'a Entry>,
    pub(super) items: Vec<Item<'a>>,
    pub(super) completed: Option<&'a RunCompleted>,
    /// Entries that somebody else than the engine wrote.
    pub(super) acts: Vec<&'a Entry>,
    index: BTreeMap<&'a str, usize>,
    /// The position of `question.asked` to its item.
    asked: BTreeMap<u64, usize>,
}

/// An item.
pub(super) struct Item<'a> {
    pub(super) added: &'a AddedItem,
    pub(super) cause: GrowthCause,
    pub(super) source: Option<&'a str>,
    pub(super) uses: Vec<&'a NamedRef>,
    /// Positions among the items, ascending, each below its own.
    pub(super) after: Vec<usize>,
    pub(super) attempts: Vec<Attempt<'a>>,
    pub(super) questions: Vec<Question<'a>>,
    pub(super) state: State,
    /// Why it is so, where an entry says.
    pub(super) why: Option<String>,
    /// The position of the entry that says so.
    pub(super) seq: u64,
}

/// An attempt.
pub(super) struct Attempt<'a> {
    pub(super) leased: &'a AttemptLeased,
    pub(super) leased_at: Time,
    pub(super) started: Option<(&'a AttemptStarted, Time)>,
    pub(super) finished: Option<Finished<'a>>,
    /// The position of the `item.done` that accepted it.
    pub(super) accepted: Option<u64>,
}

/// How an attempt ended.
#[derive(Clone, Copy)]
pub(super) struct Finished<'a> {
    pub(super) body: &'a AttemptFinished,
    pub(super) seq: u64,
    pub(super) at: Time,
}

/// A question, and its answer.
pub(super) struct Question<'a> {
    pub(super) asked: &'a QuestionAsked,
    pub(super) seq: u64,
    pub(super) answered: Option<(&'a QuestionAnswered, &'a Entry)>,
}

impl<'a> Run<'a> {
    /// Reads the entries in order.
    pub(crate) fn of(entries: &'a [Entry]) -> Self {
        let mut run = Run {
            opened: None,
            first: entries.first(),
            last: entries.last(),
            items: Vec::new(),
            completed: None,
            acts: Vec::new(),
            index: BTreeMap::new(),
            asked: BTreeMap::new(),
        };
        entries.iter().for_each(|entry| run.entry(entry));
        run
    }

    /// Every attempt, with the position of its item.
    pub(super) fn attempts(&self) -> impl Iterator<Item = (usize, &Attempt<'a>)> {
        self.items.iter().enumerate().flat_map(|(at, item)| item.attempts.iter().map(move |attempt| (at, attempt)))
    }

    fn entry(&mut self, entry: &'a Entry) {
        if entry.actor.as_str() != "engine" {
            self.acts.push(entry);
        }
        match &entry.record {
            Record::RunOpened(body) => self.opened = self.opened.or(Some(body)),
            Record::ItemsAdded(body) => self.added(body, entry.seq),
            Record::RunCompleted(body) => self.completed = Some(body),
            Record::AttemptLeased(body) => self.leased(body, entry),
            Record::AttemptStarted(body) => self.started(body, entry),
            Record::AttemptFinished(body) => self.finished(body, entry),
            Record::QuestionAsked(body) => self.asked(body, entry.seq),
            Record::QuestionAnswered(body) => self.answered(body, entry),
            Record::ItemReady { item, cause } => self.stand(item, State::Ready, Some(cause.as_str().into()), entry.seq),
            Record::ItemWaiting { item, .. } => self.stand(item, State::Waiting, None, entry.seq),
            Record::ItemDone { item, finished, answered } => {
                let why = answered.map(|seq| format!("by the approval in entry {seq}"));
                self.stand(item, State::Done, why, entry.seq);
                self.accept(item, *finished, entry.seq);
            }
            Record::ItemFailed { item, class, reason, detail, .. } => {
                let mut why = format!("{}: {}", show::word(class), reason.as_str());
                why.extend(detail.iter().flat_map(|detail| [", ", detail]));
                self.stand(item, State::Failed, Some(why), entry.seq);
            }
            Record::ItemRetried { item, class, reason, .. } => {
                let why = format!("after {}: {}", show::word(class), reason.as_str());
                self.stand(item, State::Retrying, Some(why), entry.seq);
            }
            Record::ItemSkipped { item, cause, due_to } => {
                let why = format!("{}, due to {due_to}", cause.as_str());
                self.stand(item, State::Skipped, Some(why), entry.seq);
            }
            Record::ItemCancelled { item, request, proof } => {
                let why = format!("asked for in entry {request}; absence: {}", proof.as_str());
                self.stand(item, State::Cancelled, Some(why), entry.seq);
            }
            Record::ItemDenied { item, rule, .. } => {
                self.stand(item, State::Denied, Some(format!("rule {rule}")), entry.seq);
            }
            Record::RunLogged(_)
            | Record::HoldSet { .. }
            | Record::HoldReleased { .. }
            | Record::CancelRequested(_)
            | Record::PatternFailed { .. }
            | Record::RunClosed {} => {}
        }
    }

    fn added(&mut self, body: &'a Added, seq: u64) {
        for added in &body.items {
            let at = self.items.len();
            if self.index.contains_key(added.id.as_str()) {
                continue;
            }
            let known = added.depends_on.iter().filter_map(|id| self.index.get(id.as_str()).copied());
            let after: BTreeSet<usize> = known.collect();
            let uses = added.uses.iter().filter_map(|ix| body.resolved.get(usize::try_from(*ix).ok()?)).collect();
            self.index.insert(added.id.as_str(), at);
            self.items.push(Item {
                added,
                cause: body.cause,
                source: body.source.as_ref().map(agora_core::id::Enc::as_str),
                uses,
                after: after.into_iter().collect(),
                attempts: Vec::new(),
                questions: Vec::new(),
                state: State::Pending,
                why: None,
                seq,
            });
        }
    }

    fn item(&mut self, id: &ItemId) -> Option<&mut Item<'a>> {
        self.index.get(id.as_str()).and_then(|at| self.items.get_mut(*at))
    }

    fn stand(&mut self, id: &ItemId, state: State, why: Option<String>, seq: u64) {
        if let Some(item) = self.item(id) {
            (item.state, item.why, item.seq) = (state, why, seq);
        }
    }

    fn leased(&mut self, body: &'a AttemptLeased, entry: &Entry) {
        let Some(item) = self.item(&body.item) else { return };
        (item.state, item.why, item.seq) = (State::Running, None, entry.seq);
        item.attempts.push(Attempt {
            leased: body,
            leased_at: entry.at,
            started: None,
            finished: None,
            accepted: None,
        });
    }

    fn attempt(&mut self, id: &ItemId, number: u64) -> Option<&mut Attempt<'a>> {
        self.item(id)?.attempts.iter_mut().rev().find(|attempt| attempt.leased.attempt == number)
    }

    fn started(&mut self, body: &'a AttemptStarted, entry: &Entry) {
        if let Some(attempt) = self.attempt(&body.item, body.attempt) {
            attempt.started = attempt.started.or(Some((body, entry.at)));
        }
    }

    fn finished(&mut self, body: &'a AttemptFinished, entry: &Entry) {
        if let Some(attempt) = self.attempt(&body.item, body.attempt) {
            attempt.finished = attempt.finished.or(Some(Finished { body, seq: entry.seq, at: entry.at }));
        }
    }

    fn accept(&mut self, id: &ItemId, finished: Option<u64>, done: u64) {
        let Some(item) = self.item(id) else { return };
        let of = |attempt: &&mut Attempt<'_>| {
            finished.is_some() && attempt.finished.map(|finished| finished.seq) == finished
        };
        if let Some(attempt) = item.attempts.iter_mut().rev().find(of) {
            attempt.accepted = Some(done);
        }
    }

    fn asked(&mut self, body: &'a QuestionAsked, seq: u64) {
        let Some(at) = self.index.get(body.item.as_str()).copied() else { return };
        self.asked.insert(seq, at);
        self.items[at].questions.push(Question { asked: body, seq, answered: None });
    }

    fn answered(&mut self, body: &'a QuestionAnswered, entry: &'a Entry) {
        let Some(item) = self.asked.get(&body.asked).and_then(|at| self.items.get_mut(*at)) else { return };
        if let Some(question) = item.questions.iter_mut().rev().find(|question| question.seq == body.asked) {
            question.answered = Some((body, entry));
        }
    }
}

impl<'a> Item<'a> {
    /// The attempt whose result was accepted.
    pub(super) fn accepted(&self) -> Option<&Attempt<'a>> {
        self.attempts.iter().find(|attempt| attempt.accepted.is_some())
    }

    /// The kinds of flag on the accepted patch.
    pub(super) fn flags(&self) -> Vec<&'a str> {
        let patch = self.accepted().and_then(|attempt| attempt.finished?.body.patch.as_ref());
        patch.into_iter().flat_map(|patch| &patch.flags).map(agora_core::id::Word::as_str).collect()
    }

    /// Whether a reader has to look at it before all others.
    pub(super) fn is_remarkable(&self) -> bool {
        self.state != State::Done || self.attempts.len() > 1 || !self.flags().is_empty() || !self.questions.is_empty()
    }
}
