//! One pass over the bytes: each position is looked at once for the start of a credential.
//!
//! Linear by construction. A try that fails reads a bounded number of bytes, or leaves a mark behind which the same
//! pattern is not tried again; a match moves that mark to its end. No byte is read twice by one pattern but for the
//! bounded part. A credential counts only where the byte before it is no letter or digit (`risk-…` holds no `sk-…`).

use super::pattern::Pattern;

/// How many characters of a finding are shown: enough to find the place, too few to use.
pub const SHOWN_CHARS_MAX: usize = 8;
/// Findings reported per pattern and text, so that a crafted file cannot fill the memory. Per pattern, because an
/// allowed one must never hide another.
pub const FINDINGS_PER_PATTERN_MAX: usize = 100;

/// The longest scheme, user and password of a URL that are looked at, in bytes; RFC 3986 has no bound.
const URL_PART_BYTES_MAX: usize = 512;
/// The longest label of a PEM header, in bytes; the longest in use has 27.
const PEM_LABEL_BYTES_MAX: usize = 64;
/// How far before a value its name may end, in bytes: quotes, blanks and an assignment.
const NAME_GAP_BYTES_MAX: usize = 16;
/// How much of the name before a value is looked at, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A place that looks like a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it looks like.
    pub pattern: Pattern,
    /// Its line, from 1.
    pub line: u64,
    /// How it starts, at most [`SHOWN_CHARS_MAX`] characters of printable ASCII.
    pub shown: String,
}

/// Returns every place that looks like a credential, in the order of the text; at most [`FINDINGS_PER_PATTERN_MAX`]
/// for each pattern. Any bytes will do: text is not required to be UTF-8.
#[must_use]
pub fn scan(bytes: &[u8]) -> Vec<Finding> {
    let mut scanner = Scanner {
        bytes,
        line: 1,
        not_before: [0; Pattern::ALL.len()],
        count: [0; Pattern::ALL.len()],
        base64_from: 0,
        found: Vec::new(),
    };
    for at in 0..bytes.len() {
        scanner.step(at);
    }
    scanner.end_of_base64(bytes.len());
    scanner.found
}

struct Scanner<'a> {
    bytes: &'a [u8],
    line: u64,
    /// Where each pattern may be tried again.
    not_before: [usize; Pattern::ALL.len()],
    count: [usize; Pattern::ALL.len()],
    /// Where the run of base64 characters that is being read began.
    base64_from: usize,
    found: Vec<Finding>,
}

/// How a try ended: where the credential ends, or where the next try may start.
type Try = Result<usize, usize>;

