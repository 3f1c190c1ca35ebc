//! The envelope around a record: an entry, the bytes that are hashed, chained and exported.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::check::Checked;
use super::{LogRecord, Record};
use crate::canon::{self, CanonError};
use crate::error::{Class, Coded};
use crate::id::{Actor, Digest, Enc, Hash, RunId, Word};
pub use crate::limits::{ENTRY_BYTES_MAX, LOG_ENTRY_BYTES_MAX};
use crate::time::Time;

/// The deepest nesting of an entry, itself being 1.
pub const ENTRY_DEPTH_MAX: usize = 8;

/// How an actor was established and what allowed the act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// How the actor was established: `os-user`, `mcp-stdio` or `schedule`.
    pub how: Word,
    /// The digest of the `agora.toml` in force.
    pub policy: Digest,
    /// The rule in it that allowed this.
    pub rule: Enc,
}

/// Bytes that are no entry, or a record that cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not in the canonical subset.
    #[error(transparent)]
    Canon(#[from] CanonError),
    /// Not of a known type and its members.
    #[error("not an entry of a known type: {0}")]
    Schema(String),
    /// Longer than an entry may be.
    #[error("an entry of {bytes} bytes, the limit is {limit}")]
    TooLong {
        /// How many bytes.
        bytes: usize,
        /// How many are allowed.
        limit: usize,
    },
}

impl Coded for EntryError {
    fn class(&self) -> Class {
        match self {
            Self::Canon(_) | Self::Schema(_) => Class::Operator,
            Self::TooLong { .. } => Class::Bug,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Canon(CanonError::Size { .. }) | Self::TooLong { .. } => "entry-limit",
            Self::Canon(_) => "entry-encoding",
            Self::Schema(_) => "entry-schema",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Canon(_) | Self::Schema(_) => {
                Some("the journal is damaged or a newer version wrote it: run `agora-admin doctor`".to_owned())
            }
            Self::TooLong { .. } => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u64,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    run: Option<RunId>,
    seq: u64,
    prev: Hash,
    at: Time,
    actor: Actor,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    auth: Option<Auth>,
    body: serde_json::Value,
}

/// A record's type and body. What a reader would refuse is not written.
fn split<T: Serialize + Checked>(record: &T) -> Result<(String, serde_json::Value), EntryError> {
    record.check().map_err(EntryError::Schema)?;
    let schema = || EntryError::Schema("a record without type and body".to_owned());
    let mut value = serde_json::to_value(record).map_err(|e| EntryError::Schema(e.to_string()))?;
    let members = value.as_object_mut().ok_or_else(schema)?;
    let body = members.remove("body").ok_or_else(schema)?;
    match members.remove("type") {
        Some(serde_json::Value::String(kind)) => Ok((kind, body)),
        _ => Err(schema()),
    }
}

fn join<T: Serialize + DeserializeOwned + Checked>(kind: String, mut body: serde_json::Value) -> Result<T, EntryError> {
    drop_open_members(&kind, &mut body);
    let mut members = serde_json::Map::new();
    members.insert("type".to_owned(), serde_json::Value::String(kind));
    members.insert("body".to_owned(), body);
    let given = serde_json::Value::Object(members);
    let record = T::deserialize(&given).map_err(|error| EntryError::Schema(cut(&error.to_string())))?;
    record.check().map_err(EntryError::Schema)?;
    let written = serde_json::to_value(&record).map_err(|error| EntryError::Schema(error.to_string()))?;
    if !says(&given, &written) {
        return Err(EntryError::Schema("an object is spelt as an array".to_owned()));
    }
    Ok(record)
}

/// Whether what was given is what would be written, but for members that are not kept. serde also reads an object from an
/// array of its values: a second spelling of the same record, which no other reader would take.
fn says(given: &serde_json::Value, written: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Object};
    match (given, written) {
        (Object(given), Object(written)) => {
            written.iter().all(|(name, written)| given.get(name).is_some_and(|given| says(given, written)))
        }
        (Array(given), Array(written)) => {
            given.len() == written.len() && given.iter().zip(written).all(|(given, written)| says(given, written))
        }
        (given, written) => given == written,
    }
}

/// The member `x` is open, in any body and any element of `items` (`docs/audit.md` §2): hashed with the bytes, read by
/// nobody.
fn drop_open_members(kind: &str, body: &mut serde_json::Value) {
    let Some(members) = body.as_object_mut() else { return };
    members.remove("x");
    let items = if kind == "items.added" { members.get_mut("items") } else { None };
    for item in items.and_then(serde_json::Value::as_array_mut).into_iter().flatten() {
        if let Some(item) = item.as_object_mut() {
            item.remove("x");
        }
    }
}

/// An error about hostile bytes repeats some of them: not too many.
fn cut(text: &str) -> String {
    text.chars().take(300).collect()
}

fn encode(wire: &Wire, limit: usize) -> Result<Vec<u8>, EntryError> {
    let bytes = canon::entry_bytes(wire, ENTRY_DEPTH_MAX)?;
    if bytes.len() > limit {
        return Err(EntryError::TooLong { bytes: bytes.len(), limit });
    }
    Ok(bytes)
}

fn decode(bytes: &[u8], limit: usize) -> Result<Wire, EntryError> {
    wire(canon::entry_value(bytes, ENTRY_DEPTH_MAX, limit)?)
}

/// Whether a text names who spoke: `engine`, or `human:`, `agent:`, `schedule:`, `pattern:` and a name.
fn is_actor(text: &str) -> bool {
    let named =
        |(kind, name): (&str, &str)| ["human", "agent", "schedule", "pattern"].contains(&kind) && !name.is_empty();
    text == "engine" || text.split_once(':').is_some_and(named)
}

fn wire(value: serde_json::Value) -> Result<Wire, EntryError> {
    if value.get("auth").is_some_and(|auth| !auth.is_object()) {
        return Err(EntryError::Schema("auth is no object".to_owned()));
    }
    let wire: Wire = serde_json::from_value(value).map_err(|e| EntryError::Schema(cut(&e.to_string())))?;
    if wire.v != 1 {
        return Err(EntryError::Schema(format!("version {}", wire.v)));
    }
    if !is_actor(wire.actor.as_str()) {
        return Err(EntryError::Schema("actor is neither the engine nor a kind of actor and a name".to_owned()));
    }
    Ok(wire)
}

/// An entry of a run's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The run.
    pub run: RunId,
    /// Its position, from 0 without gaps.
    pub seq: u64,
    /// The leaf of the entry before, or the genesis hash.
    pub prev: Hash,
    /// When, never earlier than the entry before.
    pub at: Time,
    /// Who.
    pub actor: Actor,
    /// For every human, agent and schedule.
    pub auth: Option<Auth>,
    /// What.
    pub record: Record,
}

