//! A folder of the operator's disk, read as a capability.
//!
//! The walk goes from one held descriptor to the next and opens nothing through a link, so what was checked is what is
//! read. Links are refused by name, empty folders are not carried, and sizes are counted while reading. Nothing is stored
//! here: the bytes are staged, and become blobs only when the whole deploy is good.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use agora_core::error::{Class, Coded as _, Problem};
use agora_core::path::{self, Scope};
use agora_core::registry::check::{CAPABILITY_BYTES_MAX, CAPABILITY_FILES_MAX, check_file, over};
use agora_core::registry::{Artifact as _, Capability, CapabilityFile, FileMode};
use agora_engine::config::file::{FileError, Folder, Listed};

use super::staged::Staged;

/// The most entries of one folder, files and folders together: a capability has at most 10,000 files.
const ENTRIES_MAX: usize = 2 * CAPABILITY_FILES_MAX;
/// The most problems one folder is told of: after that it is the wrong folder.
const PROBLEMS_MAX: usize = 200;

/// Reads a folder as a capability and stages its files.
///
/// # Errors
/// Everything that is wrong with it; `at` is the path within the folder.
pub fn read_folder(
    folder: &Path,
    about: Option<String>,
    allowed_patterns: Vec<String>,
    staged: &mut Staged,
) -> Result<Capability, Vec<Problem>> {
    read_bounded(
        folder,
        about,
        allowed_patterns,
        staged,
        Bounds { files: CAPABILITY_FILES_MAX, bytes: CAPABILITY_BYTES_MAX },
    )
}

/// What the walk stops at; the product's are those of `agora_core::registry::check`.
#[derive(Clone, Copy)]
struct Bounds {
    files: usize,
    bytes: u64,
}

fn read_bounded(
    folder: &Path,
    about: Option<String>,
    allowed_patterns: Vec<String>,
    staged: &mut Staged,
    bounds: Bounds,
) -> Result<Capability, Vec<Problem>> {
    let allowed = allowed_patterns.as_slice();
    let mut walk = Walk { allowed, bounds, staged, files: BTreeMap::new(), bytes: 0, problems: Vec::new() };
    match Folder::open(folder) {
        Ok(Some(root)) => walk.folder(&root, &[]),
        Ok(None) => {
            let message = format!("there is no folder {}", folder.display());
            let hint = "paths are taken from where the document is";
            walk.problems.push(Problem::new(Class::Operator, "folder-missing", message).hint(hint));
        }
        Err(error) => walk.problems.push(error.problem()),
    }
    let (files, mut problems) = (walk.files, walk.problems);
    let capability = Capability {
        format: Capability::FORMAT.to_owned(),
        about,
        allowed_patterns,
        files: files.into_values().collect(),
    };
    // The paths one by one were told of already, with their place.
    let told = |one: &Problem, all: &[Problem]| all.iter().any(|other| other.code == one.code && other.at == one.at);
    for problem in capability.check().into_iter().chain(capability.credentials()) {
        if !told(&problem, &problems) {
            problems.push(problem);
        }
    }
    if capability.files.is_empty() && problems.is_empty() {
        let message = format!("{} holds no file", folder.display());
        problems
            .push(Problem::new(Class::Operator, "capability-empty", message).hint("name the folder with the files"));
    }
    if problems.is_empty() { Ok(capability) } else { Err(problems) }
}

/// Reads one text file of the operator's disk, such as a prompt: never through a link, never more than `bytes_max`.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Problem> {
    match agora_engine::config::file::read(path, bytes_max) {
        Ok(Some(found)) => Ok(found.bytes),
        Ok(None) => Err(Problem::new(Class::Operator, "file-missing", format!("there is no file {}", path.display()))
            .hint("paths are taken from where the document is")),
        Err(FileError::TooLarge { .. }) => {
            Err(over(&path.display().to_string(), "prompt_bytes_max", bytes_max, bytes_max + 1))
        }
        Err(error) => Err(error.problem()),
    }
}

