//! Why an attempt cannot go on: the failures of `agora-core`, made where they are found.
//!
//! A step that fails returns a [`Failure`], which becomes the outcome. [`Fatal`] is for the rare case in which no outcome
//! can be written at all.

use std::io;

use agora_core::error::{Class, Coded};
use agora_core::worker::{Failure, Reason};

/// Longest `detail` of a failure, in bytes: the message's contract says 4 KiB.
const DETAIL_BYTES_MAX: usize = 4096;

/// Why no outcome could be written. The engine sees `lost: worker-lost`.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The attempt's folder, or `out/` in it, cannot be used.
    #[error("use the attempt folder {folder}: {source}")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// `task.json` is missing or does not say whose attempt this is, so that an outcome would have no name.
    #[error("read task.json: {0}")]
    Task(String),
    /// `outcome.json` could not be written.
    #[error("write the outcome: {0}")]
    Outcome(String),
}

impl Coded for Fatal {
    fn class(&self) -> Class {
        match self {
            Self::Folder { .. } | Self::Task(_) => Class::Operator,
            Self::Outcome(_) => Class::Later,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "worker-folder",
            Self::Task(_) => "worker-task",
            Self::Outcome(_) => "worker-outcome",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Folder { .. } => "name a folder that holds task.json, in/ and an empty out/".to_owned(),
            Self::Task(_) => "let the engine write the task; it is not meant to be written by hand".to_owned(),
            Self::Outcome(_) => "make room on the disk of the attempt's folder".to_owned(),
        })
    }
}

/// Makes a failure; its detail is cut at 4 KiB.
pub(crate) fn fail(reason: Reason, detail: impl Into<String>) -> Failure {
    Failure::new(reason, cut(detail.into(), DETAIL_BYTES_MAX))
}

/// An error of the machine during a step of the worker's own: no room is the provider's, anything else the worker's.
pub(crate) fn broke(doing: &str, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::NoRoom,
        _ => Reason::WorkerError,
    };
    fail(reason, format!("{doing}: {error}"))
}

/// Cuts text to at most `max` bytes at a character's edge.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let mut end = max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

/// Shows a path as messages do: percent-encoded where it is not plain.
pub(crate) fn shown(path: &agora_core::tree::TreePath) -> String {
    agora_core::worker::shown(path).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_cut_at_its_limit_and_not_before() {
        assert_eq!(fail(Reason::Wall, "x".repeat(4096)).detail.len(), 4096);
        assert_eq!(fail(Reason::Wall, "x".repeat(4097)).detail.len(), 4096);
        assert_eq!(fail(Reason::Wall, format!("{}é", "x".repeat(4095))).detail.len(), 4095);
    }

    #[test]
    fn a_full_disk_is_no_room_and_other_errors_are_the_workers() {
        assert_eq!(broke("write", &io::ErrorKind::StorageFull.into()).reason, Reason::NoRoom);
        assert_eq!(broke("write", &io::ErrorKind::NotFound.into()).reason, Reason::WorkerError);
    }
}
