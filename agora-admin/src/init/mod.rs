//! Making a home: folders, keys, an empty signed registry, a commented `agora.toml`. Safe to repeat.
//!
//! Each step looks first and makes only what is not there, so a home that a crash left half-made is completed by the next
//! call, and a whole one is found as it is. Nothing that exists is written over: a key that was lost, or a registry that
//! was, is told of and not replaced; a public half is made again only where its name is still known. The store is made by
//! the engine, later.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use agora_core::error::{Class, Coded, Problem};
use agora_core::record::KeyRecord;
use agora_core::registry::RegistryError;
use agora_core::registry::note::{NoteText, admin_key_name};
use agora_core::seam::BlobStore;
use agora_core::time::Time;
use agora_engine::Engine;
use agora_engine::config::CONFIG_FILE;
use agora_engine::config::file::{self, FileError, Folder};
use agora_engine::home::{self, FOLDERS};
use agora_engine::keys::{KEYS_FOLDER, KeyError, Origin, Role, origin, trusted, trusted_path};
use agora_engine::p256;
use agora_engine::registry::{NOTE_FILE, REGISTRY_FOLDER, ReadError, RegistryReader};

use crate::keys::{
    AdminKey, AdminKeyError, Made, REGISTRY_ADMIN, ensure, ensure_p256, p256_half, private_path, public_half, random,
};
use crate::registry::{Draft, LOCK_WAIT, LockError, PublishError, RegistryLock, Staged, WriteError, disk, publish};

/// The longest part of a host's name that goes into an origin: a label of DNS.
const HOST_BYTES_MAX: usize = 63;

/// The `agora.toml` of a new home: everything it can say, commented, with the defaults that hold without it.
const CONFIG_TEXT: &str = include_str!("agora.toml");

/// Why a home was not made whole.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The folder is there and holds other things.
    #[error("{}", .0.message)]
    Foreign(Problem),
    /// The home, or a folder in it, is not a folder or cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A key is lost or unfit.
    #[error(transparent)]
    Key(#[from] AdminKeyError),
    /// What this home signed before is known no more: new keys would be another installation's.
    #[error("{what} is gone, and nothing left in this home says what it was")]
    Identity {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Another agora-admin is at it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The registry that is there is refused.
    #[error(transparent)]
    Registry(#[from] ReadError),
    /// The first version cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl InitError {
    fn inner(&self) -> Option<&dyn Coded> {
        match self {
            Self::Foreign(_) | Self::Identity { .. } => None,
            Self::File(error) => Some(error),
            Self::Write(error) => Some(error),
            Self::Key(error) => Some(error),
            Self::Lock(error) => Some(error),
            Self::Registry(error) => Some(error),
            Self::Publish(error) => Some(error),
        }
    }
}

impl From<KeyError> for InitError {
    fn from(error: KeyError) -> Self {
        Self::Key(error.into())
    }
}

impl Coded for InitError {
    fn class(&self) -> Class {
        self.inner().map_or(Class::Operator, Coded::class)
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Identity { .. } => "identity-lost",
            _ => self.inner().map_or("home-foreign", Coded::code),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Foreign(problem) => problem.hint.clone(),
            Self::Identity { .. } => Some(
                "restore keys/ and trust/ from a backup: new keys would make all evidence of this home unverifiable"
                    .to_owned(),
            ),
            _ => self.inner().and_then(Coded::hint),
        }
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::Foreign(problem) => problem.at.clone(),
            Self::Identity { path, .. } => Some(path.display().to_string()),
            _ => self.inner().and_then(Coded::at),
        }
    }
}

/// What became of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// It was not there and is now.
    Made,
    /// It was half there and is whole now, or was open to others and is not now.
    Completed,
    /// It was there.
    Found,
}

/// One line of what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The thing: a path in the home, `.` being the home itself.
    pub what: String,
    /// What became of it.
    pub did: Did,
}

/// A whole home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// The log's origin.
    pub origin: Origin,
    /// The registry's id.
    pub registry: String,
    /// The registry's version.
    pub version: u64,
}

