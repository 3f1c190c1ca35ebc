//! Which file a command means: found as a shell would, with the command's own environment and folder, never with ours.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::error::Refusal;

/// Finds the program. The current folder must be the command's.
///
/// # Errors
/// [`Refusal::NotFound`], or [`Refusal::NotExecutable`] for a file that is there and is no program.
pub(crate) fn find(program: &str, path: Option<&str>) -> Result<PathBuf, Refusal> {
    if program.contains('/') {
        return judge(Path::new(program), program)?.ok_or_else(|| Refusal::NotFound { program: program.to_owned() });
    }
    let mut refusal = None;
    // An empty entry means the current folder to a shell: an accident waiting to happen, and not done here.
    for folder in path.unwrap_or_default().split(':').filter(|folder| !folder.is_empty()) {
        match judge(&Path::new(folder).join(program), program) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.unwrap_or_else(|| Refusal::NotFound { program: program.to_owned() }))
}

fn judge(file: &Path, program: &str) -> Result<Option<PathBuf>, Refusal> {
    let no = |why: String| Err(Refusal::NotExecutable { program: program.to_owned(), why });
    match std::fs::metadata(file) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return no(error.to_string()),
        Ok(found) if !found.is_file() => return no(format!("{} is no file", file.display())),
        Ok(_) => {}
    }
    match accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => Ok(Some(file.to_owned())),
        Err(error) => no(format!("{}: {error}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_would() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        for folder in [&one, &two] {
            std::fs::create_dir(folder).unwrap();
        }
        let write = |file: &Path, mode: u32| {
            std::fs::write(file, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write(&one.join("plain"), 0o644);
        write(&one.join("shadowed"), 0o644);
        write(&two.join("shadowed"), 0o755);
        write(&two.join("tool"), 0o755);
        std::fs::create_dir(two.join("folder")).unwrap();
        let path = format!("/nonexistent::{}:{}", one.display(), two.display());
        let path = Some(path.as_str());

        assert_eq!(find("tool", path), Ok(two.join("tool")));
        assert_eq!(find("shadowed", path), Ok(two.join("shadowed")));
        let with_slash = two.join("tool").display().to_string();
        assert_eq!(find(&with_slash, None), Ok(two.join("tool")));
        assert!(matches!(find("plain", path), Err(Refusal::NotExecutable { .. })));
        assert!(matches!(find("folder", path), Err(Refusal::NotExecutable { .. })));
        for missing in [find("tool", None), find("tool", Some("")), find("other", path), find("/nonexistent/x", path)] {
            assert!(matches!(missing, Err(Refusal::NotFound { .. })), "{missing:?}");
        }
    }
}
