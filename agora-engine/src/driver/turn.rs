//! One turn of the loop: inputs are decided and appended, what may start is leased, in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agora_core::choose::Capacity;
use agora_core::decide::{self, Decision, Effect, Refusal};
use agora_core::id::{Enc, RunId, Word};
use agora_core::pattern;
use agora_core::plan::{Item, QueuePattern};
use agora_core::record::{LogRecord, Record};
use agora_core::state::RunState;
use agora_core::time::Time;
use agora_core::worker::{AttemptId, Reason};

use super::Input;
use super::clock::Leap;
use crate::config::Config;
use crate::journal::{Ledger, Stamp, StoreError, Tx};
use crate::perform::{Assignment, Grown, Growth, RunContext, Wanted, assign, terms};

/// How many leases one turn grants at most, so that a commit stays short.
const LEASES_MAX: usize = 512;

/// What the driver knows beside the journal.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What runs are bound to, as far as it is read.
    pub(super) contexts: BTreeMap<RunId, Arc<RunContext>>,
    /// Queues, executors, targets.
    pub(super) capacity: Capacity,
    /// By how much the wall clock leapt since the last turn.
    pub(super) leap: Option<Leap>,
    /// Digests that the current registry snapshot revokes.
    pub(super) revoked: BTreeSet<agora_core::id::Digest>,
}

impl Known {
    fn learn(&mut self, input: &Input) {
        match input {
            Input::Read(run, context) => {
                self.contexts.insert(run.clone(), Arc::clone(context));
                self.capacity.unready.remove(run);
            }
            Input::Sealed(run, true) => {
                self.contexts.remove(run);
                self.capacity.unready.remove(run);
            }
            Input::Started(..)
            | Input::Finished(_)
            | Input::Expired(_)
            | Input::Logged(..)
            | Input::NotLogged(_)
            | Input::Grown(..)
            | Input::NotGrown(_)
            | Input::Sealed(_, false) => {}
        }
    }
}

/// What a turn leads to, to be performed after its commit.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// To launch or to wait for.
    pub(super) attempts: Vec<Assignment>,
    /// To stop.
    pub(super) stops: Vec<AttemptId>,
    /// To clean up.
    pub(super) removes: Vec<AttemptId>,
    /// What patterns add, to be checked.
    pub(super) grows: Vec<(RunId, Growth)>,
    /// To seal.
    pub(super) seals: Vec<RunId>,
    /// Runs whose artifacts must be read first.
    pub(super) wants: Vec<(RunId, Wanted)>,
    /// Runs that the log must vouch for.
    pub(super) unlogged: Vec<RunId>,
    /// Runs that are damaged: what runs of theirs is to be stopped, since nobody holds their locks any more.
    pub(super) aside: BTreeSet<RunId>,
    /// When a retry is due.
    pub(super) due: Option<Time>,
    /// Whether there may be more to lease at once.
    pub(super) more: bool,
    /// Runs that are not sealed.
    pub(super) open: usize,
}

/// Takes a turn. Where an input breaks the transaction, each is tried in a transaction of its own, and those that break it
/// are dropped: one bad input must not stop the loop for everybody.
pub(super) fn take(
    ledger: &mut Ledger,
    config: &Config,
    known: &mut Known,
    inputs: &[Input],
) -> Result<Turn, StoreError> {
    for input in inputs {
        known.learn(input);
    }
    match attempt(ledger, config, known, inputs) {
        Err(error) if is_of_an_input(&error) && !inputs.is_empty() => {
            // Where the turn fails without any input, none of them is to blame.
            let mut removes = attempt(ledger, config, known, &[])?.removes;
            for input in inputs {
                match attempt(ledger, config, known, std::slice::from_ref(input)) {
                    Ok(turn) => removes.extend(turn.removes),
                    Err(error) if is_of_an_input(&error) => tracing::error!(%error, ?input, "an input is dropped"),
                    Err(error) => return Err(error),
                }
            }
            // What else the single turns wanted done is derived from the state of all runs again; no state says that an
            // ended attempt's folder is still there.
            let all: Vec<RunId> = ledger.board_ref().runs().map(|run| run.id.clone()).collect();
            ledger.touch(all);
            let mut turn = attempt(ledger, config, known, &[])?;
            turn.removes.extend(removes);
            Ok(turn)
        }
        other => other,
    }
}

