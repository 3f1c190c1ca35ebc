//! Patches in git's format: what agora writes, and what `git diff --binary --full-index` writes.
//!
//! Owns the reading of a patch ([`Patch::parse`], strict and bounded), git's quoting of names, and the patch policy
//! ([`policy`]): what a patch may not do, and what a reviewer must be shown. Applying one to a tree is `agora-tree`'s.
//! Everything here is pure and treats the bytes as hostile: nothing is guessed, searched for or repaired.
//!
//! # Flags
//!
//! A flag fails nothing; it names what a host may later run or obey. Names are matched in any folder, letter case
//! and what some file system overlooks ignored, in any change to the path, deletions too. The kinds are stable:
//!
//! | kind | what |
//! |---|---|
//! | `agent-settings` | `.claude/** .codex/** .cursor/** .gemini/** .agents/** .mcp.json AGENTS.md CLAUDE.md GEMINI.md .cursorrules .windsurf/** .windsurfrules` |
//! | `bidi-name` | a name with bidi or zero-width characters |
//! | `bidi-text` | bidi or zero-width characters in added lines |
//! | `build-script` | `build.rs setup.py conftest.py Makefile justfile CMakeLists.txt Rakefile flake.nix`; `Dockerfile* Containerfile* docker-compose*.yml compose*.yaml`; `sitecustomize.py usercustomize.py *.pth` |
//! | `case-collision` | a path that another path of the result equals after lower-casing, itself or a folder of it |
//! | `ci-config` | `.github/** .gitlab-ci.yml .circleci/** Jenkinsfile*` |
//! | `credential` | the shape of a credential in what is added |
//! | `editor-config` | `.vscode/** .idea/** .devcontainer/**` |
//! | `env-file` | `.envrc .env*` |
//! | `exec-bit` | an execute bit added |
//! | `git-config` | `.gitattributes .gitmodules .gitconfig`; all in a folder that git takes for a repository; a `config` with git's sections |
//! | `git-hook` | `.husky/** .githooks/** .pre-commit-config.yaml` |
//! | `name-not-utf-8` | a name that is not UTF-8 |
//! | `package-manifest` | `package.json` |
//! | `symlink` | a symbolic link added or changed |
//! | `tool-config` | `.npmrc .yarnrc* .pnpmfile.* .cargo/config* rust-toolchain* mise.toml .mise.toml .tool-versions` |
//! | `venv` | `**/bin/activate **/bin/python*` |

mod flag;
mod folded;
mod lines;
mod link;
mod parse;
mod policy;
mod quote;
mod repository;

pub use flag::{FLAG_KINDS, steers_agents};
pub use lines::{Line, LineKind, Lines};
pub use parse::{
    BinaryHunk, BinaryKind, Body, FilePatch, GitId, Hunk, PATCH_BYTES_MAX, PATCH_FILES_MAX, ParseError, Patch, Side,
};
pub use policy::{Context, FindSecret, PatchLimits, ReadBytes, Refused, Verdict, policy};
pub use quote::{quote, unquote};

/// The mode of a regular file in git's trees and patches.
pub const GIT_FILE: u32 = 0o100_644;
/// The mode of an executable file.
pub const GIT_EXEC: u32 = 0o100_755;
/// The mode of a symbolic link.
pub const GIT_LINK: u32 = 0o120_000;
/// The mode of a submodule's place.
pub const GIT_GITLINK: u32 = 0o160_000;

impl crate::tree::Mode {
    /// Returns the mode as git writes it.
    #[must_use]
    pub fn git(self) -> u32 {
        match self {
            Self::File => GIT_FILE,
            Self::Exec => GIT_EXEC,
            Self::Link => GIT_LINK,
            Self::Gitlink => GIT_GITLINK,
        }
    }

    /// Reads one of the four modes that git writes.
    #[must_use]
    pub fn from_git(mode: u32) -> Option<Self> {
        match mode {
            GIT_FILE => Some(Self::File),
            GIT_EXEC => Some(Self::Exec),
            GIT_LINK => Some(Self::Link),
            GIT_GITLINK => Some(Self::Gitlink),
            _ => None,
        }
    }
}