impl Scanner<'_> {
    fn step(&mut self, at: usize) {
        let byte = self.bytes[at];
        if !is_base64(byte) {
            self.end_of_base64(at);
            self.base64_from = at + 1;
        }
        match byte {
            b'\n' => self.line += 1,
            b':' => self.attempt(Pattern::UrlPassword, at, url_password),
            b'-' => self.attempt(Pattern::PrivateKey, at, private_key),
            b'A' | b'B' | b'b' | b'e' | b'g' | b'h' | b'n' | b'r' | b's' | b'x' if self.starts_word(at) => {
                self.word(at, byte);
            }
            _ => {}
        }
    }

    fn word(&mut self, at: usize, byte: u8) {
        match byte {
            b'A' => {
                self.attempt(Pattern::AwsAccessKey, at, |b, at| exactly(b, at, b"AKIA", 16, is_upper_or_digit));
                self.attempt(Pattern::AwsSessionKey, at, |b, at| exactly(b, at, b"ASIA", 16, is_upper_or_digit));
                self.attempt(Pattern::GoogleApiKey, at, |b, at| exactly(b, at, b"AIza", 35, is_base64url));
                self.attempt(Pattern::AzureKey, at, |b, at| at_least(b, at, b"AccountKey=", 60, is_base64_padded));
            }
            b'B' | b'b' => self.attempt(Pattern::BearerPrefix, at, bearer),
            b'e' => self.attempt(Pattern::Jwt, at, jwt),
            b'g' => {
                self.attempt(Pattern::GithubToken, at, github);
                self.attempt(Pattern::GitlabToken, at, |b, at| at_least(b, at, b"glpat-", 20, is_base64url));
            }
            b'h' => self.attempt(Pattern::SlackToken, at, |b, at| {
                at_least(b, at, b"hooks.slack.com/services/", 1, |c| c.is_ascii_alphanumeric() || c == b'/')
            }),
            b'n' => {
                self.attempt(Pattern::NpmToken, at, |b, at| at_least(b, at, b"npm_", 36, |c| c.is_ascii_alphanumeric()))
            }
            b'r' => self.attempt(Pattern::StripeKey, at, stripe),
            b's' => {
                self.attempt(Pattern::StripeKey, at, stripe);
                self.attempt(Pattern::AnthropicKey, at, |b, at| at_least(b, at, b"sk-ant-", 16, is_base64url));
                self.attempt(Pattern::OpenaiKey, at, openai);
            }
            b'x' => self.attempt(Pattern::SlackToken, at, slack),
            _ => {}
        }
    }

    fn starts_word(&self, at: usize) -> bool {
        at.checked_sub(1).is_none_or(|before| !self.bytes[before].is_ascii_alphanumeric())
    }

    fn attempt(&mut self, pattern: Pattern, at: usize, try_at: fn(&[u8], usize) -> Try) {
        if at < self.not_before[pattern.index()] {
            return;
        }
        match try_at(self.bytes, at) {
            Ok(end) => {
                self.not_before[pattern.index()] = end;
                // A URL is found at its colon; what is shown begins with its scheme.
                let from = if pattern == Pattern::UrlPassword { scheme_start(self.bytes, at) } else { at };
                self.report(pattern, from, SHOWN_CHARS_MAX);
            }
            Err(next) => self.not_before[pattern.index()] = next,
        }
    }

    /// A run of base64 characters ends before `end`: is it a secret key by its length and the name before it?
    fn end_of_base64(&mut self, end: usize) {
        if end - self.base64_from == 40
            && self.bytes.get(end) != Some(&b'=')
            && secret_key_name_before(self.bytes, self.base64_from)
        {
            // The whole of it is secret, prefix and all: half of what others show.
            self.report(Pattern::AwsSecretKey, self.base64_from, SHOWN_CHARS_MAX / 2);
        }
    }

    fn report(&mut self, pattern: Pattern, from: usize, chars: usize) {
        let count = &mut self.count[pattern.index()];
        *count += 1;
        if *count > FINDINGS_PER_PATTERN_MAX {
            return;
        }
        let shown = self.bytes[from..]
            .iter()
            .take(chars)
            .map(|b| if (0x20..=0x7E).contains(b) { char::from(*b) } else { '?' })
            .collect();
        self.found.push(Finding { pattern, line: self.line, shown });
    }
}

fn is_upper_or_digit(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit()
}

fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'+' || b == b'/'
}

fn is_base64_padded(b: u8) -> bool {
    is_base64(b) || b == b'='
}

fn is_base64url(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
}

/// Where the run of such bytes that starts at `from` ends.
fn run(bytes: &[u8], from: usize, is: fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|b| !is(*b)).map_or(bytes.len(), |n| from + n)
}

/// The prefix and at least `min` such bytes. A failed try has read fewer than `min` bytes behind the prefix.
fn at_least(bytes: &[u8], at: usize, prefix: &[u8], min: usize, is: fn(u8) -> bool) -> Try {
    if !bytes[at..].starts_with(prefix) {
        return Err(at + 1);
    }
    let body = at + prefix.len();
    let end = run(bytes, body, is);
    if end - body >= min { Ok(end) } else { Err(at + 1) }
}