struct Walk<'a> {
    allowed: &'a [String],
    bounds: Bounds,
    staged: &'a mut Staged,
    files: BTreeMap<Vec<u8>, CapabilityFile>,
    bytes: u64,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn over(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX || self.problems.iter().any(|problem| problem.code == "limit-exceeded")
    }

    /// Folders are entered one level deeper for each component, so the policy's bound on depth bounds this too.
    fn folder(&mut self, folder: &Folder, above: &[u8]) {
        let mut entries = match folder.list(ENTRIES_MAX) {
            Ok(entries) => entries,
            Err(error) => return self.problems.push(error.problem()),
        };
        entries.sort();
        for (name, listed) in entries {
            if self.over() {
                return;
            }
            let path =
                if above.is_empty() { name.as_bytes().to_vec() } else { [above, b"/", name.as_bytes()].concat() };
            self.entry(folder, name, listed, path);
        }
    }

    fn entry(&mut self, folder: &Folder, name: OsString, listed: Listed, path: Vec<u8>) {
        let shown = OsString::from_vec(path.clone()).to_string_lossy().into_owned();
        let refused = match listed {
            Listed::File => return self.file(folder, &name, path, shown),
            Listed::Folder => {
                // A refused folder is told of once, not once for each file below it.
                if let Err(refusal) = path::check(&path, Scope::Capability) {
                    return self.problems.push(Problem { class: Class::Operator, ..refusal.problem() });
                }
                return match folder.folder(&name) {
                    Ok(below) => self.folder(&below, &path),
                    Err(error) => self.problems.push(error.problem()),
                };
            }
            Listed::Link => ("file-link", "a symbolic link, and links are not carried", "put the file itself there"),
            Listed::Other => ("file-kind", "neither a file nor a folder", "take it out"),
        };
        let (code, what, hint) = refused;
        self.problems.push(Problem::new(Class::Operator, code, format!("{shown} is {what}")).at(shown).hint(hint));
    }

    fn file(&mut self, folder: &Folder, name: &OsString, path: Vec<u8>, shown: String) {
        if self.files.len() == self.bounds.files {
            let count = self.bounds.files as u64;
            return self.problems.push(over("the capability", "capability_files_max", count, count + 1));
        }
        let room = self.bounds.bytes - self.bytes;
        let found = match folder.read(name, room) {
            Ok(Some(found)) => found,
            // Gone between the listing and now: the folder is being changed, and what it held is not known.
            Ok(None) => {
                let message = format!("{shown} went away while the folder was read");
                return self
                    .problems
                    .push(Problem::new(Class::Later, "folder-changed", message).at(shown).hint("try again"));
            }
            Err(FileError::TooLarge { .. }) => {
                let max = self.bounds.bytes;
                return self.problems.push(over("the capability", "capability_bytes_max", max, max + 1).at(shown));
            }
            Err(error) => return self.problems.push(error.problem()),
        };
        self.bytes += found.bytes.len() as u64;
        let Ok(text) = String::from_utf8(path.clone()) else {
            let refusal = path::check(&path, Scope::Capability).err().map(|refusal| refusal.problem());
            return self.problems.extend(refusal.map(|problem| Problem { class: Class::Operator, ..problem }));
        };
        self.problems.extend(check_file(&text, &found.bytes, self.allowed));
        let (mode, size) =
            (if found.mode & 0o100 != 0 { FileMode::Exec } else { FileMode::File }, found.bytes.len() as u64);
        match self.staged.add(found.bytes) {
            Ok(digest) => {
                self.files.insert(path, CapabilityFile { mode, path: text, sha256: digest.hex(), size });
            }
            Err(problem) => self.problems.push(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use agora_core::canon;
    use agora_core::id::Digest;

    fn read(folder: &Path) -> Result<(Capability, Staged), Vec<String>> {
        let mut staged = Staged::default();
        match read_folder(folder, None, Vec::new(), &mut staged) {
            Ok(capability) => Ok((capability, staged)),
            Err(problems) => Err(problems.into_iter().map(|problem| problem.code).collect()),
        }
    }

    fn write(path: &Path, bytes: &[u8], mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_same_content_has_one_digest_whatever_the_order_of_making_it() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files: [(&str, &[u8], u32); 4] =
            [("b.txt", b"1", 0o644), ("a/z", b"2", 0o755), ("a-b", b"1", 0o600), ("ü/ß.md", b"3", 0o700)];
        for (name, bytes, mode) in files {
            write(&one.path().join(name), bytes, mode);
        }
        for (name, bytes, mode) in files.into_iter().rev() {
            write(&two.path().join(name), bytes, mode);
        }
        fs::create_dir(two.path().join("empty")).unwrap();
        let ((a, staged), (b, _)) = (read(one.path()).unwrap(), read(two.path()).unwrap());
        assert_eq!(canon::to_bytes(&a).unwrap(), canon::to_bytes(&b).unwrap());
        let paths: Vec<_> = a.files.iter().map(|file| (file.path.as_str(), file.mode)).collect();
        let (plain, exec) = (FileMode::File, FileMode::Exec);
        assert_eq!(paths, [("a-b", plain), ("a/z", exec), ("b.txt", plain), ("ü/ß.md", exec)]);
        assert_eq!(staged.len(), 3, "one blob for the same bytes");
        assert_eq!(staged.get(&Digest::of(b"3")), Some(b"3".as_slice()));
    }

    #[test]
    fn links_and_devices_are_refused_by_name_and_all_at_once() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("good"), b"1", 0o644);
        read(folder.path()).unwrap();
        symlink("/etc/passwd", folder.path().join("link")).unwrap();
        symlink("/etc", folder.path().join("linked-folder")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        assert_eq!(read(folder.path()).unwrap_err(), ["file-link", "file-link", "file-kind"]);
        let outside = tempfile::tempdir().unwrap();
        symlink(folder.path(), outside.path().join("from")).unwrap();
        assert_eq!(read(&outside.path().join("from")).unwrap_err(), ["home-file-kind"]);
        assert_eq!(read(&outside.path().join("none")).unwrap_err(), ["folder-missing"]);
        fs::create_dir(outside.path().join("empty")).unwrap();
        assert_eq!(read(&outside.path().join("empty")).unwrap_err(), ["capability-empty"]);
    }

    #[test]
    fn the_path_policy_holds_on_the_way_in() {
        for bad in [".git/config", "inputs/a", "a\\b", "con", "a/.GIT/x", "x ", "agora-channel.json"] {
            let folder = tempfile::tempdir().unwrap();
            write(&folder.path().join("good"), b"1", 0o644);
            read(folder.path()).unwrap();
            write(&folder.path().join(bad), b"1", 0o644);
            assert_eq!(read(folder.path()).unwrap_err().len(), 1, "{bad}");
        }
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join(OsString::from_vec(vec![b'a', 0xFF])), b"1", 0o644);
        assert_eq!(read(folder.path()).unwrap_err().len(), 1);
    }

    #[test]
    fn a_credential_is_refused_unless_its_pattern_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let token = ["np", "m_", &"a1".repeat(18)].concat();
        write(&folder.path().join("docs/a.md"), token.as_bytes(), 0o644);
        let mut staged = Staged::default();
        let problems = read_folder(folder.path(), None, Vec::new(), &mut staged).unwrap_err();
        assert_eq!((problems[0].code.as_str(), problems[0].at.as_deref()), ("credential-found", Some("docs/a.md")));
        assert!(!problems[0].message.contains(&token[..9]), "at most eight characters are shown");
        read_folder(folder.path(), None, vec!["npm-token".to_owned()], &mut staged).unwrap();
        assert!(read_folder(folder.path(), None, vec!["jwt".to_owned()], &mut staged).is_err());
    }

    #[test]
    fn files_and_bytes_are_counted_while_reading() {
        let folder = tempfile::tempdir().unwrap();
        let codes = |files, bytes| match read_bounded(
            folder.path(),
            None,
            Vec::new(),
            &mut Staged::default(),
            Bounds { files, bytes },
        ) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|problem| problem.code).collect(),
        };
        write(&folder.path().join("a/1"), b"12345", 0o644);
        write(&folder.path().join("b"), b"678", 0o644);
        assert_eq!(codes(2, 8), [""; 0]);
        assert_eq!(codes(2, 7), ["limit-exceeded"]);
        assert_eq!(codes(1, 8), ["limit-exceeded"]);
    }
}
