//! The closed lists of words in the records of a run. A word that is not on its list makes an entry unreadable.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }
        impl $name {
            /// The word that records use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

words! {
    /// How a run ended.
    RunOutcome {
        /// Every item is done, or skipped by a pattern's design.
        Done = "done",
        /// Something failed.
        Failed = "failed",
        /// The run was cancelled.
        Cancelled = "cancelled",
    }
}
words! {
    /// How an attempt ended.
    OutcomeWord {
        /// With a result.
        Done = "done",
        /// Without one.
        Failed = "failed",
        /// With a question.
        NeedsInput = "needs_input",
        /// Stopped.
        Cancelled = "cancelled",
        /// Without an outcome.
        Lost = "lost",
    }
}
words! {
    /// Why items were added.
    GrowthCause {
        /// The plan had them.
        Plan = "plan",
        /// The run was extended.
        Extend = "extend",
        /// A pattern added them.
        Pattern = "pattern",
    }
}
words! {
    /// Why an item became ready.
    ReadyCause {
        /// All it depends on is done.
        Dependencies = "dependencies",
        /// Its question was answered.
        Answer = "answer",
        /// Its back-off is over. Not written: `item.retried` makes it ready, and says from when on.
        Retry = "retry",
    }
}
words! {
    /// What an input of an attempt is.
    InputUse {
        /// The accepted patch of a direct dependency.
        Patch = "patch",
        /// An accepted output of a direct dependency.
        Output = "output",
        /// The answer to the item's own question.
        Answer = "answer",
        /// Content that the plan pinned.
        Ref = "ref",
    }
}
words! {
    /// Why an item was skipped.
    SkipCause {
        /// Something it depends on ended other than done.
        Dependency = "dependency",
        /// A pattern's design.
        Pattern = "pattern",
    }
}
words! {
    /// How absence was proven when an item was cancelled.
    CancelProof {
        /// It never ran.
        NeverStarted = "never_started",
        /// The provider proved that nothing of it runs.
        Absent = "absent",
        /// An operator said so.
        Forced = "forced",
    }
}
words! {
    /// What is cancelled.
    CancelScope {
        /// The whole run.
        Run = "run",
        /// One item.
        Item = "item",
        /// One attempt.
        Attempt = "attempt",
    }
}
words! {
    /// Through what a cancel came.
    CancelVia {
        /// A tool.
        Mcp = "mcp",
        /// A command line.
        Cli = "cli",
        /// A schedule.
        Schedule = "schedule",
        /// The engine.
        Engine = "engine",
    }
}
words! {
    /// What a question asks for.
    QuestionKind {
        /// Words.
        Input = "input",
        /// A person's approval.
        Approval = "approval",
    }
}
words! {
    /// How a question ended.
    AnswerDecision {
        /// With words.
        Answered = "answered",
        /// Approved.
        Approved = "approved",
        /// Rejected.
        Rejected = "rejected",
        /// Nobody answered in time.
        Expired = "expired",
    }
}
words! {
    /// What a hold does with running attempts.
    HoldMode {
        /// They go on to their end.
        Drain = "drain",
        /// They are stopped, to go on later.
        Park = "park",
    }
}
