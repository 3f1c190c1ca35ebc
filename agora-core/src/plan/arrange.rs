//! What a queue's pattern makes of a plan before it is checked: a pipeline's chain, and what no pattern could work with.

use std::collections::{BTreeMap, BTreeSet};

use super::code::Code;
use super::cursor::{Place, Report};
use super::model::{Item, Plan};
use super::parse::Parsed;
use super::pattern::{Gate, OnRed, Pattern, QueuePattern};
use super::pattern_ids::{Taken, taken};
use super::suggest::listed;
use crate::id::{ItemId, Name};
use crate::limits::{PATTERN_ID_BYTES_MAX, PATTERN_ITEMS_MAX};

/// Fits a plan to the pattern of its queue, which `queues` has; a queue that is not among them has none.
///
/// In a queue with the pattern `pipeline`, each item without dependencies depends on the one before it that had none.
#[must_use]
pub fn arrange(mut parsed: Parsed, queues: &BTreeMap<Name, QueuePattern>) -> Parsed {
    let pattern = queues.get(&parsed.plan.queue).copied().unwrap_or_default();
    if pattern == QueuePattern::Pipeline {
        chain(&mut parsed.plan);
    }
    let mut arranged = Arrange {
        plan: &parsed.plan,
        positions: &parsed.positions,
        report: Report::with(parsed.problems.clone(), parsed.left_out),
    };
    arranged.keys(pattern, queues);
    if pattern != QueuePattern::StaticDag {
        arranged.whole(pattern);
        arranged.ids(pattern);
        arranged.gates();
    }
    let report = arranged.report;
    parsed.left_out = report.left_out();
    parsed.problems = report.finish().0;
    parsed
}

/// An item with dependencies leads to others; one without leads to an earlier one without: there is no cycle in that.
fn chain(plan: &mut Plan) {
    let mut last: Option<ItemId> = None;
    for item in plan.items.iter_mut().filter(|item| item.depends_on.is_empty()) {
        item.depends_on.extend(last.replace(item.id.clone()));
    }
}

struct Arrange<'a> {
    plan: &'a Plan,
    positions: &'a [usize],
    report: Report,
}

impl<'a> Arrange<'a> {
    fn items(&self) -> impl Iterator<Item = (usize, &'a Item)> + use<'a> {
        self.positions.iter().copied().zip(&self.plan.items)
    }

    fn patterns(&self) -> impl Iterator<Item = (usize, &'a Item, &'a Pattern)> + use<'a> {
        self.items().filter_map(|(position, item)| Some((position, item, item.pattern()?)))
    }

    /// Notes what is wrong with an item, below its `inputs` where `keys` are given.
    fn refuse(&mut self, code: Code, position: usize, item: &Item, keys: &[&str], message: String, hint: String) {
        let at = keys.iter().fold(Place::Root.key("items").index(position).to_string(), |at, key| {
            format!("{at}/{}", key.replace('~', "~0"))
        });
        self.report.about(Some(&item.id));
        self.report.refuse(code.problem(at, message).hint(hint));
        self.report.about(None);
    }

    /// Only the keys of the queue's own pattern have a meaning.
    fn keys(&mut self, pattern: QueuePattern, queues: &BTreeMap<Name, QueuePattern>) {
        for (position, item, own) in self.patterns().filter(|(_, _, own)| own.of() != pattern) {
            let (queue, has, wants, key) = (&self.plan.queue, pattern.as_str(), own.of().as_str(), own.key());
            let message = format!("`{key}` is for queues with the pattern {wants}; the queue `{queue}` has {has}");
            let right = queues.iter().filter(|(_, of)| **of == own.of()).map(|(name, _)| name.as_str());
            let right: Vec<&str> = right.collect();
            let hint = match right.is_empty() {
                true => format!("an operator adds [queues.NAME] with pattern = \"{wants}\" to agora.toml"),
                false => listed("queues with that pattern", right),
            };
            self.refuse(Code::PatternMismatch, position, item, &["inputs", key], message, hint);
        }
    }

