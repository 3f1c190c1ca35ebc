//! Making keys, and the only code that opens one of the role `registry-admin`.
//!
//! A key is made once: the private half is written first and never over another, then its public half, which is what gives
//! it a name. A private half without a public one was never used and is completed; a public half without a private one
//! means that a key was lost, and nothing is made in its place.

use std::path::{Path, PathBuf};

use agora_core::audit::note::VerifyKey;
use agora_core::error::{Class, Coded};
use agora_core::registry::note::admin_key_name;
use agora_engine::keys::{
    self as engine_keys, KEYS_FOLDER, KeyError, staged_path, trusted, trusted_path, without_private,
};
use agora_engine::p256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::registry::{WriteError, disk};

/// The role that signs registry snapshots; its files are `keys/registry-admin.key` and `trust/registry-admin.vkey`.
pub const REGISTRY_ADMIN: &str = "registry-admin";

/// What stands before the 32 bytes of the seed in PKCS#8 version 1 (RFC 8410 §7), which every tool reads; version 2, with
/// the public half inside, is not read by all.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Why a key is neither made nor opened.
#[derive(Debug, thiserror::Error)]
pub enum AdminKeyError {
    /// As the engine says it.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl Coded for AdminKeyError {
    fn class(&self) -> Class {
        match self {
            Self::Key(error) => error.class(),
            Self::Write(error) => error.class(),
            Self::Random => Class::Later,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Key(error) => error.code(),
            Self::Write(error) => error.code(),
            Self::Random => "random-unavailable",
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Key(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Random => Some("try again".to_owned()),
        }
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::Key(error) => error.at(),
            Self::Write(error) => error.at(),
            Self::Random => None,
        }
    }
}

/// Returns the file of a private half: `keys/<stem>.key`.
#[must_use]
pub fn private_path(home: &Path, stem: &str) -> PathBuf {
    home.join(KEYS_FOLDER).join(format!("{stem}.key"))
}

/// Fills an array with random bytes.
///
/// # Errors
/// [`AdminKeyError::Random`].
pub fn random<const N: usize>() -> Result<[u8; N], AdminKeyError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| AdminKeyError::Random)?;
    Ok(bytes)
}

/// A private key from its file, checked for its mode.
fn open_pair(home: &Path, stem: &str) -> Result<Option<Ed25519KeyPair>, KeyError> {
    engine_keys::open_pair(&private_path(home, stem))
}

pub(crate) fn public_of(pair: &Ed25519KeyPair) -> [u8; 32] {
    let mut public = [0; 32];
    // An Ed25519 public key has 32 bytes (RFC 8032 §5.1.5).
    public.copy_from_slice(pair.public_key().as_ref());
    public
}

/// What [`ensure`] did about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Both halves are new.
    Made,
    /// The private half was there, from a time that ended too early; the public one is new.
    Completed,
    /// Both were there.
    Found,
}

