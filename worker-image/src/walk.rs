//! The walk over a tree that an agent may have written: sorted, one component at a time, bounded.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use agora_core::tree::TreePath;
use agora_core::worker::Failure;
use rustix::fs::{AtFlags, Dir, FileType};

use crate::beneath::{Root, open_folder};
use crate::failure::{fail, shown};
use agora_core::worker::Reason;

/// Folders inside folders: deeper ones are made to tire a walker, not to be worked in.
pub(crate) const DEPTH_MAX: usize = 256;
/// Bytes of a path, the kernel's own limit for one look-up.
pub(crate) const PATH_BYTES_MAX: usize = 4096;
/// Entries seen in one walk: some ten times the largest base tree with its installed dependencies.
pub(crate) const ENTRIES_MAX: u64 = 2_000_000;

/// What the kernel says of an entry that bears on whether it changed. Only `ctime` is out of an agent's reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size_bytes: u64,
    pub(crate) mtime_ns: i128,
    pub(crate) ctime_ns: i128,
}

/// An entry of a folder.
pub(crate) struct Found<'a> {
    /// Where it is, from the root of the walk.
    pub(crate) path: &'a TreePath,
    /// Its own name.
    pub(crate) name: &'a [u8],
    /// The folder it is in.
    pub(crate) parent: BorrowedFd<'a>,
    /// What it is, links not followed.
    pub(crate) kind: FileType,
    /// Whether its owner may execute it.
    pub(crate) executable: bool,
    /// What would tell a change.
    pub(crate) stamp: Stamp,
}

/// What to do with a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look into it.
    Descend,
    /// Leave it.
    Skip,
}

/// Who is shown the entries.
pub(crate) trait Visitor {
    /// A folder was opened; its entries come next. The root is the empty path.
    fn enter(&mut self, path: &TreePath, folder: BorrowedFd<'_>) -> Result<(), Failure>;
    /// An entry. What is returned counts for folders only.
    fn visit(&mut self, found: &Found<'_>) -> Result<Next, Failure>;
    /// All below the folder has been shown.
    fn leave(&mut self);
}

struct Open {
    fd: OwnedFd,
    path: TreePath,
    /// Sorted in reverse, taken from the end.
    names: Vec<Vec<u8>>,
}

/// Shows every entry below `root` to the visitor, in the order of the names' bytes.
pub(crate) fn walk(root: &Root, deadline: Option<Instant>, visitor: &mut dyn Visitor) -> Result<(), Failure> {
    let top = TreePath::new(Vec::new());
    let mut seen = 0;
    let fd = root.folder(b"").map_err(|error| unreadable(&top, &error))?;
    let mut stack = vec![enter(fd, top, &mut seen, visitor)?];
    while let Some(open) = stack.last_mut() {
        let Some(name) = open.names.pop() else {
            visitor.leave();
            stack.pop();
            continue;
        };
        if deadline.is_some_and(|at| Instant::now() >= at) {
            return Err(fail(Reason::CaptureUnreadable, "the walk over the workspace ran out of time"));
        }
        let path = join(&open.path, &name);
        let next = show(open, &name, &path, visitor)?;
        if next == Next::Descend {
            if path.as_bytes().len() >= PATH_BYTES_MAX {
                return Err(over(&path, format!("a path is over {PATH_BYTES_MAX} bytes")));
            }
            if stack.len() >= DEPTH_MAX {
                return Err(over(&path, format!("folders are over {DEPTH_MAX} deep")));
            }
            let Some(open) = stack.last() else { break };
            let fd = open_folder(open.fd.as_fd(), &name).map_err(|error| unreadable(&path, &error))?;
            let inner = enter(fd, path, &mut seen, visitor)?;
            stack.push(inner);
        }
    }
    Ok(())
}

fn enter(fd: OwnedFd, path: TreePath, seen: &mut u64, visitor: &mut dyn Visitor) -> Result<Open, Failure> {
    visitor.enter(&path, fd.as_fd())?;
    let mut names = Vec::new();
    let entries = Dir::read_from(&fd).map_err(|error| unreadable(&path, &error.into()))?;
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(&path, &error.into()))?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        *seen += 1;
        if *seen > ENTRIES_MAX {
            return Err(over(&path, format!("there are over {ENTRIES_MAX} files and folders")));
        }
        names.push(name.to_vec());
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(Open { fd, path, names })
}

fn show(open: &Open, name: &[u8], path: &TreePath, visitor: &mut dyn Visitor) -> Result<Next, Failure> {
    let stat = rustix::fs::statat(&open.fd, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| unreadable(path, &error.into()))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let found = Found {
        path,
        name,
        parent: open.fd.as_fd(),
        kind,
        executable: stat.st_mode & 0o100 != 0,
        stamp: Stamp {
            device: stat.st_dev,
            inode: stat.st_ino,
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: nanos(stat.st_mtime, stat.st_mtime_nsec),
            ctime_ns: nanos(stat.st_ctime, stat.st_ctime_nsec),
        },
    };
    let next = visitor.visit(&found)?;
    Ok(if kind == FileType::Directory { next } else { Next::Skip })
}

fn nanos(seconds: impl Into<i128>, nanos: impl Into<i128>) -> i128 {
    seconds.into() * 1_000_000_000 + nanos.into()
}

fn join(folder: &TreePath, name: &[u8]) -> TreePath {
    let mut bytes = folder.as_bytes().to_vec();
    if !bytes.is_empty() {
        bytes.push(b'/');
    }
    bytes.extend_from_slice(name);
    TreePath::new(bytes)
}

fn over(path: &TreePath, what: String) -> Failure {
    let start: Vec<u8> = path.as_bytes().iter().take(200).copied().collect();
    fail(Reason::CaptureUnreadable, format!("{what}, at {}", shown(&TreePath::new(start))))
}

/// Something in the workspace cannot be read: it is named, not skipped.
pub(crate) fn unreadable(path: &TreePath, error: &io::Error) -> Failure {
    fail(Reason::CaptureUnreadable, format!("{} cannot be read: {error}", shown(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Names(Vec<String>);

    impl Visitor for Names {
        fn enter(&mut self, _: &TreePath, _: BorrowedFd<'_>) -> Result<(), Failure> {
            Ok(())
        }
        fn visit(&mut self, found: &Found<'_>) -> Result<Next, Failure> {
            self.0.push(found.path.to_string());
            Ok(Next::Descend)
        }
        fn leave(&mut self) {}
    }

    fn deep(levels: usize) -> Result<(), Failure> {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        root.make_folders(vec!["d"; levels].join("/").as_bytes()).unwrap();
        walk(&root, None, &mut Names::default())
    }

    #[test]
    fn entries_come_in_the_order_of_their_bytes_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        for path in ["b", "a/2", "a/1", "a.txt"] {
            root.create(path.as_bytes(), 0o644, b"").unwrap();
        }
        root.link(b"c", b"/").unwrap();
        let mut names = Names::default();
        walk(&root, None, &mut names).unwrap();
        assert_eq!(names.0, ["a", "a/1", "a/2", "a.txt", "b", "c"]);
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(deep(DEPTH_MAX - 1), Ok(()));
        let failure = deep(DEPTH_MAX).unwrap_err();
        assert_eq!(failure.reason, Reason::CaptureUnreadable);
        assert!(failure.detail.contains("256 deep"), "{}", failure.detail);
    }

    #[test]
    fn a_walk_ends_at_its_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        root.create(b"a", 0o644, b"").unwrap();
        assert!(walk(&root, Some(Instant::now()), &mut Names::default()).is_err());
    }
}
