//! Runs that no small example has: very many items, long chains, and entries that cannot have come so.

use agora_core::id::{Digest, Hash, RunId, engine_actor};
use agora_core::record::Entry;
use agora_core::time::Time;
use serde_json::{Value, json};

use super::items::Shown;
use super::run::{Run, State};
use super::safe::Html;
use super::{graph, timeline};

/// Entries with these types and bodies, a second apart.
fn entries(records: Vec<(&str, Value)>) -> Vec<Entry> {
    let entry = |(at, (kind, body)): (usize, (&str, Value))| Entry {
        run: RunId::new("run").unwrap(),
        seq: at as u64,
        prev: Hash([0; 32]),
        at: Time::from_micros(1_000_000 * at as i64),
        actor: engine_actor(),
        auth: None,
        record: serde_json::from_value(json!({"type": kind, "body": body})).unwrap(),
    };
    records.into_iter().enumerate().map(entry).collect()
}

fn added(items: impl Iterator<Item = (String, Vec<String>)>) -> (&'static str, Value) {
    let digest = Digest::of(b"").to_string();
    let item = |(id, after): (String, Vec<String>)| json!({"id": id, "digest": digest, "executor": "dispatch", "depends_on": after, "needs": [], "locks": [], "uses": []});
    ("items.added", json!({"cause": "plan", "resolved": [], "items": items.map(item).collect::<Vec<_>>()}))
}

fn leased(item: &str, attempt: u64) -> (&'static str, Value) {
    let digest = Digest::of(b"").to_string();
    let body = json!({"item": item, "attempt": attempt, "fence": attempt, "target": "local", "target_digest": digest,
        "provider": "process", "inputs": [], "locks": [], "deadline": "2026-11-20T18:07:00.000000Z"});
    ("attempt.leased", body)
}

fn finished(item: &str, attempt: u64) -> (&'static str, Value) {
    let body = json!({"item": item, "attempt": attempt, "fence": attempt, "outcome": "done", "duration_ms": 1,
        "outputs": [], "models": []});
    ("attempt.finished", body)
}

fn drawn(write: impl FnOnce(&mut Html, &Run<'_>), entries: &[Entry]) -> String {
    let mut html = Html::default();
    write(&mut html, &Run::of(entries));
    html.into_string()
}

/// As many items, each depending on the one so many before it.
fn plan(items: usize, before: usize) -> Vec<Entry> {
    let after = |at: usize| at.checked_sub(before).map(|at| format!("i{at}")).into_iter().collect();
    entries(vec![added((0..items).map(|at| (format!("i{at}"), after(at))))])
}

#[test]
fn a_few_items_are_drawn_one_by_one_and_many_by_layer() {
    let few = drawn(graph::section, &plan(60, 20));
    assert_eq!((few.matches("<rect").count(), few.matches("<path").count()), (60, 40));
    let many = drawn(graph::section, &plan(1_000, 200));
    assert!(many.contains("There are 5 layers.") && many.contains("<td class=\"number\">200</td>"), "{many}");
    assert!(many.len() < 5_000, "{}", many.len());
    // A chain, too: neighbours share a row.
    let chain = drawn(graph::section, &plan(10_000, 1));
    assert!(chain.contains("There are 10000 layers.") && chain.contains("<td>1–250</td>"), "{chain}");
    assert_eq!(chain.matches("<tr>").count(), 1 + 40);
}

#[test]
fn of_very_many_items_those_that_need_a_look_are_shown() {
    let mut records = vec![added((0..2_100).map(|at| (format!("i{at}"), Vec::new())))];
    records.extend((0..2_099).map(|at| ("item.done", json!({"item": format!("i{at}"), "answered": 0}))));
    let entries = entries(records);
    let run = Run::of(&entries);
    let shown = Shown::of(&run);
    assert_eq!((0..2_100).filter(|at| shown.has(*at)).count(), 2_000);
    assert!(shown.has(0) && shown.has(2_099) && !shown.has(2_098), "what is still pending comes before what is done");
}

#[test]
fn many_attempts_are_counted_as_they_were_open() {
    let mut records = vec![added((0..100).map(|at| (format!("i{at}"), Vec::new())))];
    for pair in 0..50 {
        let (one, two) = (format!("i{}", 2 * pair), format!("i{}", 2 * pair + 1));
        records.extend([leased(&one, 1), leased(&two, 1), finished(&one, 1), finished(&two, 1)]);
    }
    let text = drawn(timeline::section, &entries(records));
    assert!(text.contains("100 attempts in all, at most 2 at once."), "{text}");
}

#[test]
fn an_end_before_its_beginning_is_drawn() {
    let mut entries =
        entries(vec![added([("a".to_owned(), Vec::new())].into_iter()), leased("a", 1), finished("a", 1)]);
    entries[2].at = Time::from_micros(0);
    assert!(drawn(timeline::section, &entries).contains("1 done"));
}

#[test]
fn entries_that_cannot_have_come_so_are_passed_over() {
    let own = |id: &str, after: &[&str]| (id.to_owned(), after.iter().map(|id| (*id).to_owned()).collect());
    let entries = entries(vec![
        finished("a", 1),
        added([own("a", &["a", "b", "nobody"]), own("b", &["a"]), own("a", &["b"])].into_iter()),
        leased("nobody", 1),
        finished("b", 7),
        leased("b", 1),
        ("item.done", json!({"item": "b", "finished": 99})),
        ("question.answered", json!({"asked": 3, "leaf": "0".repeat(64), "decision": "approved"})),
    ]);
    let run = Run::of(&entries);
    let after: Vec<&[usize]> = run.items.iter().map(|item| item.after.as_slice()).collect();
    assert_eq!(after, [&[][..], &[0]], "no item stands before itself");
    assert_eq!((run.items[1].state, run.items[1].accepted().is_none()), (State::Done, true));
    assert!(drawn(graph::section, &entries).contains("<path"));
    assert!(drawn(timeline::section, &entries).contains("running"));
    assert!(drawn(timeline::section, &[]).contains("no entries"));
}
