//! Where the bytes of a tree come from.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use agora_core::error::{Class, Coded};
use agora_core::id::Digest;
use agora_core::tree::Tree;

/// Why bytes could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Nothing here has these bytes.
    #[error("the blob {0} is missing")]
    Missing(Digest),
    /// What is here is not what the digest says.
    #[error("the blob {0} is damaged")]
    Damaged(Digest),
    /// A pack that is not as long as its manifest says.
    #[error("the pack has {found} bytes where its manifest says {expected}")]
    PackSize {
        /// What the manifest says.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// Anything else, as the source says it.
    #[error("the bytes of a tree cannot be read: {0}")]
    Io(String),
}

impl Coded for ContentError {
    fn class(&self) -> Class {
        match self {
            Self::Missing(_) | Self::Damaged(_) | Self::PackSize { .. } => Class::Operator,
            Self::Io(_) => Class::Later,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "blob-missing",
            Self::Damaged(_) | Self::PackSize { .. } => "blob-damaged",
            Self::Io(_) => "blob-io",
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io(_) => "run `agora-admin doctor`; the call may be repeated".to_owned(),
            _ => "restore the folder blobs/ from a backup, then run `agora-admin doctor`".to_owned(),
        })
    }
}

/// Gives bytes by their digest.
///
/// # Contract
/// What is returned has this digest: an implementation checks it, or holds bytes it has checked before.
pub trait Content {
    /// Returns the bytes of a digest.
    ///
    /// # Errors
    /// [`ContentError::Missing`] when there are none, the others as they say.
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ContentError>;
}

impl Content for BTreeMap<Digest, Vec<u8>> {
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        self.get(digest).cloned().ok_or(ContentError::Missing(*digest))
    }
}

/// Added bytes over another content.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    added: &'a BTreeMap<Digest, Vec<u8>>,
    under: &'a dyn Content,
}

impl<'a> Overlay<'a> {
    /// Lays `added`, such as [`Merged::added`](crate::Merged), over `under`.
    #[must_use]
    pub fn new(added: &'a BTreeMap<Digest, Vec<u8>>, under: &'a dyn Content) -> Self {
        Self { added, under }
    }
}

impl Content for Overlay<'_> {
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        self.added.get(digest).map_or_else(|| self.under.read(digest), |bytes| Ok(bytes.clone()))
    }
}

/// The pack of a tree, in a file. Each slice is checked against its digest whenever it is read.
#[derive(Debug)]
pub struct Pack {
    file: File,
    index: BTreeMap<Digest, (u64, u64)>,
}

impl Pack {
    /// Opens the pack of `tree`.
    ///
    /// # Errors
    /// [`ContentError::PackSize`] when the file is shorter or longer than the manifest says, [`ContentError::Io`] when it
    /// cannot be opened.
    pub fn open(path: &Path, tree: &Tree) -> Result<Self, ContentError> {
        let io = |error: std::io::Error| ContentError::Io(error.to_string());
        let file = File::open(path).map_err(io)?;
        let index = tree.pack_index();
        let expected = index.values().fold(0u64, |sum, (_, size)| sum.saturating_add(*size));
        let found = file.metadata().map_err(io)?.len();
        if found != expected {
            return Err(ContentError::PackSize { expected, found });
        }
        Ok(Self { file, index })
    }
}

impl Content for Pack {
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        let (offset, size) = *self.index.get(digest).ok_or(ContentError::Missing(*digest))?;
        let size = usize::try_from(size).map_err(|_| ContentError::Damaged(*digest))?;
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| ContentError::Io(error.to_string()))?;
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(ContentError::Damaged(*digest)) }
    }
}

#[cfg(test)]
mod tests {
    use agora_core::tree::{Mode, Node};

    use super::*;

    #[test]
    fn a_pack_gives_checked_slices_and_an_overlay_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pack");
        let mut tree = Tree::default();
        for (name, content) in [("a", &b"11"[..]), ("b", b""), ("c", b"11"), ("d", b"222")] {
            let node = Node { mode: Mode::File, digest: Digest::of(content), size_bytes: content.len() as u64 };
            tree.files.insert(name.into(), node);
        }
        std::fs::write(&path, b"11222").unwrap();
        let pack = Pack::open(&path, &tree).unwrap();
        assert_eq!(pack.read(&Digest::of(b"222")), Ok(b"222".to_vec()));
        assert_eq!(pack.read(&Digest::of(b"")), Ok(Vec::new()));
        assert_eq!(pack.read(&Digest::of(b"x")), Err(ContentError::Missing(Digest::of(b"x"))));
        let added = BTreeMap::from([(Digest::of(b"x"), b"x".to_vec())]);
        let over = Overlay::new(&added, &pack);
        assert_eq!(over.read(&Digest::of(b"x")), Ok(b"x".to_vec()));
        assert_eq!(over.read(&Digest::of(b"11")), Ok(b"11".to_vec()));
        std::fs::write(&path, b"11232").unwrap();
        assert_eq!(pack.read(&Digest::of(b"222")), Err(ContentError::Damaged(Digest::of(b"222"))));
        std::fs::write(&path, b"112222").unwrap();
        assert_eq!(Pack::open(&path, &tree).unwrap_err(), ContentError::PackSize { expected: 5, found: 6 });
    }
}
