//! A folder as it lies on disk, read without following a link and without leaving it.
//!
//! Two passes: the names first, sorted; then each file is opened again by `openat2`, beneath the folder, and read into the
//! pack. What changes its kind between them is an error, never followed. `.git` is never read as content.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use agora_core::id::Enc;
use agora_core::path::{DEPTH_MAX, check_structure, is_git};
use agora_core::tree::{Mode, Tree, TreePath};
use git2::{Oid, Repository};
use rustix::fs::{AtFlags, Dir, FileType, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::base::{BaseError, Bounds, FILE_BYTES_MAX, Packer, read_blob};
use crate::rules::{Rules, ignores};

/// The largest `.gitignore` in bytes; a larger one is an error, since to pass it over would carry what it hides.
const IGNORE_BYTES_MAX: u64 = 4 << 20;
/// How often a lookup is tried that met a rename elsewhere (`EAGAIN` of `openat2`).
const TRIES_MAX: usize = 16;
/// The flag of an index entry that `git sparse-checkout` sets: not on disk, and not deleted.
const SKIP_WORKTREE: u16 = 1 << 14;

/// Where the bytes of a path are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A regular file on disk.
    File,
    /// A symbolic link on disk.
    Link,
    /// An object of the repository.
    Object { mode: Mode, id: Oid },
}

/// Opens the root of a walk.
pub(crate) fn open_root(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, rustix::fs::Mode::empty())?)
}

/// Opens a path beneath an open folder; no component of it may be a link.
pub(crate) fn open_beneath(root: BorrowedFd<'_>, path: &[u8], flags: OFlags, mode: u32) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let path = if path.is_empty() { b"." } else { path };
    let mut tries = 0;
    loop {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat2(root, path, flags, rustix::fs::Mode::from_raw_mode(mode), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries < TRIES_MAX => tries += 1,
            other => return Ok(other?),
        }
    }
}

/// Opens the folder that a path lies in, and gives the last component.
pub(crate) fn open_parent<'p>(root: BorrowedFd<'_>, path: &'p [u8]) -> io::Result<(OwnedFd, &'p [u8])> {
    let slash = path.iter().rposition(|b| *b == b'/');
    let (parent, name) = slash.map_or((&b""[..], path), |at| (&path[..at], &path[at + 1..]));
    Ok((open_beneath(root, parent, OFlags::RDONLY | OFlags::DIRECTORY, 0)?, name))
}

/// Reads a regular file beneath `root`: whether its owner may execute it, and its bytes. `None` when it is no regular file.
pub(crate) fn read_file(root: BorrowedFd<'_>, path: &[u8], max: u64) -> io::Result<Option<(bool, Vec<u8>)>> {
    // Without waiting: a pipe may have taken the file's place.
    let file = File::from(open_beneath(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, 0)?);
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0).min(1 << 30));
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(Some((stat.st_mode & 0o100 != 0, bytes)))
}

