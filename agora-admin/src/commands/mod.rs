//! One file per verb: its arguments, the call, and how people are shown what came of it.
//!
//! `follow` and `live` are shared by the verbs that watch; `rows` by those that show runs and items; `changes` by those
//! that change the registry.

pub(crate) mod answer;
pub(crate) mod apply;
pub(crate) mod approve;
pub(crate) mod audit;
pub(crate) mod backup;
mod bundle;
pub(crate) mod cancel;
mod changes;
pub(crate) mod completions;
pub(crate) mod deploy;
pub(crate) mod diagnose;
pub(crate) mod dispatch;
pub(crate) mod doctor;
pub(crate) mod entries;
mod follow;
pub(crate) mod force_resolve;
pub(crate) mod gc;
pub(crate) mod hold;
pub(crate) mod init;
pub(crate) mod key;
mod live;
pub(crate) mod logs;
pub(crate) mod mcp_config;
mod page;
pub(crate) mod places;
mod register;
pub(crate) mod release;
pub(crate) mod restore;
pub(crate) mod result;
mod rows;
mod run;
pub(crate) mod runs;
pub(crate) mod schedule;
pub(crate) mod serve;
mod statements;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod validate;
pub(crate) mod verify;
pub(crate) mod watch;

pub(crate) use changes::Registry;
pub(crate) use run::{reader, run};