/// Whether one input is to blame, rather than the store.
fn is_of_an_input(error: &StoreError) -> bool {
    match error {
        StoreError::Entry(_) | StoreError::Illegal(_) | StoreError::Refused(_) | StoreError::NoRun(_) => true,
        StoreError::Foreign
        | StoreError::Newer { .. }
        | StoreError::Full
        | StoreError::Busy
        | StoreError::ReadOnly
        | StoreError::Corrupt(_)
        | StoreError::CorruptRun(_)
        | StoreError::Sqlite(_)
        | StoreError::Closed => false,
    }
}

/// Takes the turn in one transaction: nothing of it is stored, and nothing is performed, unless all of it is.
fn attempt(ledger: &mut Ledger, config: &Config, known: &mut Known, inputs: &[Input]) -> Result<Turn, StoreError> {
    let turn = ledger.transact(|tx| {
        let mut effects = Vec::new();
        if let Some(Leap { by_ms, back }) = known.leap {
            tx.log(&Stamp::engine(), LogRecord::ClockJump { by_ms, back })?;
            tx.ledger().board().leap(by_ms, back);
        }
        for input in inputs {
            effects.extend(decide_input(tx, input)?);
        }
        let mut touched = tx.ledger().take_touched();
        // What was read may be less than is needed by now, and a seal that failed is still owed; no record touches their run.
        touched.extend(inputs.iter().filter_map(|input| match input {
            Input::Read(run, _) | Input::Sealed(run, false) | Input::Grown(run, _) | Input::NotGrown(run) => {
                Some(run.clone())
            }
            _ => None,
        }));
        let ended = inputs.iter().filter_map(|input| match input {
            Input::Finished(finish) => Some(&finish.run),
            _ => None,
        });
        let mut turn = Turn::default();
        let settled: BTreeSet<&RunId> = touched.iter().chain(ended).collect();
        for run in settled {
            effects.extend(settle(tx, run, &mut turn)?);
        }
        read_first(tx.ledger(), known, &touched, &mut turn);
        effects.extend(owed(tx.ledger(), known, &touched));
        effects.extend(lease_all(tx, config, known, &mut turn)?);
        sort(tx.ledger(), config, known, effects, &mut turn)?;
        turn.due = tx.ledger().board_ref().next_due();
        turn.open = tx.ledger().board_ref().runs().count();
        turn.aside = tx.ledger().aside().clone();
        Ok(turn)
    })?;
    // Once, also where a turn is taken input by input.
    known.leap = None;
    Ok(turn)
}

/// What these runs are owed. Attempts of a run whose artifacts are not read yet wait until they are: what an attempt is told
/// is made of them.
fn owed(ledger: &Ledger, known: &Known, touched: &BTreeSet<RunId>) -> Vec<Effect> {
    let mut effects = Vec::new();
    for run in touched.iter().filter_map(|id| ledger.board_ref().run(id)) {
        let ready = !known.capacity.unready.contains(&run.id);
        effects.extend(decide::owed(run).into_iter().filter(|effect| match effect {
            Effect::Launch(_) | Effect::Watch { .. } => ready,
            Effect::Stop { .. } | Effect::Remove(_) | Effect::Seal(_) => true,
        }));
    }
    effects
}

fn decide_input(tx: &mut Tx<'_>, input: &Input) -> Result<Vec<Effect>, StoreError> {
    let now = tx.now();
    match input {
        Input::Started(run, started) => {
            commit(tx, run, |state| decide::started(state, (**started).clone()), |_| Vec::new())
        }
        Input::Finished(finish) => {
            let stale = |state: &RunState| {
                // Evidence of an attempt that is no longer the running one: cleaned up, never accepted (I7).
                let (run, item) = (state.id.clone(), finish.finished.item.clone());
                let (attempt, fence) = (finish.finished.attempt, finish.finished.fence);
                vec![Effect::Remove(AttemptId { run, item, attempt, fence })]
            };
            commit(tx, &finish.run, |state| decide::finish(state, (**finish).clone(), now), stale)
        }
        Input::Expired(attempt) => {
            let reason = Word::new(Reason::Wall.as_str()).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            commit(tx, &attempt.run, |state| decide::expire(state, attempt, reason), |_| Vec::new())
        }
        Input::Logged(runs, place) => {
            let mut effects = Vec::new();
            for run in runs {
                effects.extend(commit(tx, run, |state| decide::logged(state, place.clone()), |_| Vec::new())?);
            }
            Ok(effects)
        }
        Input::Grown(run, grown) => add_grown(tx, run, grown),
        Input::NotLogged(_) | Input::Read(..) | Input::Sealed(..) | Input::NotGrown(_) => Ok(Vec::new()),
    }
}

