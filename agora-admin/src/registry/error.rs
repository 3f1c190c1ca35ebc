//! Why the registry was not changed, or could not be shown.

use agora_core::error::{Class, Coded, Problem, nearest};
use agora_core::id::Name;
use agora_core::registry::Kind;
use agora_core::seam::BlobError;
use agora_engine::registry::ReadError;

use super::lock::LockError;
use super::sign::PublishError;

/// Why the registry was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The version in force cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Another writer is at it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The new version cannot be written.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The bytes of an earlier version cannot be had.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// What was asked for is wrong: all of it.
    #[error("the registry stays as it is: {} {}; the first: {}", .0.len(),
        if .0.len() == 1 { "error" } else { "errors" }, .0.first().map(ToString::to_string).unwrap_or_default())]
    Refused(Vec<Problem>),
    /// There is no such entry.
    #[error("there is no {kind} {:?} in the registry", .name.as_str())]
    Unknown {
        /// The kind.
        kind: Kind,
        /// The name.
        name: Name,
        /// The nearest name that there is.
        near: Option<String>,
    },
    /// There is no such version.
    #[error("there is no version {given}; the registry is at {current}")]
    NoVersion {
        /// The version asked for.
        given: u64,
        /// The version in force.
        current: u64,
    },
}

impl ChangeError {
    /// Says that an entry is not there, with the nearest name that is.
    pub(super) fn unknown<'n>(kind: Kind, name: &Name, known: impl IntoIterator<Item = &'n Name>) -> Self {
        let near = nearest(name.as_str(), known.into_iter().map(Name::as_str)).map(str::to_owned);
        Self::Unknown { kind, name: name.clone(), near }
    }

    /// Everything that is wrong, for those who show a list.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Refused(problems) => problems.clone(),
            other => vec![other.problem()],
        }
    }
}

impl Coded for ChangeError {
    fn class(&self) -> Class {
        match self {
            Self::Read(error) => error.class(),
            Self::Lock(error) => error.class(),
            Self::Publish(error) => error.class(),
            Self::Blob(error) => error.class(),
            Self::Refused(_) => Class::Operator,
            Self::Unknown { .. } | Self::NoVersion { .. } => Class::Missing,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Read(error) => error.code(),
            Self::Lock(error) => error.code(),
            Self::Publish(error) => error.code(),
            Self::Blob(error) => error.code(),
            Self::Refused(_) => "deploy-refused",
            Self::Unknown { .. } => "entry-unknown",
            Self::NoVersion { .. } => "version-unknown",
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Read(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Publish(error) => error.hint(),
            Self::Blob(error) => error.hint(),
            Self::Refused(problems) => problems.iter().find_map(|problem| problem.hint.clone()),
            Self::Unknown { near: Some(near), .. } => Some(format!("did you mean {near:?}?")),
            Self::Unknown { kind, near: None, .. } => Some(format!("`agora-admin {kind} list` shows what there is")),
            Self::NoVersion { current, .. } => Some(format!("versions go from 1 to {current}")),
        }
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::Read(error) => error.at(),
            Self::Lock(error) => error.at(),
            Self::Publish(error) => error.at(),
            Self::Refused(problems) => problems.first().and_then(|problem| problem.at.clone()),
            Self::Blob(_) | Self::Unknown { .. } | Self::NoVersion { .. } => None,
        }
    }
}
