//! Capture: the workspace compared with the baseline. Nothing of the agent runs any more, and git is never asked.
//!
//! A path is the agent's work when its type, mode or content differ from the baseline. The result tree is the start tree
//! with exactly those paths replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use agora_core::id::Digest;
use agora_core::tree::{Mode, Node, Tree, TreePath};
use agora_core::worker::{Failure, Reason};
use rustix::fs::{Dir, FileType};

use crate::baseline::{Baseline, PassedOver, node_of};
use crate::beneath::{Root, open_folder, read_bounded, split};
use crate::failure::{fail, shown};
use crate::ignored::Ignored;
use crate::left_out::{Counts, Why};
use crate::walk::{Found, Next, Visitor, unreadable, walk};
use crate::workspace::AGORA_FILES;

/// Content that is held in memory to make the patch, old and new sides together, in bytes.
const CONTENT_BYTES_MAX: u64 = 256 << 20;

/// What a capture compares with.
pub(crate) struct Compared<'a> {
    pub(crate) root: &'a Root,
    pub(crate) start: &'a Tree,
    pub(crate) baseline: &'a Baseline,
    /// The paths that capabilities brought.
    pub(crate) brought: &'a BTreeSet<TreePath>,
    pub(crate) passed_over: PassedOver,
    /// Most files a patch may touch.
    pub(crate) files_max: u64,
    /// For a draft.
    pub(crate) deadline: Option<Instant>,
}

/// What was captured.
#[derive(Debug)]
pub(crate) struct Captured {
    /// The tree the agent left.
    pub(crate) result: Tree,
    /// The bytes that the start tree lacks.
    pub(crate) content: BTreeMap<Digest, Vec<u8>>,
    pub(crate) left_out: Counts,
}

/// Captures the agent's work.
///
/// # Errors
/// `capture-unreadable` for what cannot be read, `patch-refused` over a limit.
pub(crate) fn capture(with: &Compared<'_>) -> Result<Captured, Failure> {
    let mut looking = Looking {
        with,
        ignored: Ignored::default(),
        present: BTreeSet::new(),
        changed: BTreeMap::new(),
        left_out: Counts::default(),
    };
    walk(with.root, with.deadline, &mut looking)?;
    let Looking { present, mut changed, left_out, .. } = looking;
    changed.retain(|path, node| with.start.files.get(path) != Some(node));
    let mut result = with.start.clone();
    // Gone is what the agent had and no longer has. What setup removed, or was never laid out, it never had.
    result.files.retain(|path, node| {
        node.mode == Mode::Gitlink || present.contains(path) || !with.baseline.entries.contains_key(path)
    });
    result.files.extend(changed.iter().map(|(path, node)| (path.clone(), *node)));
    check_limits(with, &result, &changed)?;
    let content = read_content(with, &changed)?;
    Ok(Captured { result, content, left_out })
}

struct Looking<'a> {
    with: &'a Compared<'a>,
    ignored: Ignored,
    /// Paths of the start tree that are still there as a file or link.
    present: BTreeSet<TreePath>,
    changed: BTreeMap<TreePath, Node>,
    left_out: Counts,
}

impl Visitor for Looking<'_> {
    fn enter(&mut self, path: &TreePath, folder: BorrowedFd<'_>) -> Result<(), Failure> {
        self.ignored.enter(path, folder)
    }

    fn visit(&mut self, found: &Found<'_>) -> Result<Next, Failure> {
        if let Some(why) = self.with.passed_over.why(found) {
            if !is_agoras_own(why, found) {
                self.left_out.add(why, found.path);
            }
            return Ok(Next::Skip);
        }
        if found.kind == FileType::Directory {
            return Ok(self.folder(found.path));
        }
        self.entry(found)?;
        Ok(Next::Skip)
    }

    fn leave(&mut self) {
        self.ignored.leave();
    }
}

