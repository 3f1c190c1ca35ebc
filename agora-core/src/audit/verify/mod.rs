//! Verifying evidence, by code that shares nothing with the engine that wrote it.
//!
//! | module | judges |
//! |---|---|
//! | [`story`] | whether the entries of a run tell a run that can have been (`docs/audit.md`) |

pub mod story;
