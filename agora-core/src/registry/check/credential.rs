//! What the scanner found, as problems; text as a whole.

use super::field::over;
use crate::error::{Class, Problem};
use crate::scan::{Pattern, scan};

/// Bytes of a system prompt or a template.
pub const PROMPT_BYTES_MAX: usize = 256 << 10;

/// Returns a `credential-found` for each place of `bytes` that looks like a credential, unless its pattern stands in
/// `allowed`. `place` is what an operator knows the bytes by: a path or a JSON pointer.
#[must_use]
pub fn credentials(place: &str, bytes: &[u8], allowed: &[String]) -> Vec<Problem> {
    let is_allowed = |pattern: Pattern| allowed.iter().any(|a| a == pattern.as_str());
    scan(bytes).into_iter().filter(|f| !is_allowed(f.pattern)).map(|f| {
        let message = format!("line {} looks like a credential: {} ({}…)", f.line, f.pattern, f.shown);
        Problem::new(Class::Operator, "credential-found", message).at(place).hint(format!(
            "take it out and keep it in the secret store; if it is none, a capability may name {:?} in allowed_patterns",
            f.pattern.as_str()
        ))
    }).collect()
}

/// Checks the bytes of a system prompt or a template: UTF-8, at most [`PROMPT_BYTES_MAX`], no NUL, no credentials.
/// A template's syntax is [`crate::template::Template::parse`]'s to check.
#[must_use]
pub fn check_text(place: &str, bytes: &[u8]) -> Vec<Problem> {
    if bytes.len() > PROMPT_BYTES_MAX {
        return vec![over(place, "prompt_bytes_max", PROMPT_BYTES_MAX as u64, bytes.len() as u64).at(place)];
    }
    let mut problems = credentials(place, bytes, &[]);
    if std::str::from_utf8(bytes).is_err() || bytes.contains(&0) {
        let message = "the text is not UTF-8, or holds a NUL byte";
        problems.push(Problem::new(Class::Operator, "text-encoding", message).at(place).hint("save it as UTF-8"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> String {
        ["np", "m_", &"a1".repeat(18)].concat()
    }

    #[test]
    fn a_finding_is_a_problem_unless_its_pattern_is_allowed() {
        let text = format!("ok\nx {}", key());
        let problems = credentials("docs/a.md", text.as_bytes(), &["jwt".to_owned()]);
        assert_eq!(problems.len(), 1);
        assert_eq!((problems[0].code.as_str(), problems[0].at.as_deref()), ("credential-found", Some("docs/a.md")));
        assert_eq!(problems[0].message, "line 2 looks like a credential: npm-token (npm_a1a1…)");
        assert_eq!(credentials("docs/a.md", text.as_bytes(), &["npm-token".to_owned()]), []);
    }

    #[test]
    fn text_at_its_limit_and_one_beyond() {
        let codes = |bytes: &[u8]| check_text("p", bytes).into_iter().map(|p| p.code).collect::<Vec<_>>();
        assert_eq!(codes(&vec![b'a'; PROMPT_BYTES_MAX]), [""; 0]);
        assert_eq!(codes(&vec![b'a'; PROMPT_BYTES_MAX + 1]), ["limit-exceeded"]);
        assert_eq!(codes("é".as_bytes()), [""; 0]);
        assert_eq!(codes(b"\xC3"), ["text-encoding"]);
        assert_eq!(codes(b"a\0"), ["text-encoding"]);
        assert_eq!(codes(key().as_bytes()), ["credential-found"]);
    }
}
