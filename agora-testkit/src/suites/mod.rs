//! One conformance suite per seam. Every implementation runs it, fakes included: it is what the trait's Contract means.

pub mod blob;
pub mod compute;
