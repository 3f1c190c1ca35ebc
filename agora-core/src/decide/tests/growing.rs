//! Acceptance: the first records of a run, in pieces that fit.

use crate::decide::testing::{digest, enc, opened, planned, word};
use crate::decide::{added, submit};
use crate::record::{GrowthCause, NamedRef, Record};

#[test]
fn a_run_opens_with_its_items_and_its_roots_are_ready() {
    let items = [planned("a", &[]), planned("b", &["a"]), planned("c", &[])];
    let items = items.iter().map(|item| (item.added(), Vec::new())).collect();
    let records = submit(opened("q0"), added(GrowthCause::Plan, None, items));
    let shown: Vec<String> = records
        .iter()
        .map(|record| format!("{} {}", record.kind(), record.item().map_or("", |item| item.as_str())))
        .collect();
    assert_eq!(shown, ["run.opened ", "items.added ", "item.ready a", "item.ready c"]);
}

#[test]
fn many_items_go_into_several_records_each_with_what_its_own_use() {
    let uses = |ix: usize| NamedRef { kind: word("subagent"), name: enc(&format!("s{}", ix % 3)), digest: digest("s") };
    let make = |ix: usize| (planned(format!("item-{ix}"), &[]).added(), vec![uses(ix), uses(ix + 1)]);
    let chunks = added(GrowthCause::Plan, Some(&enc("source")), (0..3_000).map(make).collect());
    assert!(chunks.len() > 1);
    let ids: Vec<String> = chunks.iter().flat_map(|chunk| &chunk.items).map(|item| item.id.to_string()).collect();
    assert_eq!(ids, (0..3_000).map(|ix| format!("item-{ix}")).collect::<Vec<_>>(), "in order, none lost");
    let mut ix = 0;
    for chunk in chunks {
        assert_eq!(chunk.resolved, [uses(0), uses(1), uses(2)]);
        for item in &chunk.items {
            let used: Vec<&NamedRef> =
                item.uses.iter().map(|at| &chunk.resolved[usize::try_from(*at).unwrap()]).collect();
            assert_eq!(used, [&uses(ix), &uses(ix + 1)]);
            ix += 1;
        }
        let bytes = serde_json::to_vec(&Record::ItemsAdded(Box::new(chunk))).unwrap();
        assert!(bytes.len() < crate::limits::ENTRY_BYTES_MAX / 4, "{} bytes", bytes.len());
    }
}

#[test]
fn an_item_larger_than_a_piece_is_a_piece_of_its_own() {
    let many: Vec<String> = (0..9_000).map(|ix| format!("some-rather-long-name-of-an-item-{ix}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let items = [planned("a", &[]), planned("b", &many), planned("c", &[])];
    let chunks = added(GrowthCause::Plan, None, items.iter().map(|item| (item.added(), Vec::new())).collect());
    assert_eq!(chunks.iter().map(|chunk| chunk.items.len()).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(added(GrowthCause::Plan, None, Vec::new()), []);
}
