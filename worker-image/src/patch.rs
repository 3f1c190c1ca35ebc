//! From what was captured to a patch that may leave: made, judged by the policy, and described.

use agora_core::id::Digest;
use agora_core::patch::{Context, Patch, PatchLimits, Verdict, policy};
use agora_core::target::Limits;
use agora_core::worker::{Failure, PatchReport, Reason};
use agora_tree::{Content, Overlay, PatchError};

use crate::capture::Captured;
use crate::failure::fail;
use crate::workspace::Start;

/// Refusals named in a failure; the patch itself is kept as evidence.
const REFUSALS_SHOWN: usize = 10;

/// A patch that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    pub(crate) report: PatchReport,
    /// Why it may not leave.
    pub(crate) refused: Option<Failure>,
}

/// The limits of a patch: 8 MiB and 2,000 files, unless the operator granted more bytes, and with them more files.
pub(crate) fn limits(limits: &Limits) -> PatchLimits {
    let usual = PatchLimits::default();
    let bytes_max = limits.patch_mib.map_or(usual.bytes_max, |mib| mib.saturating_mul(1 << 20));
    let bytes_max = bytes_max.min(agora_core::patch::PATCH_BYTES_MAX);
    let files_max =
        if bytes_max > usual.bytes_max { agora_core::patch::PATCH_FILES_MAX as u64 } else { usual.files_max };
    PatchLimits { bytes_max, files_max }
}

/// Makes the patch from start to result; `None` when there is no difference.
pub(crate) fn make(start: &Start, captured: &Captured, limits: PatchLimits) -> Result<Option<Made>, Failure> {
    let content = Overlay::new(&captured.content, &start.sources);
    let made = agora_tree::diff(&start.tree, &captured.result, &content).map_err(|error| failure_of(&error))?;
    let Some(made) = made else { return Ok(None) };
    let parsed = Patch::parse(&made.bytes)
        .map_err(|error| fail(Reason::PatchRefused, format!("the patch cannot be read again: {error}")))?;
    let read = |digest: &Digest| content.read(digest).ok();
    let context = Context { start: &start.tree, result: &captured.result, content: &read, limits, secret: None };
    let verdict = policy(&parsed, &context);
    let report = PatchReport {
        digest: Digest::of(&made.bytes),
        size_bytes: made.bytes.len() as u64,
        files: made.files,
        added: made.added,
        removed: made.removed,
        flags: verdict.flags.keys().map(|kind| (*kind).to_owned()).collect(),
    };
    Ok(Some(Made { report, refused: refusal(&verdict), bytes: made.bytes }))
}

fn refusal(verdict: &Verdict) -> Option<Failure> {
    if !verdict.is_refused() {
        return None;
    }
    let secret = verdict.refused.iter().any(|refused| refused.code == Reason::SecretInPatch.as_str());
    let reason = if secret { Reason::SecretInPatch } else { Reason::PatchRefused };
    let mut shown: Vec<String> =
        verdict.refused.iter().take(REFUSALS_SHOWN).map(|refused| format!("{}: {refused}", refused.code)).collect();
    if verdict.refused.len() > REFUSALS_SHOWN {
        shown.push(format!("and {} more", verdict.refused.len() - REFUSALS_SHOWN));
    }
    Some(fail(reason, shown.join("; ")))
}

/// What the agent made of its tree is the agent's fault; the rest is the worker's.
fn failure_of(error: &PatchError) -> Failure {
    let reason = match error {
        PatchError::Path(_) | PatchError::Parse(_) | PatchError::Uncarried { .. } | PatchError::TooLarge { .. } => {
            Reason::PatchRefused
        }
        PatchError::Unfit { .. } | PatchError::Content(_) | PatchError::Diff { .. } | PatchError::NotExact { .. } => {
            Reason::WorkerError
        }
    };
    fail(reason, format!("the patch cannot be made: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bytes_bring_more_files_and_neither_goes_beyond_the_formats_own_limits() {
        let of = |patch_mib| limits(&Limits { patch_mib, ..Limits::default() });
        assert_eq!(of(None), PatchLimits { bytes_max: 8 << 20, files_max: 2_000 });
        assert_eq!(of(Some(1)), PatchLimits { bytes_max: 1 << 20, files_max: 2_000 });
        assert_eq!(of(Some(9)), PatchLimits { bytes_max: 9 << 20, files_max: 20_000 });
        assert_eq!(of(Some(u64::MAX)), PatchLimits { bytes_max: 64 << 20, files_max: 20_000 });
    }
}
