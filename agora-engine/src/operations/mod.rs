//! The operations behind the nine tools and behind the run-time verbs of agora-admin. Both edges call these and nothing
//! deeper. One file per verb: arguments, reply, the call.
//!
//! Arguments and replies are data with schemas: members in snake case, absent instead of null, unknown members refused.

mod accept;
mod address;
mod answer;
mod approve;
mod audit;
mod base;
mod call;
mod caller;
mod cancel;
mod catalog;
mod check_store;
mod copy_store;
mod diagnosis;
mod dispatch;
mod export;
mod extend;
mod facts;
mod find;
mod force;
mod gc;
mod keys;
mod result;
mod rows;
mod schedules;
mod statements;
mod status;
mod submit;
mod trees;
mod verify;
mod verify_log;
mod watch;

pub(crate) use accept::{added_items, internal, put_questions};
pub use address::Address;
pub use answer::{AnswerArgs, AnswerReply};
pub use approve::ApproveArgs;
pub use audit::{AuditArgs, AuditReply, AxisRow, CheckRow};
pub use caller::{Caller, OpError};
pub use cancel::{CancelArgs, CancelMode, CancelReply};
pub use catalog::{CatalogArgs, CatalogEntry, CatalogKind, CatalogReply};
pub use check_store::{CheckStatus, StoreCheck};
pub use dispatch::{DispatchArgs, DispatchReply};
pub use export::ExportArgs;
pub use extend::Extension;
pub use facts::{AttemptRow, ItemRow, PatchStat, ProblemRow, RunRow, StateCounts, Text};
pub use force::{ForceArgs, ForceReply};
pub use gc::{GcMode, GcReply};
pub use keys::{KeyChange, Undriven};
pub use result::{Claims, Page, Part, ResultArgs, ResultReply, VerifyRow};
pub(crate) use schedules::Fired;
pub use schedules::{LastSlot, ScheduleArgs, ScheduleReply, ScheduleRow, SchedulesReply};
pub use statements::{StatementRow, StatementsReply};
pub use status::{Diagnosis, InboxRow, StatusArgs, StatusReply, View};
pub use submit::{DryRun, ExtendArg, ResolvedRow, SubmitArgs, SubmitReply, WorkspaceArg};
pub use trees::{RunTrees, TreeStep};
pub use watch::{Event, Until, WatchArgs, WatchReply};
