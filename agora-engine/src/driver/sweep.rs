//! What a new driver finds that nobody leases: boxes, which it ends, and what ended or interrupted attempts left.

use std::collections::BTreeSet;
use std::path::Path;

use agora_core::seam::{ComputeError, ComputeProvider};
use agora_core::state::ItemState;
use agora_core::worker::AttemptId;

use super::task::Parts;

/// Ends boxes that no current lease owns (I10), and removes what is left of attempts that are over.
pub(super) async fn sweep(parts: &Parts) {
    let leased = parts.journal.call(|ledger| {
        let running = ledger.board_ref().runs().flat_map(|run| {
            let current = |item: &ItemState| {
                let lease = item.lease.as_ref()?;
                let (attempt, fence) = (lease.attempt, lease.fence);
                Some(AttemptId { run: run.id.clone(), item: item.id.clone(), attempt, fence })
            };
            run.items.iter().filter_map(current).collect::<Vec<_>>()
        });
        Ok(running.collect::<BTreeSet<_>>())
    });
    let Ok(leased) = leased.await else { return };
    let world = &parts.world;
    let mut seen = BTreeSet::new();
    for target in parts.config.targets.values().filter(|target| seen.insert(target.provider.as_str())) {
        let swept = match world.providers.compute(&world.home, target) {
            Ok(provider) => sweep_provider(provider.as_ref(), &leased).await,
            Err(error) => Err(error),
        };
        if let Err(error) = swept {
            tracing::warn!(%error, "what a provider has is not known; it is not swept");
        }
    }
    let leased = leased.iter().map(AttemptId::folder_name).collect();
    sweep_folders(&world.providers.attempts(&world.home), &leased);
}

async fn sweep_provider(provider: &dyn ComputeProvider, leased: &BTreeSet<AttemptId>) -> Result<(), ComputeError> {
    for orphan in provider.list().await?.into_iter().filter(|found| !leased.contains(&found.attempt)) {
        if let Some(handle) = orphan.handle.filter(|_| orphan.alive)
            && let Err(error) = provider.stop(&handle, true).await
        {
            tracing::error!(%handle, %error, "a box that nobody leases cannot be ended");
            continue;
        }
        if let Err(error) = provider.remove(&orphan.attempt).await {
            tracing::warn!(item = %orphan.attempt.item, %error, "an attempt's folder is left behind");
        }
    }
    Ok(())
}

/// Removes the folders of attempts whose preparation was interrupted. They have no task, so no box ever had them, and no
/// provider knows of them.
fn sweep_folders(attempts: &Path, leased: &BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(attempts) else { return };
    for entry in entries.flatten() {
        let (name, folder) = (entry.file_name(), entry.path());
        let is_attempt = |name: &&str| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(name) = name.to_str().filter(is_attempt).filter(|name| !leased.contains(*name)) else { continue };
        if folder.join("task.json").symlink_metadata().is_ok() {
            continue;
        }
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            tracing::warn!(folder = name, %error, "an attempt's folder is left behind");
        }
    }
}
