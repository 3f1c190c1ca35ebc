//! Reading the engine's keys: the roles `log`, `run` and `attest`, and nothing else.
//!
//! A private key is `keys/<role>.key`, PKCS#8 in PEM, mode 0600; its public half is `trust/<role>.vkey`, one C2SP verifier
//! key. While a key is replaced there are two of each, the new private half as `keys/<role>.next.key`, and the log says which
//! of them is in force: at every step of a rotation the home opens with that one.
//!
//! [`Role`] has no member for `registry-admin`, so no caller of this module, whatever it says, can open that key: the code
//! that does is agora-admin's alone (`docs/registry.md`, the wall). Nothing here writes a key. The second key of the role
//! `attest`, of another algorithm, is [`crate::p256`]'s.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agora_core::audit::history::{KeyHistory, KnownKey};
use agora_core::audit::note::VerifyKey;
use agora_core::error::{Class, Coded};
use agora_core::seam::{SignError, Signer};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::config::file::{self, FileError};
use crate::p256::{self, P256Key};

/// The folder of private keys in the home folder.
pub const KEYS_FOLDER: &str = "keys";
/// The folder of public keys in the home folder.
pub const TRUST_FOLDER: &str = "trust";
/// The largest key file in bytes; an Ed25519 key in PEM has about 120.
pub const KEY_BYTES_MAX: u64 = 4096;
/// The most public keys in one file of `trust/`: the current one and those of a rotation under way.
const TRUSTED_MAX: usize = 16;
/// The longest origin of a log in bytes (`docs/audit.md`).
const ORIGIN_BYTES_MAX: usize = 100;
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// What a key of the engine signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Checkpoints of the log of runs.
    Log,
    /// Checkpoints of runs.
    Run,
    /// Statements about accepted items.
    Attest,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Log, Self::Run, Self::Attest];

    /// The word in file names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Run => "run",
            Self::Attest => "attest",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// [`KeyError::Role`] for any other word, `registry-admin` first among them.
    pub fn parse(word: &str) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or_else(|| KeyError::Role(word.chars().take(40).collect()))
    }

    /// The name of this role's key in notes.
    #[must_use]
    pub fn key_name(self, origin: &Origin) -> String {
        match self {
            Self::Log => origin.0.clone(),
            Self::Run | Self::Attest => format!("{origin}/{}", self.as_str()),
        }
    }
}

/// The origin of an installation's log: chosen once, unique, and the root of all its key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Checks the syntax: `[a-z0-9.-]+(/[A-Za-z0-9._-]+)*`, at most 100 bytes. `None` for anything else.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let host = parts.next().unwrap_or_default();
        let good = text.len() <= ORIGIN_BYTES_MAX
            && !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b))
            && parts
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
        good.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a key is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is none.
    #[error("there is no key {}", .0.display())]
    Missing(PathBuf),
    /// The public half is there and the private one is gone.
    #[error("the private key {} is gone, though {} is there", .private.display(), .public.display())]
    Lost {
        /// The private half.
        private: PathBuf,
        /// The public half.
        public: PathBuf,
    },
    /// Others than the operator may use the file.
    #[error("the key {} has mode {mode:04o}, so others may use it", .path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{} is not {wanted}: {why}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The private and the public half do not belong together, or the name is another role's.
    #[error("{} and {} do not belong together: {why}", .private.display(), .public.display())]
    Mismatch {
        /// The private half.
        private: PathBuf,
        /// The public half.
        public: PathBuf,
        /// What differs.
        why: String,
    },
    /// The log says that another key took its place.
    #[error("the key {} is not in force any more: the log says that it was replaced or revoked", .0.display())]
    Retired(PathBuf),
    /// The engine has no such role.
    #[error("the engine opens no key of the role {0:?}")]
    Role(String),
    /// The file cannot be read as a file of the home folder.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Coded for KeyError {
    fn class(&self) -> Class {
        match self {
            Self::Role(_) => Class::Caller,
            _ => Class::Operator,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "keys-missing",
            Self::Lost { .. } => "key-lost",
            Self::Mode { .. } => "key-mode",
            Self::Malformed { .. } => "key-malformed",
            Self::Mismatch { .. } => "key-mismatch",
            Self::Retired(_) => "key-retired",
            Self::Role(_) => "key-role",
            Self::File(error) => error.code(),
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing(_) => "run `agora-admin init`".to_owned(),
            Self::Lost { private, public } => format!(
                "restore {} from a backup; only in a home that was never used, move {} away and run `agora-admin init`",
                private.display(),
                public.display()
            ),
            Self::Mode { path, .. } => format!("run `chmod 600 {}`", path.display()),
            Self::Malformed { path, .. } => format!("restore {} from a backup", path.display()),
            Self::Mismatch { private, public, .. } => {
                format!("restore {} and {} from the same backup", private.display(), public.display())
            }
            Self::Retired(path) => format!("restore {} from a backup that has the newest key", path.display()),
            Self::Role(_) => "roles of the engine are log, run and attest; registry-admin is agora-admin's".to_owned(),
            Self::File(error) => return error.hint(),
        })
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::Missing(path) | Self::Mode { path, .. } | Self::Malformed { path, .. } | Self::Retired(path) => {
                Some(path.display().to_string())
            }
            Self::Lost { private, .. } | Self::Mismatch { private, .. } => Some(private.display().to_string()),
            Self::Role(_) => None,
            Self::File(error) => error.at(),
        }
    }
}

