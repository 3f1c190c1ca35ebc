//! JSON with one spelling: what agora hashes, signs and stores (`docs/audit.md` §1).
//!
//! Three forms, each a subset of the output of RFC 8785:
//!
//! | form | write | read | numbers | strings |
//! |---|---|---|---|---|
//! | strict | [`to_bytes`] | [`from_bytes`] | integers within ±(2^53−1) | any, but no lone surrogate |
//! | with floats | [`to_bytes_with_floats`] | [`from_bytes_with_floats`] | and finite doubles | the same |
//! | entry | [`entry_bytes`] | [`entry_value`] | integers from 0 to 2^53−1 | 0x20 to 0x7E; no `null` either |
//!
//! Bytes are never repaired: a reader refuses whatever its writer would not have written. [`parse`] alone reads ordinary
//! JSON, for what a caller wrote by hand; it too refuses what two readers could understand differently.
//!
//! What the values mean is left to the types and schemas elsewhere.

mod build;
mod compound;
mod error;
mod key;
mod name;
mod number;
mod read;
mod write;

pub use error::CanonError;
pub use read::{check_entry, entry_value, from_bytes, from_bytes_with_floats, parse};
pub use write::{entry_bytes, to_bytes, to_bytes_with_floats};

/// The deepest nesting of objects and arrays in any form, 1 being the outermost: below the 127 levels at which `serde_json`
/// itself stops, so that what was written can be read, and small enough for every recursion over a document.
pub const DEPTH_MAX: usize = 120;

/// The greatest integer that every reader of JSON agrees on, 2^53−1 (RFC 8785 §3.2.2.3, RFC 7493 §2.2).
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// What is allowed beyond plain syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Ordinary JSON from a caller; read only.
    Ordinary,
    /// Integers alone.
    Strict,
    /// User JSON: finite doubles too.
    Floats,
    /// Journal entries and bundles.
    Entry,
}

#[cfg(test)]
mod tests;
