//! Changing the registry: from a wish to a published version, or to a look at what would change.
//!
//! Each change is a *session*: take the lock (unless it is only a look), read and verify the version in force, work out
//! what is wished, compare, and publish one new version, all or nothing. Two sessions at once come one after the other.

use std::collections::BTreeMap;
use std::path::Path;

use agora_core::canon;
use agora_core::error::{Class, Coded as _, Problem};
use agora_core::id::{Digest, Name};
use agora_core::registry::snapshot::COMMENT_BYTES_MAX;
use agora_core::registry::{CapabilityRef, Kind, Seen, Subagent};
use agora_core::seam::{BlobError, BlobStore};
use agora_core::time::Time;
use agora_engine::registry::{Current, RegistryReader};
use serde_json::Value;

use super::differences::differences;
use super::document::Document;
use super::edit::{Change, Op, Wish, changes_anything, edit, wishes_of};
use super::error::ChangeError;
use super::lock::{LOCK_WAIT, RegistryLock};
use super::resolve::{Standing, resolve};
use super::sign::{PublishError, Published, may_sign, publish};
use super::snapshot::{Before, Draft};
use super::staged::Staged;
use super::view::{self, Lag};
use crate::keys::AdminKey;

/// Whether a change is made or only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is made.
    Apply,
    /// It is compared and not made: no key is opened, nothing is stored.
    DryRun,
}

/// What becomes of entries that a document does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They stay.
    Keep,
    /// They go.
    Prune,
}

/// What a change comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// A row for each entry that is new, other or gone, and for each that was named and stays as it is.
    pub changes: Vec<Change>,
    /// How many entries are as they were.
    pub unchanged: usize,
    /// Subagents that hold another content of a capability than its name now has.
    pub lagging: Vec<Lag>,
    /// The version in force before.
    pub before: u64,
    /// The new version; absent when it was a look, or when nothing changed.
    pub published: Option<Published>,
}

/// Who changes the registry of one home folder.
#[derive(Clone, Copy)]
pub struct Editor<'a> {
    pub(super) home: &'a Path,
    pub(super) blobs: &'a dyn BlobStore,
    pub(super) last: Option<&'a Seen>,
    now: Time,
}

/// A change under way.
struct Session {
    lock: Option<RegistryLock>,
    draft: Draft,
    before: Before,
}

/// What a change wishes.
struct Wishes {
    entries: BTreeMap<(Kind, Name), Wish>,
    others: Others,
    staged: Staged,
    comment: String,
}

impl<'a> Editor<'a> {
    /// Makes an editor. `last` is the version that the store has seen, if there is a store: an older one is refused.
    #[must_use]
    pub fn new(home: &'a Path, blobs: &'a dyn BlobStore, last: Option<&'a Seen>, now: Time) -> Self {
        Self { home, blobs, last, now }
    }

    /// Reads and verifies the version in force.
    ///
    /// # Errors
    /// [`ChangeError::Read`].
    pub async fn current(&self) -> Result<Current, ChangeError> {
        Ok(RegistryReader::open(self.home).read(self.last, self.blobs).await?)
    }

    async fn begin(&self, mode: Mode) -> Result<Session, ChangeError> {
        let lock = match mode {
            Mode::Apply if self.home.join("registry").is_dir() => {
                Some(RegistryLock::acquire(self.home, LOCK_WAIT).await?)
            }
            // Without the folder there is nothing to lock, and reading says so.
            Mode::Apply | Mode::DryRun => None,
        };
        let current = self.current().await?;
        let before = Before { snapshot: current.digest, note: current.note_digest };
        let draft = Draft::of_verified(&current.bytes).map_err(PublishError::Canon)?;
        Ok(Session { lock, draft, before })
    }

    /// Deploys a document: reads all it names, compares, and publishes one new version. Unchanged content publishes
    /// nothing. `environment` holds the operator's own variables, for `from_env`.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] with everything that is wrong with the document, or why nothing could be published.
    pub async fn deploy(
        &self,
        document: &Document,
        environment: &BTreeMap<String, String>,
        others: Others,
        mode: Mode,
        comment: &str,
    ) -> Result<Deployed, ChangeError> {
        let session = self.begin(mode).await?;
        let standing = match others {
            Others::Keep => standing(&session.draft),
            Others::Prune => Standing::new(),
        };
        let resolved = resolve(document, &standing, environment, self.blobs).await.map_err(ChangeError::Refused)?;
        let entries = resolved.entries.into_iter().map(|(entry, digest)| (entry, Wish::Have(digest))).collect();
        self.finish(session, Wishes { entries, others, staged: resolved.staged, comment: comment.to_owned() }).await
    }

