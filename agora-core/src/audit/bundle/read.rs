//! From bytes to a bundle and back, one spelling each way.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::{BUNDLE_FORMAT, BundleKey, Kind, LogBundle, RunBundle};
use crate::audit::merkle::PROOF_HASHES_MAX;
use crate::canon::{self, CanonError};
use crate::error::{Class, Coded};
use crate::limits::{BUNDLE_BYTES_MAX, BUNDLE_ENTRIES_MAX, STATEMENT_BYTES_MAX};

/// The deepest nesting in a bundle, itself being 1.
pub const BUNDLE_DEPTH_MAX: usize = 12;

/// A bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bundle {
    /// Of a run.
    Run(Box<RunBundle>),
    /// Of the log.
    Log(Box<LogBundle>),
}

/// Why bytes are no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Of a format or version that this one does not know.
    #[error("it is no bundle of a format that this version reads: {0}")]
    Format(String),
    /// Over a limit.
    #[error("{what}: {given}, the limit is {max}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        given: u64,
        /// How much there may be.
        max: u64,
    },
    /// Not in the canonical subset, or not ended by one LF.
    #[error("its bytes are {0}")]
    Encoding(String),
    /// A member is missing, unknown or mistyped.
    #[error("its members are not those of a bundle: {0}")]
    Schema(String),
}

impl Coded for BundleError {
    fn class(&self) -> Class {
        Class::Operator
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Format(_) => "bundle-format",
            Self::Limit { .. } => "bundle-limit",
            Self::Encoding(_) => "bundle-encoding",
            Self::Schema(_) => "bundle-schema",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Format(_) => "get a verifier of the version that wrote it".to_owned(),
            Self::Limit { .. } | Self::Encoding(_) | Self::Schema(_) => {
                "get the file again, as `agora-admin audit RUN --out FILE` wrote it".to_owned()
            }
        })
    }
}

/// What tells one kind from another; other members are looked at afterwards.
#[derive(Deserialize)]
struct Peek {
    manifest: PeekManifest,
}

#[derive(Deserialize)]
struct PeekManifest {
    format: String,
    kind: Kind,
}

impl Bundle {
    /// Reads a bundle's bytes.
    ///
    /// # Errors
    /// [`BundleError`] for anything that [`Bundle::to_bytes`] would not have written, or beyond a limit.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        limit("bytes", bytes.len() as u64, BUNDLE_BYTES_MAX)?;
        let Some(text) = bytes.strip_suffix(b"\n") else {
            return Err(BundleError::Encoding("not ended by one LF".to_owned()));
        };
        canon::check_entry(text, BUNDLE_DEPTH_MAX).map_err(|error| BundleError::Encoding(error.to_string()))?;
        let peek: Peek = serde_json::from_slice(text).map_err(|error| schema(&error))?;
        if peek.manifest.format != BUNDLE_FORMAT {
            let shown: String = peek.manifest.format.chars().take(60).collect();
            return Err(BundleError::Format(format!("{shown:?}, not {BUNDLE_FORMAT:?}")));
        }
        let bundle = match peek.manifest.kind {
            Kind::Run => Self::Run(typed(text)?),
            Kind::Log => Self::Log(typed(text)?),
        };
        bundle.bounded()?;
        Ok(bundle)
    }

    /// Writes the bytes: canonical, and one LF.
    ///
    /// # Errors
    /// [`CanonError`] for a text that holds other bytes than 0x20 to 0x7E.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonError> {
        let mut bytes = match self {
            Self::Run(bundle) => canon::entry_bytes(bundle, BUNDLE_DEPTH_MAX)?,
            Self::Log(bundle) => canon::entry_bytes(bundle, BUNDLE_DEPTH_MAX)?,
        };
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The keys that it lists.
    #[must_use]
    pub fn keys(&self) -> &[BundleKey] {
        match self {
            Self::Run(bundle) => &bundle.keys,
            Self::Log(bundle) => &bundle.keys,
        }
    }

    /// Lists these keys in it.
    #[must_use]
    pub fn with_keys(mut self, keys: Vec<BundleKey>) -> Self {
        match &mut self {
            Self::Run(bundle) => bundle.keys = keys,
            Self::Log(bundle) => bundle.keys = keys,
        }
        self
    }

    fn bounded(&self) -> Result<(), BundleError> {
        let (entries, statements, proofs): (u64, &[_], Vec<usize>) = match self {
            Self::Run(run) => {
                let log = run.log.entries.as_ref().map_or(0, Vec::len);
                let mut proofs = vec![run.log.opened.proof.len()];
                proofs.extend(run.log.sealed.iter().map(|sealed| sealed.proof.len()));
                proofs.extend(run.log.consistency.iter().map(|row| row.proof.len()));
                proofs.extend(run.anchors.iter().map(|anchored| anchored.proof.len()));
                ((run.entries.len() + log) as u64, &run.statements, proofs)
            }
            Self::Log(log) => {
                let mut proofs: Vec<usize> = log.log.consistency.iter().map(|row| row.proof.len()).collect();
                proofs.extend(log.anchors.iter().map(|anchored| anchored.proof.len()));
                (log.log.entries.len() as u64, &[], proofs)
            }
        };
        limit("entries", entries, BUNDLE_ENTRIES_MAX)?;
        for envelope in statements {
            limit("bytes of a payload", envelope.payload.len() as u64, STATEMENT_BYTES_MAX)?;
        }
        proofs.into_iter().try_for_each(|hashes| limit("hashes of a proof", hashes as u64, PROOF_HASHES_MAX as u64))
    }
}

fn limit(what: &'static str, given: u64, max: u64) -> Result<(), BundleError> {
    if given > max { Err(BundleError::Limit { what, given, max }) } else { Ok(()) }
}

fn schema(error: &serde_json::Error) -> BundleError {
    BundleError::Schema(error.to_string().chars().take(300).collect())
}

/// Reads canonical bytes into a type. What the type would write must be what was read: serde also reads an object from an
/// array of its values, a second spelling that no other reader would take.
fn typed<T: for<'de> Deserialize<'de> + Serialize>(text: &[u8]) -> Result<Box<T>, BundleError> {
    let read: T = serde_json::from_slice(text).map_err(|error| schema(&error))?;
    let mut same = Same { left: text };
    match serde_json::to_writer(&mut same, &read) {
        Ok(()) if same.left.is_empty() => Ok(Box::new(read)),
        Ok(()) | Err(_) => Err(BundleError::Schema("a member is spelt in another way than it is written".to_owned())),
    }
}

/// Takes the bytes that it is yet to be given, and no others.
struct Same<'a> {
    left: &'a [u8],
}

impl Write for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.strip_prefix(bytes) {
            Some(left) => {
                self.left = left;
                Ok(bytes.len())
            }
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
