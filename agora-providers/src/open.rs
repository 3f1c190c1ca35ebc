//! From a target's configuration to its providers, and nothing else.

use std::path::Path;
use std::sync::Arc;

use agora_core::seam::{BlobStore, ComputeError, ComputeProvider};
use agora_core::target::{ProviderKind, Target};

use crate::blobs::FileBlobs;
use crate::process::ProcessProvider;

/// Opens the provider of a target. Targets of one kind may share it.
///
/// # Errors
/// [`ComputeError::Helper`] where an executable that it needs is missing or not to be trusted.
pub fn open(home: &Path, target: &Target) -> Result<Arc<dyn ComputeProvider>, ComputeError> {
    match target.provider {
        ProviderKind::Process => Ok(Arc::new(ProcessProvider::new(home)?)),
    }
}

/// Opens the blobs of a home.
#[must_use]
pub fn open_blobs(home: &Path) -> Arc<dyn BlobStore> {
    Arc::new(FileBlobs::new(home))
}
