//! The baseline: what the workspace holds when the agent starts, so that only the agent's own work is captured.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use agora_core::id::Digest;
use agora_core::path::is_git;
use agora_core::tree::{Mode, Node, TreePath};
use agora_core::worker::{Failure, Reason};
use rustix::fs::FileType;

use crate::beneath::{Root, open_file};
use crate::blobs::hash_copy;
use crate::failure::fail;
use crate::left_out::Why;
use crate::walk::{Found, Next, Stamp, Visitor, unreadable, walk};
use crate::workspace::AGORA_FOLDER;

/// A file is believed unchanged without being read only if its ctime is this much older than the baseline: what was
/// written in the same tick of the clock as the baseline looks the same before and after.
const SETTLED_NS: i128 = 1_000_000_000;

/// A file or link as it was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) node: Node,
    pub(crate) stamp: Stamp,
}

/// The manifest of the workspace before the agent.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    pub(crate) entries: BTreeMap<TreePath, Entry>,
    taken_ns: i128,
}

impl Baseline {
    /// Whether this file is certainly the one of the baseline, without being read.
    pub(crate) fn untouched(&self, path: &TreePath, stamp: &Stamp) -> Option<Node> {
        let entry = self.entries.get(path)?;
        let settled = stamp.ctime_ns.saturating_add(SETTLED_NS) < self.taken_ns;
        (settled && entry.stamp == *stamp).then_some(entry.node)
    }
}

/// What no walk over a workspace looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassedOver {
    /// Whether `inputs` and `outputs` at the root are agora's links.
    pub(crate) inputs_link: bool,
    pub(crate) outputs_link: bool,
}

impl PassedOver {
    /// Why an entry is passed over, if it is.
    pub(crate) fn why(self, found: &Found<'_>) -> Option<Why> {
        match found.path.as_bytes() {
            AGORA_FOLDER => Some(Why::Agora),
            b"inputs" if self.inputs_link => Some(Why::Links),
            b"outputs" if self.outputs_link => Some(Why::Links),
            _ if is_git(found.name) => Some(Why::Git),
            _ => match found.kind {
                FileType::RegularFile | FileType::Symlink | FileType::Directory => None,
                _ => Some(Why::Special),
            },
        }
    }
}

/// Walks the workspace and remembers every file and link of it.
pub(crate) fn take(root: &Root, passed_over: PassedOver) -> Result<Baseline, Failure> {
    let taken = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let baseline = Baseline { entries: BTreeMap::new(), taken_ns: i128::try_from(taken.as_nanos()).unwrap_or(0) };
    let mut taking = Taking { baseline, passed_over };
    walk(root, None, &mut taking)
        .map_err(|failure| fail(Reason::WorkerError, format!("before the agent: {}", failure.detail)))?;
    Ok(taking.baseline)
}

struct Taking {
    baseline: Baseline,
    passed_over: PassedOver,
}

impl Visitor for Taking {
    fn enter(&mut self, _: &TreePath, _: BorrowedFd<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn visit(&mut self, found: &Found<'_>) -> Result<Next, Failure> {
        if self.passed_over.why(found).is_some() {
            return Ok(Next::Skip);
        }
        if found.kind != FileType::Directory {
            let node = node_of(found).map_err(|error| unreadable(found.path, &error))?;
            self.baseline.entries.insert(found.path.clone(), Entry { node, stamp: found.stamp });
        }
        Ok(Next::Descend)
    }

    fn leave(&mut self) {}
}

/// Reads what a file or link is.
pub(crate) fn node_of(found: &Found<'_>) -> io::Result<Node> {
    if found.kind == FileType::Symlink {
        let target = rustix::fs::readlinkat(found.parent, found.name, Vec::new())?;
        let target = target.to_bytes();
        return Ok(Node { mode: Mode::Link, digest: Digest::of(target), size_bytes: target.len() as u64 });
    }
    let (digest, size_bytes) = hash_copy(open_file(found.parent, found.name)?, &mut io::sink())?;
    let mode = if found.executable { Mode::Exec } else { Mode::File };
    Ok(Node { mode, digest, size_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(ctime_ns: i128) -> Stamp {
        Stamp { device: 1, inode: 2, size_bytes: 3, mtime_ns: 4, ctime_ns }
    }

    #[test]
    fn a_file_is_believed_only_when_all_agrees_and_it_had_settled() {
        let taken_ns = 10 * SETTLED_NS;
        let node = Node { mode: Mode::File, digest: Digest::of(b""), size_bytes: 3 };
        let old = taken_ns - SETTLED_NS - 1;
        let table = [
            ("the same", stamp(old), stamp(old), true),
            ("a fresh ctime", stamp(taken_ns - SETTLED_NS), stamp(taken_ns - SETTLED_NS), false),
            ("another ctime", stamp(old), stamp(old - 1), false),
            ("another mtime", stamp(old), Stamp { mtime_ns: 5, ..stamp(old) }, false),
            ("another inode", stamp(old), Stamp { inode: 5, ..stamp(old) }, false),
            ("another size", stamp(old), Stamp { size_bytes: 5, ..stamp(old) }, false),
            ("another device", stamp(old), Stamp { device: 5, ..stamp(old) }, false),
        ];
        for (name, before, now, believed) in table {
            let entries = BTreeMap::from([("a".into(), Entry { node, stamp: before })]);
            let baseline = Baseline { entries, taken_ns };
            assert_eq!(baseline.untouched(&"a".into(), &now).is_some(), believed, "{name}");
            assert!(baseline.untouched(&"b".into(), &now).is_none());
        }
    }
}
