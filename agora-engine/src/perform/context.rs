//! What a run is bound to, read once by digest: the artifacts its items use and the answers they were given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agora_core::id::Digest;
use agora_core::record::NamedRef;
use agora_core::registry::{self, Capability, EnvBundle, Pipeline, Subagent};
use agora_core::seam::{BlobError, BlobStore};
use agora_core::state::RunState;
use agora_core::worker::{Failure, Reason};

/// What must be read of a run before its items can be leased.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    /// Artifacts of the registry.
    pub(crate) uses: BTreeSet<NamedRef>,
    /// Other blobs: questions and their answers.
    pub(crate) texts: BTreeSet<Digest>,
}

impl Wanted {
    /// What this run needs now.
    pub(crate) fn of(run: &RunState) -> Self {
        let mut wanted = Self::default();
        for item in run.items.iter().filter(|item| !item.status.is_terminal()) {
            wanted.uses.extend(item.uses.iter().cloned());
            if let Some((question, answer)) = item.question.as_ref().and_then(|q| Some((q, q.answer?))) {
                wanted.texts.extend([question.text, answer]);
            }
        }
        wanted
    }
}

type Bytes = Result<Arc<Vec<u8>>, Failure>;

/// The artifacts of a run. What is missing or damaged is kept as the failure of every attempt that uses it.
#[derive(Debug, Default)]
pub(crate) struct RunContext {
    wanted: Wanted,
    blobs: BTreeMap<Digest, Bytes>,
}

/// What one item uses.
#[derive(Debug, Clone)]
pub(crate) struct ItemContext {
    /// Who works.
    pub(crate) subagent: Subagent,
    /// The template's text.
    pub(crate) template: Option<String>,
    /// In overlay order: name, manifest's digest, manifest.
    pub(crate) capabilities: Vec<(String, Digest, Capability)>,
    /// The bundles' plain variables; later bundles win.
    pub(crate) env: BTreeMap<String, String>,
    /// The pipeline, if one is chosen.
    pub(crate) pipeline: Option<Pipeline>,
}

impl RunContext {
    /// Reads what is wanted. Never fails: what cannot be read fails the attempts that use it.
    pub(crate) async fn load(wanted: Wanted, store: &dyn BlobStore) -> Self {
        let mut context = Self { wanted: wanted.clone(), blobs: BTreeMap::new() };
        for used in &wanted.uses {
            context.read(used.digest, store).await;
            if used.kind.as_str() != "subagent" {
                continue;
            }
            let subagent = context.bytes(&used.digest).ok().and_then(|bytes| registry::decode_subagent(&bytes).ok());
            if let Some(template) = subagent.and_then(|subagent| subagent.template) {
                context.read(template, store).await;
            }
        }
        for digest in &wanted.texts {
            context.read(*digest, store).await;
        }
        context
    }

    /// Whether everything that is wanted was read, or tried.
    pub(crate) fn covers(&self, wanted: &Wanted) -> bool {
        wanted.uses.is_subset(&self.wanted.uses) && wanted.texts.is_subset(&self.wanted.texts)
    }

    async fn read(&mut self, digest: Digest, store: &dyn BlobStore) {
        if let std::collections::btree_map::Entry::Vacant(place) = self.blobs.entry(digest) {
            place.insert(store.get(&digest).await.map(Arc::new).map_err(|error| blob_failure(&error)));
        }
    }

    /// The bytes of a blob.
    pub(crate) fn bytes(&self, digest: &Digest) -> Bytes {
        let missing = || Err(Failure::new(Reason::BlobMissing, format!("{digest} was not read")));
        self.blobs.get(digest).cloned().unwrap_or_else(missing)
    }

    /// What an item with these uses works with, in the order in which they are listed.
    pub(crate) fn item(&self, uses: &[NamedRef]) -> Result<ItemContext, Failure> {
        let mut subagent = None;
        let mut context = ItemParts::default();
        for used in uses {
            let bytes = self.bytes(&used.digest)?;
            match used.kind.as_str() {
                "subagent" => subagent = Some(decoded(used, registry::decode_subagent(&bytes))?),
                "capability" => {
                    let manifest = decoded(used, registry::decode_capability(&bytes))?;
                    context.capabilities.push((used.name.to_string(), used.digest, manifest));
                }
                "env" => {
                    let bundle: EnvBundle = decoded(used, registry::decode_env(&bytes))?;
                    context.env.extend(bundle.values);
                }
                "pipeline" => context.pipeline = Some(decoded(used, registry::decode_pipeline(&bytes))?),
                other => return Err(Failure::new(Reason::BlobMissing, format!("nothing of kind {other} is known"))),
            }
        }
        let subagent: Subagent =
            subagent.ok_or_else(|| Failure::new(Reason::BlobMissing, "the item names no subagent"))?;
        let template = match &subagent.template {
            None => None,
            Some(digest) => {
                let text = String::from_utf8(self.bytes(digest)?.to_vec());
                Some(text.map_err(|_| Failure::new(Reason::DigestMismatch, "the template is not UTF-8"))?)
            }
        };
        let ItemParts { capabilities, env, pipeline } = context;
        Ok(ItemContext { subagent, template, capabilities, env, pipeline })
    }
}

#[derive(Default)]
struct ItemParts {
    capabilities: Vec<(String, Digest, Capability)>,
    env: BTreeMap<String, String>,
    pipeline: Option<Pipeline>,
}

fn decoded<T>(used: &NamedRef, result: Result<T, Vec<agora_core::error::Problem>>) -> Result<T, Failure> {
    result.map_err(|problems| {
        let why = problems.first().map_or_else(String::new, ToString::to_string);
        Failure::new(Reason::DigestMismatch, format!("the {} {}: {why}", used.kind, used.name))
    })
}

/// The failure of an attempt whose blob cannot be had.
pub(crate) fn blob_failure(error: &BlobError) -> Failure {
    let reason = match error {
        BlobError::Missing(_) => Reason::BlobMissing,
        BlobError::Damaged { .. } => Reason::DigestMismatch,
        BlobError::NoRoom(_) => Reason::NoRoom,
        BlobError::NotWritable(_) | BlobError::Io(_) => Reason::TransferFailed,
    };
    Failure::new(reason, error.to_string())
}
