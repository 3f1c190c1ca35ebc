//! `workerInput`: any JSON, within bounds and with numbers of which no reader makes something else.

use serde_json::{Number, Value};

use super::cursor::{Place, Report};
use crate::canon::{self, INTEGER_MAX};
use crate::limits::{STRING_BYTES_MAX, WORKER_INPUT_BYTES_MAX};

/// Reads any JSON into its normal form, in which `1.0` is `1`.
///
/// Recursion is bounded by the depth at which the plan was parsed.
pub(super) fn read(value: &Value, place: &Place<'_>, report: &mut Report) -> Option<Value> {
    let normal = normal(value, place, report)?;
    match canon::to_bytes_with_floats(&normal) {
        Ok(bytes) if bytes.len() > WORKER_INPUT_BYTES_MAX => {
            report.too_large(place, "workerInput", bytes.len(), WORKER_INPUT_BYTES_MAX, "bytes");
            None
        }
        Ok(_) => Some(normal),
        Err(error) => {
            report.shape(place, format!("workerInput cannot be kept exactly: {error}"), "send such values as text");
            None
        }
    }
}

fn normal(value: &Value, place: &Place<'_>, report: &mut Report) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(_) => Some(value.clone()),
        Value::Number(number) => number_as_read_back(number).map(Value::Number).or_else(|| {
            let hint = "send it as text; whole numbers are exact within ±(2^53-1)";
            report.shape(place, format!("the number {number} would be rounded by many readers"), hint);
            None
        }),
        Value::String(text) => string(text, place, report).map(Value::String),
        Value::Array(list) => {
            // Collected before judging, so that each wrong value below is named.
            let list: Vec<_> =
                list.iter().enumerate().map(|(i, value)| normal(value, &place.index(i), report)).collect();
            list.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
        }
        Value::Object(map) => {
            let members: Vec<_> = map
                .iter()
                .map(|(key, value)| {
                    let place = place.key(key);
                    let key = string(key, &place, report);
                    Some((key, normal(value, &place, report)))
                })
                .collect();
            members
                .into_iter()
                .map(|member| member.and_then(|(key, value)| Some((key?, value?))))
                .collect::<Option<serde_json::Map<_, _>>>()
                .map(Value::Object)
        }
    }
}

fn string(text: &str, place: &Place<'_>, report: &mut Report) -> Option<String> {
    if text.len() > STRING_BYTES_MAX {
        report.too_large(place, "a string in workerInput", text.len(), STRING_BYTES_MAX, "bytes");
        return None;
    }
    Some(text.to_owned())
}

/// The number as it is after being written canonically and read again; `None` for one beyond 2^53−1 that has no
/// exponent there, and so would be read as an integer that not every reader keeps.
fn number_as_read_back(number: &Number) -> Option<Number> {
    if let Some(whole) = number.as_u64() {
        return (whole <= INTEGER_MAX).then(|| whole.into());
    }
    if let Some(whole) = number.as_i64() {
        return (whole.unsigned_abs() <= INTEGER_MAX).then(|| whole.into());
    }
    let double = number.as_f64().filter(|double| double.is_finite())?;
    if double.fract() != 0.0 || double.abs() >= 1e21 {
        return Number::from_f64(double);
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53 where it is used")]
    let whole = double as i64;
    (double.abs() <= INTEGER_MAX as f64).then(|| whole.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(value: &Value) -> (Option<Value>, usize) {
        let mut report = Report::default();
        let read = read(value, &Place::Root, &mut report);
        (read, report.finish().0.len())
    }

    #[test]
    fn numbers_are_kept_exactly_or_refused() {
        for (given, kept) in [
            ("1.0", "1"),
            ("-0.0", "0"),
            ("1.5", "1.5"),
            ("1e21", "1e+21"),
            ("9007199254740991", "9007199254740991"),
            ("-9007199254740991.0", "-9007199254740991"),
            ("1e-7", "1e-7"),
        ] {
            let (read, problems) = checked(&serde_json::from_str(given).unwrap());
            let bytes = canon::to_bytes_with_floats(&read.unwrap()).unwrap();
            assert_eq!((String::from_utf8(bytes).unwrap().as_str(), problems), (kept, 0), "{given}");
        }
        for given in ["9007199254740992", "-9007199254740992", "1e20", "18446744073709551616", "9007199254740992.0"] {
            assert_eq!(checked(&serde_json::from_str(given).unwrap()), (None, 1), "{given}");
        }
    }

    #[test]
    fn every_wrong_value_is_named() {
        assert_eq!(checked(&json!([1_u64 << 53, {"a": [1_u64 << 60]}, 1])), (None, 2));
    }

    #[test]
    fn strings_and_the_whole_at_their_bound_and_one_beyond() {
        let text = |len: usize| Value::String("x".repeat(len));
        assert_eq!(checked(&text(STRING_BYTES_MAX)).1, 0);
        assert_eq!(checked(&text(STRING_BYTES_MAX + 1)).1, 1);
        // An array of two strings: two brackets, a comma and two pairs of quotes.
        let two = |len: usize| json!([text(STRING_BYTES_MAX), text(len)]);
        let rest = WORKER_INPUT_BYTES_MAX - STRING_BYTES_MAX - 7;
        assert_eq!(checked(&two(rest)).1, 0);
        assert_eq!(checked(&two(rest + 1)).1, 1);
    }
}
