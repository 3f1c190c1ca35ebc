//! What is owed to the world, derived from the state alone: after a crash, and after another process's records.

use super::Effect;
use crate::id::RunId;
use crate::state::{ItemStatus, RunState};
use crate::worker::AttemptId;

/// Every effect that the state of a run still asks for. Each is idempotent by the attempt's identity, so those that were
/// already performed do no harm.
#[must_use]
pub fn owed(state: &RunState) -> Vec<Effect> {
    if state.is_over() {
        return vec![Effect::Seal(state.id.clone())];
    }
    if state.counts.of(ItemStatus::Running) == 0 {
        return Vec::new();
    }
    let mut effects = Vec::new();
    for item in state.items.iter().filter(|item| item.status == ItemStatus::Running) {
        let Some(lease) = item.lease.as_ref().filter(|lease| lease.finished.is_none()) else { continue };
        let run: RunId = state.id.clone();
        let attempt = AttemptId { run, item: item.id.clone(), attempt: lease.attempt, fence: lease.fence };
        let handle = lease.started.as_ref().map(|started| started.handle.clone());
        effects.push(match &handle {
            Some(handle) => Effect::Watch { attempt: attempt.clone(), handle: handle.clone() },
            None => Effect::Launch(attempt.clone()),
        });
        if item.is_stopping() {
            effects.push(Effect::Stop { attempt, handle });
        }
    }
    effects
}
