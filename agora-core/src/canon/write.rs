//! One pass from a value to its canonical bytes.
//!
//! Members are written as they come; only an object whose names did not come in order is put in order, in place.

use serde::ser::{Serialize, Serializer};

use super::compound::{Elements, Members};
use super::{CanonError, DEPTH_MAX, Form, number};

/// Writes strict canonical JSON: RFC 8785, integers within ±(2^53−1), no doubles.
///
/// # Errors
/// [`CanonError`] for a number outside that, a name twice in one object, or a nesting beyond [`DEPTH_MAX`].
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonError> {
    write(value, Form::Strict, DEPTH_MAX)
}

/// Writes canonical JSON that may hold finite doubles: for documents with a user's JSON in them.
///
/// # Errors
/// As [`to_bytes`]. A double whose RFC 8785 form looks like an integer beyond ±(2^53−1), such as 1e20, is refused as one.
pub fn to_bytes_with_floats<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonError> {
    write(value, Form::Floats, DEPTH_MAX)
}

/// Writes an entry, bundle or statement: the subset of `docs/audit.md` §1, an object at the top.
///
/// `depth_max` counts the outermost object as 1 and is at most [`DEPTH_MAX`].
///
/// # Errors
/// As [`to_bytes`], and for what the subset has not: `null`, negative numbers, strings with other bytes than 0x20 to 0x7E.
pub fn entry_bytes<T: Serialize + ?Sized>(value: &T, depth_max: usize) -> Result<Vec<u8>, CanonError> {
    let bytes = write(value, Form::Entry, depth_max.min(DEPTH_MAX))?;
    if bytes.first() == Some(&b'{') { Ok(bytes) } else { Err(CanonError::value("not an object")) }
}

fn write<T: Serialize + ?Sized>(value: &T, form: Form, depth_max: usize) -> Result<Vec<u8>, CanonError> {
    let mut writer = Writer { out: Vec::new(), form, depth: 0, depth_max };
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

pub(super) struct Writer {
    pub(super) out: Vec<u8>,
    form: Form,
    depth: usize,
    depth_max: usize,
}

impl Writer {
    fn open(&mut self, bracket: u8) -> Result<(), CanonError> {
        if self.depth >= self.depth_max {
            return Err(CanonError::Depth { at: self.out.len(), max: self.depth_max });
        }
        self.depth += 1;
        self.out.push(bracket);
        Ok(())
    }

    pub(super) fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        self.out.push(bracket);
    }

    fn integer(&mut self, negative: bool, magnitude: u64) -> Result<(), CanonError> {
        number::check_integer(self.form, negative, magnitude)?;
        if negative {
            self.out.push(b'-');
        }
        self.out.extend_from_slice(magnitude.to_string().as_bytes());
        Ok(())
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), CanonError> {
        if self.form == Form::Entry && !text.bytes().all(|b| (0x20..=0x7E).contains(&b)) {
            return Err(CanonError::value("text with bytes outside 0x20 to 0x7E"));
        }
        self.out.push(b'"');
        let mut rest = text.as_bytes();
        while let Some(run) = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1F)) {
            self.out.extend_from_slice(&rest[..run]);
            self.escape(rest[run]);
            rest = &rest[run + 1..];
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
        Ok(())
    }

    /// RFC 8785 §3.2.2.2.
    fn escape(&mut self, byte: u8) {
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x09 => b't',
            0x0A => b'n',
            0x0C => b'f',
            0x0D => b'r',
            _ => {
                self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                return;
            }
        };
        self.out.extend_from_slice(&[b'\\', short]);
    }

    fn array(&mut self, outer: Option<&'static str>) -> Result<Elements<'_>, CanonError> {
        let wrap = self.wrap(outer)?;
        self.open(b'[')?;
        Ok(Elements::new(self, wrap))
    }

    fn object(&mut self, outer: Option<&'static str>) -> Result<Members<'_>, CanonError> {
        let wrap = self.wrap(outer)?;
        self.open(b'{')?;
        Ok(Members::new(self, wrap))
    }

    /// Opens the object of one member that stands for an enum's variant, if there is one.
    fn wrap(&mut self, variant: Option<&'static str>) -> Result<Option<&'static str>, CanonError> {
        if let Some(variant) = variant {
            self.open(b'{')?;
            self.text(variant)?;
            self.out.push(b':');
        }
        Ok(variant)
    }
}

macro_rules! integers {
    ($($signed:ident: $i:ty),*; $($unsigned:ident: $u:ty),*) => {
        $(fn $signed(self, value: $i) -> Result<(), CanonError> {
            self.integer(value < 0, i64::from(value).unsigned_abs())
        })*
        $(fn $unsigned(self, value: $u) -> Result<(), CanonError> {
            self.integer(false, u64::from(value))
        })*
    };
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = CanonError;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Elements<'a>;
    type SerializeTupleVariant = Elements<'a>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    integers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64;
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    );

    fn serialize_i128(self, value: i128) -> Result<(), CanonError> {
        self.integer(value < 0, u64::try_from(value.unsigned_abs()).unwrap_or(u64::MAX))
    }

    fn serialize_u128(self, value: u128) -> Result<(), CanonError> {
        self.integer(false, u64::try_from(value).unwrap_or(u64::MAX))
    }

    fn serialize_f32(self, value: f32) -> Result<(), CanonError> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), CanonError> {
        let text = number::write_double(self.form, value)?;
        self.out.extend_from_slice(&text);
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), CanonError> {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), CanonError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), CanonError> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), CanonError> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), CanonError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CanonError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), CanonError> {
        if self.form == Form::Entry {
            return Err(CanonError::value("null"));
        }
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), CanonError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), CanonError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), CanonError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), CanonError> {
        self.wrap(Some(variant))?;
        value.serialize(&mut *self).map_err(|e| e.within(variant))?;
        self.close(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>, CanonError> {
        self.array(None)
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements<'a>, CanonError> {
        self.array(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements<'a>, CanonError> {
        self.array(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Elements<'a>, CanonError> {
        self.array(Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, CanonError> {
        self.object(None)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, CanonError> {
        self.object(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, CanonError> {
        self.object(Some(variant))
    }
}
