//! Real implementations of the seams, in memory, that do what a test tells them to.

mod blobs;
mod compute;
pub(crate) mod outcome;

pub use blobs::MemoryBlobs;
pub use compute::FakeCompute;
pub(crate) use compute::{handle_of, isolation_of, read_task};
pub use outcome::outcome_of;
