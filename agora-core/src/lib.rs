#![doc = include_str!("../README.md")]
//!
//! # Contents, in reading order
//!
//! 1. Words: [`id`], [`time`], [`error`], [`limits`], [`canon`] (canonical JSON), [`text`] (worker-made text).
//! 2. Things as data: [`path`], [`tree`], [`patch`], [`isolation`], [`target`], [`worker`] (the messages of an attempt).
//! 3. What may run: [`scan`], [`template`], [`registry`].
//! 4. What is asked: [`graph`], [`plan`].
//! 5. What happened: [`audit`] (chain, tree, notes), [`record`], [`state`].
//! 6. What follows: [`retry`], [`cron`] (recurring times), [`choose`], [`pattern`], [`decide`].
//! 7. What is asked of the world: [`seam`].

pub mod audit;
pub mod canon;
pub mod choose;
pub mod cron;
pub mod decide;
pub mod error;
pub mod graph;
pub mod id;
pub mod isolation;
pub mod limits;
pub mod patch;
pub mod path;
pub mod pattern;
pub mod plan;
pub mod record;
pub mod registry;
pub mod retry;
pub mod scan;
pub mod seam;
pub mod state;
pub mod target;
pub mod template;
pub mod text;
pub mod time;
pub mod tree;
pub mod worker;
