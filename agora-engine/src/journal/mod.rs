//! The journal: the audit log is the state. The only SQL of agora is in this folder.
//!
//! [`Journal`] is a thread that owns the connection and a [`Ledger`]; everybody else sends it closures. A ledger keeps the
//! open runs it needs in memory, in step with the database: before it looks at anything it reads what other processes
//! committed since ([`Ledger::catch_up`]), and what it appends goes through `agora-core`'s transition table first.

mod collected;
mod copy;
mod error;
mod evidence;
mod growth;
mod ledger;
mod read;
mod requests;
mod schedules;
mod schema;
mod thread;
mod write;

pub(crate) use collected::named;
pub(crate) use error::StoreError;
pub(crate) use evidence::{Envelopes, SealAt};
pub(crate) use growth::read_grown;
pub(crate) use ledger::{Ledger, RunMeta};
pub(crate) use read::{ItemCounts, Projected, RunSummary, Stored};
pub(crate) use schedules::{Decided, Marks, Schedule, SlotOf, Wanted};
pub(crate) use schema::recorded;
pub(crate) use thread::Journal;
pub(crate) use write::{NewRun, Stamp, Tx};
