//! What can be wrong with a store.

use agora_core::decide::Refusal;
use agora_core::error::{Class, Coded};
use agora_core::record::EntryError;
use agora_core::state::Illegal;

use crate::host::Fault;

/// Why the store does not do what was asked. Nothing of a failed call is in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The file is another program's database.
    #[error("store.db is not a store of agora")]
    Foreign,
    /// It was written by a newer version.
    #[error("store.db has schema version {found}, this version of agora knows {known}")]
    Newer {
        /// The version it has.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// There is no room.
    #[error("there is no room left for store.db")]
    Full,
    /// Another process holds it for too long.
    #[error("store.db is locked by another process")]
    Busy,
    /// It may only be read.
    #[error("store.db cannot be written")]
    ReadOnly,
    /// Its bytes are damaged.
    #[error("store.db is damaged: {0}")]
    Corrupt(String),
    /// What it has of one run is damaged; the others may be whole.
    #[error("store.db is damaged: {0}")]
    CorruptRun(String),
    /// Anything else that SQLite says.
    #[error("store.db does not answer: {0}")]
    Sqlite(String),
    /// An entry cannot be written or read.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A record came where it may not.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// An input was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such run.
    #[error("there is no run {0}")]
    NoRun(String),
    /// The journal thread is gone.
    #[error("the journal is closed")]
    Closed,
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Self::Full,
            Fault::Busy => Self::Busy,
            Fault::Failed => Self::Sqlite("disk I/O error".to_owned()),
            Fault::Gone => Self::Closed,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        // A value of another type or size than agora wrote: the file was changed behind it.
        if let rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) = error
        {
            return Self::Corrupt(error.to_string());
        }
        // The index of the log file grows by whole pages when the first process opens a store: with no room left that is
        // where SQLite fails, and it does not say "full" then.
        if error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE) {
            return Self::Full;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::ReadOnly,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error.to_string()),
            _ => Self::Sqlite(error.to_string()),
        }
    }
}

impl Coded for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Foreign | Self::Newer { .. } | Self::ReadOnly | Self::Corrupt(_) | Self::CorruptRun(_) => {
                Class::Operator
            }
            Self::Full | Self::Busy => Class::Later,
            Self::Closed | Self::Sqlite(_) | Self::Entry(_) | Self::Illegal(_) => Class::Bug,
            Self::Refused(refusal) => refusal.class(),
            Self::NoRun(_) => Class::Missing,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Foreign => "store-foreign",
            Self::Newer { .. } => "store-newer",
            Self::Full => "disk-full",
            Self::Busy => "store-busy",
            Self::ReadOnly => "store-read-only",
            Self::Corrupt(_) | Self::CorruptRun(_) => "store-damaged",
            Self::Sqlite(_) => "store-failed",
            Self::Entry(_) => "entry-invalid",
            Self::Illegal(_) => "record-illegal",
            Self::Refused(refusal) => refusal.code(),
            Self::NoRun(_) => "run-unknown",
            Self::Closed => "store-closed",
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Foreign => "choose another folder with --home or AGORA_HOME".to_owned(),
            Self::Newer { .. } => "use the version of agora that wrote it, or a newer one".to_owned(),
            Self::Full => "free some disk space; what was accepted is kept and goes on".to_owned(),
            Self::Busy => "call again".to_owned(),
            Self::ReadOnly => "give the user that runs agora write access to its home".to_owned(),
            Self::Corrupt(_) | Self::CorruptRun(_) => {
                "keep a copy of the home and restore the last backup; `agora-admin doctor` names all that is damaged"
                    .to_owned()
            }
            Self::Closed | Self::Sqlite(_) | Self::Entry(_) | Self::Illegal(_) => {
                "start the program again, and run `agora-admin doctor`".to_owned()
            }
            Self::Refused(refusal) => return refusal.hint(),
            Self::NoRun(_) => "list the runs with `status`".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        let code =
            |extended: i32| StoreError::from(rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None)).code();
        assert_eq!(code(ffi::SQLITE_FULL), "disk-full");
        assert_eq!(code(ffi::SQLITE_IOERR_SHMSIZE), "disk-full");
        assert_eq!(code(ffi::SQLITE_IOERR_READ), "store-failed");
    }
}
