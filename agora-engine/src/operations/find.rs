//! Finding a run for a caller: others' runs answer exactly as unknown ones do.

use agora_core::error::{Class, Problem};
use agora_core::id::RunId;

use super::{Caller, OpError};
use crate::engine::Engine;
use crate::journal::{Ledger, RunSummary, StoreError};

fn unknown(given: &str) -> OpError {
    let shown: String = given.chars().filter(|c| !c.is_control()).take(128).collect();
    let problem = Problem::new(Class::Missing, "run-unknown", format!("there is no run {shown}"));
    OpError::one(problem.hint("list your runs with `status`"))
}

/// Refuses what needs the bytes of a run's results where they were removed.
pub(super) fn with_bytes(run: RunSummary) -> Result<RunSummary, OpError> {
    let Some(at) = run.collected else { return Ok(run) };
    let what = format!("the run {} was collected at {at}: the bytes of its patches, outputs and logs are gone", run.id);
    let problem = Problem::new(Class::Missing, "collected", what);
    Err(OpError::one(problem.hint("its evidence is kept: see `audit` and `status` of the run")))
}

impl Engine {
    /// The run with this id, or with this unique prefix where `exact` is false.
    pub(super) async fn find_run(&self, caller: &Caller, given: &str, exact: bool) -> Result<RunSummary, OpError> {
        let (text, actor) = (given.to_owned(), seen_as(caller));
        let found = self
            .journal
            .call(move |ledger| {
                let mut rows = Vec::new();
                for id in ledger.by_prefix(&text, actor.as_deref())? {
                    rows.extend(ledger.summary(&id)?);
                }
                Ok(rows)
            })
            .await?;
        match found.as_slice() {
            [one, ..] if one.id.as_str() == given => Ok(one.clone()),
            [one] if !exact && !given.is_empty() => Ok(one.clone()),
            [_, _, ..] if !exact && !given.is_empty() => {
                let problem = Problem::new(Class::Caller, "run-ambiguous", format!("several runs start with {given}"));
                Err(OpError::one(problem.hint("give more of the id")))
            }
            [one] if exact && !given.is_empty() => {
                let problem = Problem::new(Class::Missing, "run-unknown", format!("there is no run {given}"));
                Err(OpError::one(problem.hint(format!("this needs the whole id: {}", one.id))))
            }
            _ => Err(unknown(given)),
        }
    }

    /// Looks at the state of a run.
    pub(super) async fn with_run<R: Send + 'static>(
        &self,
        id: &RunId,
        look: impl FnOnce(&mut Ledger, &RunId) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, OpError> {
        let id = id.clone();
        let result = self
            .journal
            .call(move |ledger| {
                ledger.catch_up()?;
                ledger.load(&id)?;
                let result = look(ledger, &id);
                ledger.release(&id);
                result
            })
            .await;
        Ok(result?)
    }
}

/// Whose runs the caller sees; `None`: everybody's.
pub(super) fn seen_as(caller: &Caller) -> Option<String> {
    (!caller.all_runs).then(|| caller.actor.to_string())
}
