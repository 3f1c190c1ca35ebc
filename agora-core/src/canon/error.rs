//! Why JSON is refused, with the place.

use std::fmt::Display;

use crate::error::{Class, Coded};

/// Why JSON was not read or not written. `at` counts bytes from 0; `pointer` is an RFC 6901 JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonError {
    /// Not JSON at all.
    #[error("not JSON at byte {at}: expected {expected}")]
    Syntax {
        /// Where it stops being JSON.
        at: usize,
        /// What could have stood there.
        expected: &'static str,
    },
    /// Bytes that are not UTF-8, or an escaped half of a surrogate pair.
    #[error("text at byte {at} is not Unicode")]
    Unicode {
        /// The first such byte.
        at: usize,
    },
    /// Something after the document.
    #[error("the document ends at byte {at}, more bytes follow")]
    Trailing {
        /// Where it ends.
        at: usize,
    },
    /// A member name twice in one object: readers differ in which one counts.
    #[error("the member name at {pointer} stands there twice")]
    Duplicate {
        /// The member.
        pointer: String,
    },
    /// Nested deeper than the bound.
    #[error("nested deeper than {max} at byte {at}")]
    Depth {
        /// Where the first level too many opens, in bytes read or written.
        at: usize,
        /// The most levels.
        max: usize,
    },
    /// Longer than the bound.
    #[error("{bytes} bytes are more than the {max} allowed")]
    Size {
        /// How long it is.
        bytes: usize,
        /// The most bytes.
        max: usize,
    },
    /// Valid JSON in another than the one canonical spelling.
    #[error("not canonical at byte {at}: {what}")]
    Spelling {
        /// Where the spelling differs.
        at: usize,
        /// What the canonical form asks for.
        what: &'static str,
    },
    /// A number that is not within what the form allows.
    #[error("the number at {pointer:?} is {what}")]
    Number {
        /// The value.
        pointer: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A `null`, or a string with bytes outside 0x20 to 0x7E, where the form has none.
    #[error("the value at {pointer:?} is {what}")]
    Value {
        /// The value.
        pointer: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Canonical, but not of the shape that was asked for.
    #[error("not of the expected shape: {0}")]
    Shape(String),
    /// A value that has no JSON form.
    #[error("cannot be written as JSON at {pointer:?}: {why}")]
    Unwritable {
        /// The value.
        pointer: String,
        /// Why, as its own `Serialize` says.
        why: String,
    },
}

impl CanonError {
    /// Adds the step from the parent to the value that the error names, on the way out of it.
    pub(super) fn within(mut self, step: &str) -> Self {
        match &mut self {
            Self::Duplicate { pointer }
            | Self::Number { pointer, .. }
            | Self::Value { pointer, .. }
            | Self::Unwritable { pointer, .. } => pointer.insert_str(0, &pointer_step(step)),
            Self::Syntax { .. }
            | Self::Unicode { .. }
            | Self::Trailing { .. }
            | Self::Depth { .. }
            | Self::Size { .. }
            | Self::Spelling { .. }
            | Self::Shape(_) => {}
        }
        self
    }

    pub(super) fn number(what: &'static str) -> Self {
        Self::Number { pointer: String::new(), what }
    }

    pub(super) fn value(what: &'static str) -> Self {
        Self::Value { pointer: String::new(), what }
    }

    pub(super) fn duplicate(name: &str) -> Self {
        Self::Duplicate { pointer: pointer_step(name) }
    }
}

/// `/` and the name, escaped as RFC 6901 §3 says and cut to 80 characters: names are the caller's.
fn pointer_step(name: &str) -> String {
    let mut out = String::from("/");
    for c in name.chars().take(80) {
        match c {
            '~' => out.push_str("~0"),
            '/' => out.push_str("~1"),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

impl serde::ser::Error for CanonError {
    fn custom<T: Display>(why: T) -> Self {
        Self::Unwritable { pointer: String::new(), why: why.to_string() }
    }
}

impl Coded for CanonError {
    fn class(&self) -> Class {
        match self {
            Self::Syntax { .. }
            | Self::Unicode { .. }
            | Self::Trailing { .. }
            | Self::Duplicate { .. }
            | Self::Depth { .. }
            | Self::Size { .. }
            | Self::Spelling { .. }
            | Self::Number { .. }
            | Self::Value { .. }
            | Self::Shape(_) => Class::Caller,
            Self::Unwritable { .. } => Class::Bug,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } | Self::Trailing { .. } => "json-syntax",
            Self::Unicode { .. } => "json-unicode",
            Self::Duplicate { .. } => "json-duplicate",
            Self::Depth { .. } => "json-depth",
            Self::Size { .. } => "json-size",
            Self::Spelling { .. } => "json-spelling",
            Self::Number { .. } => "json-number",
            Self::Value { .. } => "json-value",
            Self::Shape(_) => "json-shape",
            Self::Unwritable { .. } => "json-unwritable",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Syntax { .. } => "write standard JSON (RFC 8259): no comments, no trailing commas".to_owned(),
            Self::Trailing { .. } => "send exactly one JSON document".to_owned(),
            Self::Unicode { .. } => "encode the text as UTF-8 and escape both halves of a surrogate pair".to_owned(),
            Self::Duplicate { .. } => "keep one of the two members".to_owned(),
            Self::Depth { max, .. } => format!("nest objects and arrays at most {max} deep"),
            Self::Size { max, .. } => format!("keep it within {max} bytes"),
            Self::Spelling { .. } => "use the bytes as agora wrote them, do not format or edit them".to_owned(),
            Self::Number { .. } => format!("use an integer within ±{}, or a string", super::INTEGER_MAX),
            Self::Value { .. } => "leave the member out, or percent-encode the text".to_owned(),
            Self::Shape(_) => "compare the document with the one its format describes".to_owned(),
            Self::Unwritable { .. } => return None,
        })
    }

    fn at(&self) -> Option<String> {
        match self {
            Self::Duplicate { pointer }
            | Self::Number { pointer, .. }
            | Self::Value { pointer, .. }
            | Self::Unwritable { pointer, .. } => Some(pointer.clone()),
            Self::Syntax { at, .. }
            | Self::Unicode { at }
            | Self::Trailing { at }
            | Self::Depth { at, .. }
            | Self::Spelling { at, .. } => Some(format!("byte {at}")),
            Self::Size { .. } | Self::Shape(_) => None,
        }
    }
}
