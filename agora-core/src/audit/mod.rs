//! The evidence: one chain and one tree over each journal, checkpoints that sign them, and what reads both.
//!
//! | module | owns | format |
//! |---|---|---|
//! | [`merkle`] | leaf and node hashes, roots, inclusion and consistency proofs | RFC 6962, RFC 9162 |
//! | [`chain`] | `prev`, the head of a journal, and the check of its entries' frame | `docs/audit.md` |
//! | [`note`] | signed texts and the keys that verify them | C2SP signed-note |
//! | [`checkpoint`] | origin, size and root of a journal as a note | C2SP tlog-checkpoint |
//! | [`dsse`] | envelopes, and the keys that verify them | DSSE protocol and envelope v1.0.0 |
//! | [`statement`] | what is signed of one accepted item, from the records of its run | in-toto Statement v1 |
//! | [`policy`] | whose keys an auditor believes, and where | TOML, `docs/audit.md` |
//! | [`history`] | every key that the log ever named, and its window | `docs/audit.md` |
//! | [`bundle`] | all that checking a run or the log takes, in one file | `docs/audit.md` |
//! | [`verify`] | the checks of a bundle, and the report | `docs/audit.md` |
//!
//! Everything is a pure function of bytes and records. Private keys and storage are elsewhere.

pub mod bundle;
pub mod chain;
pub mod checkpoint;
pub mod dsse;
pub mod history;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod statement;
pub mod verify;
