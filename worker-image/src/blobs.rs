//! The blobs of an attempt: `in/`, each under the hex digits of its digest, verified before any of it is used and again
//! whenever it is read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use agora_core::id::Digest;
use agora_core::worker::{Artifact, Failure, Reason};
use sha2::{Digest as _, Sha256};

use crate::beneath::{Root, open_file};
use crate::failure::{broke, fail};

/// Bytes at a time.
const CHUNK_BYTES: usize = 128 << 10;

/// The blobs that the task names; nothing else in `in/` is ever read.
pub(crate) struct Blobs {
    root: Root,
    folder: PathBuf,
    sizes: BTreeMap<Digest, u64>,
}

impl Blobs {
    /// Checks size and digest of every blob.
    pub(crate) fn verify(folder: PathBuf, listed: &[Artifact]) -> Result<Self, Failure> {
        let root = Root::open(&folder)
            .map_err(|error| fail(Reason::BlobMissing, format!("the folder in/ cannot be opened: {error}")))?;
        let sizes = listed.iter().map(|blob| (blob.digest, blob.size_bytes)).collect();
        let blobs = Self { root, folder, sizes };
        for blob in listed {
            blobs.copy(&blob.digest, "listed in task.json", &mut io::sink())?;
        }
        Ok(blobs)
    }

    /// Where a blob lies, for who has to read slices of it and checks them on its own.
    pub(crate) fn path(&self, digest: &Digest, what: &str) -> Result<PathBuf, Failure> {
        self.size(digest, what)?;
        Ok(self.folder.join(digest.hex()))
    }

    /// Size of a listed blob.
    pub(crate) fn size(&self, digest: &Digest, what: &str) -> Result<u64, Failure> {
        self.sizes
            .get(digest)
            .copied()
            .ok_or_else(|| fail(Reason::BlobMissing, format!("{what} is {digest}, which task.json does not list")))
    }

    /// Reads a blob of at most `max` bytes, verified.
    pub(crate) fn read(&self, digest: &Digest, what: &str, max: u64) -> Result<Vec<u8>, Failure> {
        let size = self.size(digest, what)?;
        if size > max {
            return Err(fail(Reason::DigestMismatch, format!("{what} has {size} bytes, at most {max} are read")));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        self.copy(digest, what, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies a blob and checks on the way that it is what its digest says.
    pub(crate) fn copy(&self, digest: &Digest, what: &str, to: &mut dyn Write) -> Result<(), Failure> {
        let size = self.size(digest, what)?;
        let file = open_file(self.root.fd().as_fd(), digest.hex().as_bytes()).map_err(|error| {
            fail(Reason::BlobMissing, format!("the blob {digest} ({what}) cannot be opened in in/: {error}"))
        })?;
        let (found, copied) = hash_copy(file, to).map_err(|error| broke(&format!("copy the blob {digest}"), &error))?;
        if copied != size {
            return Err(fail(
                Reason::DigestMismatch,
                format!("the blob {digest} ({what}) has {copied} bytes, the task says {size}"),
            ));
        }
        if found != *digest {
            return Err(fail(Reason::DigestMismatch, format!("the blob {digest} ({what}) has the digest {found}")));
        }
        Ok(())
    }
}

/// Copies a file and returns the digest and number of its bytes.
pub(crate) fn hash_copy(mut file: File, to: &mut dyn Write) -> io::Result<(Digest, u64)> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut copied = 0;
    loop {
        let read = match file.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok((Digest(hash.finalize().into()), copied));
        }
        hash.update(&chunk[..read]);
        to.write_all(&chunk[..read])?;
        copied += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(name: &str, bytes: &[u8], listed: Artifact) -> Result<Blobs, Failure> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), bytes).unwrap();
        Blobs::verify(dir.path().to_owned(), &[listed])
    }

    #[test]
    fn a_blob_is_used_only_when_its_bytes_are_the_named_ones() {
        let digest = Digest::of(b"abc");
        let listed = Artifact { digest, size_bytes: 3 };
        assert!(verified(&digest.hex(), b"abc", listed).is_ok());
        let table: [(&str, &[u8], u64, Reason); 4] = [
            (&digest.hex(), b"abd", 3, Reason::DigestMismatch),
            (&digest.hex(), b"abcd", 3, Reason::DigestMismatch),
            (&digest.hex(), b"abc", 4, Reason::DigestMismatch),
            ("other", b"abc", 3, Reason::BlobMissing),
        ];
        for (name, bytes, size_bytes, reason) in table {
            let Err(failure) = verified(name, bytes, Artifact { digest, size_bytes }) else { panic!("{reason:?}") };
            assert_eq!(failure.reason, reason);
            assert!(failure.detail.contains(&digest.to_string()));
        }
    }

    #[test]
    fn a_link_is_no_blob_and_what_is_not_listed_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"abc");
        std::fs::write(dir.path().join("abc"), "abc").unwrap();
        std::os::unix::fs::symlink("abc", dir.path().join(digest.hex())).unwrap();
        let listed = [Artifact { digest, size_bytes: 3 }];
        let Err(failure) = Blobs::verify(dir.path().to_owned(), &listed) else { panic!("a link was followed") };
        assert_eq!(failure.reason, Reason::BlobMissing);
        let blobs = Blobs::verify(dir.path().to_owned(), &[]).unwrap();
        assert_eq!(blobs.read(&digest, "the message", 10).unwrap_err().reason, Reason::BlobMissing);
    }
}
