//! Ids of promises and invariants: what code cites is defined in `docs/`, and what `docs/promises.md` defines is cited.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::{root, texts};

/// Whether a word is an id: a letter and two digits, or an invariant, which may have one.
fn is_id(word: &str) -> bool {
    let Some((letter, digits)) = word.split_at_checked(1) else { return false };
    let shape = match digits.len() {
        1 => letter == "I",
        2 => ["C", "I", "P", "U"].contains(&letter),
        _ => false,
    };
    shape && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn ids(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| is_id(word))
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// The first cells of the rows.
fn promises() -> BTreeSet<String> {
    let page = page("promises.md");
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    cells.filter(|cell| is_id(cell)).map(str::to_owned).collect()
}

/// What stands between two pairs of stars.
fn invariants() -> BTreeSet<String> {
    let page = page("architecture.md");
    page.split("**").filter(|part| is_id(part)).map(str::to_owned).collect()
}

#[test]
fn every_id_that_code_cites_is_defined_and_every_promise_is_cited() {
    let (promises, invariants) = (promises(), invariants());
    assert!(promises.len() > 10 && invariants.len() > 10, "{promises:?} {invariants:?}");
    let twice: Vec<_> = promises.intersection(&invariants).collect();
    assert!(twice.is_empty(), "both a promise and an invariant: {twice:?}");
    let mut cited = BTreeMap::new();
    for file in texts(|path| path.ends_with(".rs")) {
        for id in ids(&file.text) {
            cited.entry(id.to_owned()).or_insert_with(|| file.path.clone());
        }
    }
    let undefined: Vec<_> =
        cited.iter().filter(|(id, _)| !promises.contains(*id) && !invariants.contains(*id)).collect();
    let unproven: Vec<_> = promises.iter().filter(|id| !cited.contains_key(*id)).collect();
    assert!(undefined.is_empty(), "neither docs/promises.md nor docs/architecture.md has these: {undefined:#?}");
    assert!(unproven.is_empty(), "docs/promises.md has what nothing cites: {unproven:?}");
}

#[test]
fn an_id_is_found_and_a_part_of_a_word_is_not() {
    let text = "/// C01, I10: (I7) \"P05: x\" C1 XC01 C011 I_10 u06 Q11 I123";
    assert_eq!(ids(text).collect::<Vec<_>>(), ["C01", "I10", "I7", "P05"]);
}
