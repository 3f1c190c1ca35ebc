//! What arguments name: a file, standard input, JSON.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use agora_core::canon;
use agora_core::error::{Class, Problem};
use serde_json::Value;

use crate::error::Failure;

/// The deepest nesting of JSON that an argument gives.
const JSON_DEPTH_MAX: usize = 64;

/// Reads a file, or standard input for `-`, up to `bytes_max`.
///
/// # Errors
/// `file-missing`, `file-unreadable`, `limit-exceeded`.
pub(crate) fn read(path: &Path, what: &str, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let doing = format!("read {what} {}", path.display());
    let stdin = path.as_os_str() == "-";
    let read = if stdin {
        take(io::stdin().lock(), bytes_max)
    } else {
        File::open(path).and_then(|file| take(file, bytes_max))
    };
    let bytes = read.map_err(|error| Failure::one(&doing, unreadable(path, &error)))?;
    if bytes.len() > bytes_max {
        let message = format!("it is over the limit of {bytes_max} bytes");
        let problem = Problem::new(Class::Caller, "limit-exceeded", message).at(path.display().to_string());
        return Err(Failure::one(doing, problem.hint("is it the right file?")));
    }
    Ok(bytes)
}

fn take(source: impl Read, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let at = path.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound => Problem::new(Class::Missing, "file-missing", "there is no such file")
            .at(at)
            .hint("name an existing file, or - for standard input"),
        _ => Problem::new(Class::Caller, "file-unreadable", error.to_string())
            .at(at)
            .hint("name a file that you may read, or - for standard input"),
    }
}

/// Reads JSON that an argument holds, or that `@FILE` names (`@-` is standard input). Names may not come twice.
///
/// # Errors
/// `json-syntax`, and those of [`read`].
pub(crate) fn json(argument: &str, what: &str, bytes_max: usize) -> Result<Value, Failure> {
    let bytes = match argument.strip_prefix('@') {
        Some(path) => read(Path::new(path), what, bytes_max)?,
        None => argument.as_bytes().to_vec(),
    };
    canon::parse(&bytes, JSON_DEPTH_MAX, bytes_max).map_err(|error| {
        let problem = Problem::new(Class::Caller, "json-syntax", error.to_string());
        let hint = format!("give {what} as JSON in quotes, such as '{{\"prompt\": \"…\"}}', or as @FILE");
        Failure::one(format!("read {what}"), problem.hint(hint))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        result.unwrap_err().problems[0].code.clone()
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        assert_eq!(code(read(&path, "the plan", 5)), "file-missing");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, "the plan", 5).unwrap(), b"12345");
        assert_eq!(code(read(&path, "the plan", 4)), "limit-exceeded");
        assert_eq!(code(read(folder.path(), "the plan", 4)), "file-unreadable");
    }

    #[test]
    fn json_comes_from_the_argument_or_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.json");
        std::fs::write(&path, r#"{"a": 1}"#).unwrap();
        let given = json(r#"{"a": 1}"#, "the input", 100).unwrap();
        assert_eq!(json(&format!("@{}", path.display()), "the input", 100).unwrap(), given);
        assert_eq!(code(json("{a", "the input", 100)), "json-syntax");
        assert_eq!(code(json(r#"{"a": 1, "a": 2}"#, "the input", 100)), "json-syntax");
        assert_eq!(code(json("@/nowhere", "the input", 100)), "file-missing");
    }
}
