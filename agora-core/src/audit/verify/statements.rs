//! Step 8: derive what each statement must say, compare, verify its signatures.

use super::Code;
use super::checks::Checks;
use super::known::Known;
use super::story::{Accepted, Story, Told};
use crate::audit::dsse::{AttestKey, Envelope};
use crate::audit::policy::KeyRole;
use crate::audit::statement::{Parts, payload};
use crate::id::RunId;
use crate::record::{Record, RunOpened};

/// What statements are derived from.
pub(super) struct From<'a> {
    pub(super) run: &'a RunId,
    pub(super) opened: &'a RunOpened,
    pub(super) told: &'a [Told],
    pub(super) story: &'a Story,
    /// Where in the log the run's signatures speak.
    pub(super) index: u64,
    pub(super) sealed: bool,
}

/// Checks the statements of a run against its entries.
pub(super) fn check(envelopes: &[Envelope], from: &From<'_>, known: &mut Known, checks: &mut Checks) {
    let wanted: Vec<(&Accepted, Vec<u8>)> = match from.sealed {
        true => from.story.accepted.iter().filter_map(|accepted| derive(from, accepted)).collect(),
        // Before its seal nobody states anything of a run.
        false => Vec::new(),
    };
    let given: Vec<&[u8]> = envelopes.iter().map(|envelope| envelope.payload.as_slice()).collect();
    for pair in pair(&wanted, &given) {
        settle(pair, &wanted, &given, checks);
    }
    let keys: Vec<(usize, AttestKey)> = known
        .keys_of(KeyRole::Attest)
        .map(|(at, key)| (at, AttestKey { name: key.name.clone(), key: key.key.clone() }))
        .collect();
    let (at, keys): (Vec<usize>, Vec<AttestKey>) = keys.into_iter().unzip();
    for (number, envelope) in envelopes.iter().enumerate() {
        let place = format!("statements[{number}]");
        let opened = envelope.open(&keys);
        checks.settle(Code::StatementSignature, &place, opened.as_ref().err().map(ToString::to_string));
        if let Ok(opened) = opened {
            // Each signature stands for itself: one in its window does not vouch for the other key's.
            for by in opened.keys.iter().filter_map(|key| at.get(*key).copied()) {
                known.speak(&[by], from.index, &place, checks);
            }
        }
    }
}

/// What is compared: a wanted statement with a given one, or one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    Both(usize, usize),
    Wanted(usize),
    Given(usize),
}

/// As many as are wanted are compared by position. Otherwise those that are equal belong together, and the rest is missing
/// or too much.
fn pair(wanted: &[(&Accepted, Vec<u8>)], given: &[&[u8]]) -> Vec<Pair> {
    if wanted.len() == given.len() {
        return (0..wanted.len()).map(|at| Pair::Both(at, at)).collect();
    }
    let mut left: Vec<usize> = (0..given.len()).collect();
    let mut pairs = Vec::new();
    for (at, (_, bytes)) in wanted.iter().enumerate() {
        match left.iter().position(|other| given.get(*other).is_some_and(|given| given == bytes)) {
            Some(found) => pairs.push(Pair::Both(at, left.remove(found))),
            None => pairs.push(Pair::Wanted(at)),
        }
    }
    pairs.extend(left.into_iter().map(Pair::Given));
    pairs
}

fn settle(pair: Pair, wanted: &[(&Accepted, Vec<u8>)], given: &[&[u8]], checks: &mut Checks) {
    match pair {
        Pair::Both(want, have) => {
            let (Some((accepted, bytes)), Some(given)) = (wanted.get(want), given.get(have)) else { return };
            checks.judge(Code::StatementMissing, 1);
            checks.judge(Code::StatementExtra, 1);
            let wrong = (bytes.as_slice() != *given)
                .then(|| format!("it is not what the entries say of {}, done at {}", accepted.item, accepted.done));
            checks.settle(Code::StatementPayload, &format!("statements[{have}]"), wrong);
        }
        Pair::Wanted(want) => {
            let Some((accepted, _)) = wanted.get(want) else { return };
            let what = format!("there is none of {}", accepted.item);
            checks.settle(Code::StatementMissing, &format!("entry {}", accepted.done), Some(what));
        }
        Pair::Given(have) => {
            let what = "no accepted item made it necessary".to_owned();
            checks.settle(Code::StatementExtra, &format!("statements[{have}]"), Some(what));
        }
    }
}

/// The statement of an accepted attempt that made a patch or an output.
fn derive<'a>(from: &From<'_>, accepted: &'a Accepted) -> Option<(&'a Accepted, Vec<u8>)> {
    let entry = |seq: u64| from.told.get(usize::try_from(seq).ok()?).map(|told| &told.entry);
    let (leased, started, finished) = (entry(accepted.leased)?, entry(accepted.started)?, entry(accepted.finished)?);
    let added = entry(accepted.added.0)?;
    match (&added.record, &leased.record, &started.record, &finished.record) {
        (
            Record::ItemsAdded(added),
            Record::AttemptLeased(lease),
            Record::AttemptStarted(start),
            Record::AttemptFinished(end),
        ) if end.patch.is_some() || !end.outputs.is_empty() => {
            let parts = Parts {
                run: from.run,
                opened: from.opened,
                item: added.items.get(accepted.added.1)?,
                resolved: &added.resolved,
                leased: lease,
                started: start,
                started_at: started.at,
                finished: end,
                finished_at: finished.at,
                done: accepted.done,
            };
            payload(&parts).ok().map(|bytes| (accepted, bytes))
        }
        _ => None,
    }
}
