//! Real implementations of the seams, in memory, that do what a test tells them to.

mod blobs;
mod compute;
mod outcome;

pub use blobs::MemoryBlobs;
pub use compute::FakeCompute;
pub use outcome::outcome_of;