    /// Removes an entry. Refused while a subagent names it.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`]; [`ChangeError::Refused`] with `registry-in-use` for each subagent that names it.
    pub async fn remove(&self, kind: Kind, name: &Name, mode: Mode) -> Result<Deployed, ChangeError> {
        let session = self.begin(mode).await?;
        if session.draft.digest(kind, name).is_none() {
            return Err(ChangeError::unknown(
                kind,
                name,
                session.draft.entries.get(&kind).into_iter().flat_map(BTreeMap::keys),
            ));
        }
        let entries = BTreeMap::from([((kind, name.clone()), Wish::Gone)]);
        let comment = format!("remove {kind} {name}");
        self.finish(session, Wishes { entries, others: Others::Keep, staged: Staged::default(), comment }).await
    }

    /// Freezes the current content of a subagent's capabilities; with `capabilities`, of these instead.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`]; [`ChangeError::Refused`] for capabilities that there are not.
    pub async fn assign(
        &self,
        subagent: &Name,
        capabilities: Option<&[Name]>,
        mode: Mode,
    ) -> Result<Deployed, ChangeError> {
        let session = self.begin(mode).await?;
        let known = |kind| session.draft.entries.get(&kind).into_iter().flat_map(BTreeMap::keys);
        let Some(digest) = session.draft.digest(Kind::Subagent, subagent) else {
            return Err(ChangeError::unknown(Kind::Subagent, subagent, known(Kind::Subagent)));
        };
        let mut artifact: Subagent = view::artifact(self.blobs, Kind::Subagent, subagent, &digest).await?;
        let named = match capabilities {
            Some(names) => names.to_vec(),
            None => artifact.capabilities.iter().map(|held| held.name.clone()).collect(),
        };
        let (mut frozen, mut problems) = (Vec::new(), Vec::new());
        for name in named {
            match session.draft.digest(Kind::Capability, &name) {
                Some(digest) => frozen.push(CapabilityRef { name, digest }),
                None => problems.push(ChangeError::unknown(Kind::Capability, &name, known(Kind::Capability)).problem()),
            }
        }
        artifact.capabilities = frozen;
        problems.extend(agora_core::registry::Artifact::check(&artifact));
        if !problems.is_empty() {
            return Err(ChangeError::Refused(problems));
        }
        let mut staged = Staged::default();
        let bytes = canon::to_bytes(&artifact).map_err(PublishError::Canon)?;
        let digest = staged.add(bytes).map_err(|problem| ChangeError::Refused(vec![problem]))?;
        let entries = BTreeMap::from([((Kind::Subagent, subagent.clone()), Wish::Have(digest))]);
        let comment = format!("assign {subagent}");
        self.finish(session, Wishes { entries, others: Others::Keep, staged, comment }).await
    }

    /// Publishes the entries of an earlier version as a new one. What is revoked stays revoked.
    ///
    /// # Errors
    /// [`ChangeError::NoVersion`], or that bytes of that version are gone.
    pub async fn rollback(&self, version: u64, mode: Mode) -> Result<Deployed, ChangeError> {
        let session = self.begin(mode).await?;
        let current = session.draft.version;
        let earlier = view::earlier(self.blobs, session.draft.clone(), version).await?;
        let Some(earlier) = earlier else { return Err(ChangeError::NoVersion { given: version, current }) };
        let entries = wishes_of(&earlier);
        for wish in entries.values() {
            if let Wish::Have(digest) = wish
                && !self.blobs.keep(digest).await?
            {
                return Err(BlobError::Missing(*digest).into());
            }
        }
        let comment = format!("rollback to {version}");
        self.finish(session, Wishes { entries, others: Others::Prune, staged: Staged::default(), comment }).await
    }

