#![doc = include_str!("../README.md")]
//!
//! # Contents
//!
//! The caller's side: [`run`] confines one command, [`probe`] says what a profile really enforces, [`start_box`] and the
//! other functions of boxes make and find them, [`find_helper`] finds the executables they need, [`clear`] removes
//! what an agent left. The helper's side is
//! `verbs`. `sys` is the only file with `unsafe`.

mod boxes;
mod channel;
mod clear;
mod command;
mod confine;
mod error;
mod family;
mod helper;
mod lock;
mod probe;
mod profile;
mod program;
mod spec;
mod sys;
mod verbs;

pub use boxes::{BoxEnd, BoxId, BoxSignal, BoxState, Stopped, box_state, signal_box, start_box, wait_box_gone};
pub use clear::clear;
pub use command::{Jailed, Stopper, run};
pub use error::JailError;
pub use helper::{JAIL, executable_digest, find_helper, trust};
pub use probe::probe;
pub use spec::{HowEnded, RunSpec};
pub use verbs::helper_main;
