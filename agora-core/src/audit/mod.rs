//! The evidence: one chain and one tree over each journal, checkpoints that sign them, and what reads both.
//!
//! | module | owns | format |
//! |---|---|---|
//! | [`merkle`] | leaf and node hashes, roots, inclusion and consistency proofs | RFC 6962, RFC 9162 |
//! | [`chain`] | `prev`, the head of a journal, and the check of its entries' frame | `docs/audit.md` §3 |
//! | [`note`] | signed texts and the keys that verify them | C2SP signed-note |
//! | [`checkpoint`] | origin, size and root of a journal as a note | C2SP tlog-checkpoint |
//! | [`dsse`] | envelopes, and the keys that verify them | DSSE protocol and envelope v1.0.0 |
//! | [`statement`] | what is signed of one accepted item, from the records of its run | in-toto Statement v1 |
//!
//! Everything is a pure function. Private keys, storage and, but for statements, the typed records are elsewhere.

pub mod chain;
pub mod checkpoint;
pub mod dsse;
pub mod merkle;
pub mod note;
pub mod statement;
