//! One pass over bytes that may be hostile.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::build::{Build, Checked};
use super::{CanonError, DEPTH_MAX, Form, name, number};

/// Reads ordinary JSON from a caller: any white space, member order and spelling.
///
/// `depth_max` counts objects and arrays, the outermost being 1, and is at most [`DEPTH_MAX`]; `bytes_max` counts bytes.
/// Integers are kept exactly, within what 64 bits hold.
///
/// # Errors
/// [`CanonError`] for what is no JSON (a byte order mark too), is not Unicode, names a member twice, nests too deep, is too
/// long, goes on after its end, or holds a number that no 64-bit integer or finite double stands for.
pub fn parse(bytes: &[u8], depth_max: usize, bytes_max: usize) -> Result<Value, CanonError> {
    bounded(bytes, bytes_max)?;
    Reader::new(bytes, Form::Ordinary, depth_max)?.document()
}

/// Reads strict canonical JSON into a type.
///
/// The bytes must be canonical; what members there may be is the type's to say (`deny_unknown_fields`). The caller bounds
/// the length.
///
/// # Errors
/// [`CanonError`] for bytes that [`to_bytes`](super::to_bytes) would not have written, or of another shape.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonError> {
    typed(bytes, Form::Strict)
}

/// Reads canonical JSON that may hold finite doubles into a type, as [`from_bytes`] does.
///
/// # Errors
/// [`CanonError`] for bytes that [`to_bytes_with_floats`](super::to_bytes_with_floats) would not have written, or of another
/// shape.
pub fn from_bytes_with_floats<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonError> {
    typed(bytes, Form::Floats)
}

/// Reads an entry, bundle or statement: the subset of `docs/audit.md` §1, an object at the top.
///
/// `depth_max` counts the outermost object as 1 and is at most [`DEPTH_MAX`].
///
/// # Errors
/// [`CanonError`] for bytes that [`entry_bytes`](super::entry_bytes) would not have written, or beyond a bound.
pub fn entry_value(bytes: &[u8], depth_max: usize, bytes_max: usize) -> Result<Value, CanonError> {
    bounded(bytes, bytes_max)?;
    entry(bytes, depth_max)
}

/// Checks bytes as [`entry_value`] does, of any length, and keeps nothing.
///
/// # Errors
/// As [`entry_value`].
pub fn check_entry(bytes: &[u8], depth_max: usize) -> Result<(), CanonError> {
    entry::<Checked>(bytes, depth_max).map(|_| ())
}

fn entry<B: Build>(bytes: &[u8], depth_max: usize) -> Result<B, CanonError> {
    if let Some(at) = bytes.iter().position(|b| !(0x20..=0x7E).contains(b)) {
        return Err(CanonError::Spelling { at, what: "bytes from 0x20 to 0x7E alone" });
    }
    if bytes.first() != Some(&b'{') {
        return Err(CanonError::Syntax { at: 0, expected: "an object" });
    }
    Reader::new(bytes, Form::Entry, depth_max)?.document()
}

fn bounded(bytes: &[u8], max: usize) -> Result<(), CanonError> {
    if bytes.len() > max { Err(CanonError::Size { bytes: bytes.len(), max }) } else { Ok(()) }
}

fn typed<T: DeserializeOwned>(bytes: &[u8], form: Form) -> Result<T, CanonError> {
    Reader::new(bytes, form, DEPTH_MAX)?.document::<Checked>()?;
    serde_json::from_slice(bytes).map_err(|e| CanonError::Shape(e.to_string()))
}

