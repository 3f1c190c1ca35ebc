//! agora's own providers, as the engine asks for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agora_core::seam::{BlobError, BlobStore, ComputeError, ComputeProvider};
use agora_core::target::Target;
use agora_engine::Providers;

/// The providers of `agora-providers`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BuiltIn;

impl Providers for BuiltIn {
    fn compute(&self, home: &Path, target: &Target) -> Result<Arc<dyn ComputeProvider>, ComputeError> {
        agora_providers::open(home, target)
    }

    fn blobs(&self, home: &Path) -> Result<Arc<dyn BlobStore>, BlobError> {
        Ok(agora_providers::open_blobs(home))
    }

    fn attempts(&self, home: &Path) -> PathBuf {
        agora_providers::process::attempts_folder(home)
    }
}
