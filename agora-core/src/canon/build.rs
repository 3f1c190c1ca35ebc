//! What a reader makes of what it reads: a value, or nothing when the bytes are only checked.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

/// Made from JSON as it is read.
pub(super) trait Build: Sized {
    /// Elements gathered so far.
    type List: Default;
    /// Members gathered so far.
    type Members: Default;

    fn null() -> Self;
    fn bool(value: bool) -> Self;
    fn number(value: Number) -> Self;
    fn text(value: Cow<'_, str>) -> Self;
    fn push(list: &mut Self::List, value: Self);
    fn list(list: Self::List) -> Self;
    /// Whether the name is there already; asked only where names are not known to ascend.
    fn has(members: &Self::Members, name: &str) -> bool;
    fn insert(members: &mut Self::Members, name: Cow<'_, str>, value: Self);
    fn object(members: Self::Members) -> Self;
}

impl Build for Value {
    type List = Vec<Value>;
    type Members = Map<String, Value>;

    fn null() -> Self {
        Value::Null
    }
    fn bool(value: bool) -> Self {
        Value::Bool(value)
    }
    fn number(value: Number) -> Self {
        Value::Number(value)
    }
    fn text(value: Cow<'_, str>) -> Self {
        Value::String(value.into_owned())
    }
    fn push(list: &mut Self::List, value: Self) {
        list.push(value);
    }
    fn list(list: Self::List) -> Self {
        Value::Array(list)
    }
    fn has(members: &Self::Members, name: &str) -> bool {
        members.contains_key(name)
    }
    fn insert(members: &mut Self::Members, name: Cow<'_, str>, value: Self) {
        members.insert(name.into_owned(), value);
    }
    fn object(members: Self::Members) -> Self {
        Value::Object(members)
    }
}

/// The bytes are right; nothing is kept. Only for forms whose names ascend, which finds every duplicate.
pub(super) struct Checked;

impl Build for Checked {
    type List = ();
    type Members = ();

    fn null() -> Self {
        Self
    }
    fn bool(_: bool) -> Self {
        Self
    }
    fn number(_: Number) -> Self {
        Self
    }
    fn text(_: Cow<'_, str>) -> Self {
        Self
    }
    fn push((): &mut (), _: Self) {}
    fn list((): ()) -> Self {
        Self
    }
    fn has((): &(), _: &str) -> bool {
        false
    }
    fn insert((): &mut (), _: Cow<'_, str>, _: Self) {}
    fn object((): ()) -> Self {
        Self
    }
}