/// Records what a run's pattern adds, or why it cannot. Nothing else adds to such a run, so it is as it was when that was
/// checked, but for what ended meanwhile.
fn add_grown(tx: &mut Tx<'_>, run: &RunId, grown: &Grown) -> Result<Vec<Effect>, StoreError> {
    let (by, source) = (by_pattern(grown.pattern), &grown.source);
    match &grown.items {
        Ok((items, added)) => {
            commit_as(tx, run, (&by, items), |state| decide::grow(state, source, added.clone()), |_| Vec::new())
        }
        Err(reason) => {
            let decide = |state: &RunState| decide::pattern_failed(state, source, reason.clone());
            commit_as(tx, run, (&by, &[]), decide, |_| Vec::new())
        }
    }
}

fn by_pattern(pattern: QueuePattern) -> Stamp {
    Stamp { actor: Enc::encode(&format!("pattern:{}", pattern.as_str())), auth: None }
}

/// Does what a run owes by itself: asks for the approvals whose time has come, lets its pattern answer, and ends what has
/// nothing left to do and was not ended in the step that left it so.
fn settle(tx: &mut Tx<'_>, run: &RunId, turn: &mut Turn) -> Result<Vec<Effect>, StoreError> {
    let mut effects = Vec::new();
    loop {
        // What was let go again, as a damaged run is, is not brought back for that.
        if tx.ledger().board_ref().run(run).is_none_or(RunState::is_over) {
            return Ok(effects);
        }
        effects.extend(commit(tx, run, decide::settle, |_| Vec::new())?);
        let ledger = tx.ledger();
        let (Some(state), Some(meta)) = (ledger.board_ref().run(run), ledger.meta(run)) else { return Ok(effects) };
        match pattern::answer(state, &meta.plan) {
            None => return Ok(effects),
            Some(Ok(answer)) => {
                let (plan, registry) = (Arc::clone(&meta.plan), state.opened.registry.clone());
                turn.grows.push((run.clone(), Growth { answer, plan, registry }));
                return Ok(effects);
            }
            // One after another: a pattern that cannot go on is not in the way of the next.
            Some(Err(stuck)) => {
                let reason = Word::new(stuck.reason.as_str()).map_err(|e| StoreError::Corrupt(e.to_string()))?;
                let decide = |state: &RunState| decide::pattern_failed(state, &stuck.source, reason);
                effects.extend(commit_as(tx, run, (&by_pattern(stuck.pattern), &[]), decide, |_| Vec::new())?);
            }
        }
    }
}

/// Decides, appends, and returns the effects. A refused input changes nothing.
fn commit(
    tx: &mut Tx<'_>,
    run: &RunId,
    decide: impl FnOnce(&RunState) -> Result<Decision, Refusal>,
    refused: impl FnOnce(&RunState) -> Vec<Effect>,
) -> Result<Vec<Effect>, StoreError> {
    commit_as(tx, run, (&Stamp::engine(), &[]), decide, refused)
}

