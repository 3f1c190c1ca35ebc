//! The steps, in order: all run, all failures are collected, and what depends on a failed input is unchecked.

use std::collections::{BTreeMap, BTreeSet};

use super::anchors::{self, Fetched, Shown};
use super::axes::{self, Axis, NOTHING, Requirement};
use super::checks::Checks;
use super::journal::{self, Run};
use super::known::Known;
use super::log::{self, Given, OfRun, TheLog};
use super::report::{Report, Verifier};
use super::story::{self, Story, StoryCode};
use super::{Code, registry, statements};
use crate::audit::bundle::{Bundle, BundleKey, LogBundle, RunBundle};
use crate::audit::checkpoint::run_origin;
use crate::audit::policy::{KeyRole, Policy, PolicyError};
use crate::error::Coded as _;
use crate::id::{Digest, RunId};
use crate::record::{LogEntry, Record, RunOpened};

/// What is verified, and with what.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The bundle's bytes, or why they could not be read.
    pub bundle: Result<&'a [u8], String>,
    /// The auditor's trust policy, or why it could not be read; without one all is self-asserted.
    pub policy: Option<Result<&'a str, String>>,
    /// What the auditor requires beside the policy.
    pub require: &'a [Requirement],
    /// What a live check of an anchor fetched, or why it could not be read.
    pub fetched: Option<Result<&'a [u8], String>>,
}

/// Verifies a bundle. It never fails: what is wrong is in the report.
#[must_use]
pub fn verify(evidence: &Evidence<'_>, verifier: Verifier) -> Report {
    let mut of = Verification::new(evidence);
    let digest = evidence.bundle.as_ref().ok().map(|bytes| Digest::of(bytes));
    match of.read(evidence) {
        Some(bundle) => {
            let _known = of.bundle(&bundle, bundle.keys());
        }
        None => of.checks.untold_all(|code| code.step() > 1 && code.step() < 11, "the bundle could not be read"),
    }
    of.report(digest, verifier)
}

/// Returns which of these keys signed something in a bundle, as its `keys` lists them: for whoever writes one.
#[must_use]
pub fn signers(bundle: &Bundle, candidates: &[BundleKey]) -> Vec<BundleKey> {
    let nothing = Evidence { bundle: Ok(&[]), policy: None, require: &[], fetched: None };
    Verification::new(&nothing).bundle(bundle, candidates).used()
}

pub(super) struct Verification {
    pub(super) checks: Checks,
    pub(super) policy: Option<Policy>,
    pub(super) fetched: Option<Result<Fetched, String>>,
    pub(super) required: BTreeSet<Requirement>,
    pub(super) origin: Option<String>,
    pub(super) run: Option<RunId>,
    pub(super) axes: BTreeMap<Axis, &'static str>,
    /// Axes that a check which was not made could raise.
    pub(super) open: BTreeSet<Axis>,
    pub(super) unsealed: Vec<RunId>,
    pub(super) notes: Vec<String>,
}

