//! The codes of the checks, in the order in which they are made (`docs/audit.md`, "The checks").

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $step:literal $text:literal,)*) => {
        /// A check. Each ends once in a report, with all that it found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every check, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The step that makes it first, from 1.
            #[must_use]
            pub fn step(self) -> u8 {
                match self { $(Self::$variant => $step,)* }
            }
        }
    };
}

codes! {
    /// The file cannot be read. *Could not check.*
    BundleUnreadable = 1 "bundle-unreadable",
    /// The policy cannot be read. *Could not check.*
    PolicyUnreadable = 1 "policy-unreadable",
    /// Of an unknown format or version. *Could not check.*
    BundleFormat = 1 "bundle-format",
    /// Over a limit.
    BundleLimit = 1 "bundle-limit",
    /// Not canonical.
    BundleEncoding = 1 "bundle-encoding",
    /// A member is missing, unknown or mistyped.
    BundleSchema = 1 "bundle-schema",
    /// What the bundle says of itself does not fit its content.
    BundleManifest = 1 "bundle-manifest",
    /// The policy is for another origin.
    PolicyOrigin = 2 "policy-origin",
    /// A key under which one signature fits many messages.
    KeyWeak = 2 "key-weak",
    /// A key of the bundle is not in the policy, while its name is.
    KeySubstituted = 2 "key-substituted",
    /// An entry is too long.
    EntryLimit = 3 "entry-limit",
    /// An entry is not canonical.
    EntryEncoding = 3 "entry-encoding",
    /// An entry is not of a known type and its members.
    EntrySchema = 3 "entry-schema",
    /// An entry names another run.
    EntryRun = 3 "entry-run",
    /// An entry does not say its position.
    EntrySeq = 3 "entry-seq",
    /// An entry does not follow the one before it.
    EntryPrev = 3 "entry-prev",
    /// An entry is earlier than the one before it.
    EntryTime = 3 "entry-time",
    /// Not the note of a checkpoint.
    CheckpointFormat = 4 "checkpoint-format",
    /// The checkpoint of another journal.
    CheckpointOrigin = 4 "checkpoint-origin",
    /// The checkpoint of another number of entries.
    CheckpointSize = 4 "checkpoint-size",
    /// The checkpoint of other entries.
    CheckpointRoot = 4 "checkpoint-root",
    /// A line of a known key does not verify.
    CheckpointSignature = 4 "checkpoint-signature",
    /// Signed by a key of another role.
    KeyRole = 4 "key-role",
    /// Signed under the role's name by a key that is not known.
    KeyUnknown = 4 "key-unknown",
    /// Not signed by the role at all.
    CheckpointUnsigned = 4 "checkpoint-unsigned",
    /// Signed outside the key's window.
    KeyWindow = 4 "key-window",
    /// Signed after the last position at which the key is believed.
    KeyRevoked = 4 "key-revoked",
    /// An entry is not shown to be in the log.
    LogInclusion = 5 "log-inclusion",
    /// The log is not shown to continue a smaller one.
    LogConsistency = 5 "log-consistency",
    /// The log is smaller than it was seen.
    LogRollback = 5 "log-rollback",
    /// The log is another one than was seen.
    LogFork = 5 "log-fork",
    /// The log could not be compared with what was seen. *Could not check.*
    LogUnseen = 5 "log-unseen",
    /// The log does not state the run's opening.
    LogOpened = 5 "log-opened",
    /// The log does not state the run's seal.
    LogSealed = 5 "log-sealed",
    /// A run was opened or sealed twice.
    LogResealed = 5 "log-resealed",
    /// Work began before the log vouched for the run.
    LogLate = 5 "log-late",
    /// A key was replaced by other than itself and the new one.
    KeyRotation = 5 "key-rotation",
    /// A run does not begin as one.
    StoryStart = 6 "story-start",
    /// Something comes after an end.
    StoryEnd = 6 "story-end",
    /// An item is unknown, repeated, or does not end once.
    StoryItem = 6 "story-item",
    /// Attempts out of turn.
    StoryAttempt = 6 "story-attempt",
    /// Under an old lease.
    StoryFence = 6 "story-fence",
    /// Begun before what it depends on was done.
    StoryOrder = 6 "story-order",
    /// An input that nobody accepted made.
    StoryInput = 6 "story-input",
    /// A result that was not to be accepted.
    StoryResult = 6 "story-result",
    /// An answer to no open question.
    StoryQuestion = 6 "story-question",
    /// A position that holds something else.
    StoryReference = 6 "story-reference",
    /// Counts, cost or outcome are not those of the entries.
    StoryCount = 6 "story-count",
    /// The registry is not signed by its role.
    RegistrySignature = 7 "registry-signature",
    /// Another registry than the run is bound to.
    RegistryDigest = 7 "registry-digest",
    /// Something resolved is not in the registry.
    RegistryUnlisted = 7 "registry-unlisted",
    /// Not the newest registry that was accepted before the run.
    RegistryRollback = 7 "registry-rollback",
    /// An accepted item has no statement.
    StatementMissing = 8 "statement-missing",
    /// A statement is about no accepted item.
    StatementExtra = 8 "statement-extra",
    /// A statement does not say what the entries say.
    StatementPayload = 8 "statement-payload",
    /// A statement is not signed by the role.
    StatementSignature = 8 "statement-signature",
    /// Bytes are not those of their digest.
    ArtifactDigest = 9 "artifact-digest",
    /// No entry names these bytes.
    ArtifactUnreferenced = 9 "artifact-unreferenced",
    /// A receipt is not of this checkpoint, or not in this log.
    AnchorReceipt = 10 "anchor-receipt",
    /// Kept, or fetched, in another place than the policy's.
    AnchorPlace = 10 "anchor-place",
    /// What was fetched is not the checkpoint.
    AnchorBytes = 10 "anchor-bytes",
    /// There is another version under the key.
    AnchorContested = 10 "anchor-contested",
    /// Kept in a mode that can be lifted.
    AnchorMode = 10 "anchor-mode",
    /// Kept not long enough.
    AnchorRetention = 10 "anchor-retention",
    /// Not fetched. *Could not check.*
    AnchorUnchecked = 10 "anchor-unchecked",
    /// An axis is below what is required.
    RequiredUnmet = 11 "required-unmet",
}

impl Code {
    /// Whether it says that something could not be checked, rather than that it is wrong.
    #[must_use]
    pub fn is_untold(self) -> bool {
        matches!(
            self,
            Self::BundleUnreadable
                | Self::PolicyUnreadable
                | Self::BundleFormat
                | Self::LogUnseen
                | Self::AnchorUnchecked
        )
    }

    /// The check with this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}
