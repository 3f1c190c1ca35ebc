//! The registry's writing side: documents and folders become artifacts, artifacts a new version, the version is signed and
//! published. Nothing else in agora writes a registry; what is linked without this crate cannot.
//!
//! ```text
//!  document ─ resolve ─► artifacts ─ edit ─► next version ─ sign ─► blobs, snapshot.json, snapshot.note
//! ```
//!
//! Everything up to the signature is a look: it opens no key and stores nothing. Only data comes back; printing it is the
//! command line's.

mod capability;
mod differences;
pub(crate) mod disk;
mod document;
mod edit;
mod editor;
mod error;
mod lock;
mod resolve;
mod sign;
mod snapshot;
mod staged;
mod view;

pub use capability::read_folder;
pub use disk::WriteError;
pub use document::{DOCUMENT_BYTES_MAX, Document, Syntax, Table};
pub use edit::{Change, Op, Wish, changes_anything, edit, wishes_of};
pub use editor::{Deployed, Editor, Mode, Others};
pub use error::ChangeError;
pub use lock::{LOCK_WAIT, LockError, RegistryLock};
pub use resolve::{Resolved, Standing, resolve};
pub use sign::{PublishError, Published};
pub(crate) use sign::{keep_sentinel, publish};
pub use snapshot::{Before, Draft, DraftEntry, DraftRevoked, Past};
pub use staged::{STAGED_BYTES_MAX, Staged};
pub use view::{Lag, Shown, Version};

#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod tests;
