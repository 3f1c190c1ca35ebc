//! Supervises one attempt: takes one task and leaves one outcome.
//!
//! The worker is trusted and small; whatever the agent touched is hostile. The task is complete: the worker never reads
//! the registry, the configuration or the store, and holds no storage or cloud credentials.
//!
//! # Contents, in the order of the steps
//!
//! - `attempt`, `work`: one attempt from task to outcome; what the steps share.
//! - `task`, `blobs`: what came in, verified.
//! - `workspace`, `sources`, `settings`: the start tree and its files; `overlay`, `merge`: capabilities over it.
//! - `inputs`, `notes`, `snapshot`, `environment`: what else the agent is given; `requires`: what it needs.
//! - `prepare`: all of these in order; `baseline`: what was there before the agent.
//! - `supervise`, `stop`, `log`, `runtime`: one untrusted command; `blocks`: the blocks of the pipeline.
//! - `capture`, `ignored`, `left_out`, `patch`, `outputs`, `question`: what the agent left.
//! - `beneath`, `walk`, `out`, `failure`: folders that cannot be trusted, the one that can, and what goes wrong.

mod attempt;
mod baseline;
mod beneath;
mod blobs;
mod blocks;
mod capture;
mod environment;
mod failure;
mod ignored;
mod inputs;
mod left_out;
mod log;
mod merge;
mod notes;
mod out;
mod outputs;
mod overlay;
mod patch;
mod prepare;
mod question;
mod requires;
mod runtime;
mod settings;
mod snapshot;
mod sources;
mod stop;
mod supervise;
mod task;
mod walk;
mod work;
mod workspace;

pub use attempt::{Options, Patience, run_attempt};
pub use failure::Fatal;
pub use stop::Stop;

/// The version of this worker, as outcomes name it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
