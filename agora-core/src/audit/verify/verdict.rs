//! Step 11: what all the checks come to: the axes, what was required of them, the verdict.

use std::collections::BTreeSet;

use super::Code;
use super::anchors::Shown;
use super::axes::{self, Axis, NOTHING, Requirement};
use super::journal::Run;
use super::known::Known;
use super::log::TheLog;
use super::report::{NOT_SHOWN, REPORT_FORMAT, Report, Verdict, Verifier};
use super::story::Story;
use super::whole::Verification;
use crate::audit::bundle::RunBundle;
use crate::id::Digest;
use crate::time::Time;

impl Verification {
    pub(super) fn axes_of_run(&mut self, bundle: &RunBundle, run: &Run, story: Option<&Story>, log: &TheLog) {
        let whole_log = log.all.as_ref().is_some_and(|all| all.told.is_some());
        let complete = match (bundle.log.sealed.is_some(), whole_log, self.unsealed.is_empty()) {
            (false, ..) => "open-run",
            (true, false, _) => "whole-run",
            (true, true, false) => "whole-log",
            (true, true, true) => "all-sealed",
        };
        self.axes.insert(Axis::Completeness, complete);
        let (Some(told), Some(story)) = (&run.told, story) else {
            for axis in [Axis::Isolation, Axis::Credentials, Axis::Authorisation] {
                self.axes.insert(axis, NOTHING);
            }
            return;
        };
        self.axes.insert(Axis::Isolation, axes::isolation(told, story));
        self.notes.extend(axes::places(told, story));
        let (credentials, mut notes) = axes::credentials(told);
        self.axes.insert(Axis::Credentials, credentials);
        self.notes.append(&mut notes);
        let acts = told.iter().map(|told| (&told.entry.actor, told.entry.auth.is_some()));
        self.axes.insert(Axis::Authorisation, axes::authorisation(acts));
        self.notes.extend(axes::of_story(story));
    }

    pub(super) fn axes_of_log(&mut self, known: &Known, log: &TheLog, shown: &Shown, sealed: Option<(u64, Time)>) {
        let broken = self.checks.failed(breaks);
        self.axes.insert(Axis::Integrity, if broken { "broken" } else { "consistent" });
        self.axes.insert(Axis::Authenticity, if known.pinned { "key-pinned" } else { "self-asserted" });
        if !known.pinned {
            self.open.insert(Axis::Authenticity);
        }
        let reaches = |size: u64| match sealed {
            Some((index, _)) => size > index,
            // Of the log as a whole: up to the size of what was anchored.
            None => log.checkpoint.is_some() && self.run.is_none(),
        };
        let live = shown.live.filter(|(size, _)| reaches(*size));
        let tamper = match (broken || self.checks.failed(|code| code.step() == 10), live, known.pinned) {
            (true, ..) => "unproven",
            (false, Some(_), true) => "tamper-evident",
            (false, ..) => "tamper-detecting",
        };
        self.axes.insert(Axis::Tamper, tamper);
        let anchored = live.zip(sealed).is_some_and(|((_, put), (_, at))| at <= put);
        self.axes.insert(Axis::Time, if anchored && known.pinned { "time-anchored" } else { "time-asserted" });
        if shown.open {
            self.open.extend([Axis::Tamper, Axis::Time]);
        }
    }

    /// Step 11: what is required, and the verdict.
    pub(super) fn report(mut self, bundle: Option<Digest>, verifier: Verifier) -> Report {
        let mut untold = self.checks.is_untold(|code| code.is_untold() && code != Code::AnchorUnchecked)
            || matches!(self.fetched, Some(Err(_)));
        let has_axes = !self.axes.is_empty();
        if self.checks.failed(breaks) {
            // What is broken shows nothing else, and a bundle that could not even be read is no better.
            for axis in Axis::ALL {
                self.axes.insert(axis, NOTHING);
            }
            self.axes.insert(Axis::Integrity, "broken");
            self.axes.insert(Axis::Tamper, "unproven");
            self.open.clear();
        }
        // Always required, and said only where it was asked for.
        let always = Requirement::parse("consistent");
        let required: BTreeSet<Requirement> = self.required.iter().copied().chain(always).collect();
        for requirement in required {
            let value = self.axes.get(&requirement.axis).copied().unwrap_or(NOTHING);
            if requirement.is_met_by(value) {
                self.checks.judge(Code::RequiredUnmet, 1);
            } else if !(has_axes || self.axes.contains_key(&requirement.axis)) || self.open.contains(&requirement.axis)
            {
                untold = true;
                let what =
                    format!("{} is {value}; a check that was not made could raise it", requirement.axis.as_str());
                self.checks.untold(Code::RequiredUnmet, requirement.value(), what);
            } else {
                let what = format!("{} is {value}", requirement.axis.as_str());
                self.checks.settle(Code::RequiredUnmet, requirement.value(), Some(what));
            }
        }
        let verdict = match (self.checks.failed(|_| true), untold) {
            (true, _) => Verdict::Failed,
            (false, true) => Verdict::CouldNotCheck,
            (false, false) => Verdict::Verified,
        };
        Report {
            format: REPORT_FORMAT,
            verifier,
            bundle,
            origin: self.origin,
            run: self.run,
            axes: self.axes.iter().map(|(axis, value)| (axis.as_str(), *value)).collect(),
            required: self.required.iter().map(Requirement::value).collect(),
            checks: self.checks.rows(),
            unsealed: self.unsealed,
            notes: self.notes,
            not_shown: NOT_SHOWN,
            verdict,
        }
    }
}

/// Whether its failure shows that something was changed: every check of the bundle itself. A receipt that does not fit is one,
/// too: nothing else covers its bytes.
fn breaks(code: Code) -> bool {
    code.step() <= 9 || code == Code::AnchorReceipt
}