/// The same for another than the engine, and for records that add items.
fn commit_as(
    tx: &mut Tx<'_>,
    run: &RunId,
    (stamp, items): (&Stamp, &[Item]),
    decide: impl FnOnce(&RunState) -> Result<Decision, Refusal>,
    refused: impl FnOnce(&RunState) -> Vec<Effect>,
) -> Result<Vec<Effect>, StoreError> {
    let state = match tx.run(run) {
        Ok(state) => state,
        Err(StoreError::NoRun(_)) => return Ok(Vec::new()),
        Err(error @ StoreError::CorruptRun(_)) => {
            // The run stands still until it is whole again, and then it is joined with what is left of it.
            tracing::warn!(%run, %error, "an input changes nothing");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    match decide(state) {
        Ok(decision) => {
            tx.append_grown(stamp, run, decision.records, items)?;
            Ok(decision.effects)
        }
        Err(refusal) => {
            tracing::debug!(%run, %refusal, "an input changes nothing");
            Ok(refused(state))
        }
    }
}

/// Finds what comes before anything of a run starts: artifacts that are not read yet, of the runs that are new or changed,
/// and the log's word for a run, of all that have none yet.
fn read_first(ledger: &Ledger, known: &mut Known, touched: &BTreeSet<RunId>, turn: &mut Turn) {
    for run in touched.iter().filter_map(|id| ledger.board_ref().run(id)).filter(|run| !run.is_over()) {
        let wanted = Wanted::of(run);
        if known.contexts.get(&run.id).is_none_or(|context| !context.covers(&wanted)) {
            known.capacity.unready.insert(run.id.clone());
            turn.wants.push((run.id.clone(), wanted));
        }
    }
    let unlogged = ledger.board_ref().runs().filter(|run| !run.logged && !run.is_over());
    turn.unlogged = unlogged.map(|run| run.id.clone()).collect();
}

/// Leases what may start, the first 512 of it; then `more` is set, and the next turn goes on at once.
fn lease_all(tx: &mut Tx<'_>, config: &Config, known: &Known, turn: &mut Turn) -> Result<Vec<Effect>, StoreError> {
    let mut effects = Vec::new();
    for _ in 0..LEASES_MAX {
        let now = tx.now();
        let Some(grant) = tx.ledger().board().next(now, &known.capacity) else { return Ok(effects) };
        let context = known.contexts.get(&grant.run).cloned();
        let ledger = tx.ledger();
        let (Some(run), Some(meta)) = (ledger.board_ref().run(&grant.run), ledger.meta(&grant.run)) else {
            return Err(StoreError::NoRun(grant.run.to_string()));
        };
        let Some(mut terms) = terms(config, run, grant.item, meta, context.as_deref(), &grant.target) else {
            return Err(StoreError::Corrupt(format!("the target {} has no terms", grant.target)));
        };
        let revoked = run.items[grant.item].uses.iter().find(|used| known.revoked.contains(&used.digest));
        terms.refused = revoked.map(|used| {
            (Reason::RegistryRevoked, format!("the {} {} was revoked in the registry", used.kind, used.name))
        });
        let decision = decide::lease(run, grant.item, terms, now)?;
        let leased = matches!(decision.records.first(), Some(Record::AttemptLeased(_)));
        tx.append(&Stamp::engine(), &grant.run, decision.records)?;
        effects.extend(decision.effects);
        if !leased {
            // It failed instead, which its pattern may have to answer.
            effects.extend(settle(tx, &grant.run, turn)?);
        }
    }
    turn.more = true;
    Ok(effects)
}

/// Turns effects into what the loop performs.
fn sort(
    ledger: &mut Ledger,
    config: &Config,
    known: &Known,
    effects: Vec<Effect>,
    turn: &mut Turn,
) -> Result<(), StoreError> {
    for effect in effects {
        match effect {
            Effect::Launch(attempt) | Effect::Watch { attempt, .. } => {
                turn.attempts.extend(assignment(ledger, config, known, &attempt)?);
            }
            Effect::Stop { attempt, .. } => turn.stops.push(attempt),
            Effect::Remove(attempt) => turn.removes.push(attempt),
            Effect::Seal(run) => turn.seals.push(run),
        }
    }
    Ok(())
}

fn assignment(
    ledger: &Ledger,
    config: &Config,
    known: &Known,
    attempt: &AttemptId,
) -> Result<Option<Assignment>, StoreError> {
    let (Some(run), Some(meta)) = (ledger.board_ref().run(&attempt.run), ledger.meta(&attempt.run)) else {
        return Ok(None);
    };
    let Some(ix) = run.index_of(&attempt.item) else { return Ok(None) };
    let current = run.items[ix].lease.as_ref().is_some_and(|lease| lease.fence == attempt.fence);
    if !current {
        return Ok(None);
    }
    let pack = match &run.opened.base {
        Some(base) => ledger.pack_of(&base.tree)?.map(|(pack, _)| pack),
        None => None,
    };
    let context = known.contexts.get(&attempt.run).map(Arc::as_ref);
    Ok(assign(config, run, ix, meta, context, pack))
}

/// What the configuration says about where items run.
pub(crate) fn capacity(config: &Config) -> Capacity {
    let name = |name: &agora_core::id::Name| Enc::encode(name.as_str());
    Capacity {
        queues: config.queues.iter().map(|(queue, of)| (name(queue), u64::from(of.concurrency))).collect(),
        executors: config.executors.iter().map(|(executor, of)| (name(executor), name(&of.target))).collect(),
        down: BTreeMap::new(),
        unready: BTreeSet::new(),
    }
}
