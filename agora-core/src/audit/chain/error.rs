//! Why an entry does not continue its journal.

use crate::canon::CanonError;
use crate::error::{Class, Coded};
use crate::time::Time;

/// Why an entry does not continue its journal. `position` counts entries from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Longer than an entry may be.
    #[error("entry {position} has {bytes} bytes, the limit is {max}")]
    Limit {
        /// Which entry.
        position: u64,
        /// How long it is.
        bytes: usize,
        /// The most bytes.
        max: usize,
    },
    /// Not in the canonical subset for entries.
    #[error("entry {position} is {source}")]
    Encoding {
        /// Which entry.
        position: u64,
        /// Why.
        source: CanonError,
    },
    /// A member of the frame is missing or mistyped.
    #[error("entry {position} has no {member} of the right type")]
    Member {
        /// Which entry.
        position: u64,
        /// The member.
        member: &'static str,
    },
    /// It names another run, or a run in the log, or none in a run.
    #[error("entry {position} is of another run")]
    Run {
        /// Which entry.
        position: u64,
    },
    /// It does not say its position.
    #[error("entry {position} says it is entry {given}")]
    Seq {
        /// Which entry.
        position: u64,
        /// What it says.
        given: u64,
    },
    /// Its `prev` is not the leaf of the entry before, or not the genesis hash.
    #[error("entry {position} does not follow the one before it")]
    Prev {
        /// Which entry.
        position: u64,
    },
    /// Its time is before that of an earlier entry.
    #[error("entry {position} is of {given}, an earlier one of {last}")]
    Time {
        /// Which entry.
        position: u64,
        /// What it says.
        given: Time,
        /// The latest time so far.
        last: Time,
    },
}

impl ChainError {
    /// Which entry, from 0.
    #[must_use]
    pub fn position(&self) -> u64 {
        match self {
            Self::Limit { position, .. }
            | Self::Encoding { position, .. }
            | Self::Member { position, .. }
            | Self::Run { position }
            | Self::Seq { position, .. }
            | Self::Prev { position }
            | Self::Time { position, .. } => *position,
        }
    }
}

impl Coded for ChainError {
    fn class(&self) -> Class {
        match self {
            Self::Limit { .. }
            | Self::Encoding { .. }
            | Self::Member { .. }
            | Self::Run { .. }
            | Self::Seq { .. }
            | Self::Prev { .. }
            | Self::Time { .. } => Class::Operator,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Limit { .. } => "entry-limit",
            Self::Encoding { .. } => "entry-encoding",
            Self::Member { .. } => "entry-schema",
            Self::Run { .. } => "entry-run",
            Self::Seq { .. } => "entry-seq",
            Self::Prev { .. } => "entry-prev",
            Self::Time { .. } => "entry-time",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            "the journal was changed after it was written: get it again from its source, and do not rely on this copy"
                .to_owned(),
        )
    }

    fn at(&self) -> Option<String> {
        Some(format!("entry {}", self.position()))
    }
}