/// Recursion goes no deeper than `depth_max`, so a million opening brackets cost one error.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    form: Form,
    depth: usize,
    depth_max: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], form: Form, depth_max: usize) -> Result<Self, CanonError> {
        let text = std::str::from_utf8(bytes).map_err(|e| CanonError::Unicode { at: e.valid_up_to() })?;
        Ok(Self { text, at: 0, form, depth: 0, depth_max: depth_max.min(DEPTH_MAX) })
    }

    fn document<B: Build>(mut self) -> Result<B, CanonError> {
        self.space()?;
        let value = self.value()?;
        self.space()?;
        if self.at < self.text.len() { Err(CanonError::Trailing { at: self.at }) } else { Ok(value) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expected<T>(&self, expected: &'static str) -> Result<T, CanonError> {
        Err(CanonError::Syntax { at: self.at, expected })
    }

    fn spelling<T>(&self, at: usize, what: &'static str) -> Result<T, CanonError> {
        Err(CanonError::Spelling { at, what })
    }

    /// Skips white space between tokens, where the form has any.
    fn space(&mut self) -> Result<(), CanonError> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            if self.form != Form::Ordinary {
                return self.spelling(self.at, "no white space between tokens");
            }
            self.at += 1;
        }
        Ok(())
    }

    fn value<B: Build>(&mut self) -> Result<B, CanonError> {
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => Ok(B::text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true").map(|()| B::bool(true)),
            Some(b'f') => self.word("false").map(|()| B::bool(false)),
            Some(b'n') => {
                self.word("null")?;
                if self.form == Form::Entry { Err(CanonError::value("null")) } else { Ok(B::null()) }
            }
            Some(_) | None => self.expected("a value"),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), CanonError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.expected("a value");
        }
        self.at += word.len();
        Ok(())
    }

    fn enter(&mut self) -> Result<(), CanonError> {
        if self.depth >= self.depth_max {
            return Err(CanonError::Depth { at: self.at, max: self.depth_max });
        }
        self.depth += 1;
        self.at += 1;
        self.space()
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    fn array<B: Build>(&mut self) -> Result<B, CanonError> {
        self.enter()?;
        let mut list = B::List::default();
        if self.peek() != Some(b']') {
            for index in 0_usize.. {
                let value = self.value().map_err(|e| e.within(&index.to_string()))?;
                B::push(&mut list, value);
                if !self.another(b']', "a comma or ]")? {
                    break;
                }
            }
        }
        self.leave();
        Ok(B::list(list))
    }

    fn object<B: Build>(&mut self) -> Result<B, CanonError> {
        self.enter()?;
        let mut members = B::Members::default();
        let mut last: Option<Cow<'a, str>> = None;
        if self.peek() != Some(b'}') {
            loop {
                let name = self.name(last.as_deref())?;
                if self.form == Form::Ordinary {
                    if B::has(&members, &name) {
                        return Err(CanonError::duplicate(&name));
                    }
                } else {
                    last = Some(name.clone());
                }
                let value = self.value().map_err(|e| e.within(&name))?;
                B::insert(&mut members, name, value);
                if !self.another(b'}', "a comma or }")? {
                    break;
                }
            }
        }
        self.leave();
        Ok(B::object(members))
    }

    /// Reads a member's name and the colon; in canonical forms it must come after the last one.
    fn name(&mut self, last: Option<&str>) -> Result<Cow<'a, str>, CanonError> {
        let at = self.at;
        if self.peek() != Some(b'"') {
            return self.expected("a member name");
        }
        let name = self.string()?;
        match last.map(|last| name::compare(last, &name)) {
            Some(Ordering::Equal) => return Err(CanonError::duplicate(&name)),
            Some(Ordering::Greater) => return self.spelling(at, "member names in ascending order"),
            Some(Ordering::Less) | None => {}
        }
        self.space()?;
        if self.peek() != Some(b':') {
            return self.expected("a colon");
        }
        self.at += 1;
        self.space()?;
        Ok(name)
    }

    /// After an element: true at a comma, which is passed, false at `end`, which is not.
    fn another(&mut self, end: u8, expected: &'static str) -> Result<bool, CanonError> {
        self.space()?;
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.space()?;
                Ok(true)
            }
            Some(byte) if byte == end => Ok(false),
            Some(_) | None => self.expected(expected),
        }
    }

    fn number<B: Build>(&mut self) -> Result<B, CanonError> {
        let start = self.at;
        let mut integer = true;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        number::read(self.form, &self.text[start..self.at], integer, start).map(B::number)
    }

    fn digits(&mut self) -> Result<(), CanonError> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { self.expected("a digit") } else { Ok(()) }
    }

    /// Reads a string; it is copied only if it holds an escape.
    fn string(&mut self) -> Result<Cow<'a, str>, CanonError> {
        let text = self.text;
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            let rest = &text.as_bytes()[start..];
            let Some(run) = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1F)) else {
                self.at = text.len();
                return self.expected("the end of the string");
            };
            self.at += run;
            match rest[run] {
                b'"' => {
                    self.at += 1;
                    let piece = &text[start..start + run];
                    if out.is_empty() {
                        return Ok(Cow::Borrowed(piece));
                    }
                    out.push_str(piece);
                    return Ok(Cow::Owned(out));
                }
                b'\\' => {
                    out.push_str(&text[start..start + run]);
                    out.push(self.escape()?);
                }
                _ => return self.expected("no control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, CanonError> {
        let start = self.at;
        self.at += 1;
        let Some(letter) = self.peek() else { return self.expected("an escape") };
        self.at += 1;
        let plain = match letter {
            b'"' => Some('"'),
            b'\\' => Some('\\'),
            b'/' => Some('/'),
            b'b' => Some('\u{8}'),
            b'f' => Some('\u{C}'),
            b'n' => Some('\n'),
            b'r' => Some('\r'),
            b't' => Some('\t'),
            b'u' => None,
            _ => {
                self.at -= 1;
                return self.expected("an escape");
            }
        };
        let c = match plain {
            Some(c) => c,
            None => self.unicode_escape(start)?,
        };
        if self.spelled_so(c, letter, start) { Ok(c) } else { self.spelling(start, "no other escape than needed") }
    }

    /// Whether the form writes this character as this escape.
    fn spelled_so(&self, c: char, letter: u8, start: usize) -> bool {
        match self.form {
            Form::Ordinary => true,
            Form::Entry => matches!(letter, b'"' | b'\\'),
            Form::Strict | Form::Floats => match c {
                '/' => false,
                '"' | '\\' | '\u{8}' | '\u{C}' | '\n' | '\r' | '\t' => letter != b'u',
                '\0'..='\u{1F}' => !self.text.as_bytes()[start..self.at].iter().any(u8::is_ascii_uppercase),
                _ => false,
            },
        }
    }

    /// Reads the digits after `\u`, and the second half of a surrogate pair.
    fn unicode_escape(&mut self, start: usize) -> Result<char, CanonError> {
        let lone = CanonError::Unicode { at: start };
        let unit = self.four_hex()?;
        if !(0xD800..0xE000).contains(&unit) {
            return char::from_u32(unit).ok_or(lone);
        }
        if unit >= 0xDC00 || !self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            return Err(lone);
        }
        self.at += 2;
        let low = self.four_hex()?;
        if !(0xDC00..0xE000).contains(&low) {
            return Err(lone);
        }
        char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)).ok_or(lone)
    }

    fn four_hex(&mut self) -> Result<u32, CanonError> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(16)) else {
                return self.expected("four hex digits");
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }
}
