//! Arrays and objects while they are written, and the order of members.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::ser::{self, Error as _, Serialize};

use super::key::Key;
use super::write::Writer;
use super::{CanonError, name};

/// An array being written.
pub(super) struct Elements<'a> {
    writer: &'a mut Writer,
    count: usize,
    wrap: Option<&'static str>,
}

impl<'a> Elements<'a> {
    pub(super) fn new(writer: &'a mut Writer, wrap: Option<&'static str>) -> Self {
        Self { writer, count: 0, wrap }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonError> {
        if self.count > 0 {
            self.writer.out.push(b',');
        }
        value.serialize(&mut *self.writer).map_err(|e| outside(e.within(&self.count.to_string()), self.wrap))?;
        self.count += 1;
        Ok(())
    }

    fn finish(self) {
        self.writer.close(b']');
        if self.wrap.is_some() {
            self.writer.close(b'}');
        }
    }
}

fn outside(error: CanonError, wrap: Option<&'static str>) -> CanonError {
    match wrap {
        Some(variant) => error.within(variant),
        None => error,
    }
}

/// Where a member stands in the output, from its name's first quote to the end of its value.
struct Member {
    name: Cow<'static, str>,
    from: usize,
    to: usize,
}

/// An object being written.
pub(super) struct Members<'a> {
    writer: &'a mut Writer,
    start: usize,
    members: Vec<Member>,
    ascending: bool,
    /// The name whose value comes next.
    name: Option<Cow<'static, str>>,
    wrap: Option<&'static str>,
}

impl<'a> Members<'a> {
    pub(super) fn new(writer: &'a mut Writer, wrap: Option<&'static str>) -> Self {
        let start = writer.out.len();
        Self { writer, start, members: Vec::new(), ascending: true, name: None, wrap }
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: Cow<'static, str>, value: &T) -> Result<(), CanonError> {
        match self.members.last().map(|last| name::compare(&last.name, &name)) {
            None => {}
            Some(order) => {
                self.ascending &= order == Ordering::Less;
                self.writer.out.push(b',');
            }
        }
        let from = self.writer.out.len();
        self.writer.text(&name)?;
        self.writer.out.push(b':');
        value.serialize(&mut *self.writer).map_err(|e| outside(e.within(&name), self.wrap))?;
        self.members.push(Member { name, from, to: self.writer.out.len() });
        Ok(())
    }

    fn finish(mut self) -> Result<(), CanonError> {
        if !self.ascending {
            self.sort().map_err(|e| outside(e, self.wrap))?;
        }
        self.writer.close(b'}');
        if self.wrap.is_some() {
            self.writer.close(b'}');
        }
        Ok(())
    }

    fn sort(&mut self) -> Result<(), CanonError> {
        self.members.sort_by(|a, b| name::compare(&a.name, &b.name));
        if let Some(pair) = self.members.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(CanonError::duplicate(&pair[0].name));
        }
        let mut sorted = Vec::with_capacity(self.writer.out.len() - self.start);
        for member in &self.members {
            if !sorted.is_empty() {
                sorted.push(b',');
            }
            sorted.extend_from_slice(&self.writer.out[member.from..member.to]);
        }
        self.writer.out.truncate(self.start);
        self.writer.out.append(&mut sorted);
        Ok(())
    }
}

macro_rules! elements {
    ($($kind:ident: $method:ident),*) => {
        $(impl ser::$kind for Elements<'_> {
            type Ok = ();
            type Error = CanonError;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonError> {
                self.element(value)
            }
            fn end(self) -> Result<(), CanonError> {
                self.finish();
                Ok(())
            }
        })*
    };
}

elements!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

macro_rules! fields {
    ($($kind:ident),*) => {
        $(impl ser::$kind for Members<'_> {
            type Ok = ();
            type Error = CanonError;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), CanonError> {
                self.member(Cow::Borrowed(name), value)
            }
            fn end(self) -> Result<(), CanonError> {
                self.finish()
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Members<'_> {
    type Ok = ();
    type Error = CanonError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CanonError> {
        self.name = Some(Cow::Owned(key.serialize(Key)?));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonError> {
        match self.name.take() {
            Some(name) => self.member(name, value),
            None => Err(CanonError::custom("a map's value without its key")),
        }
    }

    fn end(self) -> Result<(), CanonError> {
        self.finish()
    }
}
