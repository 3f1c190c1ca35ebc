//! The order of member names (RFC 8785 §3.2.3).

use std::cmp::Ordering;

/// Compares as UTF-16 code units. It differs from the order of UTF-8 bytes only where U+E000 to U+FFFF meets what is above.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}
