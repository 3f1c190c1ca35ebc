//! What a run may use: money as decimal text, exactly; tokens; wall clock.

use serde_json::{Map, Value, json};

use super::cursor::{Place, Report};
use super::keys;
use super::model::Budget;
use super::suggest::shown;
use crate::canon::INTEGER_MAX;
use crate::limits::RUN_WALL_SECONDS_MAX;

const MICRO: u64 = 1_000_000;

/// Reads dollars as decimal text: digits, and up to six after a point. Nothing is rounded.
fn microusd(text: &str) -> Option<u64> {
    let (dollars, rest) = text.split_once('.').map_or((text, None), |(dollars, rest)| (dollars, Some(rest)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let rest = rest.unwrap_or("0");
    if !digits(dollars) || !digits(rest) || rest.len() > 6 {
        return None;
    }
    let micros: u64 = format!("{rest:0<6}").parse().ok()?;
    dollars.parse::<u64>().ok()?.checked_mul(MICRO)?.checked_add(micros).filter(|sum| *sum <= INTEGER_MAX)
}

/// The one spelling of an amount: no zeros at the end.
fn usd(microusd: u64) -> String {
    let text = format!("{}.{:06}", microusd / MICRO, microusd % MICRO);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads the member `budget` of a plan. One that bounds nothing is none.
pub(super) fn read(value: &Value, place: &Place<'_>, report: &mut Report) -> Option<Budget> {
    let map = report.object(place, value)?;
    keys::refuse_others(map, place, keys::BUDGET, "a budget", report);
    let mut budget = Budget::default();
    if let Some(value) = map.get("usd") {
        budget.microusd = read_usd(value, &place.key("usd"), report);
    }
    if let Some(value) = map.get("tokens") {
        budget.tokens = report.whole(&place.key("tokens"), value, 1..=INTEGER_MAX);
    }
    if let Some(value) = map.get("wall_seconds") {
        let seconds = report.whole(&place.key("wall_seconds"), value, 1..=RUN_WALL_SECONDS_MAX);
        budget.wall_ms = seconds.map(|seconds| seconds * 1_000);
    }
    (budget != Budget::default()).then_some(budget)
}

fn read_usd(value: &Value, place: &Place<'_>, report: &mut Report) -> Option<u64> {
    let hint = "write dollars as decimal text with at most six places, like \"5.00\"";
    let Some(text) = value.as_str() else {
        report.shape(place, "money is given as decimal text, since a number would be rounded", hint);
        return None;
    };
    let amount = microusd(text);
    if amount == Some(0) {
        report.shape(place, "a budget of no dollars lets nothing start", "give an amount, or leave `usd` out");
    } else if amount.is_none() {
        report.shape(place, format!("{} is not an amount of dollars", shown(text)), hint);
    }
    amount
}

/// The member `budget` of a normalised plan.
pub(super) fn write(budget: &Budget) -> Value {
    let mut map = Map::new();
    if let Some(microusd) = budget.microusd {
        map.insert("usd".to_owned(), usd(microusd).into());
    }
    if let Some(tokens) = budget.tokens {
        map.insert("tokens".to_owned(), json!(tokens));
    }
    if let Some(wall_ms) = budget.wall_ms {
        map.insert("wall_seconds".to_owned(), json!(wall_ms.div_ceil(1_000)));
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_or_refused() {
        for (text, micros) in [
            ("5.00", 5_000_000),
            ("5", 5_000_000),
            ("0.000001", 1),
            ("0", 0),
            ("007.10", 7_100_000),
            ("9007199254.740991", INTEGER_MAX),
        ] {
            assert_eq!(microusd(text), Some(micros), "{text}");
            assert_eq!(microusd(&usd(micros)), Some(micros), "{text}");
        }
        for text in ["", ".5", "5.", "-1", "+1", "1e3", "1,5", "0.0000001", "5.0.0", " 5", "٥", "9007199254.740992"] {
            assert_eq!(microusd(text), None, "{text}");
        }
    }

    #[test]
    fn an_amount_has_one_spelling() {
        assert_eq!(usd(5_000_000), "5");
        assert_eq!(usd(10_050_000), "10.05");
        assert_eq!(usd(0), "0");
    }
}
