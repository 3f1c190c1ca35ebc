//! A tree of files as data: its manifest, its digest, and the pack that carries its bytes.
//!
//! A manifest is strict canonical JSON, `{"files":[{"mode","path","sha256","size"}…],"format":"agora-tree/v1"}`, sorted by
//! the bytes of the path. The digest of a tree is the digest of these bytes. A *pack* is the distinct blobs of a manifest in
//! manifest order, one after another; their sizes come from the manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::canon::{self, CanonError};
use crate::id::{Digest, IdError};

/// The `format` of a tree's manifest.
pub const TREE_FORMAT: &str = "agora-tree/v1";

/// What a path of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// A regular file.
    #[serde(rename = "0644")]
    File,
    /// A regular file that its owner may execute.
    #[serde(rename = "0755")]
    Exec,
    /// A symbolic link; the blob is its target.
    #[serde(rename = "link")]
    Link,
    /// A submodule's place; the blob is the commit id in hex. Carried, never filled.
    #[serde(rename = "gitlink")]
    Gitlink,
}

/// A path relative to the root of a tree: components joined by `/`, any bytes but NUL, as git allows them.
///
/// It says nothing about whether the path may be written on a disk: that is the path policy's to decide.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Vec<u8>);

impl TreePath {
    /// Makes a path from its bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The components between the slashes.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/')
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl From<&str> for TreePath {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

/// What a tree has at one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    /// What it is.
    pub mode: Mode,
    /// Its content: a file's bytes, a link's target, a gitlink's commit id in hex.
    pub digest: Digest,
    /// How many bytes that is.
    pub size_bytes: u64,
}

/// A tree of files: each path once, sorted by its bytes, no folders of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    /// Path to node.
    pub files: BTreeMap<TreePath, Node>,
}

/// A manifest that is none.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Not strict canonical JSON of this shape.
    #[error(transparent)]
    Canon(#[from] CanonError),
    /// Another format than this version reads.
    #[error("a manifest of format {0:?}, this version reads {TREE_FORMAT:?}")]
    Format(String),
    /// A digest that is none.
    #[error(transparent)]
    Digest(#[from] IdError),
    /// Paths out of order, twice, or under two spellings.
    #[error("the manifest's paths are not sorted and distinct at {0}")]
    Order(TreePath),
    /// A blob with two sizes.
    #[error("the manifest gives the blob {0} two sizes")]
    Size(Digest),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFile {
    mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    path: Option<String>,
    /// For the rare path that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    path_b64: Option<String>,
    sha256: String,
    size: u64,
}

impl WireFile {
    fn of(path: &TreePath, node: &Node) -> Self {
        let text = path.as_str().map(str::to_owned);
        let path_b64 = text.is_none().then(|| STANDARD.encode(path.as_bytes()));
        Self { mode: node.mode, path: text, path_b64, sha256: node.digest.hex(), size: node.size_bytes }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    files: Vec<WireFile>,
    format: String,
}

impl Tree {
    /// Writes the manifest.
    ///
    /// # Errors
    /// [`CanonError`] when a size does not fit canonical JSON.
    pub fn to_manifest(&self) -> Result<Vec<u8>, CanonError> {
        let files = self.files.iter().map(|(path, node)| WireFile::of(path, node));
        canon::to_bytes(&Wire { files: files.collect(), format: TREE_FORMAT.to_owned() })
    }

    /// Writes one element of the manifest's `files`: what a digest can be made from without the whole manifest in memory.
    ///
    /// # Errors
    /// [`CanonError`] when the size does not fit canonical JSON.
    pub fn manifest_line(path: &TreePath, node: &Node) -> Result<Vec<u8>, CanonError> {
        canon::to_bytes(&WireFile::of(path, node))
    }

    /// Reads a manifest, refusing what [`Tree::to_manifest`] would not have written.
    ///
    /// # Errors
    /// [`TreeError`] for bytes of any other form.
    pub fn from_manifest(bytes: &[u8]) -> Result<Self, TreeError> {
        let wire: Wire = canon::from_bytes(bytes)?;
        if wire.format != TREE_FORMAT {
            return Err(TreeError::Format(wire.format));
        }
        let mut files = BTreeMap::new();
        let mut sizes = BTreeMap::new();
        for file in wire.files {
            let path = match (file.path, file.path_b64) {
                (Some(text), None) => TreePath::from(text.as_str()),
                (None, Some(b64)) => {
                    let bytes = STANDARD.decode(&b64).unwrap_or_default();
                    if bytes.is_empty() || std::str::from_utf8(&bytes).is_ok() {
                        return Err(TreeError::Order(TreePath::from(b64.as_str())));
                    }
                    TreePath::new(bytes)
                }
                _ => return Err(TreeError::Order(TreePath::from(""))),
            };
            let node = Node { mode: file.mode, digest: Digest::from_hex(&file.sha256)?, size_bytes: file.size };
            if *sizes.entry(node.digest).or_insert(node.size_bytes) != node.size_bytes {
                return Err(TreeError::Size(node.digest));
            }
            if files.last_key_value().is_some_and(|(last, _)| *last >= path) {
                return Err(TreeError::Order(path));
            }
            files.insert(path, node);
        }
        Ok(Self { files })
    }

    /// Returns the digest of the manifest.
    ///
    /// # Errors
    /// As [`Tree::to_manifest`].
    pub fn digest(&self) -> Result<Digest, CanonError> {
        Ok(Digest::of(&self.to_manifest()?))
    }

    /// The distinct blobs in manifest order: what a pack holds, one after another.
    #[must_use]
    pub fn pack_order(&self) -> Vec<(Digest, u64)> {
        let mut seen = BTreeSet::new();
        self.files.values().filter(|node| seen.insert(node.digest)).map(|node| (node.digest, node.size_bytes)).collect()
    }

    /// Where each blob lies in the pack: offset and size in bytes.
    #[must_use]
    pub fn pack_index(&self) -> BTreeMap<Digest, (u64, u64)> {
        let mut offset = 0;
        let mut index = BTreeMap::new();
        for (digest, size_bytes) in self.pack_order() {
            index.insert(digest, (offset, size_bytes));
            offset += size_bytes;
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(content: &[u8]) -> Node {
        Node { mode: Mode::File, digest: Digest::of(content), size_bytes: content.len() as u64 }
    }

    #[test]
    fn a_manifest_round_trips_with_names_that_are_not_utf_8() {
        let mut tree = Tree::default();
        tree.files.insert("b/ü.txt".into(), node(b"1"));
        tree.files.insert("a".into(), node(b"1"));
        tree.files.insert(TreePath::new([b'c', 0xFF]), node(b"22"));
        let bytes = tree.to_manifest().unwrap();
        assert_eq!(Tree::from_manifest(&bytes).unwrap(), tree);
        assert_eq!(tree.pack_order().len(), 2);
        assert_eq!(tree.pack_index()[&Digest::of(b"22")], (1, 2));
    }
}
