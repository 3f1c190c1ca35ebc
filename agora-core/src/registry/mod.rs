//! The registry: what may run. Here it is parsed, checked and resolved; only agora-admin encodes, signs and publishes.
//!
//! - [`artifact`]: the four kinds of content as data; `decode`: bytes to artifact, and no other bytes.
//! - [`check`]: what every artifact must hold to, all problems at once.
//! - [`snapshot`]: the whole registry at one version; [`note`] and `accept`: who vouches for it, and whether it may
//!   follow the one last seen.
//! - [`catalog`]: what people and agents are shown of an entry.

pub mod accept;
pub mod artifact;
pub mod catalog;
pub mod check;
pub mod decode;
mod error;
mod kind;
pub mod note;
pub mod snapshot;

pub use accept::{Seen, accept, open};
pub use artifact::{
    Block, Capability, CapabilityFile, CapabilityRef, Capture, Delivery, EnvBundle, FileMode, GitMode, GitNeed, Lens,
    Model, PermissionMode, Pipeline, Requirement, Runtime, SecretRef, SecretRoute, SecretStep, Subagent, VerifyCommand,
    default_blocks,
};
pub use check::{env_name_refused, unsupported};
pub use decode::{Artifact, decode, decode_capability, decode_env, decode_pipeline, decode_subagent, read_entry};
pub use error::RegistryError;
pub use kind::{Kind, UnknownKind};
pub use note::{NoteText, Verified, admin_key_name, note_text, verify};
pub use snapshot::{Entry, Revoked, Snapshot};
