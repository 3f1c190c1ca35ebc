//! Step 10: log checkpoints that were kept where the installation cannot change them.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::Code;
use super::checks::Checks;
use super::journal;
use super::known::Known;
use super::log::{TheLog, speak};
use crate::audit::bundle::{Anchored, B64};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::policy::{KeyRole, Policy, PolicyAnchor};
use crate::canon;
use crate::id::{Digest, Enc, Hash, Word};
use crate::record::{AnchorPlace, LogRecord};
use crate::time::Time;

/// Lies beside the store, and shows nothing to somebody who doubts the host.
pub const LOCAL: &str = "local";
/// The mode that nobody can lift.
const COMPLIANCE: &str = "COMPLIANCE";
/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;
/// The deepest nesting of what was fetched.
const FETCHED_DEPTH_MAX: usize = 4;
/// The longest file of what a live check fetched, in bytes: a note, and the names of versions.
pub const FETCHED_BYTES_MAX: u64 = 1 << 20;

/// What a live check of an anchor brought (`docs/audit.md`, "Anchors"): from the auditor, never from the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    v: u64,
    account: Enc,
    region: Enc,
    bucket: Enc,
    key: Enc,
    version_id: Enc,
    body: B64,
    mode: Enc,
    retain_until: Time,
    last_modified: Time,
    fetched_at: Time,
    versions: Vec<Enc>,
    deleted: bool,
}

impl Fetched {
    /// Reads the file: JSON of any spelling, no member twice and none unknown.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let value =
            canon::parse(bytes, FETCHED_DEPTH_MAX, FETCHED_BYTES_MAX as usize).map_err(|error| error.to_string())?;
        let read: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if read.v == 1 { Ok(read) } else { Err(format!("version {}, not 1", read.v)) }
    }
}

/// What anchors show beyond that nothing of them failed.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The largest log that a live check found in the policy's place, under retention, and when it was put there.
    pub(super) live: Option<(u64, Time)>,
    /// Whether a live check that was not made could show more.
    pub(super) open: bool,
    pub(super) notes: Vec<String>,
}

/// What they are checked with.
pub(super) struct With<'a> {
    pub(super) origin: &'a str,
    pub(super) policy: Option<&'a Policy>,
    pub(super) fetched: Option<&'a Result<Fetched, String>>,
}

/// Checks each anchor: the receipt first, then what was fetched.
pub(super) fn check(
    anchors: &[Anchored],
    with: &With<'_>,
    log: &mut TheLog,
    known: &mut Known,
    checks: &mut Checks,
) -> Shown {
    let mut shown = Shown::default();
    let mut used = false;
    for (at, anchored) in anchors.iter().enumerate() {
        let place = format!("anchors[{at}]");
        let Some(kept) = receipt(anchored, &place, with, log, known, checks) else { continue };
        let Some(outside) = outside(&kept, &place, with, checks) else { continue };
        match with.fetched {
            Some(Ok(fetched)) if fetched.key == outside.0.key => {
                used = true;
                live(fetched, &kept, outside, &place, checks, &mut shown);
            }
            Some(Ok(_)) | None => {
                shown.open = true;
                checks.fail(Code::AnchorUnchecked, &place, "it was not fetched");
            }
            Some(Err(why)) => {
                used = true;
                shown.open = true;
                checks.fail(Code::AnchorUnchecked, &place, format!("what was fetched cannot be read: {why}"));
            }
        }
    }
    if with.fetched.is_some() && !used {
        checks.fail(Code::AnchorUnchecked, "", "what was fetched is no anchor of this bundle");
    }
    shown
}

/// A checkpoint with its receipt.
struct Kept<'a> {
    note: &'a [u8],
    checkpoint: Checkpoint,
    name: Enc,
    kind: Word,
    place: Option<AnchorPlace>,
}

fn receipt<'a>(
    anchored: &'a Anchored,
    place: &str,
    with: &With<'_>,
    log: &mut TheLog,
    known: &mut Known,
    checks: &mut Checks,
) -> Option<Kept<'a>> {
    let told = known.open(&anchored.checkpoint.0, with.origin, KeyRole::Log, place, checks);
    if let Some(told) = &told {
        speak(known, &told.keys, told.checkpoint.size, place, checks);
        log.needs(told.checkpoint.size, &told.checkpoint.root, place, checks);
    }
    let entry = journal::alone(&anchored.entry, place, checks)?;
    log.includes(Code::AnchorReceipt, &entry, (anchored.entry.as_bytes(), &anchored.proof), place, checks);
    let LogRecord::AnchorReceipt { anchor, kind, size, root, note, place: kept_at } = entry.record else {
        checks.settle(Code::AnchorReceipt, place, Some("its entry is no anchor.receipt".to_owned()));
        return None;
    };
    let checkpoint = told.map(|told| told.checkpoint);
    let facts: [(bool, &str); 2] = [
        (note != Digest::of(&anchored.checkpoint.0), "the receipt is of another note"),
        (
            checkpoint.as_ref().is_some_and(|a| (a.size, a.root) != (size, root)),
            "the receipt is of another size or root than the note",
        ),
    ];
    let wrong = facts.into_iter().find(|(wrong, _)| *wrong).map(|(_, what)| what.to_owned());
    let failed = wrong.is_some();
    checks.settle(Code::AnchorReceipt, place, wrong);
    match checkpoint {
        Some(checkpoint) if !failed => {
            Some(Kept { note: &anchored.checkpoint.0, checkpoint, name: anchor, kind, place: kept_at })
        }
        _ => None,
    }
}

