//! Text made by workers and agents, which nobody may mistake for agora's own words (I16).
//!
//! [`Untrusted`] holds it and has no `Display`, no `Serialize` and no way to borrow it as text: it leaves cleaned, capped
//! and counted, as [`Shown`], inside an [`Envelope`], or as one line of a terminal. What a client makes of the envelope is
//! the edge's part.

mod clean;
mod untrusted;

pub use clean::is_invisible;
pub use untrusted::{Envelope, SHOWN_BYTES_DEFAULT, SHOWN_BYTES_MAX, Shown, Source, Untrusted};
