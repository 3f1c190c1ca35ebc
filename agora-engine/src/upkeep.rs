//! Work on a home as a whole: who copies it and who removes from it keep out of each other's way.

use std::fs::{File, TryLockError};
use std::path::Path;

use agora_core::error::{Class, Problem};

use crate::operations::OpError;

/// The right to copy a home, or to remove from it: an OS lock on the folder itself, given back when it is dropped or its
/// process dies. Drivers and clients do not need it: they only ever add.
#[derive(Debug)]
pub struct Upkeep {
    _folder: File,
}

impl Upkeep {
    /// The right to copy: what is there stays until the copy is made. Several may have it.
    ///
    /// # Errors
    /// `home-busy` while somebody removes; `home-io` where there is no folder to lock.
    pub fn copying(home: &Path) -> Result<Self, OpError> {
        Self::take(home, File::try_lock_shared)
    }

    /// The right to remove. One alone may have it, and nobody copies meanwhile.
    ///
    /// # Errors
    /// As [`Upkeep::copying`].
    pub fn removing(home: &Path) -> Result<Self, OpError> {
        Self::take(home, File::try_lock)
    }

    fn take(home: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Self, OpError> {
        let failed = |error: std::io::Error| {
            let problem = Problem::new(Class::Operator, "home-io", format!("{}: {error}", home.display()));
            OpError::one(problem.hint("see that the home is a folder of this user's"))
        };
        let folder = File::open(home).map_err(failed)?;
        match lock(&folder) {
            Ok(()) => Ok(Self { _folder: folder }),
            Err(TryLockError::WouldBlock) => {
                let what =
                    "this home is being copied or exported, something is being removed from it, or its keys change";
                Err(OpError::one(Problem::new(Class::Later, "home-busy", what).hint("try again once that is done")))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_may_copy_and_one_alone_removes() {
        let home = tempfile::tempdir().unwrap();
        let copies = [Upkeep::copying(home.path()).unwrap(), Upkeep::copying(home.path()).unwrap()];
        assert_eq!(Upkeep::removing(home.path()).unwrap_err().first().code, "home-busy");
        drop(copies);
        let removes = Upkeep::removing(home.path()).unwrap();
        assert_eq!(Upkeep::copying(home.path()).unwrap_err().first().code, "home-busy");
        assert_eq!(Upkeep::removing(home.path()).unwrap_err().first().code, "home-busy");
        drop(removes);
        assert!(Upkeep::copying(home.path()).is_ok());
        assert_eq!(Upkeep::copying(&home.path().join("none")).unwrap_err().first().code, "home-io");
    }
}
