//! Whether a failed item has another attempt, and not before when.

use sha2::{Digest as _, Sha256};

pub use crate::limits::BACKOFF_MS_MAX;
use crate::state::ItemState;
use crate::time::Time;
use crate::worker::Reason;

/// The longest hint of a provider that is honoured, in milliseconds: six hours, so that a wrong one costs no day.
pub const HINT_MS_MAX: u64 = 21_600_000;
/// Doublings that are counted; the longest back-off is reached long before.
const DOUBLINGS_MAX: u32 = 30;

/// Returns the time before which the next attempt may not start after the one that just failed for this reason, or `None`
/// when there is no next attempt. `item` is the state before that failure is applied.
///
/// Only failures count against the item's attempts: one that stopped to ask did its work. The back-off doubles with each
/// failure, `backoff · 2ⁿ⁻¹`, up to [`BACKOFF_MS_MAX`] or what the plan asked for if that is longer. Up to a quarter of it
/// is added as jitter that comes from the attempt's identity, so that a replay and a second process decide the same. A
/// provider's hint is waited for if it is longer, up to [`HINT_MS_MAX`].
#[must_use]
pub fn not_before(run: &str, item: &ItemState, reason: Reason, hint_ms: Option<u64>, now: Time) -> Option<Time> {
    let failures = item.failures() + 1;
    if !reason.may_retry() || failures >= item.knobs.attempts_max {
        return None;
    }
    let doublings = u32::try_from(failures - 1).unwrap_or(u32::MAX).min(DOUBLINGS_MAX);
    let longest = BACKOFF_MS_MAX.max(item.knobs.backoff_ms);
    let base = item.knobs.backoff_ms.saturating_mul(1 << doublings).min(longest);
    let hash = Sha256::digest(format!("{run}\n{}\n{}", item.id, item.attempts));
    let jitter = (base / 4).saturating_mul(u64::from(hash[0])) / 255;
    let wait = base.saturating_add(jitter).max(hint_ms.unwrap_or(0).min(HINT_MS_MAX));
    Some(now.plus_ms(wait))
}
