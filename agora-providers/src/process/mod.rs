//! Attempts as processes of this machine, each in a box of `agora-jail`.
//!
//! ```text
//! <home>/attempts/<32 hex>/     one per attempt, named by [`AttemptId::folder_name`]
//!   task.json, in/, out/        the engine's, and the worker's (docs/worker.md)
//!   attempt.json                whose it is and what was read back, written here before the box is started
//!   box.lock, box.handle, …     the box's own (`agora_jail`)
//! ```
//!
//! A box is no child of anybody's in particular: it outlives the driver, and the next one finds it by these files.
//! `launch.rs` starts, `watch.rs` waits and stops, `sweep.rs` lists and removes.
//!
//! [`AttemptId::folder_name`]: agora_core::worker::AttemptId::folder_name

mod attempt;
mod handle;
mod launch;
mod provider;
mod sweep;
mod watch;
mod worker;

pub use attempt::attempts_folder;
pub use provider::ProcessProvider;
