//! From the records of the log, in order, to every key that was ever known.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::HistoryError;
use crate::audit::policy::{KeyRole, PolicyKey, PublicKey, rotation_text};
use crate::id::Word;
use crate::record::{KeyRecord, LogRecord};

/// A key, its window, and what else the log says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// Name, role, public key and window.
    pub key: PolicyKey,
    /// Who keeps the private half. A key that no record but a rotation names is one of which only its successor's custody
    /// is known.
    pub custody: Word,
    /// Why it was revoked.
    pub revoked: Option<Word>,
}

impl KnownKey {
    /// Whether the key may sign what comes next.
    #[must_use]
    pub fn in_force(&self) -> bool {
        self.key.until.is_none() && self.key.last_good.is_none()
    }
}

/// Every key that the log of one installation ever named, in the order of their coming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHistory {
    log: String,
    keys: Vec<KnownKey>,
    /// The version of the registry that the log accepted last.
    registry: u64,
}

impl KeyHistory {
    /// Begins with nothing; `log` is the origin of the log.
    #[must_use]
    pub fn new(log: impl Into<String>) -> Self {
        Self { log: log.into(), keys: Vec::new(), registry: 0 }
    }

    /// The keys, in the order of their coming.
    #[must_use]
    pub fn keys(&self) -> &[KnownKey] {
        &self.keys
    }

    /// The keys under a name, the newest last.
    pub fn named<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a KnownKey> {
        self.keys.iter().filter(move |known| known.key.name == name)
    }

    /// The key in force under a name.
    #[must_use]
    pub fn in_force(&self, name: &str) -> Option<&KnownKey> {
        self.keys.iter().find(|known| known.key.name == name && known.in_force())
    }

    /// Learns what the record at this position of the log says of keys. Records of other kinds say nothing.
    ///
    /// # Errors
    /// [`HistoryError`]; then nothing was learnt from it.
    pub fn learn(&mut self, seq: u64, record: &LogRecord) -> Result<(), HistoryError> {
        match record {
            LogRecord::LogOpened { keys, .. } => keys.iter().try_for_each(|key| self.add(seq, key)),
            LogRecord::KeyAdded(key) => self.add(seq, key),
            LogRecord::KeyRotated { .. } => self.rotate(seq, record),
            LogRecord::KeyRevoked { role, name, key, last_good, reason } => {
                let known = self.keys.iter_mut().find(|known| {
                    let PolicyKey { name: its, role: own, key: public, .. } = &known.key;
                    its == name.as_str() && own.as_str() == role.as_str() && public.base64() == *key
                });
                let known = known.ok_or_else(|| change(seq, "the key that it revokes is not known"))?;
                // Who revokes again can only take back more.
                let before = known.key.last_good.unwrap_or(*last_good);
                known.key.last_good = Some(before.min(*last_good));
                known.revoked = Some(reason.clone());
                Ok(())
            }
            LogRecord::RegistryAccepted { version, .. } => {
                self.registry = *version;
                Ok(())
            }
            LogRecord::RunOpened { .. }
            | LogRecord::RunSealed { .. }
            | LogRecord::RegistryRefused { .. }
            | LogRecord::AnchorReceipt { .. }
            | LogRecord::ClockJump { .. } => Ok(()),
        }
    }

    /// Where a key that comes with the entry at this position begins to be good.
    fn from(&self, seq: u64, role: KeyRole) -> u64 {
        match role {
            KeyRole::Log | KeyRole::Run | KeyRole::Attest => seq,
            // The version in force was signed before; a log without one has not seen the first.
            KeyRole::RegistryAdmin => self.registry + 1,
        }
    }

    fn read(&self, seq: u64, role: &Word, name: &str, alg: &str, key: &str) -> Result<PolicyKey, HistoryError> {
        let role =
            KeyRole::parse(role.as_str()).ok_or_else(|| change(seq, &format!("the role {role} is not known")))?;
        let key = PublicKey::parse(alg, key).map_err(|why| change(seq, &why))?;
        if let Some(why) = role.misfit(&self.log, name, &key) {
            return Err(change(seq, &why));
        }
        if key.is_weak() {
            return Err(HistoryError::Weak { seq, name: name.to_owned() });
        }
        let from = self.from(seq, role);
        Ok(PolicyKey { name: name.to_owned(), role, key, from, until: None, last_good: None })
    }

    fn add(&mut self, seq: u64, record: &KeyRecord) -> Result<(), HistoryError> {
        let KeyRecord { name, role, alg, key, custody } = record;
        let key = self.read(seq, role, name.as_str(), alg.as_str(), key)?;
        // A second first key would be one that nobody vouched for.
        if self.named(&key.name).next().is_some() {
            return Err(change(seq, &format!("there is a key named {:?} already", key.name)));
        }
        self.keys.push(KnownKey { key, custody: custody.clone(), revoked: None });
        Ok(())
    }

    fn rotate(&mut self, seq: u64, record: &LogRecord) -> Result<(), HistoryError> {
        let LogRecord::KeyRotated { name, role, alg, key, custody, old, sig_old, sig_new } = record else {
            return Ok(());
        };
        let new = self.read(seq, role, name.as_str(), alg.as_str(), key)?;
        let mut before = self.read(seq, role, name.as_str(), alg.as_str(), old)?;
        let place = self.keys.iter().position(|known| known.key.name == new.name && known.in_force());
        match place.and_then(|at| self.keys.get(at)) {
            Some(known) if known.key.key == before.key && known.key.role == before.role => {}
            // The log does not name the registry's first key: a version of the registry does.
            None if new.role == KeyRole::RegistryAdmin && self.named(&new.name).next().is_none() => {}
            Some(_) | None => return Err(change(seq, "the key that it replaces is not in force")),
        }
        if self.named(&new.name).any(|known| known.key.key == new.key) || new.key == before.key {
            return Err(change(seq, "the new key was in use before"));
        }
        let text = rotation_text(&self.log, new.role, seq, old, key);
        for (by, key, signature) in [("old", &before.key, sig_old), ("new", &new.key, sig_new)] {
            let signature = STANDARD.decode(signature).unwrap_or_default();
            if !key.verifies(text.as_bytes(), &signature) {
                return Err(change(seq, &format!("the signature of the {by} key does not verify")));
            }
        }
        match place.and_then(|at| self.keys.get_mut(at)) {
            Some(known) => known.key.until = Some(new.from),
            None => {
                (before.from, before.until) = (0, Some(new.from));
                self.keys.push(KnownKey { key: before, custody: custody.clone(), revoked: None });
            }
        }
        self.keys.push(KnownKey { key: new, custody: custody.clone(), revoked: None });
        Ok(())
    }
}

fn change(seq: u64, why: &str) -> HistoryError {
    HistoryError::Change { seq, why: why.to_owned() }
}
