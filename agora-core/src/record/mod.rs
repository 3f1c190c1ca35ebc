//! Records: decided facts, the only thing that changes state. Their bytes are the entries of `docs/audit.md`.
//!
//! `run.rs` has the records of a run's journal, with `opening.rs`, `attempt.rs` and `words.rs` for their longer bodies and
//! closed lists; `log.rs` those of the log of runs; `check.rs` what their types alone cannot say; `entry.rs` the envelope
//! around both.

mod attempt;
mod check;
mod entry;
mod log;
mod opening;
mod run;
mod words;

pub use attempt::{
    AttemptFinished, AttemptLeased, AttemptStarted, Egress, OutputArtifact, PatchArtifact, SecretUse,
    TruncatedArtifact, UsageCount, UsedInput, VerifyFact, WorkerRef,
};
pub use entry::{Auth, ENTRY_BYTES_MAX, ENTRY_DEPTH_MAX, Entry, EntryError, LOG_ENTRY_BYTES_MAX, LogEntry};
pub use log::{AnchorPlace, KeyRecord, LogRecord};
pub use opening::{
    Added, AddedItem, AddedNeed, BaseRef, BudgetRef, LogPlace, NamedRef, RegistryRef, RunOpened, TargetRef,
};
pub use run::{CancelRequested, QuestionAnswered, QuestionAsked, Record, RunCompleted};
pub use words::{
    AnswerDecision, CancelProof, CancelScope, CancelVia, GrowthCause, HoldMode, InputUse, OutcomeWord, QuestionKind,
    ReadyCause, RunOutcome, SkipCause,
};
