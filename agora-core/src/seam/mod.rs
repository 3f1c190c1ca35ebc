//! The seams: what the engine asks of the world, as traits. Each has a Contract; `agora-testkit` has the suite that every
//! implementation runs.

mod blob;
mod compute;
mod signer;

pub use blob::{BlobError, BlobStore};
pub use compute::{ComputeError, ComputeProvider, Ended, Found, Handle, LaunchSpec, Launched};
pub use signer::{SignError, Signer};
