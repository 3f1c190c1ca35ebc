//! What the workspace's `.gitignore` files leave out, from bytes the worker read itself: no global excludes, no
//! configuration, no attribute is looked at.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use agora_core::tree::TreePath;
use agora_core::worker::{Failure, Reason};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{AtFlags, FileType};

use crate::beneath::{open_file, read_bounded};
use crate::failure::{fail, shown};
use crate::walk::unreadable;

/// Longest `.gitignore`, in bytes: each of its lines becomes part of an automaton in memory.
const GITIGNORE_BYTES_MAX: u64 = 256 << 10;
/// Rules of all `.gitignore` files in force at one place, for the same reason.
const RULES_MAX: u64 = 20_000;

/// The rules in force, from the root to the folder being walked.
#[derive(Default)]
pub(crate) struct Ignored {
    levels: Vec<Level>,
    /// Whether the folder that is entered next is ignored as a whole.
    next_whole: bool,
}

struct Level {
    /// Bytes of the folder's path and the slash after it.
    prefix_bytes: usize,
    rules: Option<Gitignore>,
    /// Whether the folder itself is ignored: then nothing below can be taken back in.
    whole: bool,
}

impl Ignored {
    /// A folder is entered: its own rules come into force.
    pub(crate) fn enter(&mut self, path: &TreePath, folder: BorrowedFd<'_>) -> Result<(), Failure> {
        let rules = read_rules(path, folder)?;
        let in_force =
            self.levels.iter().filter_map(|level| level.rules.as_ref()).map(Gitignore::num_ignores).sum::<u64>()
                + rules.as_ref().map_or(0, Gitignore::num_ignores);
        if in_force > RULES_MAX {
            let what = format!("over {RULES_MAX} .gitignore rules are in force at {}", shown(path));
            return Err(fail(Reason::CaptureUnreadable, what));
        }
        let prefix_bytes = match path.as_bytes().len() {
            0 => 0,
            length => length + 1,
        };
        self.levels.push(Level { prefix_bytes, rules, whole: std::mem::take(&mut self.next_whole) });
        Ok(())
    }

    /// The folder entered last is left.
    pub(crate) fn leave(&mut self) {
        self.levels.pop();
    }

    /// Says whether the folder that is entered next is ignored as a whole.
    pub(crate) fn whole(&mut self, ignored: bool) {
        self.next_whole = ignored;
    }

    /// Whether an entry of the folder entered last is ignored.
    pub(crate) fn matches(&self, path: &TreePath, is_folder: bool) -> bool {
        if self.levels.last().is_some_and(|level| level.whole) {
            return true;
        }
        for level in self.levels.iter().rev() {
            let Some(rules) = &level.rules else { continue };
            let below = path.as_bytes().get(level.prefix_bytes..).unwrap_or_default();
            match rules.matched(Path::new(OsStr::from_bytes(below)), is_folder) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }
}

fn read_rules(path: &TreePath, folder: BorrowedFd<'_>) -> Result<Option<Gitignore>, Failure> {
    // A link, pipe or folder of this name has no rules in it, to git neither.
    match rustix::fs::statat(folder, ".gitignore", AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {}
        Ok(_) | Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(unreadable(path, &error.into())),
    }
    let bytes = open_file(folder, b".gitignore")
        .and_then(|file| read_bounded(file, GITIGNORE_BYTES_MAX))
        .map_err(|error| fail(Reason::CaptureUnreadable, format!("the .gitignore of {:?}: {error}", shown(path))))?;
    Ok(Some(rules_of(&bytes)))
}

/// The rules of one file. A line that is no rule is skipped, as git does.
fn rules_of(bytes: &[u8]) -> Gitignore {
    let mut builder = GitignoreBuilder::new("");
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    for line in String::from_utf8_lossy(bytes).lines() {
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beneath::Root;
    use std::os::fd::AsFd;

    #[test]
    fn rules_hold_from_the_folder_of_their_file_and_the_deepest_speaks_first() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        root.create(b".gitignore", 0o644, b"# rules\n*.log\n/top\nbuild/\n[bad\n!keep.log\r\n").unwrap();
        root.create(b"sub/.gitignore", 0o644, b"!again.log\n/only\n").unwrap();
        let mut ignored = Ignored::default();
        ignored.enter(&"".into(), root.fd()).unwrap();
        let table = [("a.log", false, true), ("keep.log", false, false), ("top", false, true), ("build", true, true)];
        for (path, folder, expected) in table.into_iter().chain([("build", false, false), ("a.txt", false, false)]) {
            assert_eq!(ignored.matches(&path.into(), folder), expected, "{path}");
        }
        ignored.enter(&"sub".into(), root.folder(b"sub").unwrap().as_fd()).unwrap();
        for (path, expected) in [("sub/again.log", false), ("sub/b.log", true), ("sub/only", true), ("sub/top", false)]
        {
            assert_eq!(ignored.matches(&path.into(), false), expected, "{path}");
        }
        ignored.leave();
        assert!(!ignored.matches(&"only".into(), false));
        ignored.whole(true);
        ignored.enter(&"sub".into(), root.folder(b"sub").unwrap().as_fd()).unwrap();
        assert!(ignored.matches(&"sub/again.log".into(), false), "nothing is taken back from an ignored folder");
    }

    #[test]
    fn a_gitignore_that_is_a_link_has_no_rules_and_a_huge_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        root.create(b"rules", 0o644, b"*").unwrap();
        root.link(b".gitignore", b"rules").unwrap();
        let mut ignored = Ignored::default();
        ignored.enter(&"".into(), root.fd()).unwrap();
        assert!(!ignored.matches(&"x".into(), false));
        root.create(b"big/.gitignore", 0o644, &vec![b'\n'; 256 << 10]).unwrap();
        root.create(b"bigger/.gitignore", 0o644, &vec![b'\n'; (256 << 10) + 1]).unwrap();
        assert!(ignored.enter(&"big".into(), root.folder(b"big").unwrap().as_fd()).is_ok());
        let failure = ignored.enter(&"bigger".into(), root.folder(b"bigger").unwrap().as_fd()).unwrap_err();
        assert_eq!(failure.reason, Reason::CaptureUnreadable);
    }
}
