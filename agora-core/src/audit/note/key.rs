//! Ed25519 keys under a name, and those that prove nothing.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use super::NoteError;

/// Bytes of a key's name at most: a log's origin of 100 and a role, with room.
pub const KEY_NAME_BYTES_MAX: usize = 256;

/// The algorithm byte of Ed25519 in key ids and verifier keys.
const ED25519_BYTE: u8 = 1;

/// Whether a text can be a key's name: 1 to 256 bytes, no white space, no control character, no `+`.
pub(super) fn is_key_name(name: &str) -> bool {
    (1..=KEY_NAME_BYTES_MAX).contains(&name.len())
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// Returns the key id: the first 4 bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key). A hint for finding a key, no more.
#[must_use]
pub fn key_id(name: &str, public_key: &[u8; 32]) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name.as_bytes())
        .chain_update([b'\n', ED25519_BYTE])
        .chain_update(public_key)
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The two encodings, without their top bit, of the points of order 8; the other weak ones are small numbers.
pub(super) const ORDER_8: [[u8; 32]; 2] = [
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
];

/// Whether a public key is refused: read little-endian without its top bit, it is not below p = 2^255−19, or the y of a
/// point of small order (0, 1, p−1 and two of order 8). Under such a key one signature fits many messages.
#[must_use]
pub fn is_weak(public_key: &[u8; 32]) -> bool {
    let mut y = *public_key;
    y[31] &= 0x7F;
    let middle = |value: u8| y[1..31].iter().all(|b| *b == value);
    let from_p_minus_1 = y[31] == 0x7F && middle(0xFF) && y[0] >= 0xEC;
    let zero_or_one = y[31] == 0 && middle(0) && y[0] <= 1;
    from_p_minus_1 || zero_or_one || ORDER_8.contains(&y)
}

/// An Ed25519 public key under a name. [`VerifyKey::new`] and [`VerifyKey::parse`] refuse weak ones; made by hand, a weak
/// one verifies nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyKey {
    /// The name, as it stands in notes.
    pub name: String,
    /// The 32 bytes.
    pub public_key: [u8; 32],
}

impl VerifyKey {
    /// Makes a key from its parts.
    ///
    /// # Errors
    /// [`NoteError::Key`] for a name with white space, `+` or of a wrong length; [`NoteError::Weak`].
    pub fn new(name: impl Into<String>, public_key: [u8; 32]) -> Result<Self, NoteError> {
        let name = name.into();
        if !is_key_name(&name) {
            return Err(NoteError::Key("its name is empty, too long, or has white space or +"));
        }
        if is_weak(&public_key) {
            return Err(NoteError::Weak { name });
        }
        Ok(Self { name, public_key })
    }

    /// Reads `<name>+<id, 8 hex digits>+<base64 of 0x01 ‖ key>`.
    ///
    /// # Errors
    /// [`NoteError::Key`] for another form, or an id of another name or key; [`NoteError::Weak`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("it has not three parts joined by +"));
        };
        let data = STANDARD.decode(data).map_err(|_| NoteError::Key("its last part is not base64"))?;
        let [ED25519_BYTE, public_key @ ..] = data.as_slice() else {
            return Err(NoteError::Key("it is not of the algorithm Ed25519"));
        };
        let public_key = public_key.try_into().map_err(|_| NoteError::Key("it has not 32 bytes"))?;
        let key = Self::new(name, public_key)?;
        if id == key.id_hex() { Ok(key) } else { Err(NoteError::Key("its id is not that of its name and key")) }
    }

    /// The key id.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, &self.public_key)
    }

    fn id_hex(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id()))
    }

    /// Whether these 64 bytes sign the message (RFC 8032, S below the group order). Never, under a weak key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        !is_weak(&self.public_key)
            && UnparsedPublicKey::new(&ED25519, self.public_key).verify(message, signature).is_ok()
    }
}

/// `<name>+<id, 8 hex digits>+<base64 of 0x01 ‖ key>`, as Go's `note` package writes it.
impl fmt::Display for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut data = vec![ED25519_BYTE];
        data.extend_from_slice(&self.public_key);
        write!(f, "{}+{}+{}", self.name, self.id_hex(), STANDARD.encode(data))
    }
}

impl FromStr for VerifyKey {
    type Err = NoteError;
    fn from_str(text: &str) -> Result<Self, NoteError> {
        Self::parse(text)
    }
}
