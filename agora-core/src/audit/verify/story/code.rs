//! What can be wrong with a story.

/// A rule, or rather a family of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoryCode {
    /// Entry 0 is not the only `run.opened`; there are no entries at all.
    Start,
    /// Something comes after `run.completed`; a run is sealed without it, or completed while it may grow or one of its
    /// patterns owes an answer; it grows where it does not: closed, cancelled, or with no end that a pattern answers.
    End,
    /// An item that is unknown or repeated; two ends of one, an end during an attempt, anything of it after its end, and
    /// none when the run is completed.
    Item,
    /// Attempts that are not 1, 2, 3…; one leased beside an open one, at an approval or after a cancel, or with other
    /// locks than its item's or one that another attempt holds; started twice or by another provider; finished unleased or
    /// twice; with a result or a question, but never started; a cancel whose proof does not fit the attempts there were.
    Attempt,
    /// A fence not above all earlier ones of the item; started or finished with other numbers than the open lease.
    Fence,
    /// Ready or leased before all it depends on is done, without being ready, or while the run is held; skipped for nothing.
    Order,
    /// An input is not the accepted patch, output or answer that it says, or one is left out.
    Input,
    /// Done, failed, retried or cancelled by other than the latest attempt, or by an outcome or a decision that does not
    /// allow it; an outcome that a stop which was recorded before does not allow.
    Result,
    /// Asked by what does not ask, answered when not open, as it cannot be, or with another leaf.
    Question,
    /// A position that is no earlier entry of the stated type and item.
    Reference,
    /// Counts, cost or outcome are not those of the entries.
    Count,
}

impl StoryCode {
    /// Every code, in the order of `docs/audit.md`.
    pub const ALL: [Self; 11] = [
        Self::Start,
        Self::End,
        Self::Item,
        Self::Attempt,
        Self::Fence,
        Self::Order,
        Self::Input,
        Self::Result,
        Self::Question,
        Self::Reference,
        Self::Count,
    ];

    /// The code in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "story-start",
            Self::End => "story-end",
            Self::Item => "story-item",
            Self::Attempt => "story-attempt",
            Self::Fence => "story-fence",
            Self::Order => "story-order",
            Self::Input => "story-input",
            Self::Result => "story-result",
            Self::Question => "story-question",
            Self::Reference => "story-reference",
            Self::Count => "story-count",
        }
    }
}
