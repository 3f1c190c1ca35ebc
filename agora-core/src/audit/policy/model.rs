//! A policy as data.

use std::collections::BTreeMap;

use super::{KeyRole, PublicKey, Window};
use crate::id::Hash;

/// Whom an auditor believes, and what was seen before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The origin of the log that it is about.
    pub origin: String,
    /// The keys, in the order of the file. Several may share a name.
    pub keys: Vec<PolicyKey>,
    /// Where checkpoints of the log are kept.
    pub anchors: Vec<PolicyAnchor>,
    /// Checkpoints of the log that were accepted before.
    pub seen: Vec<Seen>,
    /// What is asked of a report: axis and value, both words. Which there are is known to the caller.
    pub require: BTreeMap<String, String>,
}

/// A key, and where it is believed. Its name fits role and origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyKey {
    /// The name, as it stands in notes.
    pub name: String,
    /// What it signs.
    pub role: KeyRole,
    /// The public key.
    pub key: PublicKey,
    /// Good from this index of the log on (a key of the registry: from this version on).
    pub from: u64,
    /// No longer good at this one: it was replaced.
    pub until: Option<u64>,
    /// The last good one before the key was compromised.
    pub last_good: Option<u64>,
}

impl PolicyKey {
    /// Says whether what the key signed at this index is believed.
    ///
    /// # Errors
    /// [`Window::Outside`] before `from` or from `until` on; else [`Window::Revoked`] after `last_good`.
    pub fn speaks_at(&self, index: u64) -> Result<(), Window> {
        if index < self.from || self.until.is_some_and(|until| index >= until) {
            return Err(Window::Outside { index, from: self.from, until: self.until });
        }
        match self.last_good {
            Some(last_good) if index > last_good => Err(Window::Revoked { index, last_good }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Where checkpoints are kept outside the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyAnchor {
    /// The anchor's name.
    pub name: String,
    /// Its kind, a word.
    pub kind: String,
    /// The account that owns the bucket.
    pub account: String,
    /// The bucket's region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// For how many days a checkpoint must be kept there.
    pub retain_days: u64,
}

/// A checkpoint of the log that was accepted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// How many entries it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}
