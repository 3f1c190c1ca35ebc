use serde_json::{Value, json};

use super::*;
use crate::audit::merkle::{self, leaf_hash};
use crate::canon;
use crate::error::Coded;
use crate::time::Time;

const LOG: &str = "example.com/agora";

/// The example of `docs/audit.md` §12.
const ENTRY_0: &str = r#"{"actor":"engine","at":"2026-11-20T18:07:00.000000Z","body":{"back":false,"by_ms":60000},"prev":"577a977aa27b87f34d2bc0e84658b35572271ba2aa23eb6c77f7b93552adade6","seq":0,"type":"clock.jump","v":1}"#;

#[test]
fn the_example_of_the_format_holds() {
    assert_eq!(genesis(LOG, LOG_SEED).to_string(), "577a977aa27b87f34d2bc0e84658b35572271ba2aa23eb6c77f7b93552adade6");
    let leaf = "879beb9d56ff79fb07f568918ba153f268360823149a87968101b0632d1c0360";
    assert_eq!(leaf_hash(ENTRY_0.as_bytes()).to_string(), leaf);
    let entry_1 = ENTRY_0
        .replace("false", "true")
        .replace("577a977aa27b87f34d2bc0e84658b35572271ba2aa23eb6c77f7b93552adade6", leaf)
        .replace("\"seq\":0", "\"seq\":1");
    let head = verify_chain([ENTRY_0.as_bytes(), entry_1.as_bytes()], LOG, LOG_SEED, None).unwrap();
    assert_eq!(head.size(), 2);
    assert_eq!(head.root().to_string(), "fdde6b47603d979c3a52e96ded2d77ba04e46b91c920ec60d15e11bca609f0f8");
}

const PLAN: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ORIGIN: &str = "example.com/agora/run/r1";

fn time(second: u64) -> Time {
    Time::from_micros(1_000_000_000_000).plus_ms(second * 1000)
}

fn entry(head: &ChainHead, at: Time, run: Option<&str>) -> Value {
    let mut value = json!({
        "v": 1, "type": "run.closed", "seq": head.next_seq(), "prev": head.prev(), "at": at, "actor": "engine", "body": {},
    });
    if let Some(run) = run {
        value["run"] = run.into();
    }
    value
}

fn bytes(value: &Value) -> Vec<u8> {
    canon::entry_bytes(value, 8).unwrap()
}

/// A journal of `n` entries of run r1, and its head.
fn journal(n: u64) -> (Vec<Vec<u8>>, ChainHead) {
    let mut head = ChainHead::new(ORIGIN, PLAN);
    let mut entries = Vec::new();
    for i in 0..n {
        let at = head.at(time(i));
        let entry = bytes(&entry(&head, at, Some("r1")));
        head.advance(&entry, at);
        entries.push(entry);
    }
    (entries, head)
}

fn check(entries: &[Vec<u8>]) -> Result<ChainHead, ChainError> {
    verify_chain(entries.iter().map(Vec::as_slice), ORIGIN, PLAN, Some("r1"))
}

#[test]
fn what_is_written_verifies() {
    for n in 0..12 {
        let (entries, head) = journal(n);
        assert_eq!(check(&entries), Ok(head.clone()));
        let leaves: Vec<_> = entries.iter().map(|e| leaf_hash(e)).collect();
        assert_eq!((head.size(), head.root()), (n, merkle::root(&leaves)));
        let stored = serde_json::to_string(&head).unwrap();
        assert_eq!(serde_json::from_str::<ChainHead>(&stored).unwrap(), head);
    }
}

/// Changes one entry of a good journal and chains the rest anew, so that nothing else is wrong.
#[track_caller]
fn refused(name: &str, code: &str, change: impl Fn(&mut Value)) {
    let (entries, _) = journal(4);
    let mut head = ChainHead::new(ORIGIN, PLAN);
    let mut changed = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let mut value: Value = serde_json::from_slice(entry).unwrap();
        value["prev"] = head.prev().to_string().into();
        if i == 2 {
            change(&mut value);
        }
        let entry = bytes(&value);
        head.advance(&entry, head.last_at());
        changed.push(entry);
    }
    let error = check(&changed).unwrap_err();
    assert_eq!((error.code(), error.position()), (code, 2), "{name}: {error}");
    let mut all = ChainCheck::new(ORIGIN, PLAN, Some("r1"));
    let problems: Vec<_> = changed.iter().flat_map(|e| all.entry(e).problems).collect();
    assert_eq!(problems.len(), 1, "{name}: one change, one problem: {problems:?}");
}

