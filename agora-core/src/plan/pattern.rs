//! Patterns of queues, as data: what the end of an item leads to. `pattern/` beside the plan says what that is.

use serde_json::{Map, Value, json};

use super::cursor::Place;
use super::model::{Inputs, Item, Retry, Work};
use crate::id::{ItemId, Name};

/// The member of an object `workerInput` under which the prompt template of a pattern's item finds what the pattern tells
/// it: of a fix `gate`, `subject` and `round`; of a map `key`; of a review `subject`, `round` and `reviewer`.
pub const TOLD: &str = "pattern";
/// Every name that a pattern may tell one of its items.
const TOLD_NAMES: [&str; 5] = ["gate", "subject", "round", "key", "reviewer"];

/// The pattern of a queue, as `agora.toml` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum QueuePattern {
    /// A run has the items of its plan, and those it is extended by.
    #[default]
    StaticDag,
    /// Items without dependencies form a chain, and gates say what follows a red item.
    Pipeline,
    /// One item splits the work, each of its outputs becomes an item, one more joins them.
    MapReduce,
    /// Reviewers judge an item's work before it is committed.
    Quorum,
}

impl QueuePattern {
    /// Every pattern.
    pub const ALL: [Self; 4] = [Self::StaticDag, Self::Pipeline, Self::MapReduce, Self::Quorum];

    /// The name in configuration, records and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StaticDag => "static-dag",
            Self::Pipeline => "pipeline",
            Self::MapReduce => "map-reduce",
            Self::Quorum => "quorum",
        }
    }

    /// The pattern of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pattern| pattern.as_str() == name)
    }

    /// The key of `inputs` that is this pattern's own.
    #[must_use]
    pub fn key(self) -> Option<&'static str> {
        match self {
            Self::StaticDag => None,
            Self::Pipeline => Some("gate"),
            Self::MapReduce => Some("mapReduce"),
            Self::Quorum => Some("quorum"),
        }
    }
}

/// What the end of an item leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// The item is a gate of a pipeline.
    Gate(Gate),
    /// The item splits the work of a map-reduce.
    MapReduce(MapReduce),
    /// The item's work is reviewed.
    Quorum(Quorum),
}

/// A gate of a pipeline: what follows when the item is red, that is failed, or done with its verify not passed.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// The item whose work it judges, for whoever mends that.
    pub subject: Option<ItemId>,
    /// What a red gate leads to.
    pub on_red: OnRed,
}

/// What a red gate leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum OnRed {
    /// The run goes on as if the gate were green.
    Advance,
    /// A fix, and the gate once more with all that depends on it.
    SpawnFix {
        /// The fix.
        fix: Template,
        /// How often; after that the gate stays red.
        attempts_max: u64,
    },
}

/// One item for each output of the item, and one that joins them.
#[derive(Debug, Clone, PartialEq)]
pub struct MapReduce {
    /// What is done with one output.
    pub map: Template,
    /// What is done once all of that is done.
    pub reduce: Template,
}

/// Reviews of the item's work.
#[derive(Debug, Clone, PartialEq)]
pub struct Quorum {
    /// Who reviews, all at once; at least one.
    pub reviewers: Vec<Template>,
    /// How many of them have to be green.
    pub threshold: u64,
    /// What follows an approved work.
    pub commit: Template,
    /// What follows a rejected one.
    pub on_reject: OnReject,
}

/// What a rejected work leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum OnReject {
    /// The run fails.
    Block,
    /// A fix, and another round of reviews.
    SpawnFix {
        /// The fix.
        fix: Template,
        /// How often; after that the work stays rejected.
        rounds_max: u64,
    },
}

/// An item without its id and without what it waits for, which the pattern knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// As of an item.
    pub executor: Name,
    /// As of an item; of no pattern itself.
    pub work: Work,
    /// As of an item.
    pub locks: Vec<String>,
    /// As of an item.
    pub subagent_shape: Option<String>,
    /// As of an item.
    pub timeout_seconds: Option<u64>,
    /// As of an item.
    pub retry: Retry,
    /// As of an item.
    pub priority: u8,
}

impl Template {
    /// What the subagent is told; absent where none works.
    #[must_use]
    pub fn inputs(&self) -> Option<&Inputs> {
        match &self.work {
            Work::Dispatch(inputs) => Some(inputs),
            Work::Approval(_) => None,
        }
    }

    /// The item that it becomes.
    #[must_use]
    pub fn item(&self, id: ItemId, depends_on: Vec<ItemId>) -> Item {
        Item {
            id,
            executor: self.executor.clone(),
            work: self.work.clone(),
            depends_on,
            locks: self.locks.clone(),
            needs: std::collections::BTreeMap::new(),
            subagent_shape: self.subagent_shape.clone(),
            timeout_seconds: self.timeout_seconds,
            retry: self.retry,
            priority: self.priority,
        }
    }

