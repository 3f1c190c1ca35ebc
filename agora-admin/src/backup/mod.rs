//! A home in one file, and back.
//!
//! | file | owns |
//! |---|---|
//! | `format` | what is in the file, and in which order |
//! | `write` | making one of a home that is in use |
//! | `restore` | making a home of one |
//! | `error` | what can be wrong |
//!
//! The file is a plain tar archive, so that any `tar` can look into it. Its first member says what it is, its last one names
//! every other one by digest: what was cut off or changed on the way is refused. That guards against accidents; whether what
//! the home tells is true is what its signed checkpoints and `audit` are for.

mod error;
mod format;
mod restore;
mod write;

pub use error::BackupError;
pub use restore::{Restored, restore};
pub use write::{Made, Secrets, write};

/// How a temporary file or folder begins; a crash leaves it beside the file or home that was to be made.
const TEMPORARY: &str = ".agora-backup-";
