use super::*;
use crate::canon::CanonError;
use crate::record::{Entry, Record};

const ENTRIES: &str = include_str!("../../../tests/vectors/statement/entries.txt");
const LEAST: &str = include_str!("../../../tests/vectors/statement/least.json");
const FULL: &str = include_str!("../../../tests/vectors/statement/full.json");

fn entries() -> Vec<Entry> {
    ENTRIES.lines().map(|line| Entry::from_bytes(line.as_bytes()).unwrap()).collect()
}

fn statements(entries: Vec<Entry>) -> Result<Vec<Statement>, CanonError> {
    let mut gather = Gather::default();
    let all: Result<Vec<_>, _> = entries.into_iter().map(|entry| gather.read(entry)).collect();
    Ok(all?.into_iter().flatten().collect())
}

#[test]
fn the_payloads_are_the_frozen_ones() {
    let found = statements(entries()).unwrap();
    let shown: Vec<(u64, &str, &str)> =
        found.iter().map(|one| (one.seq, one.item.as_str(), std::str::from_utf8(&one.payload).unwrap())).collect();
    assert_eq!(shown, [(6, "a", LEAST), (15, "b", FULL)]);
}

#[test]
fn a_payload_is_canonical() {
    for text in [LEAST, FULL] {
        let value = crate::canon::entry_value(text.as_bytes(), crate::canon::DEPTH_MAX, text.len()).unwrap();
        assert_eq!(value["_type"], "https://in-toto.io/Statement/v1");
    }
}

fn change(entries: &mut [Entry], at: usize, change: impl FnOnce(&mut Record)) {
    change(&mut entries[at].record);
}

#[test]
fn a_result_without_patch_and_outputs_has_no_statement_and_one_with_either_has() {
    let made = |patch: bool, outputs: bool| {
        let mut all = entries();
        change(&mut all, 14, |record| {
            let Record::AttemptFinished(body) = record else { panic!("{record:?}") };
            if !patch {
                body.patch = None;
            }
            if !outputs {
                body.outputs.clear();
            }
        });
        statements(all).unwrap().iter().filter(|one| one.item.as_str() == "b").count()
    };
    assert_eq!([made(true, true), made(true, false), made(false, true), made(false, false)], [1, 1, 1, 0]);
}

#[test]
fn what_an_approval_accepts_has_no_statement() {
    let mut all = entries();
    change(&mut all, 15, |record| {
        let Record::ItemDone { finished, answered, .. } = record else { panic!("{record:?}") };
        (*finished, *answered) = (None, Some(9));
    });
    assert_eq!(statements(all).unwrap().len(), 1);
}

#[test]
fn a_part_that_is_missing_is_told_of() {
    for gone in [0, 1, 12, 13, 14] {
        let mut all = entries();
        all.remove(gone);
        // Without the additions nothing is known of the first item either.
        assert!(matches!(statements(all), Err(CanonError::Shape(_))), "without entry {gone}");
    }
    let mut all = entries();
    change(&mut all, 15, |record| {
        let Record::ItemDone { finished, .. } = record else { panic!("{record:?}") };
        *finished = Some(10);
    });
    assert!(matches!(statements(all), Err(CanonError::Shape(_))), "an attempt that failed before");
}

#[test]
fn an_item_that_uses_what_was_not_resolved_is_refused() {
    let mut all = entries();
    change(&mut all, 1, |record| {
        let Record::ItemsAdded(added) = record else { panic!("{record:?}") };
        added.items[1].uses = vec![3];
    });
    assert!(matches!(statements(all), Err(CanonError::Value { .. })));
}
