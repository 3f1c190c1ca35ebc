//! A copy of the store, for a backup.

use std::path::Path;

use super::OpError;
use crate::engine::Engine;

impl Engine {
    /// Writes the store as it is now into a file that is empty or not there. Everything that it names lies in the home: blobs
    /// that are copied after it are enough.
    ///
    /// # Errors
    /// `disk-full`, or that the store does not answer.
    pub async fn copy_store(&self, to: &Path) -> Result<(), OpError> {
        let to = to.to_owned();
        Ok(self.journal.call(move |ledger| ledger.copy_to(&to)).await?)
    }
}