impl Looking<'_> {
    fn folder(&mut self, path: &TreePath) -> Next {
        if self.with.start.files.get(path).is_some_and(|node| node.mode == Mode::Gitlink) {
            // A submodule's place is carried as it is, whatever was put there.
            return Next::Skip;
        }
        let ignored = self.ignored.matches(path, true);
        if ignored && !has_below(&self.with.start.files, path) {
            self.left_out.add(Why::Ignored, path);
            return Next::Skip;
        }
        self.ignored.whole(ignored);
        Next::Descend
    }

    fn entry(&mut self, found: &Found<'_>) -> Result<(), Failure> {
        let known = self.with.start.files.contains_key(found.path);
        if known {
            self.present.insert(found.path.clone());
        } else if self.with.brought.contains(found.path) {
            self.left_out.add(Why::Capability, found.path);
            return Ok(());
        } else if self.ignored.matches(found.path, false) {
            self.left_out.add(Why::Ignored, found.path);
            return Ok(());
        }
        if self.with.baseline.untouched(found.path, &found.stamp).is_some() {
            return Ok(());
        }
        let node = node_of(found).map_err(|error| unreadable(found.path, &error))?;
        if self.with.baseline.entries.get(found.path).is_some_and(|entry| entry.node == node) {
            return Ok(());
        }
        self.changed.insert(found.path.clone(), node);
        if self.changed.len() as u64 > self.with.files_max {
            return Err(too_many(self.with.files_max));
        }
        Ok(())
    }
}

/// Whether what is passed over is only what agora itself put there, so that nobody misses it in the patch.
fn is_agoras_own(why: Why, found: &Found<'_>) -> bool {
    match why {
        Why::Links => found.kind == FileType::Symlink,
        Why::Agora => found.kind == FileType::Directory && holds_agoras_files_alone(found).unwrap_or(false),
        Why::Git | Why::Special | Why::Capability | Why::Ignored | Why::Outputs => false,
    }
}

