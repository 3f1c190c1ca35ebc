//! What an item's tree is merged from: every accepted patch it depends on, near or far, through whatever lies between.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::decide::testing::{Planned, Player, Report, opened, planned};
use crate::state::RunState;

fn run(edges: &[u16], patches: &[bool]) -> Player {
    let items: Vec<Planned> = edges
        .iter()
        .enumerate()
        .map(|(ix, edges)| {
            let deps: Vec<String> = (0..ix).filter(|dep| edges >> dep & 1 == 1).map(|dep| format!("i{dep}")).collect();
            planned(format!("i{ix}"), &deps.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    let mut player = Player::new(&[("q0", 1)]);
    player.bytes = false;
    player.open("run", opened("q0"), &items);
    while let Some((run, item)) = player.lease() {
        let ix = player.run("run").index_of(&crate::decide::testing::item_id(&item)).unwrap();
        player.finish(&run, &item, if patches[ix] { Report::Patch } else { Report::Done });
    }
    player
}

fn naive(run: &RunState, ix: usize) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let mut stack = run.items[ix].depends_on.clone();
    while let Some(at) = stack.pop() {
        if seen.insert(at) {
            stack.extend(&run.items[at].depends_on);
        }
    }
    seen.into_iter().filter(|at| run.items[*at].accepted.as_ref().unwrap().patch.is_some()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn it_is_every_patch_upstream_and_its_list_is_no_longer_than_the_dependencies(
        items in prop::collection::vec((any::<u16>(), any::<bool>()), 1..13),
    ) {
        let (edges, patches): (Vec<u16>, Vec<bool>) = items.into_iter().unzip();
        let player = run(&edges, &patches);
        let state = player.run("run");
        prop_assert!(state.is_over());
        for (ix, item) in state.items.iter().enumerate() {
            prop_assert_eq!(state.lineage(ix), naive(state, ix));
            prop_assert!(item.heads.len() <= item.depends_on.len());
        }
        let patched: Vec<usize> = (0..patches.len()).filter(|ix| patches[*ix]).collect();
        prop_assert_eq!(state.patched(), patched);
    }
}

#[test]
fn a_change_names_what_its_own_tree_was_merged_from() {
    // i0 and i1 make patches, i2 joins them without one, i3 makes one on top.
    let player = run(&[0, 0, 0b11, 0b100], &[true, true, false, true]);
    let state = player.run("run");
    let changes = state.changes(&[0, 1, 2, 3]);
    let shown: Vec<(String, Vec<String>)> =
        changes.iter().map(|c| (c.item.to_string(), c.after.iter().map(ToString::to_string).collect())).collect();
    let of = |item: &str, after: &[&str]| (item.to_owned(), after.iter().map(|a| (*a).to_owned()).collect());
    assert_eq!(shown, [of("i0", &[]), of("i1", &[]), of("i3", &["i0", "i1"])]);
}