/// Returns the file of a public half: `trust/<stem>.vkey`.
#[must_use]
pub fn trusted_path(home: &Path, stem: &str) -> PathBuf {
    home.join(TRUST_FOLDER).join(format!("{stem}.vkey"))
}

/// Why there is no private key: it was lost if its public half is there, and never made if that is not.
#[must_use]
pub fn without_private(home: &Path, stem: &str, private: PathBuf) -> KeyError {
    let public = trusted_path(home, stem);
    // A link or a folder in its place stands for a key that was there too.
    match std::fs::symlink_metadata(&public) {
        Ok(_) => KeyError::Lost { private, public },
        Err(_) => KeyError::Missing(private),
    }
}

/// Reads the public keys of `trust/<stem>.vkey`, one a line, at least one.
///
/// # Errors
/// [`KeyError::Missing`], [`KeyError::Malformed`], [`KeyError::File`].
pub fn trusted(home: &Path, stem: &str) -> Result<Vec<VerifyKey>, KeyError> {
    let path = trusted_path(home, stem);
    let Some(found) = file::read(&path, KEY_BYTES_MAX)? else { return Err(KeyError::Missing(path)) };
    let malformed = |why: String| KeyError::Malformed { path: path.clone(), wanted: "a verifier key", why };
    let text = std::str::from_utf8(&found.bytes).map_err(|_| malformed("it is not UTF-8".to_owned()))?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    if lines.is_empty() || lines.len() > TRUSTED_MAX {
        return Err(malformed(format!("it has {} keys, not 1 to {TRUSTED_MAX}", lines.len())));
    }
    lines.into_iter().map(|line| VerifyKey::parse(line).map_err(|error| malformed(error.to_string()))).collect()
}

/// Reads the log's origin: the name of the key in `trust/log.vkey`.
///
/// # Errors
/// As [`trusted`], and [`KeyError::Malformed`] when the name is no origin.
pub fn origin(home: &Path) -> Result<Origin, KeyError> {
    let malformed = |why: String| KeyError::Malformed {
        path: trusted_path(home, Role::Log.as_str()),
        wanted: "the key of a log",
        why,
    };
    let mut names: Vec<String> = trusted(home, Role::Log.as_str())?.into_iter().map(|key| key.name).collect();
    names.dedup();
    match names.as_slice() {
        [name] => Origin::new(name).ok_or_else(|| malformed(format!("{name:?} is no origin"))),
        _ => Err(malformed("its keys have several names".to_owned())),
    }
}

/// Returns the file of a private key that is to take the place of `keys/<stem>.key`.
#[must_use]
pub fn staged_path(home: &Path, stem: &str) -> PathBuf {
    home.join(KEYS_FOLDER).join(format!("{stem}.next.key"))
}

/// Takes the PKCS#8 bytes out of a PEM text; `None` when it is not one block of `PRIVATE KEY`.
#[must_use]
pub fn pkcs8_of_pem(pem: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(pem).ok()?.trim_ascii();
    let body = text.strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
    let mut joined = Zeroizing::new(String::with_capacity(body.len()));
    joined.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    STANDARD.decode(joined.as_bytes()).ok().map(Zeroizing::new)
}

/// Signs with a key that was read from a file.
struct FileSigner {
    name: String,
    public_key: [u8; 32],
    pair: Ed25519KeyPair,
}

#[async_trait]
impl Signer for FileSigner {
    fn name(&self) -> &str {
        &self.name
    }
    fn public_key(&self) -> [u8; 32] {
        self.public_key
    }
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.pair.sign(message);
        signature
            .as_ref()
            .try_into()
            .map_err(|_| SignError { name: self.name.clone(), why: "the signature has not 64 bytes".to_owned() })
    }
}

/// Reads a private key from its file; `None` when there is none.
///
/// # Errors
/// [`KeyError::Mode`], [`KeyError::Malformed`], [`KeyError::File`].
pub fn open_pair(private: &Path) -> Result<Option<Ed25519KeyPair>, KeyError> {
    let Some(mut found) = file::read(private, KEY_BYTES_MAX)? else { return Ok(None) };
    let pkcs8 = pkcs8_of_pem(&found.bytes);
    found.bytes.zeroize();
    if found.mode & 0o077 != 0 {
        return Err(KeyError::Mode { path: private.to_owned(), mode: found.mode });
    }
    let malformed =
        |why: &str| KeyError::Malformed { path: private.to_owned(), wanted: "a private key", why: why.to_owned() };
    let pkcs8 = pkcs8.ok_or_else(|| malformed("it is not one PEM block PRIVATE KEY"))?;
    // "maybe unchecked": PKCS#8 version 1 carries no public half; trust/ has it, and it is compared there.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8).map(Some).map_err(|error| malformed(&error.to_string()))
}

