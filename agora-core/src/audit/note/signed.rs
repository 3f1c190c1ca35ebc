//! The note itself: text, lines, and what its known keys say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::is_key_name;
use super::{NoteError, VerifyKey, is_weak, key_id};

/// Bytes of a note at most: our texts have three or five lines, and sixteen signatures follow.
pub const NOTE_BYTES_MAX: usize = 65_536;

/// Signature lines of a note at most (C2SP signed-note asks readers to bound them).
pub const SIGNATURES_MAX: usize = 16;

/// The em dash and space that begin a signature line.
const SIGNATURE_START: &str = "\u{2014} ";

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key, as the line has it.
    pub name: String,
    /// The key id, as the line has it.
    pub key_id: [u8; 4],
    /// What follows the id: 64 bytes for Ed25519, others for other algorithms.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// Reads a line's two parts.
    ///
    /// # Errors
    /// [`NoteError::Format`] for a name that is none, or what is not the base64 of an id and at least one byte.
    pub fn from_parts(name: &str, base64: &str) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::Format("a signature line's key name"));
        }
        let data = STANDARD.decode(base64).map_err(|_| NoteError::Format("a signature line's base64"))?;
        match data.split_first_chunk::<4>() {
            Some((key_id, bytes)) if !bytes.is_empty() => {
                Ok(Self { name: name.to_owned(), key_id: *key_id, bytes: bytes.to_vec() })
            }
            Some(_) | None => Err(NoteError::Format("a signature line too short to hold a signature")),
        }
    }

    /// What follows the name on its line: the base64 of id and signature.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode([&self.key_id[..], &self.bytes].concat())
    }

    /// Whether the line claims to be by this key: its name and id.
    #[must_use]
    pub fn claims(&self, key: &VerifyKey) -> bool {
        self.name == key.name && self.key_id == key.id()
    }
}

/// A text and its signatures, none of them verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What is signed, with its last LF.
    pub text: String,
    /// The lines, in order.
    pub signatures: Vec<Signature>,
}

/// What [`Note::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// The keys whose lines verify, as positions in the list given, in the order of the lines, each once.
    pub keys: Vec<usize>,
    /// How many lines are by keys that nobody named.
    pub unknown: usize,
}

impl Note {
    /// Makes an unsigned note.
    ///
    /// # Errors
    /// [`NoteError::Format`] for a text that does not end in LF, or has another control character.
    pub fn new(text: impl Into<String>) -> Result<Self, NoteError> {
        let text = text.into();
        if !text.ends_with('\n') {
            return Err(NoteError::Format("the text does not end in LF"));
        }
        if text.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(NoteError::Format("a control character other than LF"));
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads a note of 1 to 16 signature lines.
    ///
    /// # Errors
    /// [`NoteError::Format`] for anything but the one form.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Format("more than 65,536 bytes"));
        }
        let all = std::str::from_utf8(bytes).map_err(|_| NoteError::Format("not UTF-8"))?;
        let split = all.rfind("\n\n").ok_or(NoteError::Format("no empty line before the signatures"))?;
        let mut note = Self::new(&all[..=split])?;
        let lines = all[split + 2..].strip_suffix('\n').ok_or(NoteError::Format("no LF at the end"))?;
        for line in lines.split('\n') {
            if note.signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::Format("more than 16 signature lines"));
            }
            let (name, base64) = line
                .strip_prefix(SIGNATURE_START)
                .and_then(|rest| rest.split_once(' '))
                .ok_or(NoteError::Format("a line that is not a dash, a name and a signature"))?;
            note.signatures.push(Signature::from_parts(name, base64)?);
        }
        Ok(note)
    }

    /// Adds an Ed25519 signature of the text, as a `Signer` gave it. It is not verified.
    ///
    /// # Errors
    /// [`NoteError::Format`] for the seventeenth line, or a name that is none.
    pub fn sign(&mut self, name: &str, public_key: &[u8; 32], signature: &[u8; 64]) -> Result<(), NoteError> {
        if self.signatures.len() >= SIGNATURES_MAX {
            return Err(NoteError::Format("more than 16 signature lines"));
        }
        if !is_key_name(name) {
            return Err(NoteError::Format("a signature line's key name"));
        }
        let key_id = key_id(name, public_key);
        self.signatures.push(Signature { name: name.to_owned(), key_id, bytes: signature.to_vec() });
        Ok(())
    }

    /// The note's bytes; without a signature they are none that [`Note::parse`] reads.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("{}\n", self.text);
        for signature in &self.signatures {
            out.push_str(&format!("{SIGNATURE_START}{} {}\n", signature.name, signature.base64()));
        }
        out.into_bytes()
    }

    /// Verifies each line by the keys it claims to be of. Lines by other keys are counted and mean nothing; a second line
    /// by a key that has verified adds nothing.
    ///
    /// # Errors
    /// [`NoteError::Signature`] for a line of a known key that does not verify, even beside one that does;
    /// [`NoteError::Weak`] for a line of a known key that is weak.
    pub fn verify(&self, keys: &[VerifyKey]) -> Result<Verified, NoteError> {
        let mut verified = Verified::default();
        for line in &self.signatures {
            let claimed: Vec<usize> = (0..keys.len()).filter(|i| line.claims(&keys[*i])).collect();
            if claimed.is_empty() {
                verified.unknown += 1;
                continue;
            }
            if let Some(weak) = claimed.iter().find(|i| is_weak(&keys[**i].public_key)) {
                return Err(NoteError::Weak { name: keys[*weak].name.clone() });
            }
            // An id has four bytes: two keys of a name may share it, and either may have signed.
            let Some(key) = claimed.into_iter().find(|i| keys[*i].verifies(self.text.as_bytes(), &line.bytes)) else {
                return Err(NoteError::Signature { name: line.name.clone() });
            };
            if !verified.keys.contains(&key) {
                verified.keys.push(key);
            }
        }
        Ok(verified)
    }
}

/// Puts a note together from a text and one signature of it.
///
/// # Errors
/// As [`Note::new`] and [`Note::sign`].
pub fn sign_text(text: &str, name: &str, public_key: &[u8; 32], signature: &[u8; 64]) -> Result<Vec<u8>, NoteError> {
    let mut note = Note::new(text)?;
    note.sign(name, public_key, signature)?;
    Ok(note.to_bytes())
}