/// Where an external anchor keeps it, and what the policy says of that place; `None` for a local one.
fn outside<'a>(
    kept: &'a Kept<'_>,
    place: &str,
    with: &With<'a>,
    checks: &mut Checks,
) -> Option<(&'a AnchorPlace, Option<&'a PolicyAnchor>)> {
    let local = kept.kind.as_str() == LOCAL;
    let Some(at) = &kept.place else {
        let wrong = (!local).then(|| format!("an anchor of the kind {} says no place", kept.kind));
        checks.settle(Code::AnchorPlace, place, wrong);
        return None;
    };
    if local {
        checks.settle(Code::AnchorPlace, place, Some("a local anchor has no place elsewhere".to_owned()));
        return None;
    }
    let row = with.policy.and_then(|policy| policy.anchors.iter().find(|row| row.name == kept.name.as_str()));
    let elsewhere = |row: &PolicyAnchor| {
        (row.kind.as_str(), row.account.as_str(), row.region.as_str(), row.bucket.as_str())
            != (kept.kind.as_str(), at.account.as_str(), at.region.as_str(), at.bucket.as_str())
    };
    let facts = [
        (with.policy.is_some() && row.is_none(), "the policy names no such anchor"),
        (row.is_some_and(elsewhere), "it is kept in another place than the policy's"),
        (at.key.as_str() != object_key(with.origin, kept.checkpoint.size), "its key is not that of origin and size"),
    ];
    let wrong = facts.into_iter().find(|(wrong, _)| *wrong).map(|(_, what)| what.to_owned());
    let failed = wrong.is_some();
    checks.settle(Code::AnchorPlace, place, wrong);
    (!failed).then_some((at, row))
}

/// The key of a log checkpoint in a bucket.
#[must_use]
pub fn object_key(origin: &str, size: u64) -> String {
    format!("agora/v1/{}/{size:020}.note", Hash(Sha256::digest(origin).into()))
}

fn live(
    fetched: &Fetched,
    kept: &Kept<'_>,
    (at, row): (&AnchorPlace, Option<&PolicyAnchor>),
    place: &str,
    checks: &mut Checks,
    shown: &mut Shown,
) {
    let asked = (&at.account, &at.region, &at.bucket, &at.version_id);
    let there = (&fetched.account, &fetched.region, &fetched.bucket, &fetched.version_id) == asked;
    let settled = row.map_or(0, |row| i64::try_from(row.retain_days).unwrap_or(i64::MAX).saturating_mul(DAY_MICROS));
    let kept_until = fetched.retain_until.micros();
    let facts = [
        (Code::AnchorPlace, !there, "it was fetched elsewhere"),
        (Code::AnchorBytes, fetched.body.0 != kept.note, "what was fetched is not the checkpoint"),
        (
            Code::AnchorContested,
            fetched.versions.iter().any(|version| *version != at.version_id),
            "there is another version under its key",
        ),
        (Code::AnchorMode, fetched.mode.as_str() != COMPLIANCE, "its mode can be lifted"),
        (Code::AnchorRetention, fetched.retain_until <= fetched.fetched_at, "its retention has ended"),
        (
            Code::AnchorRetention,
            kept_until < fetched.last_modified.micros().saturating_add(settled),
            "its retention is shorter than the policy asks",
        ),
    ];
    let mut good = true;
    for (code, wrong, what) in facts {
        good &= !wrong;
        checks.settle(code, place, wrong.then(|| what.to_owned()));
    }
    checks.judge(Code::AnchorUnchecked, 1);
    if fetched.deleted {
        shown.notes.push(format!("{place}: a delete marker hides it from a plain listing; its version is there"));
    }
    // Whether it is the right place, only a policy says.
    shown.open |= good && row.is_none();
    if good && row.is_some() && shown.live.is_none_or(|(size, _)| size < kept.checkpoint.size) {
        shown.live = Some((kept.checkpoint.size, fetched.last_modified));
    }
}
