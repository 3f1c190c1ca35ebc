//! Recurring times: a cron expression of five fields, read in a time zone, and which of its slots is due.
//!
//! A slot is a minute that the zone's wall clock shows and the expression names. Where the clock is put forward, the minutes
//! it leaves out are no slots; where it is put back, a minute that it shows twice is one slot, the first time. What the
//! fields mean is croner's; when a minute is, is the time zone database's of chrono-tz.

use std::str::FromStr as _;

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeZone as _, Timelike as _, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::parser::{CronParser, Seconds, Year};

use crate::error::{Class, Coded, nearest};
use crate::id::{IdError, Name, RunId};
use crate::limits::CRON_BYTES_MAX;
use crate::time::Time;

/// The fields in their order, and what each takes.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of the month", "1-31, L for the last, 15W for the weekday nearest to the 15th"),
    ("month", "1-12 or JAN-DEC"),
    ("day of the week", "0-7 or SUN-SAT (0 and 7 are Sunday), MON#2 for the second Monday, FRI#L for the last Friday"),
];

/// What is wrong with an expression or a zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It is too long to be one.
    #[error("a cron expression of {0} bytes is over the limit of {CRON_BYTES_MAX}")]
    Long(usize),
    /// It has more or fewer fields than five.
    #[error("{given:?} has {fields} of the five fields of a cron expression")]
    Fields {
        /// The expression.
        given: String,
        /// How many it has.
        fields: usize,
    },
    /// A field cannot be read.
    #[error("{given:?} is no {what}")]
    Field {
        /// The field's text.
        given: String,
        /// What the field is for.
        what: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// It names no minute that ever is.
    #[error("{0:?} names a day that no year has")]
    Never(String),
    /// There is no such zone.
    #[error("{0:?} is no time zone")]
    Zone(String),
}

impl Coded for CronError {
    fn class(&self) -> Class {
        Class::Caller
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Long(_) => "limit-exceeded",
            Self::Fields { .. } | Self::Field { .. } => "schedule-cron",
            Self::Never(_) => "schedule-never",
            Self::Zone(_) => "schedule-zone",
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Long(_) | Self::Fields { .. } => {
                "minute, hour, day of the month, month, day of the week: '30 2 * * MON-FRI' is half past two on workdays"
                    .to_owned()
            }
            Self::Field { takes, .. } => format!("it takes {takes}; * for all, lists 1,15, ranges 1-5, steps */5"),
            Self::Never(_) => "'0 0 L * *' is midnight of every month's last day".to_owned(),
            Self::Zone(given) => {
                let near = nearest(given, TZ_VARIANTS.iter().map(|zone| zone.name()));
                near.map_or_else(
                    || "name it as the IANA database does: UTC, Europe/Berlin, America/New_York".to_owned(),
                    |near| format!("did you mean {near}?"),
                )
            }
        })
    }
}

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    zone: Tz,
    pattern: croner::Cron,
}

impl Cron {
    /// Reads an expression of five fields, and the IANA name of a zone.
    ///
    /// # Errors
    /// Everything that is wrong with both; an expression that names no minute that ever is among it.
    pub fn new(expression: &str, zone: &str) -> Result<Self, Vec<CronError>> {
        let mut errors = Vec::new();
        let pattern = read(expression).map_err(|wrong| errors.extend(wrong));
        let zone = Tz::from_str(zone).map_err(|_| errors.push(CronError::Zone(zone.chars().take(64).collect())));
        let (Ok((text, pattern)), Ok(zone)) = (pattern, zone) else { return Err(errors) };
        Ok(Self { text, zone, pattern })
    }

