//! A copy of the whole store as it is at one moment, while others go on writing.

use std::path::Path;

use super::{Ledger, StoreError};

impl Ledger {
    /// Writes the store into a file that is empty or not there: one file, without a write-ahead log. Who writes meanwhile is
    /// not kept waiting, and is not in it.
    ///
    /// # Errors
    /// [`StoreError`], [`StoreError::Full`] where the copy does not fit.
    ///
    /// # Durability
    /// None: the copy is for who puts it somewhere.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let text = path.to_str().ok_or_else(|| StoreError::Sqlite(format!("{} is not UTF-8", path.display())))?;
        self.conn.execute("VACUUM INTO ?1", [text])?;
        Ok(())
    }
}
