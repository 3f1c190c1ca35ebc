//! What can be wrong with a backup.

use std::io;
use std::path::{Path, PathBuf};

use agora_core::error::{Class, Coded};

/// Why no backup was made, or no home of one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something under the file's name.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// What is to become a home is no folder, or holds something.
    #[error("{} is no empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// It is something else, or of a later version.
    #[error("{} is no backup that this version can read: {why}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// It is not what was written.
    #[error("{} is damaged: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// As the system says it.
        source: io::Error,
    },
}

impl BackupError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}

impl Coded for BackupError {
    fn class(&self) -> Class {
        match self {
            Self::Exists(_) | Self::NotEmpty(_) => Class::Caller,
            Self::Format { .. } | Self::Damaged { .. } => Class::Operator,
            Self::Io { .. } if self.is_full() => Class::Later,
            Self::Io { .. } => Class::Operator,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) => "backup-exists",
            Self::NotEmpty(_) => "home-not-empty",
            Self::Format { .. } => "backup-format",
            Self::Damaged { .. } => "backup-damaged",
            Self::Io { .. } if self.is_full() => "disk-full",
            Self::Io { .. } => "backup-io",
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Exists(_) => "name a new file; a backup is never written over".to_owned(),
            Self::NotEmpty(path) => {
                format!(
                    "restore into a folder that is empty or not there: --home DIR; {} is left as it is",
                    path.display()
                )
            }
            Self::Format { .. } => {
                "name a file that `agora-admin backup` of this version or an older one made".to_owned()
            }
            Self::Damaged { .. } => "nothing was restored; use another copy of it, or an older backup".to_owned(),
            Self::Io { .. } if self.is_full() => "free some space; nothing was made".to_owned(),
            Self::Io { .. } => "see that the file can be read, and the folder around it be written".to_owned(),
        })
    }
    fn at(&self) -> Option<String> {
        None
    }
}