/// Makes the key of a role where there is none, and never touches one that is there. `name` is used only for a new public
/// half: one that is there keeps its name.
///
/// # Errors
/// [`AdminKeyError`]: a lost private half, a key that is unfit, or a file that cannot be written.
pub fn ensure(home: &Path, stem: &str, name: &str) -> Result<(Made, VerifyKey), AdminKeyError> {
    let public = trusted_path(home, stem);
    let trusted = match trusted(home, stem) {
        Ok(keys) => keys,
        Err(KeyError::Missing(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let pair = open_pair(home, stem)?;
    match (trusted.first(), pair) {
        (Some(_), None) => Err(KeyError::Lost { private: private_path(home, stem), public }.into()),
        (Some(_), Some(pair)) => {
            let bytes = public_of(&pair);
            let key = trusted.into_iter().find(|key| key.public_key == bytes);
            key.map(|key| (Made::Found, key)).ok_or_else(|| mismatch(home, stem).into())
        }
        (None, Some(pair)) => write_public(home, stem, name, &pair).map(|key| (Made::Completed, key)),
        (None, None) => {
            let mut seed = random::<32>()?;
            let pem = pem_of(&seed);
            seed.zeroize();
            disk::create(&private_path(home, stem), pem.as_bytes())?;
            // Read back: what signs is what is on the disk, also when another process was faster.
            let pair = open_pair(home, stem)?.ok_or_else(|| KeyError::Missing(private_path(home, stem)))?;
            write_public(home, stem, name, &pair).map(|key| (Made::Made, key))
        }
    }
}

/// Opens the private key that is to take the place of a role's, and makes it where there is none yet.
///
/// # Errors
/// [`AdminKeyError`]: a file that is unfit or cannot be written.
pub(crate) fn stage(home: &Path, stem: &str) -> Result<Ed25519KeyPair, AdminKeyError> {
    let path = staged_path(home, stem);
    if let Some(pair) = engine_keys::open_pair(&path)? {
        return Ok(pair);
    }
    let mut seed = random::<32>()?;
    let pem = pem_of(&seed);
    seed.zeroize();
    disk::create(&path, pem.as_bytes())?;
    // Read back: what signs is what is on the disk.
    engine_keys::open_pair(&path)?.ok_or_else(|| KeyError::Missing(path).into())
}

/// The public half of the private key that is there, in base64.
///
/// # Errors
/// [`AdminKeyError`]: a private half that is unfit.
pub fn public_half(home: &Path, stem: &str) -> Result<Option<String>, AdminKeyError> {
    Ok(open_pair(home, stem)?.map(|pair| STANDARD.encode(public_of(&pair))))
}

/// Makes the P-256 key of the role `attest`, as [`ensure`] makes the others. Its public half holds no name.
///
/// # Errors
/// As [`ensure`].
pub fn ensure_p256(home: &Path) -> Result<Made, AdminKeyError> {
    let (private, public) = (p256::private_path(home), p256::trusted_path(home));
    let mismatch = || KeyError::Mismatch {
        private: private.clone(),
        public: public.clone(),
        why: "the public half is another key's".to_owned(),
    };
    let (made, pair) = match (p256::trusted(home)?, p256::open_pair(home)?) {
        (Some(_), None) => return Err(KeyError::Lost { private, public }.into()),
        (Some(_), Some(pair)) => (Made::Found, pair),
        (None, Some(pair)) => (Made::Completed, pair),
        (None, None) => {
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
            let document = document.map_err(|_| AdminKeyError::Random)?;
            let pem = Zeroizing::new(p256::pem("PRIVATE KEY", document.as_ref()));
            disk::create(&private, pem.as_bytes())?;
            // Read back: what signs is what is on the disk, also when another process was faster.
            (Made::Made, p256::open_pair(home)?.ok_or_else(|| KeyError::Missing(private.clone()))?)
        }
    };
    let point = p256::point_of(&pair).ok_or_else(mismatch)?;
    if made != Made::Found {
        disk::create(&public, p256::public_pem(&point).as_bytes())?;
    }
    // One that is there counts if it is this key's.
    if p256::trusted(home)? == Some(point) { Ok(made) } else { Err(mismatch().into()) }
}

/// The public half of the P-256 key that is there, in base64.
///
/// # Errors
/// [`AdminKeyError`]: a private half that is unfit.
pub fn p256_half(home: &Path) -> Result<Option<String>, AdminKeyError> {
    Ok(p256::open_pair(home)?.and_then(|pair| p256::point_of(&pair)).map(|point| STANDARD.encode(point)))
}

fn mismatch(home: &Path, stem: &str) -> KeyError {
    KeyError::Mismatch {
        private: private_path(home, stem),
        public: trusted_path(home, stem),
        why: "the public half is another key's".to_owned(),
    }
}

fn pem_of(seed: &[u8; 32]) -> Zeroizing<String> {
    let mut der = Zeroizing::new([0; 48]);
    der[..16].copy_from_slice(&PKCS8_PREFIX);
    der[16..].copy_from_slice(seed);
    let body = Zeroizing::new(STANDARD.encode(der.as_slice()));
    Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", body.as_str()))
}

fn write_public(home: &Path, stem: &str, name: &str, pair: &Ed25519KeyPair) -> Result<VerifyKey, AdminKeyError> {
    let path = trusted_path(home, stem);
    let malformed = |why: String| KeyError::Malformed { path, wanted: "a verifier key", why };
    let key = VerifyKey::new(name, public_of(pair)).map_err(|error| malformed(error.to_string()))?;
    if disk::create(&trusted_path(home, stem), format!("{key}\n").as_bytes())? {
        return Ok(key);
    }
    // Somebody wrote one since: it counts if it is this key's.
    let bytes = public_of(pair);
    trusted(home, stem)?.into_iter().find(|key| key.public_key == bytes).ok_or_else(|| mismatch(home, stem).into())
}

/// The key that signs registry snapshots, opened.
pub struct AdminKey {
    name: String,
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl AdminKey {
    /// Opens `keys/registry-admin.key` for this registry. It must be one of the keys that may sign its next version.
    ///
    /// # Errors
    /// [`KeyError`]: missing, a mode that lets others in, damaged, or not among `may_sign`.
    pub fn open(home: &Path, registry: &str, may_sign: &[VerifyKey]) -> Result<Self, KeyError> {
        crate::registry::keep_sentinel();
        let private = private_path(home, REGISTRY_ADMIN);
        let pair =
            open_pair(home, REGISTRY_ADMIN)?.ok_or_else(|| without_private(home, REGISTRY_ADMIN, private.clone()))?;
        let (name, public_key) = (admin_key_name(registry), public_of(&pair));
        if may_sign.iter().any(|key| key.name == name && key.public_key == public_key) {
            return Ok(Self { name, pair });
        }
        Err(KeyError::Mismatch {
            private,
            public: trusted_path(home, REGISTRY_ADMIN),
            why: format!("the registry does not let this key sign as {name:?}"),
        })
    }

    /// The key's name, as it stands in notes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        public_of(&self.pair)
    }

    /// Signs the text of a note. Deterministic: a repeat gives the same signature.
    pub(crate) fn sign(&self, text: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        // An Ed25519 signature has 64 bytes (RFC 8032 §5.1.6).
        signature.copy_from_slice(self.pair.sign(text).as_ref());
        signature
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for folder in ["keys", "trust"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        home
    }

    fn everything(home: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let files = ["keys", "trust"].into_iter().flat_map(|folder| std::fs::read_dir(home.join(folder)).unwrap());
        let mut all: Vec<_> =
            files.map(|entry| entry.unwrap().path()).map(|p| (p.clone(), std::fs::read(p).unwrap())).collect();
        all.sort();
        all
    }

    #[test]
    fn a_key_is_made_once_completed_when_half_and_never_written_over() {
        let home = home();
        let (made, key) = ensure(home.path(), "run", "a.local/1/run").unwrap();
        assert_eq!((made, key.name.as_str()), (Made::Made, "a.local/1/run"));
        let mode = std::fs::metadata(private_path(home.path(), "run")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let before = everything(home.path());
        assert_eq!(ensure(home.path(), "run", "another/name").unwrap(), (Made::Found, key.clone()));
        assert_eq!(everything(home.path()), before);
        std::fs::remove_file(trusted_path(home.path(), "run")).unwrap();
        assert_eq!(ensure(home.path(), "run", "a.local/1/run").unwrap(), (Made::Completed, key));
        assert_eq!(everything(home.path()), before);
    }

    #[test]
    fn the_p256_key_is_made_once_completed_when_half_and_never_written_over() {
        let home = home();
        assert_eq!(ensure_p256(home.path()).unwrap(), Made::Made);
        let (private, public) = (p256::private_path(home.path()), p256::trusted_path(home.path()));
        assert_eq!(std::fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
        let before = everything(home.path());
        assert!(before.iter().all(|(_, bytes)| bytes.split(|b| *b == b'\n').all(|line| line.len() <= 64)));
        assert_eq!(ensure_p256(home.path()).unwrap(), Made::Found);
        std::fs::remove_file(&public).unwrap();
        assert_eq!(ensure_p256(home.path()).unwrap(), Made::Completed);
        assert_eq!(everything(home.path()), before);
        // Another's public half, and none to sign with.
        let other = self::home();
        ensure_p256(other.path()).unwrap();
        std::fs::copy(p256::trusted_path(other.path()), &public).unwrap();
        assert_eq!(ensure_p256(home.path()).unwrap_err().code(), "key-mismatch");
        std::fs::remove_file(&private).unwrap();
        assert_eq!(ensure_p256(home.path()).unwrap_err().code(), "key-lost");
        std::fs::write(&private, "none").unwrap();
        std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(ensure_p256(home.path()).unwrap_err().code(), "key-malformed");
    }

    #[test]
    fn a_lost_private_half_is_not_replaced() {
        let home = home();
        ensure(home.path(), "log", "a.local/1").unwrap();
        std::fs::remove_file(private_path(home.path(), "log")).unwrap();
        assert_eq!(ensure(home.path(), "log", "a.local/1").unwrap_err().code(), "key-lost");
        assert!(!private_path(home.path(), "log").exists());
    }

    #[test]
    fn the_halves_must_belong_together() {
        let home = home();
        ensure(home.path(), "log", "a.local/1").unwrap();
        ensure(home.path(), "run", "a.local/1/run").unwrap();
        std::fs::copy(trusted_path(home.path(), "run"), trusted_path(home.path(), "log")).unwrap();
        assert_eq!(ensure(home.path(), "log", "a.local/1").unwrap_err().code(), "key-mismatch");
    }

    #[test]
    fn the_admin_key_opens_for_its_registry_alone() {
        let home = home();
        let (_, key) = ensure(home.path(), REGISTRY_ADMIN, &admin_key_name("5e1c")).unwrap();
        let opened = AdminKey::open(home.path(), "5e1c", std::slice::from_ref(&key)).unwrap();
        assert_eq!((opened.name(), opened.public_key()), ("agora/registry-admin/5e1c", key.public_key));
        assert_eq!(AdminKey::open(home.path(), "ffff", std::slice::from_ref(&key)).unwrap_err().code(), "key-mismatch");
        assert_eq!(AdminKey::open(home.path(), "5e1c", &[]).unwrap_err().code(), "key-mismatch");
        let path = private_path(home.path(), REGISTRY_ADMIN);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(AdminKey::open(home.path(), "5e1c", &[key]).unwrap_err().code(), "key-mode");
    }
}