/// Looks at the names in agora's folder and no deeper: what an agent put there may be anything.
fn holds_agoras_files_alone(found: &Found<'_>) -> io::Result<bool> {
    for entry in Dir::read_from(open_folder(found.parent, found.name)?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." && !AGORA_FILES.contains(&name) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the tree has anything below this folder.
fn has_below(files: &BTreeMap<TreePath, Node>, folder: &TreePath) -> bool {
    let mut prefix = folder.as_bytes().to_vec();
    prefix.push(b'/');
    files.range(TreePath::new(prefix.clone())..).next().is_some_and(|(path, _)| path.as_bytes().starts_with(&prefix))
}

fn too_many(max: u64) -> Failure {
    fail(Reason::PatchRefused, format!("the patch touches over {max} files, the limit"))
}

fn check_limits(with: &Compared<'_>, result: &Tree, changed: &BTreeMap<TreePath, Node>) -> Result<(), Failure> {
    let removed = with.start.files.iter().filter(|(path, _)| !result.files.contains_key(*path));
    let replaced = changed.keys().filter_map(|path| with.start.files.get_key_value(path));
    let old: Vec<_> = removed.chain(replaced).collect();
    let touched = old.len() + changed.keys().filter(|path| !with.start.files.contains_key(*path)).count();
    if touched as u64 > with.files_max {
        return Err(too_many(with.files_max));
    }
    let sizes = old.into_iter().map(|(_, node)| node.size_bytes).chain(changed.values().map(|node| node.size_bytes));
    let bytes = sizes.fold(0_u64, u64::saturating_add);
    if bytes > CONTENT_BYTES_MAX {
        let what = format!("the changed files have {bytes} bytes, old and new together; at most {CONTENT_BYTES_MAX}");
        return Err(fail(Reason::PatchRefused, what));
    }
    Ok(())
}

/// Reads what changed, and makes sure it is still what the walk saw.
fn read_content(with: &Compared<'_>, changed: &BTreeMap<TreePath, Node>) -> Result<BTreeMap<Digest, Vec<u8>>, Failure> {
    let mut content = BTreeMap::new();
    for (path, node) in changed {
        if content.contains_key(&node.digest) {
            continue;
        }
        let bytes = read_node(with.root, path, node).map_err(|error| unreadable(path, &error))?;
        if Digest::of(&bytes) != node.digest {
            let what = format!("{} changed while it was captured", shown(path));
            return Err(fail(Reason::CaptureUnreadable, what));
        }
        content.insert(node.digest, bytes);
    }
    Ok(content)
}

fn read_node(root: &Root, path: &TreePath, node: &Node) -> io::Result<Vec<u8>> {
    if node.mode == Mode::Link {
        let (folder, name) = split(path.as_bytes());
        return Ok(rustix::fs::readlinkat(root.folder(folder)?, name, Vec::new())?.into_bytes());
    }
    read_bounded(root.open_file(path.as_bytes())?, node.size_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline;
    use rustix::fs::Mode as FileMode;

    const NOTHING: PassedOver = PassedOver { inputs_link: false, outputs_link: false };

    /// A workspace with a start tree, what setup made, and what a capability brought.
    struct World {
        dir: tempfile::TempDir,
        root: Root,
        start: Tree,
        baseline: Baseline,
        brought: BTreeSet<TreePath>,
        passed_over: PassedOver,
    }

    fn world(start: &[(&str, &str)], setup: &[(&str, &str)], brought: &[&str]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let mut tree = Tree::default();
        for (path, text) in start {
            let node = Node { mode: Mode::File, digest: Digest::of(text.as_bytes()), size_bytes: text.len() as u64 };
            tree.files.insert((*path).into(), node);
        }
        for (path, text) in start.iter().chain(setup) {
            root.remove(path.as_bytes()).unwrap();
            root.create(path.as_bytes(), 0o644, text.as_bytes()).unwrap();
        }
        let baseline = baseline::take(&root, NOTHING).unwrap();
        let brought = brought.iter().map(|path| (*path).into()).collect();
        World { dir, root, start: tree, baseline, brought, passed_over: NOTHING }
    }

    impl World {
        fn with(&self, files_max: u64) -> Compared<'_> {
            Compared {
                root: &self.root,
                start: &self.start,
                baseline: &self.baseline,
                brought: &self.brought,
                passed_over: self.passed_over,
                files_max,
                deadline: None,
            }
        }
        fn write(&self, path: &str, text: &str) {
            let path = self.dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        fn captured(&self) -> Captured {
            capture(&self.with(100)).unwrap()
        }
        /// The paths at which result and start differ.
        fn changed(&self) -> Vec<String> {
            let result = self.captured().result;
            let paths: BTreeSet<_> = result.files.keys().chain(self.start.files.keys()).collect();
            paths
                .into_iter()
                .filter(|p| result.files.get(*p) != self.start.files.get(*p))
                .map(ToString::to_string)
                .collect()
        }
    }

    #[test]
    fn only_what_the_agent_changed_is_captured() {
        let world = world(
            &[("a", "1"), ("b", "1"), ("c", "1"), ("by-setup", "old"), ("back", "1")],
            &[("by-setup", "new"), ("node_modules/x", "made")],
            &[],
        );
        assert_eq!(world.changed(), [""; 0]);
        world.write("a", "2");
        world.write("new/file", "x");
        world.write("node_modules/mine", "x");
        world.write("back", "2");
        world.write("back", "1");
        std::fs::remove_file(world.dir.path().join("b")).unwrap();
        assert_eq!(world.changed(), ["a", "b", "new/file", "node_modules/mine"]);
        world.write("by-setup", "mine");
        assert_eq!(world.changed(), ["a", "b", "by-setup", "new/file", "node_modules/mine"]);
    }

    #[test]
    fn type_and_mode_count_as_content_does() {
        use std::os::unix::fs::PermissionsExt;
        let world = world(&[("mode", "1"), ("link", "1"), ("folder", "1"), ("pipe", "1"), ("deep/x", "1")], &[], &[]);
        std::fs::set_permissions(world.dir.path().join("mode"), std::fs::Permissions::from_mode(0o755)).unwrap();
        for path in ["link", "folder", "pipe"] {
            std::fs::remove_file(world.dir.path().join(path)).unwrap();
        }
        world.root.link(b"link", b"/etc/passwd").unwrap();
        world.write("folder/inner", "1");
        rustix::fs::mknodat(world.root.fd(), "pipe", FileType::Fifo, FileMode::from_raw_mode(0o600), 0).unwrap();
        std::fs::remove_dir_all(world.dir.path().join("deep")).unwrap();
        world.root.link(b"deep", b"/etc").unwrap();
        let captured = world.captured();
        assert_eq!(world.changed(), ["deep", "deep/x", "folder", "folder/inner", "link", "mode", "pipe"]);
        assert_eq!(captured.result.files[&"mode".into()].mode, Mode::Exec);
        assert_eq!(captured.result.files[&"deep".into()].mode, Mode::Link);
        assert_eq!(captured.content[&Digest::of(b"/etc/passwd")], b"/etc/passwd", "the target, not what it leads to");
        assert_eq!(captured.left_out.into_report()["special"].count, 1);
    }

    #[test]
    fn what_is_left_out_is_counted_by_why() {
        let world = world(
            &[(".gitignore", "*.log\ntarget/\n"), ("kept.log", "1"), ("target/kept", "1")],
            &[],
            &["skills/a.md"],
        );
        for path in [
            ".git/config",
            "nested/.git/HEAD",
            "nested/.GIT/HEAD",
            "nested/git~1/x",
            "nested/.git./x",
            ".agora/notes.md",
            ".agora/plans.md",
            "skills/a.md",
            "b.log",
            "target/new",
            "nested/target/deep/x",
        ] {
            world.write(path, "x");
        }
        world.write("nested/code.rs", "captured");
        world.write("kept.log", "2");
        world.write("target/kept", "2");
        world.write(".gitattributes", "* filter=evil");
        let report = world.captured().left_out.into_report();
        let counts: Vec<_> = report.iter().map(|(why, left)| (why.as_str(), left.count)).collect();
        assert_eq!(counts, [("agora", 1), ("capability", 1), ("git", 5), ("ignored", 3)]);
        assert_eq!(world.changed(), [".gitattributes", "kept.log", "nested/code.rs", "target/kept"]);
        assert_eq!(report["ignored"].first[1].as_str(), "nested/target");
    }

    #[test]
    fn what_agora_itself_put_there_is_not_counted_and_what_stands_in_its_place_is() {
        let mut world = world(&[("a", "1")], &[], &[]);
        world.passed_over = PassedOver { inputs_link: true, outputs_link: true };
        for path in [".agora/notes.md", ".agora/system-prompt.md", ".agora/needs_input.json"] {
            world.write(path, "x");
        }
        world.root.link(b"inputs", b"/in").unwrap();
        world.root.link(b"outputs", b"/out").unwrap();
        assert!(world.captured().left_out.into_report().is_empty());
        world.write(".agora/deep/mine", "x");
        std::fs::remove_file(world.dir.path().join("outputs")).unwrap();
        world.write("outputs/mine", "x");
        let report = world.captured().left_out.into_report();
        let first = |why: &str| report[why].first.iter().map(|path| path.as_str()).collect::<Vec<_>>();
        assert_eq!((first("agora"), first("links")), (vec![".agora"], vec!["outputs"]));
        assert_eq!(world.changed(), [""; 0]);
    }

    #[test]
    fn the_limit_of_files_passes_at_its_boundary_and_not_beyond() {
        let world = world(&[("a", "1")], &[], &[]);
        std::fs::remove_file(world.dir.path().join("a")).unwrap();
        world.write("b", "1");
        world.write("c", "1");
        assert!(capture(&world.with(3)).is_ok());
        let failure = capture(&world.with(2)).unwrap_err();
        assert_eq!(failure.reason, Reason::PatchRefused);
        assert!(failure.detail.contains("over 2 files"));
        world.write("d", "1");
        assert!(capture(&world.with(2)).is_err());
    }

    #[test]
    fn a_submodules_place_is_carried() {
        let mut world = world(&[("a", "1")], &[], &[]);
        let node = Node { mode: Mode::Gitlink, digest: Digest::of(b"c"), size_bytes: 1 };
        world.start.files.insert("sub".into(), node);
        world.write("sub/inner", "x");
        assert_eq!(world.changed(), [""; 0]);
        std::fs::remove_dir_all(world.dir.path().join("sub")).unwrap();
        assert_eq!(world.changed(), [""; 0]);
    }
}