/// The prefix and exactly `count` such bytes, with neither one of them nor a letter or digit behind.
fn exactly(bytes: &[u8], at: usize, prefix: &[u8], count: usize, is: fn(u8) -> bool) -> Try {
    let end = at + prefix.len() + count;
    let fits = bytes[at..].starts_with(prefix)
        && bytes.get(at + prefix.len()..end).is_some_and(|body| body.iter().all(|b| is(*b)))
        && bytes.get(end).is_none_or(|b| !is(*b) && !b.is_ascii_alphanumeric());
    if fits { Ok(end) } else { Err(at + 1) }
}

/// Classic tokens have 36 characters; GitHub announced that they may grow, so more are one too.
fn github(bytes: &[u8], at: usize) -> Try {
    if bytes[at..].starts_with(b"github_pat_") {
        return at_least(bytes, at, b"github_pat_", 60, |b| b.is_ascii_alphanumeric() || b == b'_');
    }
    match bytes.get(at..at + 4) {
        Some([b'g', b'h', b'p' | b'o' | b'u' | b's' | b'r', b'_']) => {
            at_least(bytes, at, &bytes[at..at + 4], 36, |b| b.is_ascii_alphanumeric())
        }
        _ => Err(at + 1),
    }
}

fn openai(bytes: &[u8], at: usize) -> Try {
    if bytes[at..].starts_with(b"sk-ant-") {
        return Err(at + 1);
    }
    let prefix: &[u8] = if bytes[at..].starts_with(b"sk-proj-") { b"sk-proj-" } else { b"sk-" };
    at_least(bytes, at, prefix, 20, is_base64url)
}

fn stripe(bytes: &[u8], at: usize) -> Try {
    match bytes.get(at..at + 8) {
        Some(
            [b's' | b'r', b'k', b'_', b'l', b'i', b'v', b'e', b'_']
            | [b's' | b'r', b'k', b'_', b't', b'e', b's', b't', b'_'],
        ) => at_least(bytes, at, &bytes[at..at + 8], 16, |b| b.is_ascii_alphanumeric()),
        _ => Err(at + 1),
    }
}

/// A bare `xoxb-`, as documents write it, is none.
fn slack(bytes: &[u8], at: usize) -> Try {
    match bytes.get(at..at + 5) {
        Some([b'x', b'o', b'x', b'a' | b'b' | b'p' | b'r' | b's', b'-']) => {
            at_least(bytes, at, &bytes[at..at + 5], 1, |b| b.is_ascii_alphanumeric() || b == b'-')
        }
        _ => Err(at + 1),
    }
}

/// The scheme's name is case-insensitive (RFC 9110 §11.1); the token is RFC 6750's.
fn bearer(bytes: &[u8], at: usize) -> Try {
    const PREFIX: usize = "bearer ".len();
    match bytes.get(at..at + PREFIX) {
        Some(prefix) if prefix.eq_ignore_ascii_case(b"bearer ") => {
            at_least(bytes, at, prefix, 20, |b| is_base64_padded(b) || matches!(b, b'-' | b'.' | b'_' | b'~'))
        }
        _ => Err(at + 1),
    }
}

fn jwt(bytes: &[u8], at: usize) -> Try {
    if !bytes[at..].starts_with(b"eyJ") {
        return Err(at + 1);
    }
    let header = run(bytes, at, is_base64url);
    // Any later start in this part would fail as this one does: the next try comes behind it.
    let next = Err(header);
    if header - at < 4 || !bytes[header..].starts_with(b".eyJ") {
        return next;
    }
    let claims = run(bytes, header + 1, is_base64url);
    if claims - header < 5 || bytes.get(claims) != Some(&b'.') {
        return next;
    }
    let signature = run(bytes, claims + 1, is_base64url);
    if signature > claims + 1 { Ok(signature) } else { next }
}

