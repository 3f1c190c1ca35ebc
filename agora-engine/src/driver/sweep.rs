//! What a new driver finds that nobody leases: boxes, which it ends, and what ended or interrupted attempts left.

use std::collections::BTreeSet;
use std::path::Path;

use agora_core::id::RunId;
use agora_core::seam::{ComputeProvider, Found};
use agora_core::state::ItemState;
use agora_core::worker::AttemptId;

use super::task::Parts;
use crate::journal::{Journal, StoreError};

/// Ends boxes that no current lease owns (I10), and removes what is left of attempts that are over. Says whether nothing of
/// that is left to do. What there is is looked at before the leases are: what is leased meanwhile is none of the sweep's.
pub(super) async fn sweep(parts: &Parts) -> bool {
    let world = &parts.world;
    let attempts = world.providers.attempts(&world.home);
    let interrupted = interrupted(&attempts);
    let (mut seen, mut lists, mut swept) = (BTreeSet::new(), Vec::new(), true);
    for target in parts.config.targets.values().filter(|target| seen.insert(target.provider.as_str())) {
        let listed = match world.compute(target) {
            Ok(provider) => provider.list().await.map(|found| (provider, found)),
            Err(error) => Err(error),
        };
        match listed {
            Ok(listed) => lists.push(listed),
            Err(error) => {
                tracing::warn!(%error, "what a provider has is not known; it is not swept");
                swept = false;
            }
        }
    }
    let Ok((leased, aside)) = leased(&parts.journal).await else { return false };
    for (provider, found) in lists {
        swept &= sweep_provider(provider.as_ref(), found, &leased, &aside).await;
    }
    sweep_interrupted(&attempts, interrupted, &leased);
    swept
}

/// The attempts that hold a lease, and the runs of which that is not known since they are damaged.
async fn leased(journal: &Journal) -> Result<(BTreeSet<AttemptId>, BTreeSet<RunId>), StoreError> {
    journal
        .call(|ledger| {
            let running = ledger.board_ref().runs().flat_map(|run| {
                let current = |item: &ItemState| {
                    let lease = item.lease.as_ref()?;
                    let (attempt, fence) = (lease.attempt, lease.fence);
                    Some(AttemptId { run: run.id.clone(), item: item.id.clone(), attempt, fence })
                };
                run.items.iter().filter_map(current).collect::<Vec<_>>()
            });
            Ok((running.collect(), ledger.aside().clone()))
        })
        .await
}

/// Ends and removes what nobody leases, and says whether all of it is gone. What a damaged run's attempts left stays: once the
/// run is whole again, it may be its result.
async fn sweep_provider(
    provider: &dyn ComputeProvider,
    found: Vec<Found>,
    leased: &BTreeSet<AttemptId>,
    aside: &BTreeSet<RunId>,
) -> bool {
    let mut swept = true;
    for orphan in found.into_iter().filter(|found| !leased.contains(&found.attempt)) {
        if let Some(handle) = orphan.handle.filter(|_| orphan.alive)
            && let Err(error) = provider.stop(&handle, true).await
        {
            tracing::error!(%handle, %error, "a box that nobody leases cannot be ended");
            swept = false;
            continue;
        }
        if aside.contains(&orphan.attempt.run) {
            continue;
        }
        if let Err(error) = provider.remove(&orphan.attempt).await {
            tracing::warn!(item = %orphan.attempt.item, %error, "an attempt's folder is left behind");
        }
    }
    swept
}

/// The names of the folders whose preparation goes on or was interrupted. They have no task, so no box ever had them, and no
/// provider knows of them.
fn interrupted(attempts: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(attempts) else { return Vec::new() };
    let is_attempt = |name: &String| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).filter(is_attempt);
    names.filter(|name| attempts.join(name).join("task.json").symlink_metadata().is_err()).collect()
}

fn sweep_interrupted(attempts: &Path, interrupted: Vec<String>, leased: &BTreeSet<AttemptId>) {
    let leased: BTreeSet<String> = leased.iter().map(AttemptId::folder_name).collect();
    for name in interrupted.into_iter().filter(|name| !leased.contains(name)) {
        if let Err(error) = std::fs::remove_dir_all(attempts.join(&name)) {
            tracing::warn!(folder = name, %error, "an attempt's folder is left behind");
        }
    }
}
