//! Where the bytes of trees come from: the pack of the base tree, blobs of the attempt, and what was made on the way.

use std::collections::BTreeMap;
use std::rc::Rc;

use agora_core::id::Digest;
use agora_core::worker::{Failure, Reason};
use agora_tree::{Content, ContentError, Pack};

use crate::blobs::Blobs;
use crate::failure::fail;

/// All bytes an attempt's trees are made of, by digest.
pub(crate) struct Sources {
    pub(crate) blobs: Rc<Blobs>,
    pub(crate) pack: Option<Pack>,
    /// Bytes that neither has: merged files, contents of patches, what the agent wrote.
    pub(crate) made: BTreeMap<Digest, Vec<u8>>,
}

impl Sources {
    /// Reads the bytes of a file of a tree.
    pub(crate) fn bytes(&self, digest: &Digest, what: &str) -> Result<Vec<u8>, Failure> {
        self.read(digest).map_err(|error| fail(Reason::DigestMismatch, format!("{what}: {error}")))
    }
}

impl Content for Sources {
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        if let Some(bytes) = self.made.get(digest) {
            return Ok(bytes.clone());
        }
        match self.blobs.size(digest, "a file") {
            Ok(size) => self.blobs.read(digest, "a file", size).map_err(|failure| ContentError::Io(failure.detail)),
            Err(_) => match &self.pack {
                Some(pack) => pack.read(digest),
                None => Err(ContentError::Missing(*digest)),
            },
        }
    }
}
