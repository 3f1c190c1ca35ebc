//! What an auditor is told of a bundle (`docs/audit.md`, "The checks").
//!
//! All steps run and all failures are collected; what depends on a failed input is `unchecked`, never `pass`. Nothing here
//! reads a file, a clock or a socket: bundle, policy and what a live check fetched are given as bytes.
//!
//! | module | step |
//! |---|---|
//! | `whole`, `verdict` | the order of all of them; what it comes to |
//! | `known` | 2: the keys that may speak |
//! | `journal` | 3: every entry, alone and after the one before |
//! | `log` | 5: the log of runs, and the run's place in it |
//! | [`story`] | 6: whether the entries tell a run that can have been |
//! | `registry`, `statements`, `artifacts`, `anchors` | 7 to 10 |
//! | `axes`, `report` | 11: what all of it shows |

mod anchors;
mod artifacts;
mod axes;
mod checks;
mod code;
mod journal;
mod known;
mod log;
mod registry;
mod report;
mod statements;
pub mod story;
mod verdict;
mod whole;

pub use anchors::{FETCHED_BYTES_MAX, Fetched, LOCAL, object_key};
pub use axes::{Axis, NOTHING, Requirement};
pub use checks::{CheckRow, Status};
pub use code::Code;
pub use report::{NOT_SHOWN, REPORT_FORMAT, Report, SPEC, Verdict, Verifier};
pub use whole::{Evidence, signers, verify};
