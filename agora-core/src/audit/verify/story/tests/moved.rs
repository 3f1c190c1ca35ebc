//! Entries that are left out, told twice, or exchanged: whatever is done to a story so is found, or the story that it leaves
//! is one that can have been.

use std::collections::BTreeMap;

use super::good::whole;
use super::tale::Tale;

/// What is done to a story at a position.
type Change = fn(&mut Tale, usize);

fn left_out(tale: &mut Tale, at: usize) {
    let name = tale.name(at).to_owned();
    tale.remove(&name);
}

fn told_twice(tale: &mut Tale, at: usize) {
    let record = tale.told[at].entry.record.clone();
    tale.insert(at + 1, "", record);
}

/// The stories that a change leaves without a problem, by the name of the entry that it was done to.
fn survivors(count: impl Fn(&Tale) -> usize, change: Change) -> Vec<String> {
    let tale = whole();
    let mut found = Vec::new();
    for at in 0..count(&tale) {
        let mut other = tale.clone();
        change(&mut other, at);
        if other.tell().problems.is_empty() {
            found.push(tale.name(at).to_owned());
        }
    }
    found
}

/// The survivors are these and no others; each has its reason.
#[track_caller]
fn check(found: Vec<String>, wanted: &[(&str, &str)]) {
    let wanted: BTreeMap<_, _> = wanted.iter().copied().collect();
    assert!(wanted.values().all(|reason| !reason.is_empty()));
    let mut found: Vec<_> = found.iter().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, wanted.into_keys().collect::<Vec<_>>());
}

#[test]
fn an_entry_that_is_left_out_is_missed() {
    check(
        survivors(|tale| tale.told.len(), left_out),
        &[
            ("logged", "that the log vouches for the run before its first attempt is log-late's to judge"),
            ("make started", "what failed need not have started"),
            ("gone started", "what was cancelled need not have started"),
            ("completed", "then the run is open; that it is sealed is judged by judge_seal"),
        ],
    );
}

#[test]
fn an_entry_that_is_told_twice_is_found() {
    check(
        survivors(|tale| tale.told.len(), told_twice),
        &[
            ("logged", "a second checkpoint of the log takes nothing from the first"),
            ("gone cancel", "who asks twice asked"),
        ],
    );
}

/// Exchanges an entry and the next one.
fn exchanged(tale: &Tale, exchange: Change) -> Vec<String> {
    let found = |at: usize| {
        let mut other = tale.clone();
        exchange(&mut other, at);
        let pair = format!("{} / {}", tale.name(at), tale.name(at + 1));
        other.tell().problems.is_empty().then_some(pair)
    };
    (0..tale.told.len() - 1).filter_map(found).collect()
}

const APART: &str = "they are of two items, and neither waits for the other";

#[test]
fn neighbours_that_are_exchanged_are_found_unless_neither_leads_to_the_other() {
    check(
        exchanged(&whole(), Tale::swap),
        &[
            ("make ready / lone ready", APART),
            ("lone ready / gone ready", APART),
            ("gone ready / logged", "when the log vouches for the run is log-late's to judge"),
            ("logged / make leased", "that is log-late's to judge too"),
            ("make started / lone leased", APART),
            ("lone started / make finished", APART),
            ("use ready / ok ready", APART),
            ("ok waiting / lone finished", APART),
            ("lone ready again / ok answered", APART),
            ("ok done / use leased", APART),
            ("use started / gone leased", APART),
            ("gone started / gone cancel", "what is to stop may start, where it was launched already"),
            ("next skipped / use finished", APART),
            ("ship ready / held", "a hold is of leases"),
            ("lone done / ship leased", APART),
        ],
    );
}

/// The same to stories whose positions are left as they were.
#[test]
fn positions_that_are_not_moved_along_are_found() {
    let raw_left_out: Change = |tale, at| drop(tale.told.remove(at));
    let raw_twice: Change = |tale, at| {
        let told = tale.told[at].clone();
        tale.told.insert(at + 1, told);
    };
    check(survivors(|tale| tale.told.len(), raw_left_out), &[("completed", "then the run is open")]);
    check(survivors(|tale| tale.told.len(), raw_twice), &[]);
    check(
        exchanged(&whole(), |tale, at| tale.told.swap(at, at + 1)),
        &[
            ("make ready / lone ready", APART),
            ("lone ready / gone ready", APART),
            ("gone ready / logged", "when the log vouches for the run is log-late's to judge"),
            ("logged / make leased", "that is log-late's to judge too"),
            ("make started / lone leased", APART),
            ("use ready / ok ready", APART),
            ("ok done / use leased", APART),
            ("use started / gone leased", APART),
            ("lone done / ship leased", APART),
        ],
    );
}
