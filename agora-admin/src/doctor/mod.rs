//! Looking at a home and a machine, without changing either: a line per check, with the remedy.
//!
//! | file | looks at |
//! |---|---|
//! | `check` | what a check says |
//! | `files` | the home, its modes, its keys |
//! | `machine` | the programs beside this one, git, disk, clock |
//! | `registry` | configuration, registry, lagging subagents |
//! | `targets` | what is enforced on each target, and the ways out where that is not enough |
//! | `schedules` | schedules whose slots open no runs, and slots that nobody fires |
//! | `store` | the journal, its projections, the bytes of results, and who drives |

mod all;
mod check;
mod files;
mod machine;
mod registry;
mod schedules;
mod store;
mod targets;

pub(crate) use all::{all, show};
pub(crate) use check::{Check, Status};
pub(crate) use registry::config_problems;
pub(crate) use targets::targets;
