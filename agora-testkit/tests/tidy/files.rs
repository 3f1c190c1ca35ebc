//! The files of the repository: found by walking from its root, without what is built and what git keeps.

use std::path::{Path, PathBuf};

/// What git keeps: a folder, or in a worktree a file that says where the folder is.
const GIT: &str = ".git";
/// Folders that hold nothing anybody wrote here.
const SKIPPED: [&str; 4] = [GIT, "target", "node_modules", ".venv"];

/// The packages, by folder.
pub(crate) const PACKAGES: [&str; 10] = [
    "agora-core",
    "agora-tree",
    "agora-jail",
    "agora-engine",
    "agora-providers",
    "mcp-server",
    "agora-admin",
    "agora-verify",
    "worker-image",
    "agora-testkit",
];

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file: its path from the root, and its text.
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file below the root whose path the filter takes, sorted.
pub(crate) fn texts(wanted: impl Fn(&str) -> bool) -> Vec<Text> {
    let root = root();
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() && !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                folders.push(path);
            } else if kind.is_file() && entry.file_name() != GIT {
                let short = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                if wanted(&short)
                    && let Ok(text) = std::fs::read_to_string(&path)
                {
                    found.push(Text { path: short, text });
                }
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "nothing was looked at");
    found
}

/// Whether a path is Rust that ships: not a test, an example or a bench, and not the testkit.
pub(crate) fn is_product(path: &str) -> bool {
    let in_sources = path.contains("/src/") && path.ends_with(".rs") && !path.starts_with("agora-testkit/");
    let is_test = path.contains("/tests/") || path.ends_with("tests.rs");
    in_sources && !is_test
}
