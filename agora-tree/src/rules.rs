//! Which untracked files git would ignore, from bytes that were read here: no global excludes, no `core.excludesFile`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The rules of one file, for paths below its folder.
pub(crate) struct Rules {
    /// The folder with a slash at its end, or nothing for the root.
    prefix: Vec<u8>,
    rules: Gitignore,
}

impl Rules {
    /// Reads the lines of a `.gitignore`. A line that is no pattern is passed over, as git does.
    pub(crate) fn new(prefix: &[u8], bytes: &[u8]) -> Self {
        let mut builder = GitignoreBuilder::new("");
        for line in bytes.split(|b| *b == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Ok(line) = std::str::from_utf8(line) {
                // One bad glob must not cost the other rules.
                let _passed_over = builder.add_line(None, line);
            }
        }
        Self { prefix: prefix.to_vec(), rules: builder.build().unwrap_or_else(|_| Gitignore::empty()) }
    }
}

/// Whether a path is ignored by the deepest file that says anything of it. `rules` goes from the root downwards.
pub(crate) fn ignores(rules: &[Rules], path: &[u8], is_folder: bool) -> bool {
    let verdict = rules.iter().rev().find_map(|rules| {
        let below = path.strip_prefix(rules.prefix.as_slice())?;
        let found = rules.rules.matched(Path::new(OsStr::from_bytes(below)), is_folder);
        (!found.is_none()).then(|| found.is_ignore())
    });
    verdict.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeper_files_win_and_later_lines_win() {
        let rules =
            [Rules::new(b"", b"*.log\r\n!keep.log\n/target\nbuild/\n[\n"), Rules::new(b"sub/", b"!*.log\nlocal\n")];
        for (path, is_folder, ignored) in [
            (&b"a.log"[..], false, true),
            (b"x/a.log", false, true),
            (b"keep.log", false, false),
            (b"sub/a.log", false, false),
            (b"sub/local", false, true),
            (b"local", false, false),
            (b"target", true, true),
            (b"x/target", true, false),
            (b"x/build", true, true),
            (b"build", false, false),
            (b"\xFF.log", false, true),
        ] {
            assert_eq!(ignores(&rules, path, is_folder), ignored, "{}", String::from_utf8_lossy(path));
        }
    }
}
