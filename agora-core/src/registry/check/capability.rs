//! Capabilities: the manifest, and the bytes of each file.

use serde_json::Value;

use super::credential::credentials;
use super::field::{Problems, over, problem};
use crate::error::{Class, Coded as _, Problem};
use crate::id::Digest;
use crate::path::{self, Scope};
use crate::registry::artifact::Capability;
use crate::registry::decode::Artifact;
use crate::registry::kind::Kind;
use crate::scan::Pattern;

/// Files of a capability.
pub const CAPABILITY_FILES_MAX: usize = 10_000;
/// Bytes of all files of a capability.
pub const CAPABILITY_BYTES_MAX: u64 = 50 << 20;

/// A file that other systems give a meaning and nothing here would read.
const UNREAD_FILE: &str = "agora-channel.json";
/// Files that the overlay merges as JSON objects (`docs/registry.md`): anything else in them could only fail later.
const MERGED_FILES: &[&str] =
    &[".claude/settings.json", ".mcp.json", ".cursor/mcp.json", ".cursor/cli.json", ".gemini/settings.json"];
const NOTIFICATIONS_FILE: &str = "agora-notifications.json";
const PLUGINS_FILE: &str = "agora-plugins.json";

impl Artifact for Capability {
    const KIND: Kind = Kind::Capability;
    const FORMAT: &'static str = "agora-capability/v1";
    /// All files with the longest paths, some of their characters escaped.
    const BYTES_MAX: usize = 16 << 20;

    fn format(&self) -> &str {
        &self.format
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        if let Some(about) = &self.about {
            problems.line("/about", about);
        }
        problems.once("/allowed_patterns", self.allowed_patterns.iter().map(String::as_str));
        for (i, pattern) in self.allowed_patterns.iter().enumerate() {
            if let Err(unknown) = pattern.parse::<Pattern>() {
                problems.push(unknown.problem().at(format!("/allowed_patterns/{i}")));
            }
        }
        problems.limit("/files", "the capability", "capability_files_max", CAPABILITY_FILES_MAX, self.files.len());
        let bytes = self.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
        if bytes > CAPABILITY_BYTES_MAX {
            problems.push(over("the capability", "capability_bytes_max", CAPABILITY_BYTES_MAX, bytes).at("/files"));
        }
        // Beyond the cap there is one problem, not one more for each file.
        if self.files.len() <= CAPABILITY_FILES_MAX {
            self.check_files(&mut problems);
        }
        problems.0
    }

    fn credentials(&self) -> Vec<Problem> {
        // A path is as readable as any text; the files' bytes are `check_file`'s.
        let paths = self.files.iter().map(|file| (file.path.as_str(), file.path.as_str()));
        let about = self.about.iter().map(|about| ("/about", about.as_str()));
        paths.chain(about).flat_map(|(at, text)| credentials(at, text.as_bytes(), &self.allowed_patterns)).collect()
    }
}

impl Capability {
    fn check_files(&self, problems: &mut Problems) {
        if let Err(refused) = path::check_set(self.files.iter().map(|file| file.path.as_bytes()), Scope::Capability) {
            problems
                .0
                .extend(refused.into_iter().map(|refusal| Problem { class: Class::Operator, ..refusal.problem() }));
        }
        if let Some(i) = self.files.windows(2).position(|pair| pair[0].path.as_bytes() > pair[1].path.as_bytes()) {
            problems.push(
                problem(
                    "files-order",
                    format!("/files/{}", i + 1),
                    "the files are not sorted by the bytes of their path",
                )
                .hint("sort them: the order of reading must not change the digest"),
            );
        }
        for (i, file) in self.files.iter().enumerate() {
            if let Err(error) = Digest::from_hex(&file.sha256) {
                let at = format!("/files/{i}/sha256");
                problems.push(
                    problem("digest-syntax", at, error.to_string()).hint("write SHA-256 as 64 lower-case hex digits"),
                );
            }
            if file.path.eq_ignore_ascii_case(UNREAD_FILE) {
                problems.push(unread(&file.path));
            }
        }
    }
}

fn unread(path: &str) -> Problem {
    problem("file-refused", path, format!("nothing would read {path}"))
        .hint("take it out: callback addresses are named by agora-notifications.json and configured in agora.toml")
}

/// Checks the bytes of one file of a capability, on its way in: its path, its size, credentials, and the form of the files
/// that agora itself reads. What all files come to together is [`Artifact::check`]'s.
#[must_use]
pub fn check_file(path: &str, bytes: &[u8], allowed_patterns: &[String]) -> Vec<Problem> {
    if bytes.len() as u64 > CAPABILITY_BYTES_MAX {
        return vec![over(path, "capability_bytes_max", CAPABILITY_BYTES_MAX, bytes.len() as u64).at(path)];
    }
    let mut problems = credentials(path, bytes, allowed_patterns);
    if let Err(refusal) = path::check(path.as_bytes(), Scope::Capability) {
        problems.push(Problem { class: Class::Operator, ..refusal.problem() });
    }
    if path.eq_ignore_ascii_case(UNREAD_FILE) {
        problems.push(unread(path));
    }
    let expected = match path {
        NOTIFICATIONS_FILE if !is_json(bytes, is_notifications) => "[{\"on\": [\"failed\"], \"notify\": \"name\"}]",
        PLUGINS_FILE if !is_json(bytes, is_strings) => "an array of strings",
        path if MERGED_FILES.contains(&path) && !is_json(bytes, Value::is_object) => "a JSON object",
        _ => return problems,
    };
    problems.push(
        problem("file-shape", path, format!("{path} is not {expected}"))
            .hint("write plain JSON, without comments: the overlay merges it with other capabilities'"),
    );
    problems
}

