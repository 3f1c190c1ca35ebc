//! `out/`: what an attempt leaves. Flat, the worker's alone; each file whole or absent, the outcome last.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

use crate::beneath::{Root, create_in};

/// The folder, held open.
pub(crate) struct Out {
    root: Root,
}

impl Out {
    /// Opens `out/` of an attempt.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { root: Root::open(path)? })
    }

    /// Makes a file that is written as the attempt goes on.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        create_in(self.root.fd().as_fd(), name.as_bytes(), 0o644)
    }

    /// Writes a file whole: a temporary one, made durable, renamed.
    ///
    /// # Durability
    /// The bytes and the name survive a crash once this returns.
    pub(crate) fn write(&self, name: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let temporary = format!(".{name}.new");
        self.root.remove(temporary.as_bytes())?;
        let mut file = self.create(&temporary)?;
        write(&mut file)?;
        file.sync_all()?;
        rustix::fs::renameat(self.root.fd(), &temporary, self.root.fd(), name)?;
        Ok(rustix::fs::fsync(self.root.fd())?)
    }

    /// Writes bytes whole.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write(name, |file| file.write_all(bytes))
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.root.remove(name.as_bytes())
    }
}
