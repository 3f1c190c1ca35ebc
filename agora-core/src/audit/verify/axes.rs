//! Step 11: what all of it shows, each axis from weak to strong.

use std::collections::BTreeMap;

use super::story::{Story, Told};
use crate::id::Actor;
use crate::isolation::Isolation;
use crate::record::{AttemptStarted, Record};

/// An axis, and its values from weak to strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Axis {
    /// Whether anything was changed.
    Integrity,
    /// Whose signatures these are.
    Authenticity,
    /// Whether it could have been written anew since.
    Tamper,
    /// How much of it is here.
    Completeness,
    /// Whose clock.
    Time,
    /// How attempts were confined.
    Isolation,
    /// Whether an agent could read a secret.
    Credentials,
    /// Whether it was recorded what allowed each act.
    Authorisation,
}

/// How many places one note names.
const NOTED_MAX: usize = 20;

/// What an axis says where there is nothing to judge.
pub const NOTHING: &str = "none";

impl Axis {
    /// Every axis.
    pub const ALL: [Self; 8] = [
        Self::Integrity,
        Self::Authenticity,
        Self::Tamper,
        Self::Completeness,
        Self::Time,
        Self::Isolation,
        Self::Credentials,
        Self::Authorisation,
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integrity => "integrity",
            Self::Authenticity => "authenticity",
            Self::Tamper => "tamper",
            Self::Completeness => "completeness",
            Self::Time => "time",
            Self::Isolation => "isolation",
            Self::Credentials => "credentials",
            Self::Authorisation => "authorisation",
        }
    }

    /// Its values, from weak to strong.
    #[must_use]
    pub fn values(self) -> &'static [&'static str] {
        match self {
            Self::Integrity => &["broken", "consistent"],
            Self::Authenticity => &["self-asserted", "key-pinned"],
            Self::Tamper => &["unproven", "tamper-detecting", "tamper-evident"],
            Self::Completeness => &["open-run", "whole-run", "whole-log", "all-sealed"],
            Self::Time => &["time-asserted", "time-anchored"],
            Self::Isolation => &["not-isolated", "partly-isolated", "fully-isolated"],
            Self::Credentials => &["secrets-exposed", "secrets-sealed"],
            Self::Authorisation => &["not-recorded", "recorded"],
        }
    }
}

/// Something that an auditor requires: this value of its axis, or a stronger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    /// The axis.
    pub axis: Axis,
    /// The position among its values.
    rank: usize,
}

impl Requirement {
    /// Reads a value of any axis.
    ///
    /// # Errors
    /// That there is none, and which there are, a line an axis.
    pub fn parse(value: &str) -> Result<Self, String> {
        Axis::ALL.into_iter().find_map(|axis| Self::of(axis, value)).ok_or_else(|| {
            let all = Axis::ALL.iter().map(|axis| format!("{}: {}", axis.as_str(), axis.values().join(", ")));
            format!("no axis has this value; there are\n  {}", all.collect::<Vec<_>>().join("\n  "))
        })
    }

    /// Reads an axis and one of its values, as a policy names them.
    #[must_use]
    pub fn named(axis: &str, value: &str) -> Option<Self> {
        Axis::ALL.into_iter().find(|known| known.as_str() == axis).and_then(|axis| Self::of(axis, value))
    }

    fn of(axis: Axis, value: &str) -> Option<Self> {
        axis.values().iter().position(|known| *known == value).map(|rank| Self { axis, rank })
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &'static str {
        self.axis.values().get(self.rank).copied().unwrap_or(NOTHING)
    }

    /// Whether a value of its axis is strong enough.
    #[must_use]
    pub fn is_met_by(&self, value: &str) -> bool {
        self.axis.values().iter().position(|known| *known == value).is_some_and(|rank| rank >= self.rank)
    }
}

/// The weakest confinement of an accepted attempt.
pub(super) fn isolation(told: &[Told], story: &Story) -> &'static str {
    let ranks = accepted(told, story).map(|started| rank(&started.isolation)).min();
    ranks.and_then(|rank| Axis::Isolation.values().get(rank)).copied().unwrap_or(NOTHING)
}

fn rank(report: &Isolation) -> usize {
    if report.profile == "none" {
        return 0;
    }
    let whole = report.weaker.is_empty() && report.probes.failed.is_empty() && report.probes.passed > 0;
    if whole { 2 } else { 1 }
}

fn accepted<'a>(told: &'a [Told], story: &'a Story) -> impl Iterator<Item = &'a AttemptStarted> {
    story.accepted.iter().filter_map(|accepted| {
        match &told.get(usize::try_from(accepted.started).ok()?)?.entry.record {
            Record::AttemptStarted(started) => Some(started.as_ref()),
            _ => None,
        }
    })
}

/// How many accepted attempts ran where.
pub(super) fn places(told: &[Told], story: &Story) -> Vec<String> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for started in accepted(told, story) {
        let place = format!("{} with profile {}", started.isolation.provider, started.isolation.profile);
        *counts.entry(place).or_default() += 1;
    }
    counts.into_iter().map(|(place, count)| format!("isolation: {count} accepted under {place}")).collect()
}

/// Whether a started attempt could read a secret, and which.
pub(super) fn credentials(told: &[Told]) -> (&'static str, Vec<String>) {
    let (mut any, mut exposed) = (false, BTreeMap::new());
    for started in told.iter().filter_map(|told| match &told.entry.record {
        Record::AttemptStarted(started) => Some(started),
        _ => None,
    }) {
        any = true;
        let open = started.isolation.network.boundary == "security-group";
        for secret in started.secrets.iter().filter(|secret| open || secret.deliver.as_str() != "broker") {
            exposed.insert(secret.name.to_string(), secret.deliver.to_string());
        }
    }
    let notes = exposed.iter().map(|(name, deliver)| format!("secret {name} was delivered as {deliver}")).collect();
    let value = match (any, exposed.is_empty()) {
        (false, _) => NOTHING,
        (true, true) => "secrets-sealed",
        (true, false) => "secrets-exposed",
    };
    (value, notes)
}

/// Whether every act of a human, agent or schedule says what allowed it.
pub(super) fn authorisation<'a>(entries: impl Iterator<Item = (&'a Actor, bool)>) -> &'static str {
    let acts = |actor: &Actor| ["human:", "agent:", "schedule:"].iter().any(|kind| actor.as_str().starts_with(kind));
    let recorded: Vec<bool> = entries.filter(|(actor, _)| acts(actor)).map(|(_, auth)| auth).collect();
    match (recorded.is_empty(), recorded.iter().all(|auth| *auth)) {
        (true, _) => NOTHING,
        (false, true) => "recorded",
        (false, false) => "not-recorded",
    }
}

/// What of a story a reader should know besides.
pub(super) fn of_story(story: &Story) -> Vec<String> {
    let places = |seqs: &[u64]| {
        let shown: Vec<String> = seqs.iter().take(NOTED_MAX).map(ToString::to_string).collect();
        let more = seqs.len().saturating_sub(NOTED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("entries {}{more}", shown.join(", "))
    };
    let other: Vec<u64> = story.other_models.iter().map(|attempt| attempt.finished).collect();
    [
        (other.as_slice(), "another model was reported than requested"),
        (story.unverified.as_slice(), "the worker's own verify did not pass"),
        (story.forced.as_slice(), "cancelled on an operator's word, not proven gone"),
    ]
    .into_iter()
    .filter(|(seqs, _)| !seqs.is_empty())
    .map(|(seqs, what)| format!("{what}: {}", places(seqs)))
    .collect()
}