/// Opens the key of a role. With what the log says of keys, it is the one in force: a staged one that the log names already,
/// and never one that was replaced.
fn open_one(home: &Path, role: Role, origin: &Origin, said: Option<&KeyHistory>) -> Result<Arc<dyn Signer>, KeyError> {
    let (stem, name) = (role.as_str(), role.key_name(origin));
    let mut private = home.join(KEYS_FOLDER).join(format!("{stem}.key"));
    let mut pair = open_pair(&private)?;
    let is_in_force = |pair: &Ed25519KeyPair| {
        let known = said.and_then(|said| said.in_force(&name));
        known.is_some_and(|known| known.key.key.bytes() == pair.public_key().as_ref())
    };
    if said.is_some() && !pair.as_ref().is_some_and(is_in_force) {
        let staged = staged_path(home, stem);
        if let Some(next) = open_pair(&staged)?.filter(is_in_force) {
            (private, pair) = (staged, Some(next));
        }
    }
    let Some(pair) = pair else { return Err(without_private(home, stem, private)) };
    let public = pair.public_key().as_ref();
    let is_over = |known: &KnownKey| known.key.key.bytes() == public && !known.in_force();
    if said.is_some_and(|said| said.named(&name).any(is_over)) {
        return Err(KeyError::Retired(private));
    }
    let trusted = trusted(home, stem)?;
    let mismatch = |why: String| KeyError::Mismatch { private: private.clone(), public: trusted_path(home, stem), why };
    let key = trusted
        .into_iter()
        .find(|key| public == key.public_key.as_slice())
        .ok_or_else(|| mismatch("the public half is another key's".to_owned()))?;
    if key.name != name {
        return Err(mismatch(format!("the public half is named {:?}, this role's is {name:?}", key.name)));
    }
    Ok(Arc::new(FileSigner { name, public_key: key.public_key, pair }))
}

/// Refuses a P-256 key that is not the one in force. None takes its place by a mere change of files, and what the log does not
/// name yet it will.
fn in_force_p256(home: &Path, key: &P256Key, said: &KeyHistory) -> Result<(), KeyError> {
    let (private, public) = (p256::private_path(home), p256::trusted_path(home));
    let is_it = |known: &&KnownKey| known.key.key.bytes() == key.point();
    if said.named(key.name()).next().is_none() {
        return Ok(());
    }
    match said.named(key.name()).find(is_it) {
        Some(known) if known.in_force() => Ok(()),
        Some(_) => Err(KeyError::Retired(private)),
        None => Err(KeyError::Mismatch { private, public, why: "the log of runs names another key".to_owned() }),
    }
}

/// The engine's keys, opened.
#[derive(Clone)]
pub struct Keys {
    origin: Origin,
    signers: [Arc<dyn Signer>; 3],
    attest_p256: Option<Arc<P256Key>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Keys {
    /// Opens all three, as the files have them, and the P-256 key where this home has one.
    ///
    /// # Errors
    /// [`KeyError`] for the first that cannot be used.
    pub fn open(home: &Path) -> Result<Self, KeyError> {
        Self::read(home, None)
    }

    /// Opens those that are in force by what the log says. What it does not name is taken as the files have it.
    ///
    /// # Errors
    /// As [`Keys::open`]; [`KeyError::Retired`] for a key that was replaced or revoked, [`KeyError::Mismatch`] for a P-256 key
    /// that the log does not name while it names another.
    pub fn in_force(home: &Path, said: &KeyHistory) -> Result<Self, KeyError> {
        Self::read(home, Some(said))
    }

    fn read(home: &Path, said: Option<&KeyHistory>) -> Result<Self, KeyError> {
        let origin = origin(home)?;
        let [log, run, attest] = Role::ALL.map(|role| open_one(home, role, &origin, said));
        let attest_p256 = p256::open(home, &origin)?.map(Arc::new);
        if let (Some(key), Some(said)) = (&attest_p256, said) {
            in_force_p256(home, key, said)?;
        }
        Ok(Self { signers: [log?, run?, attest?], attest_p256, origin })
    }

    /// The second key of the role `attest`; a home that an earlier version made may have none.
    #[must_use]
    pub fn attest_p256(&self) -> Option<&Arc<P256Key>> {
        self.attest_p256.as_ref()
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The signer of a role.
    #[must_use]
    pub fn signer(&self, role: Role) -> Arc<dyn Signer> {
        let [log, run, attest] = &self.signers;
        Arc::clone(match role {
            Role::Log => log,
            Role::Run => run,
            Role::Attest => attest,
        })
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