impl Home {
    /// Whether all of it was there already.
    #[must_use]
    pub fn was_whole(&self) -> bool {
        self.steps.iter().all(|step| step.did == Did::Found)
    }
}

/// What `init` has to be told.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The machine's name: the readable part of a new log's origin.
    pub host: &'a str,
    /// The time.
    pub now: Time,
    /// The registry version that a store in this home has accepted, if there is one: a registry that was lost is not
    /// begun again at version 1.
    pub seen_version: Option<u64>,
}

/// Makes the home and its folders, mode 0700, so that a blob store can be opened in it.
///
/// # Errors
/// [`InitError::Foreign`] for a folder with other things in it; [`InitError::Write`], [`InitError::File`].
pub fn prepare(home: &Path) -> Result<Vec<Step>, InitError> {
    let mut steps = Vec::new();
    let did = match Folder::open(home)? {
        Some(_) => match home::foreign(home) {
            Some(problem) => return Err(InitError::Foreign(problem)),
            None => close_to_others(home)?,
        },
        None => {
            make(home, true)?;
            Did::Made
        }
    };
    steps.push(Step { what: ".".to_owned(), did });
    for name in FOLDERS {
        let path = home.join(name);
        let did = match Folder::open(&path)? {
            Some(_) => Did::Found,
            None => {
                make(&path, false)?;
                Did::Made
            }
        };
        steps.push(Step { what: format!("{name}/"), did });
    }
    disk::sync_folder(home)?;
    Ok(steps)
}

fn make(path: &Path, with_parents: bool) -> Result<(), WriteError> {
    let made = std::fs::DirBuilder::new().mode(0o700).recursive(with_parents).create(path);
    match made {
        // Another `init` was faster.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|source| WriteError::new(path, source)),
    }
}

fn close_to_others(home: &Path) -> Result<Did, WriteError> {
    let failed = |source| WriteError::new(home, source);
    let mode = std::fs::metadata(home).map_err(failed)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(Did::Found);
    }
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    Ok(Did::Completed)
}

/// Makes the home whole: what [`prepare`] makes, keys, registry, configuration.
///
/// # Errors
/// [`InitError`]: what stands in the way, and nothing written over.
pub async fn init(home: &Path, blobs: &dyn BlobStore, options: Options<'_>) -> Result<Home, InitError> {
    let mut steps = prepare(home)?;
    // Two at once: the second finds what the first made.
    let lock = RegistryLock::acquire(home, LOCK_WAIT).await?;
    let origin = ensure_keys(home, options.host, &mut steps)?;
    let (registry, version) = ensure_registry(home, &lock, blobs, options, &mut steps).await?;
    let made = disk::create(&home.join(CONFIG_FILE), CONFIG_TEXT.as_bytes())?;
    steps.push(Step { what: CONFIG_FILE.to_owned(), did: if made { Did::Made } else { Did::Found } });
    Ok(Home { steps, origin, registry, version })
}

fn key_step(stem: &str, made: Made) -> Step {
    let did = match made {
        Made::Made => Did::Made,
        Made::Completed => Did::Completed,
        Made::Found => Did::Found,
    };
    Step { what: format!("{KEYS_FOLDER}/{stem}.key"), did }
}

/// The keys of the log and what hangs on its origin. The origin is chosen once, before anything is signed under it. A home
/// that was used keeps it, and its keys: others would make its evidence unverifiable.
fn ensure_keys(home: &Path, host: &str, steps: &mut Vec<Step>) -> Result<Origin, InitError> {
    let recorded = Engine::recorded(home).ok().map(|recorded| recorded.keys);
    let chosen = match origin(home) {
        Ok(origin) => origin,
        Err(KeyError::Missing(path)) => match known_origin(home, recorded.as_deref(), path)? {
            Some(origin) => origin,
            None => choose_origin(host)?,
        },
        Err(error) => return Err(error.into()),
    };
    refuse_other_keys(home, recorded.as_deref())?;
    for role in Role::ALL {
        let (made, _) = ensure(home, role.as_str(), &role.key_name(&chosen))?;
        steps.push(key_step(role.as_str(), made));
    }
    steps.push(key_step(p256::ATTEST_P256, ensure_p256(home)?));
    // What is on the disk counts, should another have been faster.
    Ok(origin(home)?)
}

