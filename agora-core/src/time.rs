//! Times of records: UTC, six decimals, one spelling.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time of a record, in microseconds since 1970-01-01T00:00:00Z, written `2026-11-20T18:07:00.000000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

const FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";
/// 9999-12-31T23:59:59.999999Z, the last time with a four-digit year.
const LAST_MICROS: i64 = 253_402_300_799_999_999;

impl Time {
    /// Makes a time from microseconds since the epoch, clamped to the years 1970 to 9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(0, LAST_MICROS))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// The time this many milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self::from_micros(self.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX / 1000).saturating_mul(1000)))
    }

    /// The time this many milliseconds earlier, at the earliest the epoch.
    #[must_use]
    pub fn minus_ms(self, ms: u64) -> Self {
        Self::from_micros(self.0.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX / 1000).saturating_mul(1000)))
    }

    /// Milliseconds from `earlier` to this, zero if it is not earlier.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0) / 1000).unwrap_or(0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp_micros(self.0) {
            Some(time) => write!(f, "{}", time.format(FORMAT)),
            None => Err(fmt::Error),
        }
    }
}

/// A text that is not a time in the one spelling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time like 2026-11-20T18:07:00.000000Z")]
pub struct TimeError(pub String);

impl FromStr for Time {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let refuse = || TimeError(text.chars().take(40).collect());
        let time = NaiveDateTime::parse_from_str(text, FORMAT).map_err(|_| refuse())?;
        let time = Self(time.and_utc().timestamp_micros());
        if time.0 < 0 || time.to_string() != text {
            return Err(refuse());
        }
        Ok(time)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_one_spelling() {
        let text = "2026-11-20T18:07:00.000000Z";
        assert_eq!(text.parse::<Time>().unwrap().to_string(), text);
        for bad in [
            "2026-11-20T18:07:00Z",
            "2026-02-30T18:07:00.000000Z",
            "2026-11-20T18:07:60.000000Z",
            "2026-11-20t18:07:00.000000Z",
        ] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
    }
}
