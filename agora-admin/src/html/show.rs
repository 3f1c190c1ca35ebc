//! Numbers and times, as people read them.

use agora_core::time::Time;
use serde::Serialize;

/// The word that records use for a value of a closed list.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

/// A time to the second; the entry has six decimals.
pub(super) fn when(at: Time) -> String {
    let text = at.to_string();
    let (date, clock) = (text.get(..10).unwrap_or_default(), text.get(11..19).unwrap_or_default());
    format!("{date} {clock} UTC")
}

/// How long something took.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds}.{} s", ms % 1_000 / 100),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// A size, exact where it is small.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

/// A number of things.
pub(super) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Money, from millionths of a US dollar.
pub(super) fn dollars(microusd: u64) -> String {
    format!("{}.{:06} USD", microusd / 1_000_000, microusd % 1_000_000)
}

/// A name, cut to a number of characters.
pub(super) fn short(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let head = text.chars().take(chars_max.saturating_sub(1));
    head.chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(when(Time::from_micros(1_234_567)), "1970-01-01 00:00:01 UTC");
        let spans = [0, 999, 1_234, 61_000, 3_725_000].map(span);
        assert_eq!(spans, ["0 ms", "999 ms", "1.2 s", "1 min 01 s", "1 h 02 min"]);
        assert_eq!([9, 20_480, 20 << 20].map(size), ["9 bytes", "20 KiB", "20 MiB"]);
        assert_eq!((count(1, "item"), count(0, "item")), ("1 item".to_owned(), "0 items".to_owned()));
        assert_eq!(dollars(1_500_000), "1.500000 USD");
        assert_eq!((short("abcd", 4), short("abcde", 4)), ("abcd".to_owned(), "abc…".to_owned()));
    }
}
