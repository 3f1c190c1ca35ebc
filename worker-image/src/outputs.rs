//! Outputs: the regular files below `outputs/`, as one pack.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use agora_core::limits::OUTPUTS_MAX;
use agora_core::path::{self, Scope};
use agora_core::tree::TreePath;
use agora_core::worker::{Failure, OutputReport};
use rustix::fs::FileType;

use crate::beneath::{Root, open_file};
use crate::blobs::hash_copy;
use crate::failure::broke;
use crate::left_out::{Counts, Why};
use crate::walk::{Found, Next, Visitor, unreadable, walk};

/// Longest output, in MiB, unless the operator granted less.
pub(crate) const OUTPUT_MIB_MAX: u64 = 100;

/// Writes the pack and says what is in it, in order of the path; each distinct content stands in it once.
///
/// What is no regular file, has a path that is refused, is too long, or comes after the last one allowed is left out and
/// counted, never silently.
pub(crate) fn collect(root: &Root, bytes_max: u64, pack: &mut File) -> Result<(Vec<OutputReport>, Counts), Failure> {
    let mut taking = Taking { bytes_max, outputs: Vec::new(), folded: BTreeSet::new(), left_out: Counts::default() };
    walk(root, None, &mut taking)?;
    let Taking { mut outputs, left_out, .. } = taking;
    // By the bytes of the whole path, which is not the order of a walk: `b-c` comes before `b/c`.
    outputs.sort_by(|a, b| a.path.cmp(&b.path));
    let mut packed = BTreeSet::new();
    for output in outputs.iter().filter(|output| packed.insert(output.digest)) {
        copy(root, output, pack)?;
    }
    Ok((outputs, left_out))
}

fn copy(root: &Root, output: &OutputReport, pack: &mut File) -> Result<(), Failure> {
    let path = TreePath::from(output.path.as_str());
    let file = root.open_file(path.as_bytes()).map_err(|error| unreadable(&path, &error))?;
    let (digest, _) = hash_copy(file, pack).map_err(|error| broke("write the pack of the outputs", &error))?;
    if digest == output.digest {
        Ok(())
    } else {
        Err(unreadable(&path, &io::Error::other("it changed while it was read")))
    }
}

struct Taking {
    bytes_max: u64,
    outputs: Vec<OutputReport>,
    /// Paths and their folders after lower-casing, so that no two outputs meet on a disk that ignores case.
    folded: BTreeSet<Vec<u8>>,
    left_out: Counts,
}

impl Visitor for Taking {
    fn enter(&mut self, _: &TreePath, _: BorrowedFd<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn visit(&mut self, found: &Found<'_>) -> Result<Next, Failure> {
        if found.kind == FileType::Directory {
            return Ok(Next::Descend);
        }
        let allowed = found.kind == FileType::RegularFile
            && self.outputs.len() < OUTPUTS_MAX
            && found.stamp.size_bytes <= self.bytes_max
            && path::check(found.path.as_bytes(), Scope::Output).is_ok()
            && self.folded.insert(path::fold(found.path.as_bytes()));
        match found.path.as_str() {
            Some(text) if allowed => self.take(found, text)?,
            _ => self.left_out.add(Why::Outputs, found.path),
        }
        Ok(Next::Skip)
    }

    fn leave(&mut self) {}
}

impl Taking {
    fn take(&mut self, found: &Found<'_>, path: &str) -> Result<(), Failure> {
        let file = open_file(found.parent, found.name).map_err(|error| unreadable(found.path, &error))?;
        let (digest, size_bytes) = hash_copy(file, &mut io::sink()).map_err(|error| unreadable(found.path, &error))?;
        self.outputs.push(OutputReport { path: path.to_owned(), digest, size_bytes });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(act: impl FnOnce(&Root), bytes_max: u64) -> (Vec<OutputReport>, Counts, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        act(&root);
        let pack = tempfile::NamedTempFile::new().unwrap();
        let (outputs, left_out) = collect(&root, bytes_max, &mut pack.reopen().unwrap()).unwrap();
        (outputs, left_out, std::fs::read(pack.path()).unwrap())
    }

    #[test]
    fn each_distinct_content_is_packed_once_in_the_order_of_the_outputs() {
        let (outputs, left_out, pack) = collected(
            |root| {
                for (path, text) in [("b-c", "3"), ("b/c", "2"), ("a", "11"), ("z", "2")] {
                    root.create(path.as_bytes(), 0o644, text.as_bytes()).unwrap();
                }
            },
            10,
        );
        let paths: Vec<_> = outputs.iter().map(|output| output.path.as_str()).collect();
        assert_eq!(paths, ["a", "b-c", "b/c", "z"]);
        assert_eq!(pack, b"1132");
        assert!(left_out.into_report().is_empty());
    }

    #[test]
    fn what_is_no_plain_small_file_is_left_out_and_counted() {
        let (outputs, left_out, pack) = collected(
            |root| {
                root.create(b"fits", 0o644, b"1234").unwrap();
                root.create(b"long", 0o644, b"12345").unwrap();
                root.create(b"a\\b", 0o644, b"1").unwrap();
                root.create(b".git/config", 0o644, b"1").unwrap();
                root.create(b"FITS", 0o644, b"1").unwrap();
                root.link(b"link", b"/etc/passwd").unwrap();
                rustix::fs::mknodat(root.fd(), "pipe", FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
                    .unwrap();
            },
            4,
        );
        assert_eq!(outputs.len(), 1);
        assert_eq!(outputs[0].path, "FITS");
        assert_eq!(pack, b"1");
        assert_eq!(left_out.into_report()["outputs"].count, 6);
    }

    #[test]
    fn the_number_of_outputs_passes_at_its_boundary_and_not_beyond() {
        for (made, over) in [(OUTPUTS_MAX, 0), (OUTPUTS_MAX + 1, 1)] {
            let (outputs, left_out, _) = collected(
                |root| (0..made).for_each(|n| root.create(format!("{n:03}").as_bytes(), 0o644, b"x").unwrap()),
                10,
            );
            assert_eq!(outputs.len(), OUTPUTS_MAX);
            assert_eq!(left_out.into_report().get("outputs").map_or(0, |left| left.count), over);
        }
    }
}
