//! Signed notes (C2SP signed-note): a text, an empty line, and lines of signatures, as Go's `note` package writes them.
//!
//! Signing itself is the `Signer` seam's; a note is put together from what it gives. Which role a key has is not known
//! here.

mod error;
mod key;
mod signed;

pub use error::NoteError;
pub use key::{KEY_NAME_BYTES_MAX, VerifyKey, is_weak, key_id};
pub use signed::{NOTE_BYTES_MAX, Note, SIGNATURES_MAX, Signature, Verified, sign_text};

#[cfg(test)]
mod tests;
