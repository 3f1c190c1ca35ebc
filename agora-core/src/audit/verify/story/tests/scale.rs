//! A long story is told in one pass.

use super::good::{added, open, ready, started};
use super::tale::{Tale, completed, done, leased};
use crate::audit::verify::story::{Told, tell};
use crate::decide::testing::{Report, finished_record, planned};
use crate::record::{GrowthCause, ReadyCause, Record, RunOutcome};

/// A chain of items, each after the one before: five entries each.
fn chain(items: usize) -> Vec<Told> {
    let planned: Vec<_> = (0..items)
        .map(|at| match at {
            0 => planned("i0", &[]),
            at => planned(format!("i{at}"), &[&format!("i{}", at - 1)]),
        })
        .collect();
    let mut records = vec![open(false), added(GrowthCause::Plan, None, &planned)];
    for item in &planned {
        records.push(ready(&item.id, ReadyCause::Dependencies));
        records.push(leased(&item.id, 1, Vec::new()));
        records.push(started(&item.id, 1));
        let mut body = finished_record(&item.id, 1, 1, Report::Done);
        body.usage = None;
        records.push(Record::AttemptFinished(Box::new(body)));
        records.push(done(&item.id, records.len() as u64 - 1));
    }
    records.push(completed(RunOutcome::Done, [items as u64, 0, 0, 0, 0]));
    let mut tale = Tale::default();
    tale.push("", open(false));
    let first = tale.told.remove(0);
    let told = |record| {
        let mut told = first.clone();
        told.entry.record = record;
        told
    };
    records.into_iter().map(told).collect()
}

#[test]
fn a_long_story_is_told() {
    let story = tell(&chain(20_000));
    assert_eq!(story.problems.first(), None);
    assert_eq!((story.accepted.len(), story.entries), (20_000, 100_003));
}
