//! A world in which nothing happens by chance: one seed says what every provider does, what breaks, and which process dies
//! when. Time is tokio's, paused, so that a schedule of hours takes milliseconds.
//!
//! A [`Life`] is one process. What it asks of [`SimCompute`] and [`SimBlobs`] after its death never returns and changes
//! nothing, as a process that was killed asks nothing more.

mod blobs;
mod chaos;
mod compute;
mod life;

pub use blobs::SimBlobs;
pub use chaos::Chaos;
pub use compute::{Boxes, SimCompute};
pub use life::Life;