/// `-----BEGIN … PRIVATE KEY-----`, and OpenPGP's `… PRIVATE KEY BLOCK-----`.
fn private_key(bytes: &[u8], at: usize) -> Try {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let next = Err(at + 1);
    if !bytes[at..].starts_with(BEGIN) {
        return next;
    }
    let from = at + BEGIN.len();
    let window = &bytes[from..bytes.len().min(from + PEM_LABEL_BYTES_MAX)];
    let Some(length) = window.iter().position(|b| !(is_upper_or_digit(*b) || *b == b' ')) else { return next };
    let label = &window[..length];
    let private = [b"PRIVATE KEY".as_slice(), b"PRIVATE KEY BLOCK".as_slice()].into_iter().any(|kind| {
        label.strip_suffix(kind).is_some_and(|algorithm| algorithm.last().is_none_or(|before| *before == b' '))
    });
    if private && bytes[from + length..].starts_with(b"-----") { Ok(from + length + 5) } else { next }
}

fn scheme_start(bytes: &[u8], colon: usize) -> usize {
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-');
    let lowest = colon.saturating_sub(URL_PART_BYTES_MAX);
    let length = bytes[lowest..colon].iter().rev().take_while(|b| is_scheme(**b)).count();
    let start = colon - length;
    start + bytes[start..colon].iter().take_while(|b| !b.is_ascii_alphabetic()).count()
}

fn url_password(bytes: &[u8], at: usize) -> Try {
    let next = Err(at + 1);
    if !bytes[at..].starts_with(b"://") || scheme_start(bytes, at) == at {
        return next;
    }
    // Neither part may hold a slash, so no two tries read the same bytes.
    let part = |from: usize, end: u8| {
        let window = &bytes[from..bytes.len().min(from + URL_PART_BYTES_MAX)];
        let stop = window.iter().position(|b| *b == end || ends_url(*b))?;
        (window[stop] == end).then_some(from + stop)
    };
    let user = at + 3;
    // An `@` before any colon means that there is a user and no password.
    let Some(colon) = part(user, b':') else { return next };
    if bytes[user..colon].contains(&b'@') {
        return next;
    }
    let Some(host) = part(colon + 1, b'@') else { return next };
    let has_host =
        bytes.get(host + 1).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'[' | b'$' | b'{' | b'<'));
    if has_host && !is_placeholder(&bytes[colon + 1..host]) { Ok(host) } else { next }
}

fn ends_url(b: u8) -> bool {
    b <= b' ' || matches!(b, b'/' | b'"' | b'\'' | b'`' | b'\\')
}

/// Whether somebody wrote this where a password would stand.
fn is_placeholder(password: &[u8]) -> bool {
    const WORDS: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "pass",
        "pwd",
        "pw",
        "secret",
        "token",
        "changeme",
        "redacted",
        "example",
    ];
    let Some(first) = password.first() else { return true };
    if matches!(first, b'$' | b'{' | b'<' | b'[' | b'%')
        && (*first != b'%' || !password[1..].first().is_some_and(u8::is_ascii_hexdigit))
    {
        return true;
    }
    let text = String::from_utf8_lossy(password).to_ascii_lowercase();
    let bare = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    bare.is_empty()
        || bare.bytes().all(|b| b == b'x')
        || WORDS.contains(&bare)
        || ["your", "my"].iter().any(|whose| {
            bare.strip_prefix(whose)
                .is_some_and(|what| WORDS.contains(&what.trim_start_matches(|c: char| !c.is_ascii_alphanumeric())))
        })
}

/// Whether a name with `secret` and `key` stands before a value that starts at `value`, on the same line.
fn secret_key_name_before(bytes: &[u8], value: usize) -> bool {
    let is_gap = |b: u8| matches!(b, b' ' | b'\t' | b'"' | b'\'' | b'`' | b'=' | b':' | b'>' | b',' | b'(' | b'\\');
    let lowest = value.saturating_sub(NAME_GAP_BYTES_MAX);
    let gap = bytes[lowest..value].iter().rev().take_while(|b| is_gap(**b)).count();
    let end = value - gap;
    let lowest = end.saturating_sub(NAME_BYTES_MAX);
    let length = bytes[lowest..end].iter().rev().take_while(|b| is_base64url(**b) || **b == b'.').count();
    let name = bytes[end - length..end].to_ascii_lowercase();
    let has = |word: &[u8]| name.windows(word.len()).any(|w| w == word);
    gap > 0 && has(b"secret") && has(b"key")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