    /// The expression, with one space between its fields.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The zone's name.
    #[must_use]
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }

    /// The first slot after this time.
    #[must_use]
    pub fn next(&self, after: Time) -> Option<Time> {
        let mut from = self.shown(after)?;
        loop {
            from = self.pattern.find_next_occurrence(&from.and_utc(), false).ok()?.naive_utc();
            if let Some(slot) = self.first(from).filter(|slot| *slot > after) {
                return Some(slot);
            }
        }
    }

    /// The slot that is due: the latest one after `after`, up to and with `now`. Earlier ones that were missed are no more.
    #[must_use]
    pub fn due(&self, after: Time, now: Time) -> Option<Time> {
        // The most that is behind whoever asks most often: there is nothing yet.
        if now <= after || self.next(after)? > now {
            return None;
        }
        let shown = self.shown(now)?;
        // Where the clock shows a time twice, all it showed the first time may be over.
        let mut from = match self.zone.from_local_datetime(&shown) {
            LocalResult::Ambiguous(first, second) => shown.checked_add_signed(second.to_utc() - first.to_utc())?,
            LocalResult::Single(_) | LocalResult::None => shown,
        };
        let mut inclusive = true;
        loop {
            from = self.pattern.find_previous_occurrence(&from.and_utc(), inclusive).ok()?.naive_utc();
            inclusive = false;
            if let Some(slot) = self.first(from).filter(|slot| *slot <= now) {
                return (slot > after).then_some(slot);
            }
        }
    }

    /// What the wall clock shows, to the minute.
    fn shown(&self, time: Time) -> Option<NaiveDateTime> {
        let utc = DateTime::from_timestamp_micros(time.micros())?;
        utc.with_timezone(&self.zone).naive_local().with_second(0)?.with_nanosecond(0)
    }

    /// When the wall clock shows this for the first time; never, where it is put forward over it.
    fn first(&self, shown: NaiveDateTime) -> Option<Time> {
        let time = self.zone.from_local_datetime(&shown).earliest()?;
        Some(Time::from_micros(time.timestamp_micros()))
    }
}

fn read(expression: &str) -> Result<(String, croner::Cron), Vec<CronError>> {
    if expression.len() > CRON_BYTES_MAX {
        return Err(vec![CronError::Long(expression.len())]);
    }
    let fields: Vec<&str> = expression.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(vec![CronError::Fields { given: expression.to_owned(), fields: fields.len() }]);
    }
    let wrong = fields.iter().enumerate().filter(|(at, field)| parse_alone(*at, field).is_none());
    let wrong: Vec<CronError> = wrong
        .map(|(at, field)| CronError::Field { given: (*field).to_owned(), what: FIELDS[at].0, takes: FIELDS[at].1 })
        .collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let text = fields.join(" ");
    // Each field alone is one: what is left to be wrong is that no day is all of them.
    let never = || vec![CronError::Never(text.clone())];
    let pattern = parse(&text).ok_or_else(never)?;
    pattern.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, true).map_err(|_| never())?;
    Ok((text, pattern))
}

/// A field with all others open. Nothing else than what cron has, and croner's signs for last, nearest and n-th.
fn parse_alone(at: usize, field: &str) -> Option<croner::Cron> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"*-/#".contains(&byte);
    if field.split(',').any(|one| one.is_empty() || !one.bytes().all(is_known)) {
        return None;
    }
    let mut fields = ["*"; FIELDS.len()];
    *fields.get_mut(at)? = field;
    parse(&fields.join(" "))
}

fn parse(text: &str) -> Option<croner::Cron> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(text).ok()
}

