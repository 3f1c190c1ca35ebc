//! The text, and the note around it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{CheckpointError, ORIGIN_BYTES_MAX};
use crate::audit::note::{Note, NoteError, VerifyKey, sign_text};
use crate::canon::INTEGER_MAX;
use crate::id::Hash;

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose journal.
    pub origin: String,
    /// How many entries, at most 2^53−1.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

/// The keys that may speak, and those that may not.
#[derive(Debug, Clone, Copy)]
pub struct RoleKeys<'a> {
    /// The key name of the role.
    pub name: &'a str,
    /// The known keys of the role, old ones too: when each was good is the caller's to judge.
    pub keys: &'a [VerifyKey],
    /// The known keys of other roles, to tell a key in the wrong place from an unknown one.
    pub others: &'a [VerifyKey],
}

/// A checkpoint whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The keys of the role that signed it, as positions in [`RoleKeys::keys`]; at least one.
    pub keys: Vec<usize>,
    /// How many lines are by keys not of the role: counted, ignored.
    pub ignored: usize,
}

impl Checkpoint {
    /// The text that is signed: three lines.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// Reads the text: exactly three lines, no extension, one spelling.
    ///
    /// # Errors
    /// [`CheckpointError::Format`] for anything that [`Checkpoint::text`] would not have written.
    pub fn parse_text(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Format("its text has not exactly three lines"));
        };
        let printable = |b: u8| (0x21..=0x7E).contains(&b) && b != b'+';
        if !(1..=ORIGIN_BYTES_MAX).contains(&origin.len()) || !origin.bytes().all(printable) {
            return Err(CheckpointError::Format("its origin is none"));
        }
        let digits = size.bytes().all(|b| b.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        let size = size
            .parse()
            .ok()
            .filter(|size| digits && *size <= INTEGER_MAX)
            .ok_or(CheckpointError::Format("its size is not a decimal number without leading zeros"))?;
        let root = STANDARD
            .decode(root)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Hash)
            .ok_or(CheckpointError::Format("its root is not the base64 of 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Reads a note and what it says, verifying nothing.
    ///
    /// # Errors
    /// [`CheckpointError::Format`]; [`CheckpointError::Unsigned`] never: that is for [`Checkpoint::open`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, Note), CheckpointError> {
        let note = Note::parse(bytes).map_err(format_of)?;
        Ok((Self::parse_text(&note.text)?, note))
    }

    /// Puts the note together from a signature of [`Checkpoint::text`].
    ///
    /// # Errors
    /// [`CheckpointError::Format`] for an origin or a key name that is none.
    pub fn sign(&self, name: &str, public_key: &[u8; 32], signature: &[u8; 64]) -> Result<Vec<u8>, CheckpointError> {
        let text = self.text();
        Self::parse_text(&text)?;
        sign_text(&text, name, public_key, signature).map_err(format_of)
    }

    /// Reads a note that must be a checkpoint of `origin`, signed by the role.
    ///
    /// # Errors
    /// [`CheckpointError`] as `docs/audit.md` §9 orders it: format, origin, a line of a known key of the role that does not
    /// verify, a known key of another role, the role's name with an unknown key, no such line at all.
    pub fn open(bytes: &[u8], origin: &str, role: RoleKeys<'_>) -> Result<Opened, CheckpointError> {
        let (checkpoint, note) = parse_signed_or_not(bytes, role.name)?;
        checkpoint.verify(&note, origin, role)
    }

    fn verify(self, note: &Note, origin: &str, role: RoleKeys<'_>) -> Result<Opened, CheckpointError> {
        if self.origin != origin {
            return Err(CheckpointError::Origin { want: origin.to_owned() });
        }
        let verified = note.verify(role.keys).map_err(|error| match error {
            NoteError::Signature { name } => CheckpointError::Signature { name },
            NoteError::Weak { name } => CheckpointError::Weak { name },
            NoteError::Format(what) | NoteError::Key(what) => CheckpointError::Format(what),
        })?;
        if !verified.keys.is_empty() {
            return Ok(Opened { checkpoint: self, keys: verified.keys, ignored: verified.unknown });
        }
        let by_other = note.signatures.iter().find(|line| {
            role.others.iter().any(|key| line.claims(key) && key.verifies(note.text.as_bytes(), &line.bytes))
        });
        let name = role.name.to_owned();
        Err(match by_other {
            Some(line) => CheckpointError::Role { name: line.name.clone() },
            None if note.signatures.iter().any(|line| line.name == role.name) => CheckpointError::Unknown { name },
            None => CheckpointError::Unsigned { name },
        })
    }

    /// Compares with the journal it is about.
    ///
    /// # Errors
    /// [`CheckpointError::Size`] for another number of entries, [`CheckpointError::Root`] for another root.
    pub fn covers(&self, size: u64, root: &Hash) -> Result<(), CheckpointError> {
        if self.size != size {
            return Err(CheckpointError::Size { given: self.size, want: size });
        }
        if self.root == *root { Ok(()) } else { Err(CheckpointError::Root) }
    }
}

fn format_of(error: NoteError) -> CheckpointError {
    match error {
        NoteError::Format(what) | NoteError::Key(what) => CheckpointError::Format(what),
        NoteError::Signature { .. } => CheckpointError::Format("a signature line"),
        NoteError::Weak { .. } => CheckpointError::Format("a weak key"),
    }
}

/// Reads a note; a good checkpoint text with its empty line but without any signature line is unsigned, not malformed.
fn parse_signed_or_not(bytes: &[u8], name: &str) -> Result<(Checkpoint, Note), CheckpointError> {
    Checkpoint::parse(bytes).map_err(|error| {
        let bare = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_suffix('\n'));
        match bare.map(Checkpoint::parse_text) {
            Some(Ok(_)) => CheckpointError::Unsigned { name: name.to_owned() },
            Some(Err(_)) | None => error,
        }
    })
}
