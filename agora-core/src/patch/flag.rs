//! The names that a host may later run or obey: one table.
//!
//! Its entries are in lower case; a path's names are compared as the most forgiving file system would read them.

use crate::path::undisguise;
use crate::tree::TreePath;

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
    /// The start and the end of a file's name.
    Ends(&'static str, &'static str),
}

use Shape::{Ends, Folder, In, Name, Start};

const TABLE: &[(&str, &[Shape])] = &[
    (
        "agent-settings",
        &[
            Folder(".claude"),
            Folder(".codex"),
            Folder(".cursor"),
            Folder(".gemini"),
            Folder(".agents"),
            Folder(".windsurf"),
            Name(".cursorrules"),
            Name(".windsurfrules"),
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
            Name("cmakelists.txt"),
            Name("flake.nix"),
            Start("rakefile"),
            Start("dockerfile"),
            Ends("", ".dockerfile"),
            Start("containerfile"),
            Ends("docker-compose", ".yml"),
            Ends("docker-compose", ".yaml"),
            Ends("compose.", "yml"),
            Ends("compose.", "yaml"),
            // What Python runs when it starts, whatever it was started for.
            Name("sitecustomize.py"),
            Name("usercustomize.py"),
            Ends("", ".pth"),
        ],
    ),
    ("ci-config", &[Folder(".github"), Folder(".circleci"), Name(".gitlab-ci.yml"), Start("jenkinsfile")]),
    ("editor-config", &[Folder(".vscode"), Folder(".idea"), Folder(".devcontainer"), Name(".devcontainer.json")]),
    ("env-file", &[Start(".env")]),
    ("git-config", &[Name(".gitattributes"), Name(".gitmodules"), Name(".gitconfig")]),
    ("git-hook", &[Folder(".husky"), Folder(".githooks"), Name(".pre-commit-config.yaml")]),
    ("package-manifest", &[Name("package.json")]),
    (
        "tool-config",
        &[
            Name(".npmrc"),
            Start(".yarnrc"),
            Start(".pnpmfile."),
            In(".cargo", "config"),
            Start("rust-toolchain"),
            Name(".tool-versions"),
            Ends(".mise.", "toml"),
            Ends("mise.", "toml"),
            In(".mise", "config"),
            In("mise", "config"),
        ],
    ),
    ("venv", &[In("bin", "activate"), In("bin", "python")]),
];

impl Shape {
    fn matches(&self, parts: &[String]) -> bool {
        let Some((name, folders)) = parts.split_last() else { return false };
        match self {
            // The last part counts too: a link or file in the folder's place decides what the folder is.
            Folder(folder) => parts.iter().any(|part| part == folder),
            Name(wanted) => name == wanted,
            Start(start) => name.starts_with(start),
            In(folder, start) => folders.last().is_some_and(|last| last == folder) && name.starts_with(start),
            Ends(start, end) => name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        }
    }
}

/// The kinds that a path has by its name.
pub(super) fn by_name(path: &TreePath) -> impl Iterator<Item = &'static str> {
    let parts: Vec<String> = path.components().map(undisguise).collect();
    let fits = move |shapes: &[Shape]| shapes.iter().any(|shape| shape.matches(&parts));
    TABLE.iter().filter(move |(_, shapes)| fits(shapes)).map(|(kind, _)| *kind)
}

/// Whether a path is one of the files that steer agents, which an upstream item must not change in effect.
#[must_use]
pub fn steers_agents(path: &TreePath) -> bool {
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
            ("a/.Cursor/rules/x.mdc", "agent-settings", "a/cursor/rules/x.mdc"),
            (".cursorrules", "agent-settings", "cursorrules"),
            ("a/.windsurfrules", "agent-settings", "a/windsurf.rules"),
            ("build.rs", "build-script", "rebuild.rs"),
            ("Makefile", "build-script", "Makefile.md"),
            ("Dockerfile.dev", "build-script", "Docker.md"),
            ("deploy/dockerfile", "build-script", "deploy/docker/file"),
            ("app.Dockerfile", "build-script", "app.docker"),
            ("Containerfile", "build-script", "containers"),
            ("docker-compose.override.yml", "build-script", "docker-compose.md"),
            ("a/compose.yaml", "build-script", "a/composer.yaml"),
            ("src/CMakeLists.txt", "build-script", "src/lists.txt"),
            ("flake.nix", "build-script", "default.nix.md"),
            ("Rakefile", "build-script", "lib/rake.rb"),
            ("sitecustomize.py", "build-script", "site.py"),
            ("a/usercustomize.py", "build-script", "a/customize.py"),
            ("lib/x.pth", "build-script", "lib/x.path"),
            (".github/workflows/ci.yml", "ci-config", "github/ci.yml"),
            (".circleci/config.yml", "ci-config", "circleci/config.yml"),
            ("ci/Jenkinsfile", "ci-config", "ci/jenkins.md"),
            (".VSCODE/tasks.json", "editor-config", "vscode/tasks.json"),
            (".env.local", "env-file", "env.local"),
            (".envrc", "env-file", "src/environment"),
            ("a/.gitattributes", "git-config", ".gitignore"),
            (".husky/pre-commit", "git-hook", "husky/pre-commit"),
            ("a/.githooks/pre-push", "git-hook", "a/githooks/pre-push"),
            ("web/package.json", "package-manifest", "package-lock.json"),
            (".cargo/config.toml", "tool-config", "cargo/config.toml"),
            ("rust-toolchain.toml", "tool-config", "rust.toml"),
            (".pnpmfile.cjs", "tool-config", "pnpmfile.md"),
            (".mise.toml", "tool-config", "demise.toml"),
            ("a/mise.local.toml", "tool-config", "a/mise.md"),
            (".tool-versions", "tool-config", "tool-versions"),
            (".venv/bin/python3", "venv", "src/python3"),
        ] {
            assert_eq!(by_name(&path.into()).collect::<Vec<_>>(), [kind], "{path}");
            assert_eq!(by_name(&neighbour.into()).count(), 0, "{neighbour}");
        }
    }

    #[test]
    fn names_are_read_as_the_most_forgiving_disk_reads_them() {
        for (path, kind, neighbour) in [
            ("DOCKERFILE", "build-script", "DOCKER"),
            // A long s, a ligature, a dotted capital i, a character that HFS+ ignores, and a stream of NTFS.
            (".hu\u{17F}ky/x", "git-hook", ".hu\u{15F}ky/x"),
            (".cargo/con\u{FB01}g", "tool-config", ".cargo/con\u{FB02}g"),
            (".G\u{130}TATTRIBUTES", "git-config", ".G\u{CF}TATTRIBUTES"),
            ("make\u{200C}file", "build-script", "make\u{301}file"),
            (".githooks::$INDEX_ALLOCATION/x", "git-hook", "x::.githooks/x"),
        ] {
            assert_eq!(by_name(&path.into()).collect::<Vec<_>>(), [kind], "{path}");
            assert_eq!(by_name(&neighbour.into()).count(), 0, "{neighbour}");
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