    /// What holds of the plan as a whole.
    fn whole(&mut self, pattern: QueuePattern) {
        let name = pattern.as_str();
        if self.plan.open_ended {
            let message = format!("a run of a queue with the pattern {name} cannot be open-ended");
            let hint = "leave out `openEnded`: the pattern adds what follows; or choose a queue without a pattern";
            self.report.refuse(Code::PatternPlan.problem("/openEnded", message).hint(hint));
        }
        if pattern != QueuePattern::MapReduce {
            return;
        }
        let splitters: Vec<_> = self.patterns().filter(|(_, _, own)| own.of() == pattern).collect();
        if splitters.is_empty() {
            let message = "no item has `inputs.mapReduce`";
            let hint = r#"give the item whose outputs are to be worked on "mapReduce": {"map": {…}, "reduce": {…}}"#;
            self.report.refuse(Code::PatternPlan.problem("/items", message).hint(hint));
        }
        for (position, item, _) in splitters.into_iter().skip(1) {
            let message = "a second item has `mapReduce`; a run has one".to_owned();
            let hint = "submit the other one as a plan of its own".to_owned();
            self.refuse(Code::PatternPlan, position, item, &["inputs", "mapReduce"], message, hint);
        }
    }

    /// No item has an id that the pattern may give, and each leaves room for what the pattern appends.
    fn ids(&mut self, pattern: QueuePattern) {
        let carriers: BTreeSet<&str> = self.patterns().map(|(_, item, _)| item.id.as_str()).collect();
        for (position, item) in self.items() {
            let id = item.id.as_str();
            if id.len() > PATTERN_ID_BYTES_MAX {
                let message = format!("the id has {} bytes, {PATTERN_ID_BYTES_MAX} at most in this queue", id.len());
                let hint = "the queue's pattern makes longer ids of it; shorten it".to_owned();
                self.refuse(Code::PatternPlan, position, item, &["id"], message, hint);
            }
            let is_taken = match taken(pattern, id) {
                None => false,
                Some(Taken::Always) => true,
                Some(Taken::By(carrier)) => carriers.contains(carrier),
            };
            if is_taken {
                let message = format!("the pattern {} gives ids like this one to its own items", pattern.as_str());
                self.refuse(Code::PatternPlan, position, item, &["id"], message, "choose another id".to_owned());
            }
        }
    }

    fn gates(&mut self) {
        let carriers = self.patterns().count();
        if carriers > PATTERN_ITEMS_MAX {
            self.report.too_large(&Place::Root.key("items"), "patterns", carriers, PATTERN_ITEMS_MAX, "items");
            return;
        }
        let graph = self.plan.graph();
        let gates: Vec<(usize, usize, &Item, &Gate)> = self
            .items()
            .enumerate()
            .filter_map(|(at, (position, item))| match item.pattern() {
                Some(Pattern::Gate(gate)) => Some((at, position, item, gate)),
                Some(Pattern::MapReduce(_) | Pattern::Quorum(_)) | None => None,
            })
            .collect();
        let mut lenient = BTreeSet::new();
        for (at, position, item, gate) in gates {
            if gate.on_red == OnRed::Advance {
                lenient.insert(&item.id);
            }
            let Some(subject) = &gate.subject else { continue };
            if !graph.closure(at).into_iter().any(|above| self.plan.items[above].id == *subject) {
                let message = format!("the gate judges {subject}, which does not come before it");
                let hint = "name an item that the gate depends on, near or far; or leave `subject` out".to_owned();
                self.refuse(Code::PatternPlan, position, item, &["inputs", "gate", "subject"], message, hint);
            }
        }
        for (position, item) in self.items() {
            for (key, need) in item.needs.iter().filter(|(_, need)| lenient.contains(&need.from)) {
                let message = format!("needs a product of {}, a gate that the run may pass by", need.from);
                let hint = "take it from an item before the gate, or give the gate `onRed` `spawn-fix`".to_owned();
                self.refuse(Code::PatternPlan, position, item, &["needs", key], message, hint);
            }
        }
    }
}