/// The id of the run of a schedule's slot: `nightly@2026-11-20T18:07Z`.
///
/// # Errors
/// Never for a slot, which lies on a minute of a year with four digits.
pub fn run_id(schedule: &Name, slot: Time) -> Result<RunId, IdError> {
    let slot = slot.to_string();
    RunId::new(format!("{schedule}@{}Z", slot.get(..16).unwrap_or(&slot)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Time {
        format!("{text}:00.000000Z").parse().unwrap()
    }

    fn cron(text: &str, zone: &str) -> Cron {
        Cron::new(text, zone).unwrap()
    }

    /// The slots between two times, in UTC.
    fn slots(text: &str, zone: &str, after: &str, to: &str) -> Vec<String> {
        let (cron, mut after, to) = (cron(text, zone), time(after), time(to));
        let mut slots = Vec::new();
        while let Some(slot) = cron.next(after).filter(|slot| *slot <= to) {
            slots.push(slot.to_string()[..16].to_owned());
            after = slot;
        }
        slots
    }

    #[test]
    fn fields_mean_what_they_do_in_cron() {
        let check = |text, after, to, want: &[&str]| assert_eq!(slots(text, "UTC", after, to), want, "{text}");
        check(
            "*/20 6 * * *",
            "2026-11-20T00:00",
            "2026-11-21T00:00",
            &["2026-11-20T06:00", "2026-11-20T06:20", "2026-11-20T06:40"],
        );
        // 2026-11-20 is a Friday.
        check("0 9 * * mon-fri", "2026-11-20T00:00", "2026-11-24T00:00", &["2026-11-20T09:00", "2026-11-23T09:00"]);
        check("0 9 * * 0,7", "2026-11-20T00:00", "2026-11-27T00:00", &["2026-11-22T09:00"]);
        // Where both days are given, either will do.
        check("0 0 13 * FRI", "2026-11-10T00:00", "2026-11-22T00:00", &["2026-11-13T00:00", "2026-11-20T00:00"]);
        check("0 0 31 * *", "2026-01-31T00:00", "2026-06-01T00:00", &["2026-03-31T00:00", "2026-05-31T00:00"]);
        check("0 0 L * *", "2028-01-31T00:00", "2028-04-01T00:00", &["2028-02-29T00:00", "2028-03-31T00:00"]);
        check("0 0 29 2 *", "2026-01-01T00:00", "2033-01-01T00:00", &["2028-02-29T00:00", "2032-02-29T00:00"]);
        check("0 0 * * MON#2", "2026-11-01T00:00", "2026-12-01T00:00", &["2026-11-09T00:00"]);
        // 2100 is no leap year.
        check("0 0 29 2 *", "2096-03-01T00:00", "2105-01-01T00:00", &["2104-02-29T00:00"]);
        check("59 23 31 12 *", "2026-01-01T00:00", "2027-01-01T00:00", &["2026-12-31T23:59"]);
    }

    #[test]
    fn what_the_clock_leaves_out_is_no_slot() {
        // In Berlin 02:00 becomes 03:00 on 2026-03-29.
        let want = ["2026-03-28T01:30", "2026-03-30T00:30"];
        assert_eq!(slots("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00", "2026-03-30T12:00"), want);
        let want = ["2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30"];
        assert_eq!(slots("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T01:30"), want);
        // Samoa had no 2011-12-30.
        let want = ["2011-12-29T22:00", "2011-12-30T22:00"];
        assert_eq!(slots("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00", "2011-12-31T12:00"), want);
        let (cron, day) = (cron("30 2 * * *", "Europe/Berlin"), time("2026-03-28T01:30"));
        assert_eq!(cron.due(day, time("2026-03-29T12:00")), None);
        assert_eq!(cron.due(day, time("2026-03-30T00:30")), Some(time("2026-03-30T00:30")));
    }

    #[test]
    fn what_the_clock_shows_twice_is_one_slot() {
        // In Berlin 03:00 becomes 02:00 on 2026-10-25, at 01:00 UTC.
        let want = ["2026-10-25T00:30", "2026-10-26T01:30"];
        assert_eq!(slots("30 2 * * *", "Europe/Berlin", "2026-10-25T00:00", "2026-10-26T12:00"), want);
        let want = ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T02:00"];
        assert_eq!(slots("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:30", "2026-10-25T02:00"), want);
        let cron = cron("*/30 * * * *", "Europe/Berlin");
        // In the second hour all slots of the first are over, those that the clock shows as still to come too.
        for now in ["2026-10-25T00:45", "2026-10-25T01:10", "2026-10-25T01:40", "2026-10-25T01:59"] {
            assert_eq!(cron.due(time("2026-10-24T12:00"), time(now)), Some(time("2026-10-25T00:30")), "{now}");
            assert_eq!(cron.due(time("2026-10-25T00:30"), time(now)), None, "{now}");
        }
    }

    #[test]
    fn of_missed_slots_the_latest_is_due_once() {
        let cron = cron("0 * * * *", "UTC");
        let (added, now) = (time("2026-11-20T00:30"), time("2026-11-23T05:10"));
        let slot = cron.due(added, now).unwrap();
        assert_eq!(slot, time("2026-11-23T05:00"));
        assert_eq!(cron.due(slot, now), None);
        assert_eq!(cron.next(slot), Some(time("2026-11-23T06:00")));
        // On the dot, and a moment before it.
        assert_eq!(cron.due(slot, time("2026-11-23T06:00")), Some(time("2026-11-23T06:00")));
        assert_eq!(cron.due(slot, time("2026-11-23T06:00").minus_ms(1)), None);
        // Nothing is due after a clock that was set back.
        assert_eq!(cron.due(slot, added), None);
    }

    #[test]
    fn everything_that_is_wrong_is_said() {
        let codes = |text: &str, zone: &str| -> Vec<String> {
            Cron::new(text, zone).unwrap_err().iter().map(|error| format!("{}: {error}", error.code())).collect()
        };
        assert_eq!(
            codes("* * * *", "UTC"),
            ["schedule-cron: \"* * * *\" has 4 of the five fields of a cron expression"]
        );
        assert_eq!(codes("0 * * * * *", "UTC").len(), 1);
        assert_eq!(codes("", "UTC").len(), 1);
        assert_eq!(codes("@daily", "UTC").len(), 1);
        assert_eq!(
            codes("60 24 0 13 8", "Mars/Olympus"),
            [
                "schedule-cron: \"60\" is no minute",
                "schedule-cron: \"24\" is no hour",
                "schedule-cron: \"0\" is no day of the month",
                "schedule-cron: \"13\" is no month",
                "schedule-cron: \"8\" is no day of the week",
                "schedule-zone: \"Mars/Olympus\" is no time zone",
            ]
        );
        for field in ["?", "+1", "x", "1-", "*/0", "5-1", "é", "1,,2", "\u{0}"] {
            assert_eq!(codes(&format!("{field} * * * *"), "UTC").len(), 1, "{field}");
        }
        for never in ["0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
            assert_eq!(codes(never, "UTC"), [format!("schedule-never: {never:?} names a day that no year has")]);
        }
        let zone = Cron::new("* * * * *", "Europe/Berlín").unwrap_err();
        assert_eq!(zone[0].hint().unwrap(), "did you mean Europe/Berlin?");
        assert!(Cron::new(&format!("{} * * * *", "1,".repeat(200)), "UTC").is_err());
    }

    #[test]
    fn an_expression_has_a_longest_length() {
        let padded = |length: usize| format!("{:<length$}", "* * * * *");
        assert!(Cron::new(&padded(CRON_BYTES_MAX), "UTC").is_ok());
        assert_eq!(
            Cron::new(&padded(CRON_BYTES_MAX + 1), "UTC").err(),
            Some(vec![CronError::Long(CRON_BYTES_MAX + 1)])
        );
    }

    #[test]
    fn a_run_is_named_after_its_slot() {
        let name = Name::new("a".repeat(64)).unwrap();
        let id = run_id(&name, time("2026-11-20T18:07")).unwrap();
        assert_eq!(id.as_str(), format!("{name}@2026-11-20T18:07Z"));
    }

    proptest! {
        #[test]
        fn whoever_looks_often_or_seldom_sees_the_same_slots(
            start in 0_i64..4_000_000, steps in proptest::collection::vec(1_u64..5_000, 1..20), which in 0_usize..6,
        ) {
            let (text, zone) = [
                ("*/7 * * * *", "Europe/Berlin"), ("30 2 * * *", "America/New_York"), ("15 1,2,3 * * *", "Europe/London"),
                ("0 0 L * *", "Australia/Lord_Howe"), ("5 */3 1-7 * MON", "Pacific/Apia"), ("0 12 * * *", "UTC"),
            ][which];
            let cron = cron(text, zone);
            let mut after = Time::from_micros((start + 25_000_000) * 60_000_000);
            for minutes in steps {
                let now = after.plus_ms(minutes * 60_000);
                // The latest slot by steps forward.
                let (mut latest, mut at) = (None, after);
                while let Some(slot) = cron.next(at).filter(|slot| *slot <= now) {
                    prop_assert!(slot > at);
                    (latest, at) = (Some(slot), slot);
                }
                prop_assert_eq!(cron.due(after, now), latest);
                after = now;
            }
        }
    }
}