/// Reads a link beneath `root`.
pub(crate) fn read_link(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<Vec<u8>> {
    let (parent, name) = open_parent(root, path)?;
    Ok(rustix::fs::readlinkat(&parent, name, Vec::new())?.into_bytes())
}

/// Reads a folder: all of it, or what git does not ignore in the working tree of `repository`.
pub(crate) fn read(
    folder: &Path,
    repository: Option<&Repository>,
    pack: &mut dyn Write,
) -> Result<(Tree, u64), BaseError> {
    let unreadable = |source: io::Error| BaseError::Unreadable { path: Enc::encode("."), source };
    let root = open_root(folder).map_err(unreadable)?;
    let mut packer = Packer::new(pack);
    let mut walk = Walk {
        tracked: BTreeMap::new(),
        git: repository.is_some(),
        found: BTreeMap::new(),
        left_out: 0,
        bounds: &mut packer.bounds,
    };
    let mut rules = Vec::new();
    if let Some(repository) = repository {
        walk.track(repository)?;
        let exclude = repository.commondir().join("info/exclude");
        rules.push(Rules::new(b"", &read_exclude(&exclude)?));
    }
    walk.folder(&root, &mut Vec::new(), &mut rules, false)?;
    walk.absent()?;
    let (found, left_out) = (walk.found, walk.left_out);
    for (path, found) in found {
        put(root.as_fd(), repository, &mut packer, path, found)?;
    }
    Ok((packer.tree, left_out))
}

fn read_exclude(path: &Path) -> Result<Vec<u8>, BaseError> {
    let unreadable = |source| BaseError::Unreadable { path: Enc::encode(".git/info/exclude"), source };
    match File::open(path) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(IGNORE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
            Ok(bytes)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(unreadable(error)),
    }
}

fn put(
    root: BorrowedFd<'_>,
    repository: Option<&Repository>,
    packer: &mut Packer<'_>,
    path: TreePath,
    found: Found,
) -> Result<(), BaseError> {
    let enc = || Enc::encode_bytes(path.as_bytes());
    let failed = |source: io::Error| match source.raw_os_error().map(Errno::from_raw_os_error) {
        // It was there a moment ago, and of another kind.
        Some(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::INVAL | Errno::NXIO) => {
            BaseError::Changed { path: enc() }
        }
        _ if source.kind() == io::ErrorKind::FileTooLarge => {
            BaseError::TooLarge { what: "bytes", limit: FILE_BYTES_MAX, path: Some(enc()) }
        }
        _ => BaseError::Unreadable { path: enc(), source },
    };
    match found {
        Found::File => {
            let read = read_file(root, path.as_bytes(), FILE_BYTES_MAX).map_err(failed)?;
            let (exec, bytes) = read.ok_or_else(|| BaseError::Changed { path: enc() })?;
            packer.put(path, if exec { Mode::Exec } else { Mode::File }, &bytes)?;
        }
        Found::Link => {
            let target = read_link(root, path.as_bytes()).map_err(failed)?;
            packer.put(path, Mode::Link, &target)?;
        }
        Found::Object { mode: Mode::Gitlink, id } => {
            packer.put(path, Mode::Gitlink, id.to_string().as_bytes())?;
        }
        Found::Object { mode, id } => {
            let Some(repository) = repository else { return Ok(()) };
            let bytes = read_blob(repository, &path, id)?;
            packer.put(path, mode, bytes.data())?;
        }
    }
    Ok(())
}

struct Walk<'a> {
    /// What the index has: mode, id, and whether it need not be on disk.
    tracked: BTreeMap<TreePath, (Mode, Oid, bool)>,
    git: bool,
    found: BTreeMap<TreePath, Found>,
    left_out: u64,
    bounds: &'a mut Bounds,
}

