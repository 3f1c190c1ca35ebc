//! Where bytes are kept.

mod files;

pub use files::FileBlobs;
