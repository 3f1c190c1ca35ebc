//! The closed list of codes that a plan can be refused or warned with, and whose move each is.

use crate::error::{Class, Problem};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $class:ident;)*) => {
        /// Why a plan is refused, or what it is warned of. `docs/errors.md` has a paragraph for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order of the manual.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Whose move it is.
            #[must_use]
            pub fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }
        }
    };
}

codes! {
    /// Not the shape of a plan: not JSON, an unknown key, a wrong type or value, a missing key.
    PlanShape = "plan-shape", Caller;
    /// No items.
    PlanEmpty = "plan-empty", Caller;
    /// Over a limit of [`crate::limits`].
    PlanTooLarge = "plan-too-large", Caller;
    /// An id that does not follow the syntax.
    IdSyntax = "id-syntax", Caller;
    /// Two items with one id.
    IdDuplicate = "id-duplicate", Caller;
    /// An item of an extension whose id the run has with other content.
    ItemConflict = "item-conflict", Caller;
    /// A dependency on an item that the plan does not hold.
    DepUnknown = "dep-unknown", Caller;
    /// Items that wait for each other.
    DepCycle = "dep-cycle", Caller;
    /// A product of an item that the plan does not hold.
    NeedUnknown = "need-unknown", Caller;
    /// A product of another type than the one declared by who takes it.
    NeedType = "need-type", Caller;
    /// An executor that is not configured.
    ExecutorUnknown = "executor-unknown", Missing;
    /// A queue that is not configured.
    QueueUnknown = "queue-unknown", Missing;
    /// A subagent that is not in the registry.
    SubagentUnknown = "subagent-unknown", Missing;
    /// A capability that is not in the registry.
    CapabilityUnknown = "capability-unknown", Missing;
    /// An env bundle that is not in the registry.
    EnvUnknown = "env-unknown", Missing;
    /// A pipeline that is not in the registry.
    PipelineUnknown = "pipeline-unknown", Missing;
    /// The subagent may not run on the executor's target.
    TargetNotAllowed = "target-not-allowed", Caller;
    /// The subagent does not let plans add the bundle.
    EnvNotAllowed = "env-not-allowed", Caller;
    /// The subagent does not let plans choose the pipeline.
    PipelineNotAllowed = "pipeline-not-allowed", Caller;
    /// The subagent does not let plans choose the model.
    ModelNotAllowed = "model-not-allowed", Caller;
    /// The prompt template needs an input that `workerInput` lacks.
    InputMissing = "input-missing", Caller;
    /// Content of `inputRefs` whose bytes are not there.
    BlobMissing = "blob-missing", Missing;
    /// A workspace that is not configured.
    WorkspaceUnknown = "workspace-unknown", Missing;
    /// A lock key that is empty, too long or holds a control character.
    LockSyntax = "lock-syntax", Caller;
    /// A pattern's key in a queue that has another pattern, or none.
    PatternMismatch = "pattern-mismatch", Caller;
    /// Something that the queue's pattern cannot work with.
    PatternPlan = "pattern-plan", Caller;
    /// Part of the plan format that this version does not run.
    NotAvailable = "not-available", Caller;
    /// An executor whose target is not configured.
    TargetUnknown = "target-unknown", Operator;
    /// A registered entry that names something the registry does not hold, or that cannot be read.
    RegistryEntry = "registry-entry", Operator;
    /// More problems than are listed.
    ProblemsLeftOut = "problems-left-out", Caller;
    /// A warning: a key that is accepted and has no effect.
    KeyIgnored = "key-ignored", Caller;
}

impl Code {
    /// Makes a problem of this code at a place.
    pub(crate) fn problem(self, at: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem::new(self.class(), self.as_str(), message).at(at)
    }
}