impl Verification {
    fn new(evidence: &Evidence<'_>) -> Self {
        Self {
            checks: Checks::default(),
            policy: None,
            fetched: None,
            required: evidence.require.iter().copied().collect(),
            origin: None,
            run: None,
            axes: BTreeMap::new(),
            open: BTreeSet::new(),
            unsealed: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Step 1.
    fn read(&mut self, evidence: &Evidence<'_>) -> Option<Bundle> {
        for code in [Code::BundleFormat, Code::BundleLimit, Code::BundleEncoding, Code::BundleSchema] {
            self.checks.judge(code, 1);
        }
        match &evidence.policy {
            Some(Ok(text)) => match Policy::parse(text) {
                Ok(policy) => self.require(policy),
                Err(error) => {
                    self.checks.judge(Code::KeyWeak, u64::from(matches!(error, PolicyError::Weak { .. })));
                    self.checks.error(&error, error.at().unwrap_or_default());
                }
            },
            Some(Err(why)) => self.checks.fail(Code::PolicyUnreadable, "", why.clone()),
            None => {}
        }
        self.fetched = evidence.fetched.as_ref().map(|fetched| match fetched {
            Ok(bytes) => Fetched::parse(bytes),
            Err(why) => Err(why.clone()),
        });
        let bytes = match &evidence.bundle {
            Ok(bytes) => bytes,
            Err(why) => {
                self.checks.fail(Code::BundleUnreadable, "", why.clone());
                return None;
            }
        };
        Bundle::parse(bytes).map_err(|error| self.checks.error(&error, "")).ok()
    }

    fn require(&mut self, policy: Policy) {
        for (axis, value) in &policy.require {
            match Requirement::named(axis, value) {
                Some(requirement) => {
                    self.required.insert(requirement);
                }
                None => {
                    let what = format!("{value:?} is no value of an axis {axis:?}");
                    self.checks.fail(Code::PolicyUnreadable, format!("require.{axis}"), what);
                }
            }
        }
        self.checks.judge(Code::PolicyUnreadable, 1);
        self.policy = Some(policy);
    }

    /// Step 2.
    fn keys(&mut self, origin: &str, given: &[BundleKey]) -> Known {
        self.origin = Some(origin.to_owned());
        let other = self.policy.as_ref().filter(|policy| policy.origin != origin).map(|policy| policy.origin.clone());
        if self.policy.is_some() {
            let wrong = other.as_ref().map(|other| format!("the policy is for {other}"));
            self.checks.settle(Code::PolicyOrigin, "manifest.origin", wrong);
        }
        if other.is_some() {
            // It says nothing of this log's keys.
            self.policy = None;
        }
        Known::new(origin, self.policy.as_ref(), given, &mut self.checks)
    }

    fn bundle(&mut self, bundle: &Bundle, keys: &[BundleKey]) -> Known {
        match bundle {
            Bundle::Run(bundle) => self.run(bundle, keys),
            Bundle::Log(bundle) => self.log(bundle, keys),
        }
    }

    fn run(&mut self, bundle: &RunBundle, keys: &[BundleKey]) -> Known {
        let (origin, id) = (bundle.manifest.origin.as_str(), &bundle.manifest.run);
        self.run = Some(id.clone());
        let mut known = self.keys(origin, keys);
        let run = journal::run(origin, id, &bundle.entries, &mut self.checks);
        let opened = run.told.as_deref().and_then(opened_of);
        let sealed =
            bundle.log.sealed.as_ref().and_then(|part| journal::alone(&part.entry, "log.sealed", &mut self.checks));
        let mut log = log::read(origin, &Given::of_run(&bundle.log), &mut known, &mut self.checks);
        // A run's signatures speak where it was sealed; of one that is open, at the end of the log.
        let end = log.checkpoint.as_ref().map_or(0, |b| b.size.saturating_sub(1));
        let index = sealed.as_ref().map_or(end, |entry| entry.seq);
        self.checkpoint(bundle, &run, index, &mut known);
        let mut story = run.told.as_deref().map(story::tell);
        if bundle.log.sealed.is_some() {
            story.iter_mut().for_each(Story::judge_seal);
        }
        let of = OfRun { id, run: &run, opened, story: story.as_ref() };
        log::place(&of, &bundle.log, sealed.as_ref(), &log, bundle.manifest.sealed, &mut self.checks);
        log::logged(&of, origin, &mut log, &mut known, &mut self.checks);
        self.the_log(origin, &mut log);
        self.manifest(bundle, opened);
        match (&run.told, &story) {
            (Some(told), Some(story)) => {
                self.story(story);
                if let Some(opened) = opened {
                    registry::check(&bundle.registry, opened, told, &mut known, &mut self.checks);
                    if let Some(entries) = log.all.as_ref().and_then(|all| all.told.as_ref()) {
                        registry::newest(opened, entries, &mut self.checks);
                    }
                    let sealed = bundle.manifest.sealed;
                    let from = statements::From { run: id, opened, told, story, index, sealed };
                    statements::check(&bundle.statements, &from, &mut known, &mut self.checks);
                } else {
                    self.checks.untold_all(|code| matches!(code.step(), 7 | 8), "entry 0 is no run.opened");
                }
            }
            _ => self.checks.untold_all(|code| (6..=8).contains(&code.step()), "an entry of the run could not be read"),
        }
        super::artifacts::check(&bundle.artifacts, &bundle.entries, &mut self.checks);
        let shown = self.anchors(origin, &bundle.anchors, &mut log, &mut known);
        self.rest(&mut log, &known, &bundle.keys);
        let sealed_at = sealed.as_ref().map(|entry| (entry.seq, entry.at));
        self.axes_of_run(bundle, &run, story.as_ref(), &log);
        self.axes_of_log(&known, &log, &shown, sealed_at);
        known
    }

    fn log(&mut self, bundle: &LogBundle, keys: &[BundleKey]) -> Known {
        let origin = bundle.manifest.origin.as_str();
        let mut known = self.keys(origin, keys);
        let mut log = log::read(origin, &Given::of_log(&bundle.log), &mut known, &mut self.checks);
        self.the_log(origin, &mut log);
        let shown = self.anchors(origin, &bundle.anchors, &mut log, &mut known);
        self.order(
            bundle.anchors.iter().map(|anchored| anchored.entry.as_str()),
            &bundle.keys,
            &bundle.log.consistency,
        );
        self.rest(&mut log, &known, &bundle.keys);
        let entries = log.all.as_ref().and_then(|all| all.told.as_ref());
        let acts = entries.into_iter().flatten().map(|entry| (&entry.actor, entry.auth.is_some()));
        self.axes.insert(Axis::Authorisation, axes::authorisation(acts));
        for axis in [Axis::Isolation, Axis::Credentials] {
            self.axes.insert(axis, NOTHING);
        }
        let whole = if self.unsealed.is_empty() { "all-sealed" } else { "whole-log" };
        self.axes.insert(Axis::Completeness, if entries.is_some() { whole } else { NOTHING });
        self.axes_of_log(&known, &log, &shown, None);
        known
    }

    /// Step 4.
    fn checkpoint(&mut self, bundle: &RunBundle, run: &Run, index: u64, known: &mut Known) {
        let place = "run checkpoint";
        let origin = run_origin(bundle.manifest.origin.as_str(), &bundle.manifest.run);
        let Some(told) = known.open(&bundle.checkpoint.0, &origin, KeyRole::Run, place, &mut self.checks) else {
            return;
        };
        self.ignored(place, told.ignored);
        log::covers(&told.checkpoint, run.size, &run.root, place, &mut self.checks);
        if !told.keys.is_empty() {
            known.speak(&told.keys, index, place, &mut self.checks);
        }
    }

    fn ignored(&mut self, place: &str, lines: u64) {
        if lines > 0 {
            self.notes.push(format!("{place}: {lines} signature lines by keys that nobody named were ignored"));
        }
    }

    /// What of step 5 is the log's own.
    fn the_log(&mut self, origin: &str, log: &mut TheLog) {
        self.ignored("log checkpoint", log.ignored);
        if let Some(policy) = &self.policy {
            log.seen(policy, &mut self.checks);
        }
        self.unsealed = log.whole(origin, &mut self.checks);
    }

    /// Step 6.
    fn story(&mut self, story: &Story) {
        for (code, judged) in &story.judged {
            self.checks.judge(code_of(*code), *judged);
        }
        for problem in &story.problems {
            let item = problem.item.as_ref().map(|item| format!(", item {item}")).unwrap_or_default();
            self.checks.fail(code_of(problem.code), format!("entry {}{item}", problem.seq), problem.detail.clone());
        }
    }

    /// What a bundle says of itself.
    fn manifest(&mut self, bundle: &RunBundle, opened: Option<&RunOpened>) {
        let says = &bundle.manifest;
        let facts = [
            (says.entries != bundle.entries.len() as u64, "manifest.entries"),
            (says.statements != bundle.statements.len() as u64, "manifest.statements"),
            (says.artifacts != bundle.artifacts.len() as u64, "manifest.artifacts"),
            (says.sealed != bundle.log.sealed.is_some(), "manifest.sealed"),
            (opened.is_some_and(|opened| opened.log != says.origin), "manifest.origin"),
            (!bundle.artifacts.is_sorted_by(|one, next| one.digest < next.digest), "artifacts"),
        ];
        for (wrong, place) in facts {
            let wrong = wrong.then(|| "it does not fit the content, or is out of order".to_owned());
            self.checks.settle(Code::BundleManifest, place, wrong);
        }
        self.order(
            bundle.anchors.iter().map(|anchored| anchored.entry.as_str()),
            &bundle.keys,
            &bundle.log.consistency,
        );
    }

    fn order<'a>(
        &mut self,
        receipts: impl Iterator<Item = &'a str>,
        keys: &[BundleKey],
        consistency: &[crate::audit::bundle::FromSize],
    ) {
        let sizes: Vec<u64> = receipts
            .filter_map(|entry| match LogEntry::from_bytes(entry.as_bytes()).ok()?.record {
                crate::record::LogRecord::AnchorReceipt { size, .. } => Some(size),
                _ => None,
            })
            .collect();
        let facts = [
            (!sizes.is_sorted(), "anchors"),
            (!keys.is_sorted_by(|one, next| (&one.name, &one.key) < (&next.name, &next.key)), "keys"),
            (!consistency.is_sorted_by(|one, next| one.from < next.from), "log.consistency"),
        ];
        for (wrong, place) in facts {
            self.checks.settle(Code::BundleManifest, place, wrong.then(|| "it is out of order".to_owned()));
        }
    }

    /// Step 10.
    fn anchors(
        &mut self,
        origin: &str,
        given: &[crate::audit::bundle::Anchored],
        log: &mut TheLog,
        known: &mut Known,
    ) -> Shown {
        let with = anchors::With { origin, policy: self.policy.as_ref(), fetched: self.fetched.as_ref() };
        let mut shown = anchors::check(given, &with, log, known, &mut self.checks);
        self.notes.append(&mut shown.notes);
        shown
    }

    /// What only the end of all steps shows: proofs that nobody needed, keys that signed nothing.
    fn rest(&mut self, log: &mut TheLog, known: &Known, keys: &[BundleKey]) {
        log.rest(&mut self.checks);
        let signatures = |code: Code| {
            matches!(
                code,
                Code::CheckpointFormat
                    | Code::CheckpointOrigin
                    | Code::CheckpointSignature
                    | Code::CheckpointUnsigned
                    | Code::KeyRole
                    | Code::KeyUnknown
                    | Code::KeyWeak
                    | Code::BundleSchema
                    | Code::KeySubstituted
                    | Code::RegistrySignature
                    | Code::StatementSignature
                    | Code::StatementMissing
                    | Code::StatementExtra
            ) || code.step() == 3
        };
        // Where a signature could not be verified, nobody knows whose it is.
        let unseen = self.checks.is_untold(|code| matches!(code.step(), 7 | 8));
        if !unseen && !self.checks.failed(signatures) {
            let wrong =
                (known.used() != keys).then(|| "they are not exactly those that signed something here".to_owned());
            self.checks.settle(Code::BundleManifest, "keys", wrong);
        }
    }
}

fn opened_of(told: &[story::Told]) -> Option<&RunOpened> {
    match &told.first()?.entry.record {
        Record::RunOpened(opened) => Some(opened),
        _ => None,
    }
}

fn code_of(code: StoryCode) -> Code {
    match code {
        StoryCode::Start => Code::StoryStart,
        StoryCode::End => Code::StoryEnd,
        StoryCode::Item => Code::StoryItem,
        StoryCode::Attempt => Code::StoryAttempt,
        StoryCode::Fence => Code::StoryFence,
        StoryCode::Order => Code::StoryOrder,
        StoryCode::Input => Code::StoryInput,
        StoryCode::Result => Code::StoryResult,
        StoryCode::Question => Code::StoryQuestion,
        StoryCode::Reference => Code::StoryReference,
        StoryCode::Count => Code::StoryCount,
    }
}
