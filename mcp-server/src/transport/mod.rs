//! JSON-RPC over lines, for clients nobody vouches for: rmcp's own transport drops what it cannot read without an answer
//! and ends the process on a first message it does not expect.
//!
//! ```text
//! stdin ─ read::LineReader ─ Lines::receive ─ check ──► rmcp's service loop
//!                                  │ refusal               │ send
//! stdout ◄──── write::Writer ◄─────┴──── desk (batches) ◄──┘
//! ```
//!
//! Every refusal is answered, with the id of the request wherever one can be read, and the next line is read.

mod check;
mod desk;
mod line_id;
mod lines;
mod read;
mod write;

pub(crate) use lines::Lines;

/// The longest line, its end not counted: a plan of thousands of items fits, and a client that never ends a line cannot
/// fill the memory.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// The deepest nesting of a message: three times what the deepest honest plan needs, far less than a stack holds.
const MESSAGE_DEPTH_MAX: usize = 64;

/// Bytes of a request's id when it is text: it is kept and sent back, so it is not for storing things in.
const ID_BYTES_MAX: usize = 256;

/// Requests that may be in flight at once: each is a task, and no client has a use for more.
const IN_FLIGHT_MAX: usize = 128;

/// Messages in one batch of the revisions that have batches.
const BATCH_MAX: usize = 64;