/// The origin of a home that lost the file with its name: as the log was opened under it, or as another key's name has it.
/// `None` when nothing was ever signed here. What the store recorded is not known where it cannot be read.
fn known_origin(home: &Path, recorded: Option<&[KeyRecord]>, path: PathBuf) -> Result<Option<Origin>, InitError> {
    let log = key_of(recorded, Role::Log);
    if let Some(origin) = log.and_then(|key| Origin::new(key.name.as_str())) {
        return Ok(Some(origin));
    }
    for role in [Role::Run, Role::Attest] {
        let name = trusted(home, role.as_str()).ok().and_then(|keys| Some(keys.first()?.name.clone()));
        let suffix = format!("/{}", role.as_str());
        if let Some(origin) = name.and_then(|name| Origin::new(name.strip_suffix(&suffix)?)) {
            return Ok(Some(origin));
        }
    }
    match recorded {
        Some([]) => Ok(None),
        // What cannot be read may hold the only evidence of whose it is.
        Some(_) | None => Err(InitError::Identity { path, what: "the log's public key" }),
    }
}

fn key_of(recorded: Option<&[KeyRecord]>, role: Role) -> Option<&KeyRecord> {
    recorded?.iter().find(|key| key.role.as_str() == role.as_str())
}

/// A store whose log was opened was opened with keys: one of which both halves are gone is not made anew, and a private
/// half that is another's gets no public one.
fn refuse_other_keys(home: &Path, recorded: Option<&[KeyRecord]>) -> Result<(), InitError> {
    if recorded.is_some_and(<[KeyRecord]>::is_empty) {
        return Ok(());
    }
    for role in Role::ALL {
        let public = trusted_path(home, role.as_str());
        if std::fs::symlink_metadata(&public).is_ok() {
            continue;
        }
        let private = private_path(home, role.as_str());
        match (public_half(home, role.as_str())?, key_of(recorded, role)) {
            (None, _) => return Err(InitError::Identity { path: private, what: "a key of this home" }),
            (Some(half), Some(key)) if half != key.key => {
                let why = "the store's log was opened with another key".to_owned();
                return Err(KeyError::Mismatch { private, public, why }.into());
            }
            (Some(_), _) => {}
        }
    }
    refuse_other_p256(home, recorded)
}

/// The same for the P-256 key, which a home of an earlier version has not, and is given.
fn refuse_other_p256(home: &Path, recorded: Option<&[KeyRecord]>) -> Result<(), InitError> {
    let is_p256 = |key: &&KeyRecord| key.alg.as_str() == "ecdsa-p256";
    let public = p256::trusted_path(home);
    let Some(key) = recorded.and_then(|keys| keys.iter().find(is_p256)) else { return Ok(()) };
    if std::fs::symlink_metadata(&public).is_ok() {
        return Ok(());
    }
    let private = p256::private_path(home);
    match p256_half(home)? {
        Some(half) if half == key.key => Ok(()),
        Some(_) => {
            let why = "the log of runs names another key".to_owned();
            Err(KeyError::Mismatch { private, public, why }.into())
        }
        None => Err(InitError::Identity { path: private, what: "a key of this home" }),
    }
}

