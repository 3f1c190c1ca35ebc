//! Names and digests as types that cannot be wrong.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A name, id or digest that does not follow its syntax.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} is not {syntax}")]
pub struct IdError {
    /// What was to be named.
    pub what: &'static str,
    /// What was given, cut to 80 characters.
    pub given: String,
    /// The syntax it should follow.
    pub syntax: &'static str,
}

fn refuse(what: &'static str, given: &str, syntax: &'static str) -> IdError {
    IdError { what, given: given.chars().take(80).collect(), syntax }
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $syntax:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks the syntax.
            ///
            /// # Errors
            /// [`IdError`] when the text does not follow it.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(refuse($what, &text, $syntax)) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

fn plan_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@:~-".contains(&b))
}

fn registry_name(text: &str) -> bool {
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&text.len()) && lower(text.as_bytes()[0]) && text.bytes().all(|b| lower(b) || b"._-".contains(&b))
}

fn word(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.as_bytes()[0].is_ascii_lowercase()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
}

fn printable(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7E).contains(&b))
}

string_id! {
    /// The id of a run, unique in a store.
    RunId, "run id", "1 to 128 of A-Z a-z 0-9 . _ @ : ~ -, starting with a letter or digit", plan_id
}
string_id! {
    /// The id of an item, unique in its run.
    ItemId, "item id", "1 to 128 of A-Z a-z 0-9 . _ @ : ~ -, starting with a letter or digit", plan_id
}
string_id! {
    /// The name of a registry entry, queue, executor, target, workspace or secret.
    Name, "name", "1 to 64 of a-z 0-9 . _ -, starting with a letter or digit", registry_name
}
string_id! {
    /// A word of a closed list (`audit.md` §1).
    Word, "word", "a to z first, then up to 63 of a-z 0-9 _ -", word
}
string_id! {
    /// A name as records hold it: 1 to 4,096 bytes of 0x21 to 0x7E. Other text is percent-encoded ([`Enc::encode`]).
    Enc, "name", "1 to 4096 printable ASCII characters without spaces", printable
}

impl Enc {
    /// Percent-encodes each byte outside 0x21 to 0x7E, and `%` itself. Empty text becomes `%`, which nothing else does.
    #[must_use]
    pub fn encode(text: &str) -> Self {
        Self::encode_bytes(text.as_bytes())
    }

    /// The same for bytes that need not be UTF-8, such as a path of a tree.
    #[must_use]
    pub fn encode_bytes(text: &[u8]) -> Self {
        let mut out = String::with_capacity(text.len());
        for &byte in text {
            if (0x21..=0x7E).contains(&byte) && byte != b'%' {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
            if out.len() > 4093 {
                break;
            }
        }
        if out.is_empty() {
            out.push('%');
        }
        Self(out)
    }
}

/// Who did something: `engine`, or `human:`, `agent:`, `schedule:`, `pattern:` and a name. Set by the edge alone.
pub type Actor = Enc;

/// Returns the actor of the engine itself.
#[must_use]
pub fn engine_actor() -> Actor {
    Enc("engine".to_owned())
}

fn hex(bytes: &[u8; 32]) -> String {
    // Every entry has several: a table, not the formatter.
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return None;
    }
    let mut out = [0; 32];
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(out)
}

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $prefix:literal, $syntax:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix).and_then(unhex).map(Self).ok_or_else(|| refuse($what, text, $syntax))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hash_type! {
    /// Plain SHA-256 of the bytes named, written `sha256:` and 64 lower-case hex digits, so that `sha256sum` agrees.
    Digest, "digest", "sha256:", "sha256: and 64 lower-case hex digits"
}
hash_type! {
    /// A value of the chain or tree of a journal (`docs/audit.md`), written as 64 lower-case hex digits.
    Hash, "hash", "", "64 lower-case hex digits"
}

impl Digest {
    /// Returns the digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 hex digits alone.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Reads 64 lower-case hex digits.
    ///
    /// # Errors
    /// [`IdError`] for anything else.
    pub fn from_hex(text: &str) -> Result<Self, IdError> {
        unhex(text).map(Self).ok_or_else(|| refuse("digest", text, "64 lower-case hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_at_their_boundary_and_one_beyond() {
        assert!(RunId::new("a".repeat(128)).is_ok());
        assert!(RunId::new("a".repeat(129)).is_err());
        assert!(RunId::new("").is_err());
        assert!(RunId::new("-a").is_err());
        assert!(Name::new("a".repeat(64)).is_ok());
        assert!(Name::new("a".repeat(65)).is_err());
        assert!(Name::new("A").is_err());
    }

    #[test]
    fn a_digest_has_one_spelling() {
        let digest = Digest::of(b"");
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Digest>(), Ok(digest));
        assert!(text.to_uppercase().parse::<Digest>().is_err());
        assert!(text.strip_prefix("sha256:").unwrap().parse::<Digest>().is_err());
    }

    #[test]
    fn other_text_is_percent_encoded() {
        assert_eq!(Enc::encode("src/a b%é").as_str(), "src/a%20b%25%C3%A9");
    }
}
