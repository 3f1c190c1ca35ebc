//! Reading the registry: the signed snapshot in force, and its artifacts.
//!
//! What is parsed is the very bytes that were verified. The note names the bytes that count: when `snapshot.json` is
//! already a version ahead — the writer replaces it first, the note last — they come from the blob store. Nothing else
//! makes a reader look there: a `snapshot.json` that is neither what the note names nor a version ahead was touched, and is
//! refused. Nothing here writes, signs or opens a private key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use agora_core::audit::note::VerifyKey;
use agora_core::error::{Class, Coded};
use agora_core::id::{Digest, Name};
use agora_core::plan::{Known, Plan, Surroundings, Wanted, names};
use agora_core::registry::accept::{CATCH_UP_MAX, Seen, open};
use agora_core::registry::check::PROMPT_BYTES_MAX;
use agora_core::registry::note::NoteText;
use agora_core::registry::snapshot::SNAPSHOT_BYTES_MAX;
use agora_core::registry::{
    Artifact, Capability, EnvBundle, Kind, Pipeline, RegistryError, Snapshot, Subagent, decode,
};
use agora_core::seam::{BlobError, BlobStore};

use crate::config::Config;
use crate::config::file::{FileError, Folder};
use crate::keys::{KeyError, trusted};

/// The registry's folder in the home folder.
pub const REGISTRY_FOLDER: &str = "registry";
/// The snapshot's file.
pub const SNAPSHOT_FILE: &str = "snapshot.json";
/// The note's file: the commit.
pub const NOTE_FILE: &str = "snapshot.note";
/// The stem of the keys pinned at first use, `trust/registry-admin.vkey`.
const TRUST_STEM: &str = "registry-admin";
/// The largest note in bytes: five lines and sixteen signatures fit many times.
const NOTE_BYTES_MAX: u64 = 64 << 10;
/// How often the two files are read again while a writer is replacing them: it would have to publish as many versions
/// between the two reads.
const READS_MAX: usize = 16;

