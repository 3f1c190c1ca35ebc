//! The type, its ways out, and the envelope.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::clean::clean;
use crate::id::{Digest, ItemId, RunId};

/// Bytes of text shown when nobody asks for more: about 4,000 tokens, well under what clients cut.
pub const SHOWN_BYTES_DEFAULT: usize = 16 * 1024;

/// Bytes of text shown at most, whatever is asked: more is fetched as a blob.
pub const SHOWN_BYTES_MAX: usize = 256 * 1024;

/// Text that a worker or agent made. It has one meaning, the bytes; what they say is believed by nobody.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Untrusted(Vec<u8>);

/// Worker-made text as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The text, cleaned; at most as many bytes as were asked for.
    pub text: String,
    /// Whether the middle of the cleaned text was left out.
    pub truncated: bool,
    /// How many bytes the original has.
    pub bytes: u64,
    /// SHA-256 of the original, 64 lower-case hex digits.
    pub sha256: String,
}

/// The attempt that made a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The run.
    pub run: RunId,
    /// The item.
    pub item: ItemId,
    /// The attempt, from 1.
    pub attempt: u64,
}

/// The only form in which worker-made text reaches an agent (I16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Envelope {
    /// Always true.
    pub untrusted: bool,
    /// Who made it.
    pub source: Source,
    /// SHA-256 of the original, 64 lower-case hex digits.
    pub sha256: String,
    /// How many bytes the original has.
    pub bytes: u64,
    /// Whether the middle of the text was left out.
    pub truncated: bool,
    /// The text, cleaned and capped.
    pub text: String,
}

impl Untrusted {
    /// Takes the bytes as they came.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text without control, escape, bidi and invisible characters, in at most `limit_bytes` bytes (and
    /// [`SHOWN_BYTES_MAX`]). What is longer keeps its head and its tail, around a line that says how much is left out.
    #[must_use]
    pub fn shown(&self, limit_bytes: usize) -> Shown {
        let cleaned = clean(&self.0);
        let limit = limit_bytes.min(SHOWN_BYTES_MAX);
        let truncated = cleaned.len() > limit;
        let text = if truncated { cut(&cleaned, limit) } else { cleaned };
        Shown { text, truncated, bytes: self.0.len() as u64, sha256: Digest::of(&self.0).hex() }
    }

    /// The text in its envelope, in at most `limit_bytes` bytes.
    #[must_use]
    pub fn envelope(&self, source: Source, limit_bytes: usize) -> Envelope {
        self.shown(limit_bytes).envelope(source)
    }

    /// The text as one row of a terminal: cleaned, every run of white space one space, at most `limit_chars` characters
    /// of which the last is `…` when something is left out.
    #[must_use]
    pub fn one_line(&self, limit_chars: usize) -> String {
        // A row needs only the head, whatever the size of what follows.
        let head = &self.0[..self.0.len().min(SHOWN_BYTES_MAX)];
        let cleaned = clean(head);
        let line = cleaned.split_whitespace().collect::<Vec<_>>().join(" ");
        if head.len() == self.0.len() && line.chars().count() <= limit_chars {
            return line;
        }
        let mut out: String = line.chars().take(limit_chars.saturating_sub(1)).collect();
        if limit_chars > 0 {
            out.push('…');
        }
        out
    }
}

/// Keeps the head and the tail of a text that is longer than `limit` bytes, in at most `limit` bytes.
fn cut(text: &str, limit: usize) -> String {
    // The number of bytes left out never has more digits than the text has bytes.
    let room = limit.saturating_sub(marker(text.len()).len());
    if room == 0 {
        return text[..text.floor_char_boundary(limit)].to_owned();
    }
    let head = text.floor_char_boundary(room / 2);
    let tail = text.ceil_char_boundary(text.len() - (room - room / 2));
    format!("{}{}{}", &text[..head], marker(tail - head), &text[tail..])
}

fn marker(bytes: usize) -> String {
    format!("\n[... {bytes} bytes left out ...]\n")
}

