//! What confined the attempts: each kind of report once, and how many ran under it.

use std::collections::BTreeMap;

use agora_core::isolation::Isolation;

use super::document::{self, Section};
use super::run::Run;
use super::safe::{Html, Place};
use super::show;

/// Kinds that are shown: a machine has a handful.
const SHOWN_MAX: usize = 100;

/// The kinds of isolation report, in the order in which they came first.
pub(super) struct Kinds<'a> {
    all: Vec<Kind<'a>>,
    index: BTreeMap<String, usize>,
}

struct Kind<'a> {
    report: &'a Isolation,
    attempts: u64,
    accepted: u64,
    targets: Vec<&'a str>,
}

impl<'a> Kinds<'a> {
    pub(super) fn of(run: &'a Run<'a>) -> Self {
        let mut kinds = Self { all: Vec::new(), index: BTreeMap::new() };
        for (_, attempt) in run.attempts() {
            let Some((started, _)) = attempt.started else { continue };
            let next = kinds.all.len();
            let at = *kinds.index.entry(key(&started.isolation)).or_insert(next);
            if at == next {
                kinds.all.push(Kind { report: &started.isolation, attempts: 0, accepted: 0, targets: Vec::new() });
            }
            let kind = &mut kinds.all[at];
            kind.attempts += 1;
            kind.accepted += u64::from(attempt.accepted.is_some());
            let target = attempt.leased.target.as_str();
            if !kind.targets.contains(&target) && kind.targets.len() < SHOWN_MAX {
                kind.targets.push(target);
            }
        }
        kinds
    }

    /// Names a report, and leads to it.
    pub(super) fn link(&self, html: &mut Html, report: &Isolation) {
        let name = format!("{}/{}", report.provider, report.profile);
        match self.index.get(&key(report)).filter(|at| **at < SHOWN_MAX) {
            Some(at) => html.open("a").to(Place("isolation", *at)).text(name),
            None => html.text(name),
        }
    }
}

/// What is the same of two reports: all but when the machine was probed.
fn key(report: &Isolation) -> String {
    let mut report = report.clone();
    report.probes.at = None;
    serde_json::to_string(&report).unwrap_or_default()
}

/// Writes the section.
pub(super) fn section(html: &mut Html, run: &Run<'_>, kinds: &Kinds<'_>) {
    Section::new("isolation", "Isolation").inside(html, |html| {
        html.say("p", "What was really enforced around the attempts, as the machine read it back.");
        let never = run.attempts().filter(|(_, attempt)| attempt.started.is_none()).count() as u64;
        if never > 0 {
            html.say("p", format!("{} never started.", show::count(never, "attempt")));
        }
        kinds.all.iter().take(SHOWN_MAX).enumerate().for_each(|(at, kind)| one(html, at, kind));
        if kinds.all.len() > SHOWN_MAX {
            html.open("p")
                .class("note")
                .text(format!("And {} more kinds, in the bundle.", kinds.all.len() - SHOWN_MAX));
        }
    });
}

fn one(html: &mut Html, at: usize, kind: &Kind<'_>) {
    html.open("article").id(Place("isolation", at)).inside(|html| {
        let report = kind.report;
        html.say("h3", format!("{}/{}", report.provider, report.profile));
        if report.profile == "none" {
            html.open("p")
                .class("note bad")
                .text("NOT CONFINED: the agent could do what the user could who ran agora.");
        }
        document::facts(html, "facts", facts(kind));
        if !report.weaker.is_empty() {
            html.say("p", "Missing of the strongest profile:");
            html.open("ul").inside(|html| report.weaker.iter().for_each(|line| html.say("li", line)));
        }
    });
}

fn facts(kind: &Kind<'_>) -> Vec<(&'static str, String)> {
    let report = kind.report;
    let or_none = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join("; ") };
    let mut facts = vec![
        ("attempts", format!("{}, of which {} accepted", kind.attempts, kind.accepted)),
        ("targets", kind.targets.join(", ")),
        ("network", format!("{}, held by {}", report.network.mode, report.network.boundary)),
        ("probes", format!("{} passed; failed: {}", report.probes.passed, or_none(&report.probes.failed))),
    ];
    if !report.probes.not_testable.is_empty() {
        facts.push(("not testable here", or_none(&report.probes.not_testable)));
    }
    if !report.namespaces.is_empty() {
        facts.push(("namespaces", report.namespaces.join(", ")));
    }
    facts.extend(report.no_new_privs.map(|set| ("no_new_privs", if set { "set" } else { "not set" }.to_owned())));
    facts.extend(report.uid_separation.iter().map(|uid| ("user", uid.clone())));
    facts.extend(report.worker.iter().map(|place| ("worker runs in", place.clone())));
    facts.extend(report.tree.iter().map(|tree| ("workspace", tree.clone())));
    facts.extend(report.kernel.iter().map(|kernel| ("kernel", kernel.clone())));
    facts.extend(report.jail.iter().map(|jail| ("jail", jail.version.clone())));
    facts
}
