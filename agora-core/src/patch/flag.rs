//! The names that a host may later run or obey: one table.

/// Every kind of flag, sorted. The table in the documentation of `patch` says what each means.
pub const FLAG_KINDS: &[&str] = &[
    "agent-settings",
    "bidi-name",
    "bidi-text",
    "build-script",
    "case-collision",
    "ci-config",
    "credential",
    "editor-config",
    "env-file",
    "exec-bit",
    "git-config",
    "git-hook",
    "name-not-utf-8",
    "package-manifest",
    "symlink",
    "tool-config",
    "venv",
];

/// How an entry of the table is compared.
enum Shape {
    /// A folder's name: anything below it.
    Folder(&'static str),
    /// A file's name.
    Name(&'static str),
    /// The start of a file's name.
    Start(&'static str),
    /// A folder's name, and the start of the name of what lies directly in it.
    In(&'static str, &'static str),
}

use Shape::{Folder, In, Name, Start};

const TABLE: &[(&str, &[Shape])] = &[
    (
        "agent-settings",
        &[
            Folder(".claude"),
            Folder(".codex"),
            Folder(".cursor"),
            Folder(".gemini"),
            Folder(".agents"),
            Name(".mcp.json"),
            Name("agents.md"),
            Name("claude.md"),
            Name("gemini.md"),
        ],
    ),
    (
        "build-script",
        &[
            Name("build.rs"),
            Name("setup.py"),
            Name("conftest.py"),
            Name("makefile"),
            Name("gnumakefile"),
            Name("justfile"),
            Name(".justfile"),
        ],
    ),
    ("ci-config", &[Folder(".github"), Name(".gitlab-ci.yml")]),
    ("editor-config", &[Folder(".vscode"), Folder(".idea"), Folder(".devcontainer"), Name(".devcontainer.json")]),
    ("env-file", &[Start(".env")]),
    ("git-config", &[Name(".gitattributes"), Name(".gitmodules"), Name(".gitconfig")]),
    ("git-hook", &[Folder(".husky"), Name(".pre-commit-config.yaml")]),
    ("package-manifest", &[Name("package.json")]),
    ("tool-config", &[Name(".npmrc"), Start(".yarnrc"), In(".cargo", "config"), Start("rust-toolchain")]),
    ("venv", &[In("bin", "activate"), In("bin", "python")]),
];

impl Shape {
    fn matches(&self, parts: &[&str]) -> bool {
        let Some((name, folders)) = parts.split_last() else { return false };
        match self {
            // The last part counts too: a link or file in the folder's place decides what the folder is.
            Folder(folder) => parts.contains(folder),
            Name(wanted) => name == wanted,
            Start(start) => name.starts_with(start),
            In(folder, start) => folders.last() == Some(folder) && name.starts_with(start),
        }
    }
}

/// The kinds that a path has by its name.
pub(super) fn by_name(path: &[u8]) -> impl Iterator<Item = &'static str> {
    let folded = String::from_utf8_lossy(path).to_lowercase();
    TABLE.iter().filter_map(move |(kind, shapes)| {
        let parts: Vec<&str> = folded.split('/').collect();
        shapes.iter().any(|shape| shape.matches(&parts)).then_some(*kind)
    })
}

/// Whether a path is one of the files that steer agents, which an upstream item must not change in effect.
#[must_use]
pub fn steers_agents(path: &[u8]) -> bool {
    by_name(path).any(|kind| kind == "agent-settings")
}

/// Whether a character changes the order or hides: bidi controls, zero-width ones, tags.
pub(super) fn deceives(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::{FLAG_KINDS, TABLE, by_name};

    #[test]
    fn each_row_flags_its_own_and_a_neighbour_passes() {
        for (path, kind, neighbour) in [
            (".claude/settings.json", "agent-settings", "notes/settings.json"),
            ("sub/CLAUDE.md", "agent-settings", "sub/CLAUDES.md"),
            (".mcp.json", "agent-settings", "mcp.json"),
            ("build.rs", "build-script", "rebuild.rs"),
            ("Makefile", "build-script", "Makefile.md"),
            (".github/workflows/ci.yml", "ci-config", "github/ci.yml"),
            (".VSCODE/tasks.json", "editor-config", "vscode/tasks.json"),
            (".env.local", "env-file", "env.local"),
            (".envrc", "env-file", "src/environment"),
            ("a/.gitattributes", "git-config", ".gitignore"),
            (".husky/pre-commit", "git-hook", "husky/pre-commit"),
            ("web/package.json", "package-manifest", "package-lock.json"),
            (".cargo/config.toml", "tool-config", "cargo/config.toml"),
            ("rust-toolchain.toml", "tool-config", "rust.toml"),
            (".venv/bin/python3", "venv", "src/python3"),
        ] {
            assert_eq!(by_name(path.as_bytes()).collect::<Vec<_>>(), [kind], "{path}");
            assert_eq!(by_name(neighbour.as_bytes()).count(), 0, "{neighbour}");
        }
    }

    #[test]
    fn kinds_are_sorted_and_documented() {
        assert!(FLAG_KINDS.is_sorted());
        assert!(TABLE.iter().all(|(kind, _)| FLAG_KINDS.contains(kind)));
        let page = include_str!("mod.rs");
        assert!(FLAG_KINDS.iter().all(|kind| page.contains(&format!("//! | `{kind}` |"))));
    }
}
