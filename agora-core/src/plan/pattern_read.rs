//! The keys of `inputs` that belong to patterns of queues: `gate`, `mapReduce`, `quorum`.

use serde_json::{Map, Value};

use super::cursor::{Place, Report};
use super::pattern::{Gate, MapReduce, OnRed, OnReject, Pattern, QueuePattern, Quorum, TOLD, Template};
use super::suggest::shown;
use super::{item, keys};
use crate::id::ItemId;
use crate::limits::{FIX_ATTEMPTS_DEFAULT, FIX_ATTEMPTS_MAX, REVIEWERS_MAX};

/// Reads the pattern of an item, if its `inputs` have one.
pub(super) fn read(map: &Map<String, Value>, inputs: &Place<'_>, report: &mut Report) -> Option<Pattern> {
    let mut found = None;
    for key in QueuePattern::ALL.map(QueuePattern::key).into_iter().flatten() {
        let Some(value) = map.get(key) else { continue };
        let place = inputs.key(key);
        if found.is_some() {
            report.shape(&place, "an item has one pattern", "keep the key of the queue's own pattern");
        }
        let Some(map) = report.object(&place, value) else { continue };
        let pattern = match key {
            "gate" => read_gate(map, &place, report).map(Pattern::Gate),
            "mapReduce" => read_map_reduce(map, &place, report).map(Pattern::MapReduce),
            _ => read_quorum(map, &place, report).map(Pattern::Quorum),
        };
        found = found.or(pattern);
    }
    found
}

fn read_gate(map: &Map<String, Value>, place: &Place<'_>, report: &mut Report) -> Option<Gate> {
    keys::refuse_others(map, place, keys::GATE, "a gate", report);
    let subject = map.get("subject").and_then(|v| item::id(v, &place.key("subject"), report, ItemId::new));
    let spawns = choice(map, "onRed", ["advance", "spawn-fix"], place, report)? == "spawn-fix";
    let fix = fix(map, "maxFixAttempts", spawns, place, report)?;
    let on_red = fix.map_or(OnRed::Advance, |(fix, attempts_max)| OnRed::SpawnFix { fix, attempts_max });
    Some(Gate { subject, on_red })
}

fn read_map_reduce(map: &Map<String, Value>, place: &Place<'_>, report: &mut Report) -> Option<MapReduce> {
    keys::refuse_others(map, place, keys::MAP_REDUCE, "`mapReduce`", report);
    let each = template(map, "map", &["item"], place, report);
    let reduce = template(map, "reduce", &[], place, report);
    Some(MapReduce { map: each?, reduce: reduce? })
}

fn read_quorum(map: &Map<String, Value>, place: &Place<'_>, report: &mut Report) -> Option<Quorum> {
    keys::refuse_others(map, place, keys::QUORUM, "`quorum`", report);
    let reviewers = read_reviewers(map, place, report);
    let count = reviewers.as_ref().map_or(REVIEWERS_MAX, Vec::len);
    let threshold = match map.get("threshold") {
        Some(value) => report.whole(&place.key("threshold"), value, 1..=count as u64),
        None => {
            report.shape(place, "`quorum` lacks `threshold`", "say how many of the reviewers have to be green");
            None
        }
    };
    let commit = template(map, "commit", &[], place, report);
    let spawns = choice(map, "onReject", ["block", "spawn-fix"], place, report)? == "spawn-fix";
    let fix = fix(map, "maxRounds", spawns, place, report)?;
    let on_reject = fix.map_or(OnReject::Block, |(fix, rounds_max)| OnReject::SpawnFix { fix, rounds_max });
    Some(Quorum { reviewers: reviewers?, threshold: threshold?, commit: commit?, on_reject })
}

fn read_reviewers(map: &Map<String, Value>, place: &Place<'_>, report: &mut Report) -> Option<Vec<Template>> {
    let Some(value) = map.get("reviewers") else {
        report.shape(place, "`quorum` lacks `reviewers`", r#"add "reviewers": [{"inputs": {"subagent": "…"}}]"#);
        return None;
    };
    let place = place.key("reviewers");
    let list = report.array(&place, value, REVIEWERS_MAX, "reviewers")?;
    if list.is_empty() {
        report.shape(&place, "there is no reviewer", "name at least one");
        return None;
    }
    let read = |(ix, value)| one(value, &[], &place.index(ix), report);
    // All of them are read before one that is wrong counts.
    list.iter().enumerate().map(read).collect::<Vec<_>>().into_iter().collect()
}

/// The words of a choice.
fn choice<'v>(
    map: &'v Map<String, Value>,
    key: &str,
    words: [&str; 2],
    place: &Place<'_>,
    report: &mut Report,
) -> Option<&'v str> {
    let hint = format!("`{key}` is `{}` or `{}`", words[0], words[1]);
    let Some(value) = map.get(key) else {
        report.shape(place, format!("`{key}` is missing"), hint);
        return None;
    };
    let place = place.key(key);
    let word = report.text(&place, value)?;
    if !words.contains(&word) {
        report.shape(&place, format!("{} is no choice", shown(word)), hint);
        return None;
    }
    Some(word)
}

/// The fix and how often there may be one, where there is to be one; the outer `None` was noted.
fn fix(
    map: &Map<String, Value>,
    often: &str,
    spawns: bool,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Option<(Template, u64)>> {
    if !spawns {
        for key in ["fixTemplate", often].into_iter().filter(|key| map.contains_key(*key)) {
            report.shape(&place.key(key), format!("`{key}` is for `spawn-fix`"), "leave it out, or choose `spawn-fix`");
        }
        return Some(None);
    }
    let max = match map.get(often) {
        Some(value) => report.whole(&place.key(often), value, 1..=FIX_ATTEMPTS_MAX),
        None => Some(FIX_ATTEMPTS_DEFAULT),
    };
    let fix = template(map, "fixTemplate", &["report"], place, report);
    Some(Some((fix?, max?)))
}

/// Reads a template, whose `inputRefs` leave the `given` keys to the pattern.
fn template(
    map: &Map<String, Value>,
    key: &str,
    given: &[&str],
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Template> {
    let Some(value) = map.get(key) else {
        report.shape(
            place,
            format!("`{key}` is missing"),
            r#"add an item without an id: {"inputs": {"subagent": "…"}}"#,
        );
        return None;
    };
    one(value, given, &place.key(key), report)
}

fn one(value: &Value, given: &[&str], place: &Place<'_>, report: &mut Report) -> Option<Template> {
    let template = item::read_template(value, place, report)?;
    let Some(inputs) = template.inputs() else { return Some(template) };
    let place = place.key("inputs");
    if let Some(pattern) = &inputs.pattern {
        let key = pattern.key();
        report.shape(&place.key(key), "an item of a pattern has no pattern of its own", "leave it out");
    }
    if inputs.worker_input.get(TOLD).is_some() {
        let place = place.key("workerInput");
        report.shape(
            &place.key(TOLD),
            format!("`{TOLD}` is what the pattern tells its items"),
            "call it something else",
        );
    }
    let is_given = |key: &str| given.iter().any(|own| key == *own || *own == "report" && key.starts_with("report-"));
    for key in inputs.input_refs.keys().filter(|key| is_given(&key.to_lowercase())) {
        let refs = place.key("inputRefs");
        report.shape(&refs.key(key), format!("the pattern gives its items {}", shown(key)), "call it something else");
    }
    Some(template)
}