/// Why the registry, or something in it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is refused.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// One of its files is no file of the home folder.
    #[error("the registry is not read: {0}")]
    File(#[source] FileError),
    /// The keys to verify it with cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The blob store does not answer.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl Coded for ReadError {
    fn class(&self) -> Class {
        match self {
            Self::Registry(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Key(error) => error.class(),
            Self::Blob(error) => error.class(),
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Registry(error) => error.code(),
            Self::File(_) => "registry-file",
            Self::Key(error) => error.code(),
            Self::Blob(error) => error.code(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Blob(error) => error.hint(),
        }
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.at(),
            Self::File(error) => error.at(),
            Self::Key(error) => error.at(),
            Self::Blob(error) => error.at(),
        }
    }
}

/// The version in force, verified.
#[derive(Debug, Clone)]
pub struct Current {
    /// It, parsed from [`Current::bytes`].
    pub snapshot: Snapshot,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The digest of its note's bytes.
    pub note_digest: Digest,
    /// What to keep, and to hand to the next [`RegistryReader::read`].
    pub seen: Seen,
    /// The bytes that were verified.
    pub bytes: Vec<u8>,
}

/// Reads the registry of one home folder.
#[derive(Debug, Clone)]
pub struct RegistryReader {
    home: PathBuf,
}

impl RegistryReader {
    /// Makes a reader; it touches nothing yet.
    #[must_use]
    pub fn open(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    /// Reads and verifies the version in force.
    ///
    /// `last` is the version accepted last, which the store keeps: an older one is refused, and its `admin_keys` are what
    /// the next must be signed with. Without one the keys of `trust/registry-admin.vkey` are pinned.
    ///
    /// # Errors
    /// [`ReadError`]: each kind of damage has its own code.
    pub async fn read(&self, last: Option<&Seen>, blobs: &dyn BlobStore) -> Result<Current, ReadError> {
        let (bytes, note) = self.signed_bytes(last, blobs).await?;
        let trust: Vec<VerifyKey> = match last {
            Some(_) => Vec::new(),
            None => trusted(&self.home, TRUST_STEM)?,
        };
        let caught_up = match last {
            Some(last) => catch_up(&bytes, last, blobs).await?,
            None => None,
        };
        // Nothing between is left to fetch: `catch_up` went through it.
        let (verified, seen) = open(&bytes, &note, &trust, caught_up.as_ref().or(last), |_| None)?;
        let (snapshot, digest, note_digest) = (verified.snapshot().clone(), verified.digest(), verified.note_digest());
        Ok(Current { snapshot, digest, note_digest, seen, bytes })
    }

    /// The bytes that the note names, and the note's; not verified yet.
    async fn signed_bytes(&self, last: Option<&Seen>, blobs: &dyn BlobStore) -> Result<(Vec<u8>, Vec<u8>), ReadError> {
        let missing = || ReadError::Registry(RegistryError::Missing { seen_before: last.is_some() });
        let folder = Folder::open(&self.home.join(REGISTRY_FOLDER)).map_err(ReadError::File)?.ok_or_else(missing)?;
        let mut before: Option<Vec<u8>> = None;
        for _ in 0..READS_MAX {
            // The note first: the snapshot read after it is the note's or a newer one, whatever a writer does.
            let note = read_file(&folder, NOTE_FILE, NOTE_BYTES_MAX)?.ok_or_else(missing)?;
            let snapshot = read_file(&folder, SNAPSHOT_FILE, SNAPSHOT_BYTES_MAX as u64)?.ok_or_else(missing)?;
            let named = NoteText::of_note(&note)?;
            let found = Digest::of(&snapshot);
            if found == named.snapshot {
                return Ok((snapshot, note));
            }
            if is_ahead(&snapshot, &named, &note) {
                return Ok((named_by_note(&named, blobs).await?, note));
            }
            // Several versions may have been published since the note was read: then the note is another one now.
            if before.as_ref() == Some(&note) {
                let why = format!("the note names {}, {SNAPSHOT_FILE} is {found}", named.snapshot);
                return Err(RegistryError::Digest { why }.into());
            }
            before = Some(note);
        }
        let why = format!("{SNAPSHOT_FILE} and {NOTE_FILE} did not agree in {READS_MAX} reads");
        Err(RegistryError::Digest { why }.into())
    }
}

fn read_file(folder: &Folder, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, ReadError> {
    match folder.read(name, bytes_max) {
        Ok(found) => Ok(found.map(|found| found.bytes)),
        Err(error @ FileError::TooLarge { .. }) => {
            let why = error.to_string();
            let note = name == NOTE_FILE;
            let error = if note { RegistryError::Signature { why } } else { RegistryError::NotCanonical { why } };
            Err(error.into())
        }
        Err(error) => Err(ReadError::File(error)),
    }
}

/// Whether these bytes are the version after the one that the note names: what a writer leaves that stopped, or has not
/// come to the note yet. Nobody vouches for them, and nothing of them is used.
fn is_ahead(bytes: &[u8], named: &NoteText, note: &[u8]) -> bool {
    Snapshot::parse(bytes).is_ok_and(|snapshot| {
        snapshot.registry == named.registry
            && Some(snapshot.version) == named.version.checked_add(1)
            && snapshot.previous.is_some_and(|p| p.snapshot == named.snapshot && p.note == Digest::of(note))
    })
}

async fn named_by_note(named: &NoteText, blobs: &dyn BlobStore) -> Result<Vec<u8>, ReadError> {
    blobs.get(&named.snapshot).await.map_err(|error| match error {
        BlobError::Missing(_) | BlobError::Damaged { .. } => {
            let why = format!("{SNAPSHOT_FILE} is a version ahead, and {error}");
            RegistryError::Digest { why }.into()
        }
        other => other.into(),
    })
}

/// Goes from the version accepted last to the one before these bytes, one version at a time, each signed by a key that the
/// one before it names. `None` when there is nothing between.
async fn catch_up(bytes: &[u8], last: &Seen, blobs: &dyn BlobStore) -> Result<Option<Seen>, ReadError> {
    let newest = Snapshot::parse(bytes)?;
    if newest.registry != last.registry || newest.version.saturating_sub(last.version) > CATCH_UP_MAX {
        // `open` says which of the two it is.
        return Ok(None);
    }
    // Backwards by digest, keeping only digests: the versions together could be larger than memory.
    let mut between = Vec::new();
    let mut version = newest.version;
    let mut previous = newest.previous;
    while version > last.version.saturating_add(1) {
        let Some(below) = previous else { break };
        let older = Snapshot::parse(&between_blob(&below.snapshot, blobs).await?)?;
        if older.version.checked_add(1) != Some(version) {
            let why = format!("version {version} does not follow what it names");
            return Err(RegistryError::Fork { why }.into());
        }
        between.push(below);
        version = older.version;
        previous = older.previous;
    }
    let mut seen: Option<Seen> = None;
    for below in between.iter().rev() {
        let snapshot = between_blob(&below.snapshot, blobs).await?;
        let note = between_blob(&below.note, blobs).await?;
        seen = Some(open(&snapshot, &note, &[], seen.as_ref().or(Some(last)), |_| None)?.1);
    }
    Ok(seen)
}

async fn between_blob(digest: &Digest, blobs: &dyn BlobStore) -> Result<Vec<u8>, ReadError> {
    blobs.get(digest).await.map_err(|error| match error {
        BlobError::Missing(_) | BlobError::Damaged { .. } => {
            RegistryError::Fork { why: format!("the way back to the version last seen is broken: {error}") }.into()
        }
        other => other.into(),
    })
}

fn entry_error(kind: Kind, name: &str, why: String) -> ReadError {
    RegistryError::Entry { entry: format!("{kind} {name}"), why }.into()
}

async fn entry_bytes(kind: Kind, name: &str, digest: &Digest, blobs: &dyn BlobStore) -> Result<Vec<u8>, ReadError> {
    blobs.get(digest).await.map_err(|error| match error {
        BlobError::Missing(_) | BlobError::Damaged { .. } => entry_error(kind, name, error.to_string()),
        other => other.into(),
    })
}

/// Reads an artifact by its digest; `name` is what an error calls it.
///
/// # Errors
/// `registry-entry` when the bytes are gone, damaged or not an artifact of this kind.
pub async fn artifact<T: Artifact>(digest: &Digest, name: &str, blobs: &dyn BlobStore) -> Result<T, ReadError> {
    let bytes = entry_bytes(T::KIND, name, digest, blobs).await?;
    decode(&bytes)
        .map_err(|problems| entry_error(T::KIND, name, problems.first().map(ToString::to_string).unwrap_or_default()))
}

impl Current {
    /// The version that a run is bound to, by the digests of its snapshot and note. It was verified when the run was opened,
    /// and content by digest cannot have changed.
    ///
    /// # Errors
    /// That its bytes are gone or damaged.
    pub async fn bound(&self, digest: Digest, note_digest: Digest, blobs: &dyn BlobStore) -> Result<Self, ReadError> {
        if self.digest == digest {
            return Ok(self.clone());
        }
        let bytes = blobs.get(&digest).await?;
        let snapshot = Snapshot::parse(&bytes)?;
        Ok(Self { snapshot, digest, note_digest, seen: self.seen.clone(), bytes })
    }

    async fn load<T: Artifact>(&self, name: &Name, blobs: &dyn BlobStore) -> Result<Option<(Digest, T)>, ReadError> {
        let Some(entry) = self.snapshot.entry(T::KIND, name.as_str()) else { return Ok(None) };
        Ok(Some((entry.digest, artifact(&entry.digest, name.as_str(), blobs).await?)))
    }

    /// Reads a capability's manifest; `None` when there is no such name.
    ///
    /// # Errors
    /// `registry-entry`.
    pub async fn capability(
        &self,
        name: &Name,
        blobs: &dyn BlobStore,
    ) -> Result<Option<(Digest, Capability)>, ReadError> {
        self.load(name, blobs).await
    }

    /// Reads a subagent; `None` when there is no such name.
    ///
    /// # Errors
    /// `registry-entry`.
    pub async fn subagent(&self, name: &Name, blobs: &dyn BlobStore) -> Result<Option<(Digest, Subagent)>, ReadError> {
        self.load(name, blobs).await
    }

    /// Reads an env bundle; `None` when there is no such name.
    ///
    /// # Errors
    /// `registry-entry`.
    pub async fn env(&self, name: &Name, blobs: &dyn BlobStore) -> Result<Option<(Digest, EnvBundle)>, ReadError> {
        self.load(name, blobs).await
    }

    /// Reads a pipeline; `None` when there is no such name.
    ///
    /// # Errors
    /// `registry-entry`.
    pub async fn pipeline(&self, name: &Name, blobs: &dyn BlobStore) -> Result<Option<(Digest, Pipeline)>, ReadError> {
        self.load(name, blobs).await
    }

    /// Reads the text of a prompt or template that a subagent names.
    ///
    /// # Errors
    /// `registry-entry`.
    pub async fn text(&self, subagent: &str, digest: &Digest, blobs: &dyn BlobStore) -> Result<String, ReadError> {
        let bytes = entry_bytes(Kind::Subagent, subagent, digest, blobs).await?;
        let wrong = |why: &str| entry_error(Kind::Subagent, subagent, format!("its text {digest} {why}"));
        if bytes.len() > PROMPT_BYTES_MAX {
            return Err(wrong("is over prompt_bytes_max"));
        }
        String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))
    }

    /// Loads what a plan is checked against: of the registry what the plan and its subagents name, of the configuration
    /// all. A name that there is not is left out; the check says so.
    ///
    /// # Errors
    /// `registry-entry`, or that the blob store does not answer.
    pub async fn surroundings(
        &self,
        plan: &Plan,
        config: &Config,
        blobs: &dyn BlobStore,
    ) -> Result<Surroundings, ReadError> {
        let wanted = names(plan);
        let mut subagents = BTreeMap::new();
        for name in &wanted.subagents {
            if let Some(found) = self.subagent(name, blobs).await? {
                subagents.insert(name.clone(), found);
            }
        }
        let Wanted { capabilities, envs, pipelines, refs, .. } =
            wanted.and_by(subagents.values().map(|(_, subagent)| subagent));
        let mut surroundings = Surroundings {
            executors: config.executors.iter().map(|(name, to)| (name.clone(), to.target.clone())).collect(),
            queues: config.queues.keys().cloned().collect(),
            targets: config.targets.clone(),
            workspaces: config.workspace_names(),
            known: self.known(),
            ..Surroundings::default()
        };
        for (name, (_, subagent)) in &subagents {
            if let Some(digest) = subagent.template {
                surroundings.templates.insert(digest, self.text(name.as_str(), &digest, blobs).await?);
            }
        }
        for name in capabilities {
            if let Some(entry) = self.snapshot.entry(Kind::Capability, name.as_str()) {
                surroundings.capabilities.insert(name, entry.digest);
            }
        }
        for name in envs {
            if let Some(found) = self.env(&name, blobs).await? {
                surroundings.envs.insert(name, found);
            }
        }
        for name in pipelines {
            if let Some(found) = self.pipeline(&name, blobs).await? {
                surroundings.pipelines.insert(name, found);
            }
        }
        for digest in refs {
            if !blobs.keep(&digest).await? {
                surroundings.absent.insert(digest);
            }
        }
        surroundings.subagents = subagents;
        Ok(surroundings)
    }

    /// Every name there is, by kind.
    #[must_use]
    pub fn known(&self) -> Known {
        let of = |kind| self.snapshot.names(kind).cloned().collect::<BTreeSet<Name>>();
        Known {
            subagents: of(Kind::Subagent),
            capabilities: of(Kind::Capability),
            envs: of(Kind::Env),
            pipelines: of(Kind::Pipeline),
        }
    }
}
