#![doc = include_str!("../README.md")]
//!
//! # Contents, in reading order
//!
//! | module | owns |
//! |---|---|
//! | `content` | where the bytes of a tree come from: [`Content`], [`Overlay`], [`Pack`] |
//! | `sparse` | a tree as a base and what differs from it; its digest without building it |
//! | `apply`, `binary` | a patch applied to exactly the tree it was made on: [`apply`] |
//! | `diff` | the patch between two trees, checked before it is handed out: [`diff`] |
//! | `merge` | the start tree of an item: [`start_tree`]; a run's patches one by one: [`merge_steps`] |
//! | `repository` | opening a repository so that nothing in it has an effect |
//! | `base`, `walk`, `rules` | a revision, a working tree or a folder as a base tree: [`read_base`] |
//! | `branch` | commits on a new branch: [`write_branch`] |
//! | `worktree` | a result written into a folder: [`apply_to_worktree`] |

mod apply;
mod base;
mod binary;
mod branch;
mod content;
mod diff;
mod merge;
mod repository;
mod rules;
mod sparse;
mod walk;
mod worktree;

pub use apply::{Merged, PatchError, apply};
pub use base::{BaseError, BaseTree, FILE_BYTES_MAX, FILES_MAX, TREE_BYTES_MAX, git_tree_id, read_base};
pub use branch::{BranchCommit, BranchError, write_branch};
pub use content::{Content, ContentError, Overlay, Pack};
pub use diff::{MadePatch, diff};
pub use merge::{MergeError, Steps, merge_steps, start_tree};
pub use worktree::{Applied, WorktreeError, apply_to_worktree};