impl Shown {
    /// The same with its source, as data for an agent.
    #[must_use]
    pub fn envelope(self, source: Source) -> Envelope {
        let Self { text, truncated, bytes, sha256 } = self;
        Envelope { untrusted: true, source, sha256, bytes, truncated, text }
    }
}

/// Says how long it is, never what it says: it would reach a log.
impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Untrusted({} bytes)", self.0.len())
    }
}

impl From<Vec<u8>> for Untrusted {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

/// Reads a string: worker-made members of a document can have this type.
impl<'de> Deserialize<'de> for Untrusted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_is_whole_and_counts_are_of_the_original() {
        let shown = Untrusted::from("a\u{1b}[31mb").shown(SHOWN_BYTES_DEFAULT);
        assert_eq!((shown.text.as_str(), shown.truncated, shown.bytes), ("ab", false, 7));
        assert_eq!(shown.sha256, Digest::of(b"a\x1b[31mb").hex());
        assert!(!Untrusted::from("x".repeat(100)).shown(100).truncated);
    }

    #[test]
    fn what_does_not_fit_keeps_head_and_tail() {
        let text = format!("HEAD{}TAIL", "x".repeat(1000));
        let shown = Untrusted::from(text).shown(100);
        assert!(shown.truncated && shown.text.len() <= 100, "{}", shown.text.len());
        assert!(shown.text.starts_with("HEAD") && shown.text.ends_with("TAIL"));
        let left_out: usize = shown.text.split("[... ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let kept = shown.text.len() - marker(left_out).len();
        assert_eq!(kept + left_out, 1008);
    }

    #[test]
    fn the_cap_holds_whatever_is_asked() {
        let shown = Untrusted::from("x".repeat(SHOWN_BYTES_MAX + 1)).shown(usize::MAX);
        assert!(shown.truncated && shown.text.len() <= SHOWN_BYTES_MAX);
        assert_eq!(shown.bytes, SHOWN_BYTES_MAX as u64 + 1);
    }

    #[test]
    fn an_envelope_says_untrusted_first() {
        let source = Source { run: "r1".parse().unwrap(), item: "a".parse().unwrap(), attempt: 2 };
        let envelope = Untrusted::from("hi").envelope(source, SHOWN_BYTES_DEFAULT);
        assert_eq!(
            serde_json::to_string(&envelope).unwrap(),
            format!(
                r#"{{"untrusted":true,"source":{{"run":"r1","item":"a","attempt":2}},"sha256":"{}","bytes":2,"truncated":false,"text":"hi"}}"#,
                Digest::of(b"hi").hex()
            )
        );
    }

    #[test]
    fn one_line_is_one_line() {
        let text = Untrusted::from(" first\r\n\tsecond\u{1b}[2J third ");
        assert_eq!(text.one_line(80), "first second third");
        assert_eq!(text.one_line(18), "first second third");
        assert_eq!(text.one_line(17), "first second thi…");
        assert_eq!(text.one_line(1), "…");
        assert_eq!(text.one_line(0), "");
        let long = Untrusted::new(vec![b'\n'; SHOWN_BYTES_MAX + 1]);
        assert_eq!(long.one_line(10), "…");
    }

    #[test]
    fn debug_does_not_say_what_it_says() {
        assert_eq!(format!("{:?}", Untrusted::from("psst")), "Untrusted(4 bytes)");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_left_and_the_limit_holds(
            pieces in prop::collection::vec(prop_oneof![
                any::<char>().prop_map(String::from),
                prop::sample::select(vec!["\u{1b}", "[", "]", "P", "31m", "\u{9b}", "\u{9d}", "\u{7}", "\\", "\n", "\r", "\u{202e}", "x"])
                    .prop_map(String::from),
            ], 0..60),
            limit in 0_usize..200,
        ) {
            let shown = Untrusted::from(pieces.concat()).shown(limit);
            prop_assert!(shown.text.len() <= limit);
            prop_assert!(shown.text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
            // What is clean stays as it is.
            let again = Untrusted::from(shown.text.clone()).shown(SHOWN_BYTES_MAX);
            prop_assert_eq!(again.text, shown.text);
        }
    }
}
