//! Numbers in their one spelling.

use serde_json::Number;

use super::{CanonError, Form, INTEGER_MAX};

const TOO_GREAT: &str = "an integer beyond ±(2^53-1)";
const NEGATIVE: &str = "negative, where only 0 and above may stand";
const FRACTION: &str = "not an integer";
const NOT_FINITE: &str = "beyond what a double holds";

/// Refuses an integer outside the form's range.
pub(super) fn check_integer(form: Form, negative: bool, magnitude: u64) -> Result<(), CanonError> {
    match form {
        Form::Ordinary => Ok(()),
        Form::Entry if negative => Err(CanonError::number(NEGATIVE)),
        Form::Entry | Form::Strict | Form::Floats if magnitude > INTEGER_MAX => Err(CanonError::number(TOO_GREAT)),
        Form::Entry | Form::Strict | Form::Floats => Ok(()),
    }
}

/// Writes a double as RFC 8785 §3.2.2.3 does, where the form has doubles.
pub(super) fn write_double(form: Form, value: f64) -> Result<Vec<u8>, CanonError> {
    if form != Form::Floats {
        return Err(CanonError::number(FRACTION));
    }
    if !value.is_finite() {
        return Err(CanonError::number(NOT_FINITE));
    }
    let text = serde_json_canonicalizer::to_vec(&value).map_err(|_| CanonError::number(NOT_FINITE))?;
    // 1e20 is spelled like an integer, and would be read back as one that is out of range.
    if value.abs() > INTEGER_MAX as f64 && text.iter().all(|b| b.is_ascii_digit() || *b == b'-') {
        return Err(CanonError::number(TOO_GREAT));
    }
    Ok(text)
}

/// Reads a token that follows JSON's grammar of numbers. `integer` says that it has no fraction and no exponent.
pub(super) fn read(form: Form, token: &str, integer: bool, at: usize) -> Result<Number, CanonError> {
    if integer {
        return read_integer(form, token, at);
    }
    if form == Form::Entry || form == Form::Strict {
        return Err(CanonError::number(FRACTION));
    }
    let value: f64 = token.parse().map_err(|_| CanonError::number(NOT_FINITE))?;
    if form == Form::Floats && write_double(form, value)? != token.as_bytes() {
        return Err(CanonError::Spelling { at, what: "the shortest form of the double, as RFC 8785 writes it" });
    }
    Number::from_f64(value).ok_or_else(|| CanonError::number(NOT_FINITE))
}

fn read_integer(form: Form, token: &str, at: usize) -> Result<Number, CanonError> {
    let digits = token.strip_prefix('-');
    let negative = digits.is_some();
    let magnitude: u64 = digits.unwrap_or(token).parse().map_err(|_| CanonError::number(TOO_GREAT))?;
    check_integer(form, negative, magnitude)?;
    if !negative {
        return Ok(magnitude.into());
    }
    if magnitude == 0 && form != Form::Ordinary {
        return Err(CanonError::Spelling { at, what: "0 without a sign" });
    }
    let value = 0_i64.checked_sub_unsigned(magnitude).ok_or_else(|| CanonError::number(TOO_GREAT))?;
    Ok(value.into())
}