impl Entry {
    /// Writes the canonical bytes.
    ///
    /// # Errors
    /// [`EntryError`] when they would not fit or would not be canonical.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        let (kind, body) = split(&self.record)?;
        let wire = Wire {
            v: 1,
            kind,
            run: Some(self.run.clone()),
            seq: self.seq,
            prev: self.prev,
            at: self.at,
            actor: self.actor.clone(),
            auth: self.auth.clone(),
            body,
        };
        encode(&wire, ENTRY_BYTES_MAX)
    }

    /// Reads canonical bytes. Open members (`x`, and what an isolation report has beyond its own) are not kept.
    ///
    /// # Errors
    /// [`EntryError`] for bytes that, but for open members, [`Entry::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EntryError> {
        Self::of_wire(decode(bytes, ENTRY_BYTES_MAX)?)
    }

    /// Reads the value of canonical bytes, such as [`crate::audit::chain::Checked`] has it.
    ///
    /// # Errors
    /// As [`Entry::from_bytes`].
    pub fn of_value(value: serde_json::Value) -> Result<Self, EntryError> {
        Self::of_wire(wire(value)?)
    }

    fn of_wire(wire: Wire) -> Result<Self, EntryError> {
        let run = wire.run.ok_or_else(|| EntryError::Schema("no member run".to_owned()))?;
        let record = join(wire.kind, wire.body)?;
        Ok(Self { run, seq: wire.seq, prev: wire.prev, at: wire.at, actor: wire.actor, auth: wire.auth, record })
    }
}

/// An entry of the log of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its position, from 0 without gaps.
    pub seq: u64,
    /// The leaf of the entry before, or the genesis hash.
    pub prev: Hash,
    /// When, never earlier than the entry before.
    pub at: Time,
    /// Who.
    pub actor: Actor,
    /// For every human, agent and schedule.
    pub auth: Option<Auth>,
    /// What.
    pub record: LogRecord,
}

impl LogEntry {
    /// Writes the canonical bytes.
    ///
    /// # Errors
    /// [`EntryError`] when they would not fit or would not be canonical.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        let (kind, body) = split(&self.record)?;
        let wire = Wire {
            v: 1,
            kind,
            run: None,
            seq: self.seq,
            prev: self.prev,
            at: self.at,
            actor: self.actor.clone(),
            auth: self.auth.clone(),
            body,
        };
        encode(&wire, LOG_ENTRY_BYTES_MAX)
    }

    /// Reads canonical bytes. Open members (`x`) are not kept.
    ///
    /// # Errors
    /// [`EntryError`] for bytes that, but for open members, [`LogEntry::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EntryError> {
        Self::of_wire(decode(bytes, LOG_ENTRY_BYTES_MAX)?)
    }

    /// Reads the value of canonical bytes, such as [`crate::audit::chain::Checked`] has it.
    ///
    /// # Errors
    /// As [`LogEntry::from_bytes`].
    pub fn of_value(value: serde_json::Value) -> Result<Self, EntryError> {
        Self::of_wire(wire(value)?)
    }

    fn of_wire(wire: Wire) -> Result<Self, EntryError> {
        if wire.run.is_some() {
            return Err(EntryError::Schema("a member run in the log".to_owned()));
        }
        let record = join(wire.kind, wire.body)?;
        if matches!(record, LogRecord::LogOpened { .. }) != (wire.seq == 0) {
            return Err(EntryError::Schema("log.opened stands at 0, and nothing else does".to_owned()));
        }
        Ok(Self { seq: wire.seq, prev: wire.prev, at: wire.at, actor: wire.actor, auth: wire.auth, record })
    }
}