impl Walk<'_> {
    fn track(&mut self, repository: &Repository) -> Result<(), BaseError> {
        for entry in repository.index()?.iter() {
            check_structure(&entry.path)?;
            let mode = match entry.mode & 0o170_000 {
                0o160_000 => Mode::Gitlink,
                0o120_000 => Mode::Link,
                _ if entry.mode & 0o100 != 0 => Mode::Exec,
                _ => Mode::File,
            };
            let skip = entry.flags_extended & SKIP_WORKTREE != 0;
            self.tracked.insert(TreePath::new(entry.path), (mode, entry.id, skip));
        }
        Ok(())
    }

    fn tracks_below(&self, folder: &[u8]) -> bool {
        let start = TreePath::new([folder, b"/"].concat());
        self.tracked
            .range(start.clone()..)
            .next()
            .is_some_and(|(path, _)| path.as_bytes().starts_with(start.as_bytes()))
    }

    /// Lists one folder and those below it. `path` is empty for the root, else without a slash at its end.
    fn folder(
        &mut self,
        folder: &OwnedFd,
        path: &mut Vec<u8>,
        rules: &mut Vec<Rules>,
        ignored: bool,
    ) -> Result<(), BaseError> {
        let unreadable =
            |path: &[u8], source: io::Error| BaseError::Unreadable { path: Enc::encode_bytes(path), source };
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(|error| unreadable(path, error.into()))? {
            let entry = entry.map_err(|error| unreadable(path, error.into()))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort();
        let rules_before = rules.len();
        if self.git && !ignored && names.binary_search_by(|name| name.as_slice().cmp(b".gitignore")).is_ok() {
            let mut prefix = path.clone();
            if !prefix.is_empty() {
                prefix.push(b'/');
            }
            // A link in its place says nothing, as in git.
            match read_file(folder.as_fd(), b".gitignore", IGNORE_BYTES_MAX) {
                Ok(Some((_, bytes))) => rules.push(Rules::new(&prefix, &bytes)),
                Ok(None) => {}
                Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {}
                Err(error) => return Err(unreadable(&[&prefix, &b".gitignore"[..]].concat(), error)),
            }
        }
        let length = path.len();
        for name in names {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(&name);
            self.entry(folder, &name, path, rules, ignored)?;
            path.truncate(length);
        }
        rules.truncate(rules_before);
        Ok(())
    }

    fn entry(
        &mut self,
        folder: &OwnedFd,
        name: &[u8],
        path: &mut Vec<u8>,
        rules: &mut Vec<Rules>,
        ignored: bool,
    ) -> Result<(), BaseError> {
        if is_git(name) {
            self.left_out += u64::from(path.as_slice() != b".git");
            return Ok(());
        }
        let unreadable =
            |path: &[u8], source: Errno| BaseError::Unreadable { path: Enc::encode_bytes(path), source: source.into() };
        let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(unreadable(path, error)),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_folder = kind == FileType::Directory;
        let here = TreePath::new(path.clone());
        let tracked = self.tracked.get(&here).copied();
        let ignored = ignored || (self.git && ignores(rules, path, is_folder));
        match kind {
            FileType::Directory => {
                if let Some((Mode::Gitlink, id, _)) = tracked {
                    return self.add(here, Found::Object { mode: Mode::Gitlink, id });
                }
                if self.git && !self.tracks_below(path) && (ignored || self.is_repository(folder, name)) {
                    self.left_out += u64::from(!ignored);
                    return Ok(());
                }
                if path.iter().filter(|b| **b == b'/').count() >= DEPTH_MAX {
                    check_structure(&[path.as_slice(), b"/x"].concat())?;
                }
                let below = open_beneath(folder.as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY, 0)
                    .map_err(|source| BaseError::Unreadable { path: Enc::encode_bytes(path), source })?;
                self.folder(&below, path, rules, ignored)
            }
            FileType::RegularFile | FileType::Symlink if ignored && tracked.is_none() => Ok(()),
            FileType::RegularFile => self.add(here, Found::File),
            FileType::Symlink => self.add(here, Found::Link),
            _ => {
                self.left_out += 1;
                Ok(())
            }
        }
    }

    /// Whether a folder is a repository of its own, which git would not look into.
    fn is_repository(&self, folder: &OwnedFd, name: &[u8]) -> bool {
        let dot_git = [name, b"/.git"].concat();
        rustix::fs::statat(folder, dot_git.as_slice(), AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    fn add(&mut self, path: TreePath, found: Found) -> Result<(), BaseError> {
        check_structure(path.as_bytes())?;
        self.bounds.file()?;
        self.found.insert(path, found);
        Ok(())
    }

    /// Adds what a sparse checkout keeps off the disk.
    fn absent(&mut self) -> Result<(), BaseError> {
        let absent: Vec<(TreePath, Found)> = self
            .tracked
            .iter()
            .filter(|(path, (_, _, skip))| *skip && !self.found.contains_key(*path))
            .map(|(path, (mode, id, _))| (path.clone(), Found::Object { mode: *mode, id: *id }))
            .collect();
        absent.into_iter().try_for_each(|(path, found)| self.add(path, found))
    }
}