#[test]
fn a_changed_frame_is_named() {
    refused("another run", "entry-run", |e| e["run"] = "r2".into());
    refused("no run", "entry-run", |e| drop(e.as_object_mut().unwrap().remove("run")));
    refused("run is a number", "entry-run", |e| e["run"] = 1.into());
    refused("another position", "entry-seq", |e| e["seq"] = 3.into());
    refused("no position", "entry-schema", |e| drop(e.as_object_mut().unwrap().remove("seq")));
    refused("another prev", "entry-prev", |e| e["prev"] = genesis(ORIGIN, PLAN).to_string().into());
    refused("prev in upper case", "entry-schema", |e| e["prev"] = "A".repeat(64).into());
    refused("time back", "entry-time", |e| e["at"] = time(0).to_string().into());
    refused("time of another form", "entry-schema", |e| e["at"] = "2026-11-20T18:07:00Z".into());
}

#[test]
fn the_same_time_is_no_step_back() {
    let mut head = ChainHead::new(ORIGIN, PLAN);
    let late = head.at(time(9));
    let first = bytes(&entry(&head, late, Some("r1")));
    head.advance(&first, late);
    assert_eq!(head.at(time(1)), time(9), "a clock that fell behind repeats the last value");
    let second = bytes(&entry(&head, head.at(time(1)), Some("r1")));
    assert!(check(&[first, second]).is_ok());
}

#[test]
fn dropped_moved_and_foreign_entries_are_found() {
    let (entries, _) = journal(4);
    let code = |entries: &[Vec<u8>]| check(entries).map_err(|e| (e.code(), e.position()));
    let mut dropped = entries.clone();
    dropped.remove(1);
    assert_eq!(code(&dropped), Err(("entry-seq", 1)));
    let mut swapped = entries.clone();
    swapped.swap(1, 2);
    assert_eq!(code(&swapped), Err(("entry-seq", 1)));
    let good = |entries: &[Vec<u8>], origin, plan| {
        verify_chain(entries.iter().map(Vec::as_slice), origin, plan, Some("r1"))
            .map(|h| h.size())
            .map_err(|e| e.code())
    };
    assert_eq!(good(&entries, ORIGIN, PLAN), Ok(4));
    assert_eq!(good(&entries, "example.com/other/run/r1", PLAN), Err("entry-prev"));
    assert_eq!(good(&entries, ORIGIN, "sha256:00"), Err("entry-prev"));
    // In the log no entry names a run.
    assert_eq!(verify_chain([entries[0].as_slice()], ORIGIN, PLAN, None).unwrap_err().code(), "entry-run");
}

#[test]
fn form_and_length_are_checked_before_anything_else() {
    let (entries, _) = journal(1);
    let spaced = String::from_utf8(entries[0].clone()).unwrap().replace("\"seq\":0", "\"seq\": 0").into_bytes();
    assert_eq!(check(&[spaced]).unwrap_err().code(), "entry-encoding");
    let of_length = |run: Option<&str>, length: usize| {
        let head = ChainHead::new(ORIGIN, PLAN);
        let mut value = entry(&head, time(0), run);
        value["body"] = json!({"x": ""});
        let short = bytes(&value).len();
        value["body"] = json!({"x": "x".repeat(length - short)});
        verify_chain([bytes(&value).as_slice()], ORIGIN, PLAN, run).map(|h| h.size()).map_err(|e| e.code())
    };
    for (run, max) in [(Some("r1"), 2_097_152), (None, 65_535)] {
        assert_eq!(of_length(run, max), Ok(1));
        assert_eq!(of_length(run, max + 1), Err("entry-limit"));
    }
}

#[test]
fn a_bad_entry_does_not_hide_the_next_one() {
    let (entries, _) = journal(4);
    let mut flipped = entries.clone();
    let at = flipped[1].iter().position(|b| *b == b'e').unwrap();
    flipped[1][at] = b'E';
    let mut all = ChainCheck::new(ORIGIN, PLAN, Some("r1"));
    let codes: Vec<Vec<_>> =
        flipped.iter().map(|e| all.entry(e).problems.iter().map(ChainError::position).collect()).collect();
    assert_eq!(codes, [vec![], vec![], vec![2], vec![]], "the actor differs, so the next prev does");
    let mut garbage = entries;
    garbage[1] = b"{".to_vec();
    let mut all = ChainCheck::new(ORIGIN, PLAN, Some("r1"));
    let codes: Vec<_> = garbage.iter().flat_map(|e| all.entry(e).problems).map(|e| e.code()).collect();
    assert_eq!(codes, ["entry-encoding", "entry-prev"]);
    assert_eq!(all.head().size(), 4);
}