    /// Compares, and publishes what changed if the session may.
    async fn finish(&self, session: Session, wishes: Wishes) -> Result<Deployed, ChangeError> {
        let Session { lock, draft, before } = session;
        let (mut next, mut changes) = edit(&draft, &wishes.entries, wishes.others == Others::Prune);
        let removes = changes.iter().any(|change| change.op == Op::Removed);
        let subagents = self.subagents(&next, &wishes.staged, removes).await?;
        let in_use = in_use(&changes, &subagents);
        if !in_use.is_empty() {
            return Err(ChangeError::Refused(in_use));
        }
        for change in &mut changes {
            change.details = self.details(change, &wishes.staged).await?;
        }
        let changed = changes.iter().filter(|change| matches!(change.op, Op::Added | Op::Changed)).count();
        let total: usize = next.entries.values().map(BTreeMap::len).sum();
        let lagging = view::lagging(&next, &subagents);
        let mut deployed =
            Deployed { unchanged: total - changed, lagging, before: draft.version, published: None, changes };
        let Some(lock) = lock else { return Ok(deployed) };
        if changes_anything(&deployed.changes) {
            next.previous = Some(before);
            next.created = self.now;
            next.comment = one_line(&wishes.comment);
            let key = AdminKey::open(self.home, &draft.registry, &may_sign(&draft)).map_err(PublishError::Key)?;
            deployed.published = Some(publish(&lock, &next, &key, &wishes.staged, self.blobs).await?);
        } else {
            // The same content again makes no version, and brings back blobs that were lost.
            wishes.staged.store(self.blobs).await?;
        }
        Ok(deployed)
    }

    async fn bytes(&self, digest: &Digest, staged: &Staged) -> Result<Vec<u8>, BlobError> {
        match staged.get(digest) {
            Some(bytes) => Ok(bytes.to_vec()),
            None => self.blobs.get(digest).await,
        }
    }

    /// The subagents of a version. One that cannot be read stands in the way of a removal alone, since it might name what
    /// goes; any other change is a step towards mending it.
    async fn subagents(
        &self,
        draft: &Draft,
        staged: &Staged,
        removes: bool,
    ) -> Result<BTreeMap<Name, Subagent>, ChangeError> {
        let mut subagents = BTreeMap::new();
        for (name, entry) in draft.entries.get(&Kind::Subagent).into_iter().flatten() {
            let read = match staged.get(&entry.digest) {
                Some(bytes) => view::decoded(Kind::Subagent, name, bytes),
                None => view::artifact(self.blobs, Kind::Subagent, name, &entry.digest).await,
            };
            match read {
                Ok(subagent) => drop(subagents.insert(name.clone(), subagent)),
                Err(error) if removes || error.code() != "registry-entry" => return Err(error),
                Err(_) => {}
            }
        }
        Ok(subagents)
    }

    /// What differs, in lines. An old artifact whose bytes are gone is being replaced: that is no reason to refuse.
    async fn details(&self, change: &Change, staged: &Staged) -> Result<Vec<String>, ChangeError> {
        let (Op::Changed, Some(old), Some(new)) = (change.op, change.old, change.new) else { return Ok(Vec::new()) };
        let new = self.bytes(&new, staged).await?;
        let old = match self.blobs.get(&old).await {
            Ok(bytes) => serde_json::from_slice::<Value>(&bytes).ok(),
            Err(BlobError::Missing(_) | BlobError::Damaged { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(serde_json::from_slice(&new).map(|new| differences(old.as_ref(), &new)).unwrap_or_default())
    }
}

/// A comment is one line of a history.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut end = line.len().min(COMMENT_BYTES_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line
}

fn standing(draft: &Draft) -> Standing {
    let kinds = draft.entries.iter();
    kinds
        .map(|(kind, names)| (*kind, names.iter().map(|(name, entry)| (name.clone(), entry.digest)).collect()))
        .collect()
}

/// Refuses to take away what a subagent of the next version names.
fn in_use(changes: &[Change], subagents: &BTreeMap<Name, Subagent>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for change in changes.iter().filter(|change| change.op == Op::Removed) {
        for (subagent, artifact) in subagents {
            if !names(artifact, change.kind).any(|name| *name == change.name) {
                continue;
            }
            let message = format!("the subagent {subagent} names the {} {}", change.kind, change.name);
            let problem = Problem::new(Class::Operator, "registry-in-use", message);
            problems.push(
                problem
                    .at(format!("/{}/{}", change.kind, change.name))
                    .hint(format!("remove the subagent {subagent} first, or deploy it without")),
            );
        }
    }
    problems
}

/// The names of a kind that a subagent names.
fn names(subagent: &Subagent, kind: Kind) -> Box<dyn Iterator<Item = &Name> + '_> {
    match kind {
        Kind::Capability => Box::new(subagent.capabilities.iter().map(|held| &held.name)),
        Kind::Env => Box::new(subagent.env.iter().chain(&subagent.may_add_env)),
        Kind::Pipeline => Box::new(subagent.pipeline.iter().chain(&subagent.may_use_pipelines)),
        Kind::Subagent => Box::new(std::iter::empty()),
    }
}