    fn to_value(&self) -> Value {
        let Ok(any) = ItemId::new("any") else { return Value::Null };
        let mut value = self.item(any, Vec::new()).to_value();
        if let Value::Object(map) = &mut value {
            map.retain(|key, _| !["id", "depends_on", "needs"].contains(&key.as_str()));
        }
        value
    }
}

impl Item {
    /// The same item, told this by its pattern, where its `workerInput` is an object and can hold it.
    #[must_use]
    pub fn told(mut self, what: Value) -> Self {
        if let Work::Dispatch(inputs) = &mut self.work
            && let Value::Object(map) = &mut inputs.worker_input
        {
            map.insert(TOLD.to_owned(), what);
        }
        self
    }

    /// The same item, told everything that any pattern tells, to be checked.
    pub(super) fn told_all(self) -> Self {
        let all: Map<String, Value> = TOLD_NAMES.iter().map(|name| ((*name).to_owned(), json!("…"))).collect();
        self.told(Value::Object(all))
    }
}

/// Where in `inputs` a template stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateAt {
    /// The pattern's key.
    pub pattern: &'static str,
    /// The key in it.
    pub key: &'static str,
    /// The position, where the key holds several.
    pub index: Option<usize>,
}

impl TemplateAt {
    /// Calls with the place, below this place of `inputs`.
    pub(super) fn place(self, inputs: &Place<'_>, call: impl FnOnce(&Place<'_>)) {
        let pattern = inputs.key(self.pattern);
        let key = pattern.key(self.key);
        match self.index {
            Some(index) => call(&key.index(index)),
            None => call(&key),
        }
    }
}

impl Pattern {
    /// Whose it is.
    #[must_use]
    pub fn of(&self) -> QueuePattern {
        match self {
            Self::Gate(_) => QueuePattern::Pipeline,
            Self::MapReduce(_) => QueuePattern::MapReduce,
            Self::Quorum(_) => QueuePattern::Quorum,
        }
    }

    /// Its key of `inputs`.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Gate(_) => "gate",
            Self::MapReduce(_) => "mapReduce",
            Self::Quorum(_) => "quorum",
        }
    }

    /// What it may add, and where that stands.
    #[must_use]
    pub fn templates(&self) -> Vec<(TemplateAt, &Template)> {
        let at = |key| TemplateAt { pattern: self.key(), key, index: None };
        match self {
            Self::Gate(Gate { on_red: OnRed::Advance, .. }) => Vec::new(),
            Self::Gate(Gate { on_red: OnRed::SpawnFix { fix, .. }, .. }) => vec![(at("fixTemplate"), fix)],
            Self::MapReduce(of) => vec![(at("map"), &of.map), (at("reduce"), &of.reduce)],
            Self::Quorum(of) => {
                let reviewer = |(ix, template)| (TemplateAt { index: Some(ix), ..at("reviewers") }, template);
                let mut all: Vec<_> = of.reviewers.iter().enumerate().map(reviewer).collect();
                all.push((at("commit"), &of.commit));
                if let OnReject::SpawnFix { fix, .. } = &of.on_reject {
                    all.push((at("fixTemplate"), fix));
                }
                all
            }
        }
    }

    /// The value of its key, every default written out.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Gate(gate) => {
                let mut map = Map::new();
                if let Some(subject) = &gate.subject {
                    map.insert("subject".to_owned(), json!(subject));
                }
                match &gate.on_red {
                    OnRed::Advance => map.insert("onRed".to_owned(), json!("advance")),
                    OnRed::SpawnFix { fix, attempts_max } => {
                        map.insert("fixTemplate".to_owned(), fix.to_value());
                        map.insert("maxFixAttempts".to_owned(), json!(attempts_max));
                        map.insert("onRed".to_owned(), json!("spawn-fix"))
                    }
                };
                Value::Object(map)
            }
            Self::MapReduce(of) => json!({ "map": of.map.to_value(), "reduce": of.reduce.to_value() }),
            Self::Quorum(of) => {
                let mut value = json!({
                    "reviewers": of.reviewers.iter().map(Template::to_value).collect::<Value>(),
                    "threshold": of.threshold,
                    "commit": of.commit.to_value(),
                    "onReject": "block",
                });
                if let OnReject::SpawnFix { fix, rounds_max } = &of.on_reject {
                    value["onReject"] = json!("spawn-fix");
                    value["fixTemplate"] = fix.to_value();
                    value["maxRounds"] = json!(rounds_max);
                }
                value
            }
        }
    }
}
