//! The answer of a run's pattern to the end of an item.

use std::collections::BTreeMap;

use super::{map_reduce, pipeline, quorum};
use crate::id::{Digest, ItemId};
use crate::plan::{Item, Pattern, Plan, QueuePattern, Work};
use crate::state::{ItemState, RunState};

/// What a pattern adds because an item ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Which pattern.
    pub pattern: QueuePattern,
    /// The item that ended.
    pub source: ItemId,
    /// What follows; nothing where the run only goes on.
    pub items: Vec<Item>,
}

/// A pattern that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Which pattern.
    pub pattern: QueuePattern,
    /// The item whose end it cannot answer.
    pub source: ItemId,
    /// Why.
    pub reason: StuckReason,
}

/// Why a pattern cannot go on. Beside these, a run is told the code that the items of its pattern were refused with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StuckReason {
    /// A gate is red after as many fixes as it may have.
    GateRed,
    /// An output of the splitter has a name that no id can be made of.
    OutputName,
    /// The splitter has more outputs than [`crate::limits::OUTPUTS_MAX`].
    OutputsMany,
    /// Too few reviewers are green, and there is no further round.
    QuorumRejected,
    /// The fix of a rejected work did not come about.
    FixFailed,
    /// An id or the plan's item could not be had, which parsing should have seen to.
    PlanUnfit,
}

impl StuckReason {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::GateRed, Self::OutputName, Self::OutputsMany, Self::QuorumRejected, Self::FixFailed, Self::PlanUnfit];

    /// The word in `pattern.failed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GateRed => "gate-red",
            Self::OutputName => "output-name",
            Self::OutputsMany => "outputs-many",
            Self::QuorumRejected => "quorum-rejected",
            Self::FixFailed => "fix-failed",
            Self::PlanUnfit => "plan-unfit",
        }
    }
}

/// What follows the first end of an item that is due to be answered; `plan` is the run's with all that was added since.
///
/// # Errors
/// [`Stuck`] where the pattern cannot go on.
pub fn answer(run: &RunState, plan: &Plan) -> Option<Result<Answer, Stuck>> {
    let ended = &run.items[run.due()?];
    let source = ended.id.clone();
    let planned: BTreeMap<&ItemId, &Item> = plan.items.iter().map(|item| (&item.id, item)).collect();
    let Some((item, pattern)) = planned.get(&source).and_then(|item| Some((*item, item.pattern()?))) else {
        return Some(Err(Stuck { pattern: QueuePattern::StaticDag, source, reason: StuckReason::PlanUnfit }));
    };
    let case = Case { run, planned, item, ended };
    let items = match pattern {
        Pattern::Gate(gate) => pipeline::answer(&case, gate),
        Pattern::MapReduce(of) => map_reduce::answer(&case, of),
        Pattern::Quorum(of) => quorum::answer(&case, of),
    };
    let pattern = pattern.of();
    Some(match items {
        Ok(items) => Ok(Answer { pattern, source, items }),
        Err(reason) => Err(Stuck { pattern, source, reason }),
    })
}

/// An item that ended, and what it ended in.
pub(super) struct Case<'a> {
    pub(super) run: &'a RunState,
    planned: BTreeMap<&'a ItemId, &'a Item>,
    /// As the plan has it.
    pub(super) item: &'a Item,
    /// As the run has it.
    pub(super) ended: &'a ItemState,
}

impl<'a> Case<'a> {
    pub(super) fn planned(&self, id: &ItemId) -> Result<&'a Item, StuckReason> {
        self.planned.get(id).copied().ok_or(StuckReason::PlanUnfit)
    }

    pub(super) fn state(&self, id: &ItemId) -> Option<&'a ItemState> {
        self.run.item(id)
    }
}

/// An id that is made of the plan's.
pub(super) fn id(text: String) -> Result<ItemId, StuckReason> {
    ItemId::new(text).map_err(|_| StuckReason::PlanUnfit)
}

/// The digest of what an item's own check said, where it did not pass.
pub(super) fn red_report(ended: &ItemState) -> Option<Digest> {
    let verify = ended.last()?.verify.as_ref()?;
    (!verify.passed).then_some(verify.report)
}

/// The item with this content at hand, under `inputs/<key>`.
pub(super) fn with_input(mut item: Item, key: String, content: Option<Digest>) -> Item {
    if let (Work::Dispatch(inputs), Some(content)) = (&mut item.work, content) {
        inputs.input_refs.insert(key, content);
    }
    item
}
