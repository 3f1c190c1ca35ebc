//! What there is to know of an item while its story is told.

use std::collections::BTreeMap;

use crate::id::{Enc, ItemId};
use crate::record::{AddedItem, AddedNeed, AnswerDecision, AttemptFinished, AttemptLeased, QuestionAnswered};

/// The executor of an item that a person decides (`docs/plan.md`): nothing of it is leased.
const APPROVAL: &str = "approval";

/// How an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Failed,
    Skipped,
    Cancelled,
    Denied,
}

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing was said of it yet.
    Pending,
    /// It may be leased or, if it is an approval, asked for.
    Ready,
    /// An attempt is open.
    Running,
    /// Its latest attempt is finished, and what follows from that is yet to come.
    Ended,
    /// It waits for a decision, or has it, and what follows is yet to come.
    Waiting,
    /// Nothing changes it any more.
    Over(End),
}

impl Standing {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Ended => "running, its attempt finished",
            Self::Waiting => "waiting",
            Self::Over(End::Done) => "done",
            Self::Over(End::Failed) => "failed",
            Self::Over(End::Skipped) => "skipped",
            Self::Over(End::Cancelled) => "cancelled",
            Self::Over(End::Denied) => "denied",
        }
    }
}

/// The latest attempt at an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// Where its lease stands.
    pub(super) leased: usize,
    pub(super) lease: &'a AttemptLeased,
    pub(super) started: Option<usize>,
    pub(super) finished: Option<(usize, &'a AttemptFinished)>,
    /// Whether its deadline was recorded as passed.
    pub(super) expired: bool,
}

/// The latest question of an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) asked: usize,
    /// Whether its item waits for it, or did.
    pub(super) open: bool,
    pub(super) answered: Option<(usize, &'a QuestionAnswered)>,
}

impl Question<'_> {
    pub(super) fn decision(&self) -> Option<AnswerDecision> {
        self.answered.map(|(_, body)| body.decision)
    }
}

/// An accepted result.
#[derive(Debug, Clone, Copy)]
pub(super) struct ItemResult<'a> {
    pub(super) done: usize,
    /// What was made; nothing of an approval.
    pub(super) made: Option<&'a AttemptFinished>,
}

/// An item.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) id: &'a ItemId,
    pub(super) body: &'a AddedItem,
    /// The position of its `items.added`, and its index there.
    pub(super) added: (u64, usize),
    /// What it depends on, ascending, each once.
    pub(super) depends_on: Vec<usize>,
    /// What depends on it.
    pub(super) dependents: Vec<usize>,
    /// By the name of the input.
    pub(super) needs: BTreeMap<&'a Enc, &'a AddedNeed>,
    /// How many of `depends_on` are not done.
    pub(super) undone: usize,
    /// How many of `depends_on` are done with a patch.
    pub(super) patches: usize,
    pub(super) standing: Standing,
    pub(super) attempts: u64,
    /// The highest so far.
    pub(super) fence: u64,
    pub(super) latest: Option<Attempt<'a>>,
    pub(super) question: Option<Question<'a>>,
    /// Whether a cancel names it.
    pub(super) cancelled: bool,
    pub(super) result: Option<ItemResult<'a>>,
    /// The item that it was skipped due to.
    pub(super) due_to: Option<usize>,
    /// The item whose pattern added it.
    pub(super) source: Option<usize>,
    /// How many of the items that its own pattern added have not ended.
    pub(super) members_open: usize,
    /// Those of them that failed since its pattern last answered.
    pub(super) members_failed: Vec<usize>,
    /// Whether its own pattern went on.
    pub(super) answered: bool,
    /// Whether its own pattern could not go on.
    pub(super) stuck: bool,
    /// Whether it failed and a pattern went on all the same.
    pub(super) made_good: bool,
}

impl<'a> Item<'a> {
    pub(super) fn new(body: &'a AddedItem, added: (u64, usize), depends_on: Vec<usize>, source: Option<usize>) -> Self {
        Self {
            id: &body.id,
            body,
            added,
            depends_on,
            dependents: Vec::new(),
            needs: body.needs.iter().map(|need| (&need.key, need)).collect(),
            undone: 0,
            patches: 0,
            standing: Standing::Pending,
            attempts: 0,
            fence: 0,
            latest: None,
            question: None,
            cancelled: false,
            result: None,
            due_to: None,
            source,
            members_open: 0,
            members_failed: Vec::new(),
            answered: false,
            stuck: false,
            made_good: false,
        }
    }

    pub(super) fn is_approval(&self) -> bool {
        self.body.executor.as_str() == APPROVAL
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.standing, Standing::Over(_))
    }

    /// Its open attempt.
    pub(super) fn open(&self) -> Option<Attempt<'a>> {
        self.latest.filter(|_| self.standing == Standing::Running)
    }

    /// The end of its latest attempt, while what follows from it is yet to come.
    pub(super) fn ended(&self) -> Option<(usize, &'a AttemptFinished)> {
        self.latest.filter(|_| self.standing == Standing::Ended)?.finished
    }

    /// Whether it is done, though the attempt's own verify did not pass.
    pub(super) fn is_done_red(&self) -> bool {
        let made = self.result.and_then(|result| result.made);
        made.and_then(|made| made.verify.as_ref()).is_some_and(|verify| !verify.passed)
    }

    /// Whether its accepted result has a patch.
    pub(super) fn has_patch(&self) -> bool {
        self.result.and_then(|result| result.made).is_some_and(|made| made.patch.is_some())
    }
}