fn is_json(bytes: &[u8], shape: fn(&Value) -> bool) -> bool {
    crate::canon::parse(bytes, crate::canon::DEPTH_MAX, bytes.len()).is_ok_and(|value| shape(&value))
}

fn is_strings(value: &Value) -> bool {
    value.as_array().is_some_and(|all| all.iter().all(Value::is_string))
}

fn is_notifications(value: &Value) -> bool {
    let one = |v: &Value| {
        v.as_object().is_some_and(|o| {
            o.len() == 2
                && o.get("on").is_some_and(is_strings)
                && o.get("notify").and_then(Value::as_str).is_some_and(|name| crate::id::Name::new(name).is_ok())
        })
    };
    value.as_array().is_some_and(|all| all.iter().all(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::artifact::{CapabilityFile, FileMode};

    fn file(path: &str, size: u64) -> CapabilityFile {
        CapabilityFile { mode: FileMode::File, path: path.to_owned(), sha256: "0".repeat(64), size }
    }

    fn capability(files: Vec<CapabilityFile>) -> Capability {
        Capability { format: Capability::FORMAT.into(), about: None, allowed_patterns: Vec::new(), files }
    }

    fn codes(problems: &[Problem]) -> Vec<&str> {
        problems.iter().map(|p| p.code.as_str()).collect()
    }

    #[test]
    fn each_cap_at_its_boundary_and_one_beyond() {
        let files = |n: usize| capability((0..n).map(|i| file(&format!("f{i:05}"), 0)).collect());
        assert_eq!(files(CAPABILITY_FILES_MAX).check(), []);
        let problems = files(CAPABILITY_FILES_MAX + 1).check();
        assert_eq!(codes(&problems), ["limit-exceeded"]);
        assert!(problems[0].message.contains("capability_files_max"));
        let sized = |a, b| capability(vec![file("a", a), file("b", b)]).check();
        assert_eq!(sized(CAPABILITY_BYTES_MAX - 1, 1), []);
        assert_eq!(codes(&sized(CAPABILITY_BYTES_MAX, 1)), ["limit-exceeded"]);
        assert_eq!(codes(&sized(u64::MAX, u64::MAX)), ["limit-exceeded"]);
    }

    #[test]
    fn paths_follow_the_policy_and_the_order() {
        let of = |paths: &[&str]| capability(paths.iter().map(|p| file(p, 1)).collect()).check();
        assert_eq!(of(&[".claude/skills/lint/SKILL.md", "agora-setup.sh", "é/ü"]), []);
        assert_eq!(codes(&of(&["b", "a"])), ["files-order"]);
        assert_eq!(codes(&of(&["a", "a"])), ["path-refused"; 2]);
        assert_eq!(codes(&of(&["../a", "/b", "x/.git/config"])), ["path-refused"; 3]);
        assert_eq!(codes(&of(&["agora-channel.json"])), ["file-refused"]);
        assert_eq!(of(&["agora-channels.json", "docs/agora-channel.json"]), []);
        let mut wrong = capability(vec![file("a", 1)]);
        wrong.files[0].sha256 = "0".repeat(63) + "A";
        assert_eq!(codes(&wrong.check()), ["digest-syntax"]);
        assert!(of(&["../a"]).iter().all(|p| p.class == Class::Operator));
    }

    #[test]
    fn exceptions_are_named_one_by_one() {
        let with = |patterns: &[&str]| {
            let allowed_patterns = patterns.iter().map(|p| (*p).to_owned()).collect();
            Capability { allowed_patterns, ..capability(Vec::new()) }.check()
        };
        assert_eq!(with(&["jwt", "private-key"]), []);
        assert_eq!(codes(&with(&["*"])), ["pattern-unknown"]);
        assert_eq!(codes(&with(&["jwt", "jwt"])), ["name-duplicate"]);
    }

    #[test]
    fn files_that_agora_reads_have_their_form() {
        for (path, yes, no) in [
            (
                "agora-notifications.json",
                r#"[{"on": ["failed"], "notify": "ops"}]"#,
                r#"[{"on": "failed", "notify": "ops"}]"#,
            ),
            ("agora-notifications.json", "[]", r#"[{"on": [], "notify": "Ops!"}]"#),
            ("agora-plugins.json", r#"["a"]"#, r#"{"a": 1}"#),
            (".claude/settings.json", "{\"a\": 1.5}\n", "[]"),
            (".mcp.json", "{}", "{} // no"),
        ] {
            assert_eq!(check_file(path, yes.as_bytes(), &[]), [], "{path}");
            assert_eq!(codes(&check_file(path, no.as_bytes(), &[])), ["file-shape"], "{path}");
            let elsewhere = format!("docs/{path}");
            assert_eq!(check_file(&elsewhere, no.as_bytes(), &[]), []);
        }
        assert_eq!(codes(&check_file("agora-channel.json", b"{}", &[])), ["file-refused"]);
        assert_eq!(codes(&check_file("inputs/a", b"", &[])), ["path-refused"]);
        let token = ["np", "m_", &"a1".repeat(18)].concat();
        assert_eq!(codes(&check_file("a", token.as_bytes(), &[])), ["credential-found"]);
        assert_eq!(check_file("a", token.as_bytes(), &["npm-token".into()]), []);
    }
}
