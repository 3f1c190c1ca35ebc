//! From the tables of a deploy document to artifacts: files are read, names resolved in the new state, digests frozen.
//!
//! Everything is read and checked before anything is said, so that one look at the list is enough to mend the document.

mod env;
mod field;
mod subagent;

use std::collections::{BTreeMap, BTreeSet};

use agora_core::canon;
use agora_core::error::{Class, Problem, nearest};
use agora_core::id::{Digest, Name};
use agora_core::registry::{Artifact, Kind, Pipeline, decode};
use agora_core::seam::BlobStore;
use serde_json::Value;

use super::capability::read_folder;
use super::document::Document;
use super::staged::Staged;
use field::Fields;

/// The entries that are there before the deploy and stay unless it names them: kind to name to digest.
pub type Standing = BTreeMap<Kind, BTreeMap<Name, Digest>>;

/// What a document comes to.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The digest of every entry that the document names.
    pub entries: BTreeMap<(Kind, Name), Digest>,
    /// Their bytes, and those of all that they name.
    pub staged: Staged,
}

/// Reads all that the document names.
///
/// `standing` holds the entries that stay, `environment` the operator's own variables, for `from_env`.
///
/// # Errors
/// Everything that is wrong, with a JSON pointer into the document.
pub async fn resolve(
    document: &Document,
    standing: &Standing,
    environment: &BTreeMap<String, String>,
    blobs: &dyn BlobStore,
) -> Result<Resolved, Vec<Problem>> {
    let mut work =
        Work { document, standing, resolved: Resolved::default(), broken: BTreeSet::new(), problems: Vec::new() };
    work.capabilities();
    env::bundles(&mut work, environment, blobs).await;
    work.pipelines();
    subagent::subagents(&mut work);
    if work.problems.is_empty() { Ok(work.resolved) } else { Err(work.problems) }
}

/// A resolution under way.
struct Work<'a> {
    document: &'a Document,
    standing: &'a Standing,
    resolved: Resolved,
    /// Entries of the document that are wrong: whoever names them is not told a second time.
    broken: BTreeSet<(Kind, Name)>,
    problems: Vec<Problem>,
}

/// Where an entry of the document stands.
fn place(kind: Kind, name: &Name) -> String {
    format!("/{kind}/{name}")
}

/// Puts the place of an entry before a problem's own.
fn below(place: &str, mut problem: Problem) -> Problem {
    problem.at = Some(match problem.at {
        Some(at) if at.starts_with('/') => format!("{place}{at}"),
        Some(at) if !at.is_empty() => format!("{place} {at}"),
        _ => place.to_owned(),
    });
    problem
}

impl Work<'_> {
    fn refuse(&mut self, kind: Kind, name: &Name, problems: Vec<Problem>) {
        self.broken.insert((kind, name.clone()));
        let place = place(kind, name);
        self.problems.extend(problems.into_iter().map(|problem| below(&place, problem)));
    }

    /// Checks an artifact as its readers will, and stages its bytes.
    fn stage<T: Artifact>(&mut self, artifact: &T) -> Result<Digest, Vec<Problem>> {
        let bytes = canon::to_bytes(artifact)
            .map_err(|error| vec![Problem::new(Class::Operator, "artifact-shape", error.to_string())])?;
        let mut problems = artifact.credentials();
        if let Err(more) = decode::<T>(&bytes) {
            problems.extend(more);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        self.resolved.staged.add(bytes).map_err(|problem| vec![problem])
    }

    fn take<T: Artifact>(&mut self, name: &Name, artifact: Result<T, Vec<Problem>>) {
        match artifact.and_then(|artifact| self.stage(&artifact)) {
            Ok(digest) => {
                self.resolved.entries.insert((T::KIND, name.clone()), digest);
            }
            Err(problems) => self.refuse(T::KIND, name, problems),
        }
    }

    fn capabilities(&mut self) {
        let document = self.document;
        for (name, table) in document.of(Kind::Capability) {
            let mut fields = Fields::new(table, &["from", "allowed_patterns", "about"], &[]);
            let from = fields.text("from");
            fields.need("from");
            let about = fields.text("about");
            let allowed = fields.texts("allowed_patterns");
            let mut problems = fields.finish();
            let Some(from) = from.filter(|_| problems.is_empty()) else {
                self.refuse(Kind::Capability, name, problems);
                continue;
            };
            let folder = document.folder.join(from);
            match read_folder(&folder, about, allowed, &mut self.resolved.staged) {
                Ok(capability) => self.take(name, Ok(capability)),
                Err(more) => {
                    problems.extend(more);
                    self.refuse(Kind::Capability, name, problems);
                }
            }
        }
    }

    fn pipelines(&mut self) {
        let document = self.document;
        for (name, table) in document.of(Kind::Pipeline) {
            let mut fields = Fields::new(table, &["about", "blocks", "output_type", "input_types"], &[]);
            fields.need("blocks");
            let mut problems = fields.finish();
            problems.extend(agent_blocks_with_more(table.get("blocks")));
            let pipeline = if problems.is_empty() { field::artifact::<Pipeline>(table.clone()) } else { Err(problems) };
            self.take(name, pipeline);
        }
    }

    /// The digest that a name has in the new state: the document's, else the one that stands.
    fn digest(&self, kind: Kind, name: &Name) -> Option<Digest> {
        let new = self.resolved.entries.get(&(kind, name.clone()));
        new.or_else(|| self.standing.get(&kind)?.get(name)).copied()
    }

    /// Refuses a name that the new state does not have, with the nearest one that it has.
    fn known(&self, kind: Kind, name: &Name, at: &str) -> Option<Problem> {
        if self.broken.contains(&(kind, name.clone())) || self.digest(kind, name).is_some() {
            return None;
        }
        let standing = self.standing.get(&kind).into_iter().flat_map(BTreeMap::keys);
        let known: BTreeSet<&str> =
            self.document.of(kind).map(|(name, _)| name).chain(standing).map(Name::as_str).collect();
        let hint = match nearest(name.as_str(), known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None if known.is_empty() => format!("there is no {kind} yet: add [{kind}.{name}]"),
            None => format!("known: {}", known.into_iter().take(20).collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no {kind} {:?} in the new state", name.as_str());
        Some(Problem::new(Class::Operator, code_of_unknown(kind), message).at(at).hint(hint))
    }
}

fn code_of_unknown(kind: Kind) -> &'static str {
    match kind {
        Kind::Capability => "capability-unknown",
        Kind::Subagent => "subagent-unknown",
        Kind::Env => "env-unknown",
        Kind::Pipeline => "pipeline-unknown",
    }
}

/// serde reads the members of an `agent` block past; a document that has some means something by them.
fn agent_blocks_with_more(blocks: Option<&Value>) -> Vec<Problem> {
    let blocks = blocks.and_then(Value::as_array).into_iter().flatten().enumerate();
    let with_more = blocks.filter(|(_, block)| {
        block.get("kind").and_then(Value::as_str) == Some("agent") && block.as_object().is_some_and(|b| b.len() > 1)
    });
    with_more
        .map(|(i, _)| {
            let message = "a block of kind `agent` has no members besides `kind`";
            Problem::new(Class::Operator, "artifact-shape", message)
                .at(format!("/blocks/{i}"))
                .hint("the program and its limits are the subagent's")
        })
        .collect()
}