/// `<host>.local/<8 hex digits>`: readable, and unique without asking anybody.
fn choose_origin(host: &str) -> Result<Origin, InitError> {
    let slug: String = host
        .bytes()
        .take_while(|byte| *byte != b'.')
        .map(|byte| byte.to_ascii_lowercase())
        .filter(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
        .take(HOST_BYTES_MAX)
        .map(char::from)
        .collect();
    let slug = slug.trim_matches('-');
    let slug = if slug.is_empty() { "agora" } else { slug };
    let text = format!("{slug}.local/{:08x}", u32::from_be_bytes(random::<4>()?));
    // The alphabet above is a part of an origin's.
    Origin::new(&text).ok_or(InitError::Key(AdminKeyError::Random))
}

/// The registry's id: in the name of its pinned key, or 128 new random bits.
fn registry_id(home: &Path) -> Result<Option<String>, InitError> {
    let keys = match trusted(home, REGISTRY_ADMIN) {
        Ok(keys) => keys,
        Err(KeyError::Missing(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let id = keys.iter().find_map(|key| key.name.strip_prefix(&admin_key_name("")).map(str::to_owned));
    id.map(Some).ok_or_else(|| {
        InitError::from(KeyError::Malformed {
            path: trusted_path(home, REGISTRY_ADMIN),
            wanted: "the key of a registry",
            why: "its name is another role's".to_owned(),
        })
    })
}

/// Makes the lost public half of the registry's key from its private half. A registry is not trusted because it is there:
/// this one is, if its note is signed by the key that only this home's operator has.
async fn pin_again(home: &Path, blobs: &dyn BlobStore) -> Result<Made, InitError> {
    let public = trusted_path(home, REGISTRY_ADMIN);
    let lost = || InitError::Identity { path: public.clone(), what: "the pinned public key of the registry" };
    if !private_path(home, REGISTRY_ADMIN).exists() {
        return Err(lost());
    }
    let note = file::read(&home.join(REGISTRY_FOLDER).join(NOTE_FILE), 64 << 10)?.ok_or_else(lost)?;
    let id = NoteText::of_note(&note.bytes).map_err(ReadError::Registry)?.registry;
    let (made, _) = ensure(home, REGISTRY_ADMIN, &admin_key_name(&id))?;
    match RegistryReader::open(home).read(None, blobs).await {
        Ok(_) => Ok(made),
        Err(error) => {
            // It vouches for nothing that is here: as before, nothing is pinned. What cannot be removed is told of next time.
            let _ = std::fs::remove_file(&public);
            Err(error.into())
        }
    }
}

async fn ensure_registry(
    home: &Path,
    lock: &RegistryLock,
    blobs: &dyn BlobStore,
    options: Options<'_>,
    steps: &mut Vec<Step>,
) -> Result<(String, u64), InitError> {
    let what = format!("{REGISTRY_FOLDER}/{NOTE_FILE}");
    let note = home.join(REGISTRY_FOLDER).join(NOTE_FILE);
    let has_note = file::read(&note, 64 << 10)?.is_some();
    let id = registry_id(home)?;
    if has_note {
        let made = match id {
            Some(_) => ensure(home, REGISTRY_ADMIN, "")?.0,
            None => pin_again(home, blobs).await?,
        };
        steps.push(key_step(REGISTRY_ADMIN, made));
        let current = RegistryReader::open(home).read(None, blobs).await?;
        steps.push(Step { what, did: Did::Found });
        return Ok((current.snapshot.registry, current.snapshot.version));
    }
    if options.seen_version.is_some() {
        return Err(ReadError::Registry(RegistryError::Missing { seen_before: true }).into());
    }
    let id = match id {
        Some(id) => id,
        None => random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let (made, key) = ensure(home, REGISTRY_ADMIN, &admin_key_name(&id))?;
    steps.push(key_step(REGISTRY_ADMIN, made));
    let id = key.name.strip_prefix(&admin_key_name("")).unwrap_or(&id).to_owned();
    // Without a note no version was ever in force, so a `snapshot.json` alone is what a crash left: it is written anew.
    let draft = Draft::first(id.clone(), key.to_string(), options.now);
    let admin = AdminKey::open(home, &id, std::slice::from_ref(&key))?;
    let published = publish(lock, &draft, &admin, &Staged::default(), blobs).await?;
    steps.push(Step { what, did: Did::Made });
    Ok((id, published.version))
}

#[cfg(test)]
mod tests;
