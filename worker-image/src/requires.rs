//! What must be seen before the agent starts: all that is unmet, with what was seen.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use agora_core::registry::{GitNeed, Requirement};
use agora_core::tree::TreePath;
use agora_core::worker::{Failure, Reason};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::FileType;

use crate::baseline::PassedOver;
use crate::beneath::Root;
use crate::failure::fail;
use crate::walk::{Found, Next, Visitor, walk};

/// Where to look.
pub(crate) struct Seen<'a> {
    pub(crate) workspace: &'a Root,
    pub(crate) folder: &'a Path,
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) passed_over: PassedOver,
}

/// Checks the requirements, and that the agent's program is there.
///
/// # Errors
/// `context-unmet` with all that is unmet; `runtime-missing` when only the program is.
pub(crate) fn check(requires: &[Requirement], program: Option<&str>, seen: &Seen<'_>) -> Result<(), Failure> {
    let mut unmet = Vec::new();
    for requirement in requires {
        unmet.extend(seen.unmet(requirement)?);
    }
    let missing = program.filter(|program| !seen.has_program(program));
    let missing = missing.map(|program| format!("the program {program:?} is not in {}", seen.path()));
    match (unmet.is_empty(), missing) {
        (true, None) => Ok(()),
        (true, Some(missing)) => Err(fail(Reason::RuntimeMissing, missing)),
        (false, missing) => {
            unmet.extend(missing);
            Err(fail(Reason::ContextUnmet, unmet.join("; ")))
        }
    }
}

impl Seen<'_> {
    fn unmet(&self, requirement: &Requirement) -> Result<Option<String>, Failure> {
        Ok(match requirement {
            Requirement::Paths { glob, min } => {
                let count = self.count(glob)?;
                (count < *min).then(|| format!("{count} paths match {glob:?}, at least {min} are required"))
            }
            Requirement::Exec { bin } => {
                (!self.has_program(bin)).then(|| format!("the program {bin:?} is not in {}", self.path()))
            }
            Requirement::Git { needs } => {
                let found = self.workspace.stat(b".git/HEAD").ok().flatten().is_some();
                let need = match needs {
                    GitNeed::Worktree => "a git repository",
                    GitNeed::History => "a git repository with a commit",
                };
                (!found).then(|| format!("{need} in the workspace is required, and there is none"))
            }
        })
    }

    fn path(&self) -> &str {
        self.env.get("PATH").map_or("", String::as_str)
    }

    fn has_program(&self, program: &str) -> bool {
        let runs = |path: &Path| {
            std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        if program.contains('/') {
            return runs(&self.folder.join(program));
        }
        self.path().split(':').filter(|folder| !folder.is_empty()).any(|folder| runs(&Path::new(folder).join(program)))
    }

    fn count(&self, glob: &str) -> Result<u64, Failure> {
        let refuse = |why: String| fail(Reason::ContextUnmet, format!("the glob {glob:?} cannot be used: {why}"));
        if glob.starts_with(['!', '#']) {
            return Err(refuse(format!("it begins with {:?}", &glob[..1])));
        }
        let mut builder = GitignoreBuilder::new("");
        builder.add_line(None, glob).map_err(|error| refuse(error.to_string()))?;
        let glob = builder.build().map_err(|error| refuse(error.to_string()))?;
        let mut counting = Counting { glob, passed_over: self.passed_over, count: 0 };
        walk(self.workspace, None, &mut counting).map_err(|failure| fail(Reason::ContextUnmet, failure.detail))?;
        Ok(counting.count)
    }
}

struct Counting {
    glob: Gitignore,
    passed_over: PassedOver,
    count: u64,
}

impl Visitor for Counting {
    fn enter(&mut self, _: &TreePath, _: BorrowedFd<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn visit(&mut self, found: &Found<'_>) -> Result<Next, Failure> {
        if self.passed_over.why(found).is_some() {
            return Ok(Next::Skip);
        }
        let path = Path::new(OsStr::from_bytes(found.path.as_bytes()));
        if self.glob.matched(path, found.kind == FileType::Directory).is_ignore() {
            self.count += 1;
        }
        Ok(Next::Descend)
    }

    fn leave(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(requires: &[Requirement], program: &str) -> Result<(), Failure> {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        for path in ["src/a.rs", "src/deep/b.rs", ".agora/c.rs", ".git/d.rs", "README.md"] {
            root.create(path.as_bytes(), 0o644, b"").unwrap();
        }
        root.create(b"bin/tool", 0o755, b"").unwrap();
        root.create(b"bin/text", 0o644, b"").unwrap();
        let env = BTreeMap::from([("PATH".to_owned(), format!("/nowhere:{}", dir.path().join("bin").display()))]);
        let passed_over = PassedOver { inputs_link: false, outputs_link: false };
        check(requires, Some(program), &Seen { workspace: &root, folder: dir.path(), env: &env, passed_over })
    }

    fn paths(glob: &str, min: u64) -> Requirement {
        Requirement::Paths { glob: glob.to_owned(), min }
    }

    fn exec(bin: &str) -> Requirement {
        Requirement::Exec { bin: bin.to_owned() }
    }

    #[test]
    fn met_requirements_pass_and_unmet_ones_are_all_named() {
        let met = [paths("*.rs", 2), paths("/src/*.rs", 1), paths("src/**", 2), paths("README.md", 1), exec("tool")];
        assert_eq!(checked(&met, "tool"), Ok(()));
        assert_eq!(checked(&[], "./bin/tool"), Ok(()));
        let unmet = [paths("*.rs", 3), paths("/src/*.rs", 2), exec("text"), exec("none"), paths("README.md", 1)];
        let failure = checked(&unmet, "tool").unwrap_err();
        assert_eq!(failure.reason, Reason::ContextUnmet);
        for part in ["2 paths match \"*.rs\", at least 3", "1 paths match", "\"text\"", "\"none\""] {
            assert!(failure.detail.contains(part), "{}", failure.detail);
        }
        assert!(!failure.detail.contains("README"));
    }

    #[test]
    fn a_runtime_that_is_missing_has_its_own_reason() {
        assert_eq!(checked(&[], "none").unwrap_err().reason, Reason::RuntimeMissing);
        assert_eq!(checked(&[exec("none")], "none").unwrap_err().reason, Reason::ContextUnmet);
        assert!(checked(&[paths("!x", 1)], "tool").unwrap_err().detail.contains("cannot be used"));
    }

    #[test]
    fn git_is_required_and_there() {
        let history = Requirement::Git { needs: GitNeed::History };
        assert!(checked(&[history], "tool").unwrap_err().detail.contains("git repository with a commit"));
    }
}
