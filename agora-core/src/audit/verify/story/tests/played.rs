//! Stories of the engine's own decisions, as the tests of these play them.

use crate::audit::verify::story::{Story, Told, tell};
use crate::decide::testing::Player;
use crate::id::{Hash, RunId};
use crate::record::Entry;

impl Player {
    /// What the entries of a run tell, read from their bytes.
    pub(crate) fn told(&self, run: &RunId) -> Story {
        let told = |(bytes, leaf): &(Vec<u8>, Hash)| Told { entry: Entry::from_bytes(bytes).unwrap(), leaf: *leaf };
        tell(&self.journals[run].iter().map(told).collect::<Vec<_>>())
    }
}
