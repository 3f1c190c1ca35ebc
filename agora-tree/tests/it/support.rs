//! Trees in memory, and repositories made by the real git, away from this machine's configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use agora_core::id::Digest;
use agora_core::tree::{Mode, Node, Tree, TreePath};
use agora_tree::BaseTree;

pub(crate) type Bytes = BTreeMap<Digest, Vec<u8>>;
pub(crate) type File<'a> = (&'a [u8], Mode, &'a [u8]);

pub(crate) fn tree(files: &[File<'_>], bytes: &mut Bytes) -> Tree {
    let mut tree = Tree::default();
    for (path, mode, content) in files {
        let node = Node { mode: *mode, digest: Digest::of(content), size_bytes: content.len() as u64 };
        bytes.insert(node.digest, content.to_vec());
        tree.files.insert(TreePath::new(*path), node);
    }
    tree
}

/// A read tree with its bytes.
pub(crate) fn read(folder: &Path, rev: &str, dirty: bool) -> (BaseTree, Bytes) {
    let mut pack = Vec::new();
    let base = agora_tree::read_base(folder, rev, dirty, &mut pack).unwrap();
    let index = base.tree.pack_index();
    let bytes: Bytes = index
        .iter()
        .map(|(digest, (offset, size))| (*digest, pack[*offset as usize..(*offset + *size) as usize].to_vec()))
        .collect();
    assert!(bytes.iter().all(|(digest, bytes)| Digest::of(bytes) == *digest), "the pack has the order of the manifest");
    assert_eq!(index.values().map(|(_, size)| size).sum::<u64>(), pack.len() as u64);
    (base, bytes)
}

pub(crate) fn paths(tree: &Tree) -> Vec<String> {
    tree.files.keys().map(ToString::to_string).collect()
}

pub(crate) struct Repo {
    home: tempfile::TempDir,
}

impl Repo {
    pub(crate) fn new() -> Self {
        let repo = Self { home: tempfile::tempdir().unwrap() };
        std::fs::create_dir(repo.path()).unwrap();
        repo.git(&["init", "-q", "-b", "main"]);
        repo
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.home.path().join("repo")
    }

    /// A place beside the repository.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(folder)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
            .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn try_git(&self, args: &[&str]) -> Output {
        self.command(&self.path(), args).output().unwrap()
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output = self.try_git(args);
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub(crate) fn write(&self, path: &[u8], mode: Mode, content: &[u8]) {
        put(&self.path(), path, mode, content);
    }

    pub(crate) fn commit_all(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"])
    }
}

pub(crate) fn put(folder: &Path, path: &[u8], mode: Mode, content: &[u8]) {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::PermissionsExt as _;
    let at = folder.join(std::ffi::OsStr::from_bytes(path));
    std::fs::create_dir_all(at.parent().unwrap()).unwrap();
    if std::fs::symlink_metadata(&at).is_ok() {
        std::fs::remove_file(&at).unwrap();
    }
    if mode == Mode::Link {
        std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(content), &at).unwrap();
    } else {
        std::fs::write(&at, content).unwrap();
        let bits = if mode == Mode::Exec { 0o755 } else { 0o644 };
        std::fs::set_permissions(&at, std::fs::Permissions::from_mode(bits)).unwrap();
    }
}

pub(crate) fn lay_out(folder: &Path, tree: &Tree, bytes: &Bytes) {
    for (path, node) in &tree.files {
        put(folder, path.as_bytes(), node.mode, &bytes[&node.digest]);
    }
}
