//! The second key of the role `attest`: ECDSA over P-256, which the tools of others verify where they know no Ed25519.
//!
//! The private half is `keys/attest-p256.key`, PKCS#8 in PEM, mode 0600; the public one `trust/attest-p256.pub`, a
//! SubjectPublicKeyInfo in PEM (RFC 5480, RFC 7468), as `cosign` and `openssl` read it. Such a file holds no name: the key's
//! is `<log>/attest-p256`. Nothing here writes a key.

use std::fmt;
use std::path::{Path, PathBuf};

use agora_core::seam::SignError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use zeroize::Zeroize as _;

use crate::config::file;
use crate::keys::{KEY_BYTES_MAX, KEYS_FOLDER, KeyError, Origin, TRUST_FOLDER, pkcs8_of_pem};

/// The stem of its files, and the last part of its name.
pub const ATTEST_P256: &str = "attest-p256";
/// What stands before the 65 bytes of the point in the DER of a public key on P-256 (RFC 5480 §2).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";
/// Characters of a line of base64 in PEM (RFC 7468 §2).
const PEM_LINE: usize = 64;

/// An uncompressed point (SEC 1 §2.3.3).
pub type Point = [u8; 65];

/// Returns the file of the private half.
#[must_use]
pub fn private_path(home: &Path) -> PathBuf {
    home.join(KEYS_FOLDER).join(format!("{ATTEST_P256}.key"))
}

/// Returns the file of the public half.
#[must_use]
pub fn trusted_path(home: &Path) -> PathBuf {
    home.join(TRUST_FOLDER).join(format!("{ATTEST_P256}.pub"))
}

/// Returns the DER of the public key: its SubjectPublicKeyInfo.
#[must_use]
pub fn spki(point: &Point) -> Vec<u8> {
    [&SPKI_PREFIX[..], point].concat()
}

/// Writes one PEM block of this label.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let mut base64 = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII.
        let (line, more) = rest.split_at(rest.len().min(PEM_LINE));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    base64.zeroize();
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// The public key in PEM.
#[must_use]
pub fn public_pem(point: &Point) -> String {
    pem("PUBLIC KEY", &spki(point))
}

/// Reads the public half; `None` when there is none.
///
/// # Errors
/// [`KeyError::Malformed`], [`KeyError::File`].
pub fn trusted(home: &Path) -> Result<Option<Point>, KeyError> {
    let path = trusted_path(home);
    let Some(found) = file::read(&path, KEY_BYTES_MAX)? else { return Ok(None) };
    let point = point_of_pem(&found.bytes);
    point.map(Some).ok_or_else(|| KeyError::Malformed {
        path,
        wanted: "a public key",
        why: "it is not one PEM block PUBLIC KEY of a key on P-256".to_owned(),
    })
}

fn point_of_pem(pem: &[u8]) -> Option<Point> {
    let text = std::str::from_utf8(pem).ok()?.trim_ascii();
    let body = text.strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
    let joined: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(joined).ok()?;
    der.strip_prefix(&SPKI_PREFIX)?.try_into().ok()
}

/// Opens the private half, checked for its mode; `None` when there is none.
///
/// # Errors
/// [`KeyError`] for a mode that lets others in, and for what is no such key.
pub fn open_pair(home: &Path) -> Result<Option<EcdsaKeyPair>, KeyError> {
    let path = private_path(home);
    let Some(mut found) = file::read(&path, KEY_BYTES_MAX)? else { return Ok(None) };
    let pkcs8 = pkcs8_of_pem(&found.bytes);
    found.bytes.zeroize();
    if found.mode & 0o077 != 0 {
        return Err(KeyError::Mode { path, mode: found.mode });
    }
    let malformed =
        |why: &str| KeyError::Malformed { path: path.clone(), wanted: "a private key", why: why.to_owned() };
    let pkcs8 = pkcs8.ok_or_else(|| malformed("it is not one PEM block PRIVATE KEY"))?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &SystemRandom::new());
    pair.map(Some).map_err(|error| malformed(&error.to_string()))
}

/// The public half of a pair. `None` never, for a key on P-256.
#[must_use]
pub fn point_of(pair: &EcdsaKeyPair) -> Option<Point> {
    pair.public_key().as_ref().try_into().ok()
}

/// Opens both halves; `None` when this home has none of the two.
///
/// # Errors
/// [`KeyError`]: one half without the other, halves that do not belong together, and what cannot be read.
pub fn open(home: &Path, origin: &Origin) -> Result<Option<P256Key>, KeyError> {
    let (private, public) = (private_path(home), trusted_path(home));
    match (open_pair(home)?, trusted(home)?) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(KeyError::Lost { private, public }),
        (Some(_), None) => Err(KeyError::Missing(public)),
        (Some(pair), Some(point)) if point_of(&pair) == Some(point) => {
            let name = format!("{origin}/{ATTEST_P256}");
            Ok(Some(P256Key { name, point, pair, random: SystemRandom::new() }))
        }
        (Some(_), Some(_)) => {
            Err(KeyError::Mismatch { private, public, why: "the public half is another key's".to_owned() })
        }
    }
}

/// The key, opened.
pub struct P256Key {
    name: String,
    point: Point,
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl fmt::Debug for P256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P256Key").field("name", &self.name).finish_non_exhaustive()
    }
}

impl P256Key {
    /// The key's name, as it stands in envelopes and in the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half.
    #[must_use]
    pub fn point(&self) -> &Point {
        &self.point
    }

    /// Signs the message, in ASN.1. Not deterministic: a repeat gives another signature, as good.
    ///
    /// # Errors
    /// [`SignError`] when the system gives no random bytes.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.pair.sign(&self.random, message);
        let why = |_| SignError { name: self.name.clone(), why: "the system gives no random bytes".to_owned() };
        signature.map(|signature| signature.as_ref().to_vec()).map_err(why)
    }
}
