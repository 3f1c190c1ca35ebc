//! The evidence: one chain and one tree over each journal, checkpoints that sign them, and what reads both.
//!
//! | module | owns | format |
//! |---|---|---|
//! | [`merkle`] | leaf and node hashes, roots, inclusion and consistency proofs | RFC 6962, RFC 9162 |
//! | [`chain`] | `prev`, the head of a journal, and the check of its entries' frame | `docs/audit.md` §3 |
//! | [`note`] | signed texts and the keys that verify them | C2SP signed-note |
//! | [`checkpoint`] | origin, size and root of a journal as a note | C2SP tlog-checkpoint |
//! | [`verify`] | what an auditor judges | `docs/audit.md` |
//!
//! Everything is a pure function of bytes. Private keys, storage and the typed records are elsewhere.

pub mod chain;
pub mod checkpoint;
pub mod merkle;
pub mod note;
pub mod verify;
