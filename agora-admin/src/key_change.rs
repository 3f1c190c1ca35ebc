//! Replacing and revoking keys.
//!
//! ```text
//!                      keys/R.key   keys/R.next.key   trust/R.vkey   in force by the log
//!  before              old          -                 old            old
//!  1 staged            old          new               old            old
//!  2 both trusted      old          new               old, new       old
//!  3 recorded          old          new               old, new       new
//!  4 switched          new          -                 old, new       new
//!  after               new          -                 new            new
//! ```
//!
//! The record is the commit: the home opens with the key that the log says is in force, and each line above has that one. A
//! crash leaves one of these lines, and a repeat goes on from it.

use agora_core::audit::history::{KeyHistory, KnownKey};
use agora_core::audit::note::VerifyKey;
use agora_core::audit::policy::{KeyRole, PublicKey, rotation_text};
use agora_core::error::{Class, Problem};
use agora_core::id::{Enc, Word};
use agora_core::record::LogRecord;
use agora_engine::Engine;
use agora_engine::keys::{Role, open_pair, origin, staged_path, trusted, trusted_path, without_private};
use agora_engine::operations::{Caller, OpError};
use agora_engine::p256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::Ed25519KeyPair;

use crate::keys::{AdminKeyError, private_path, public_of, stage};
use crate::registry::{WriteError, disk};

/// What [`rotate`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The key that is in force now.
    pub key: VerifyKey,
    /// The position of the record in the log; absent when it was there already and only files were left to do.
    pub seq: Option<u64>,
}

/// Makes a new key for a role and puts it in the place of the present one; or finishes what a crash interrupted.
///
/// # Errors
/// `home-busy` while somebody drives; keys that are unfit; what store and disk say. The home works then as before, or with the
/// new key, and a repeat finishes.
pub async fn rotate(engine: &Engine, caller: &Caller, role: Role) -> Result<Rotated, OpError> {
    let held = engine.undriven()?;
    let (home, stem) = (engine.home(), role.as_str());
    let origin = origin(home)?;
    let name = role.key_name(&origin);
    let history = engine.key_history().await?;
    if let Some(key) = recorded(engine, role, &name, &history)? {
        switch(engine, stem, &key)?;
        return Ok(Rotated { key, seq: None });
    }
    let private = private_path(home, stem);
    let old = open_pair(&private)?.ok_or_else(|| without_private(home, stem, private))?;
    let new = stage(home, stem)?;
    let (before, key) = (named(&name, &old)?, named(&name, &new)?);
    trust(engine, stem, &[&before, &key])?;
    if role == Role::Attest {
        engine.state_late(&held, caller).await?;
    }
    let change = Change { log: origin.to_string(), role: role_of(role), name, old, new };
    let seq = engine.change_keys(&held, caller, Box::new(move |history, seq| change.record(history, seq))).await?;
    switch(engine, stem, &key)?;
    Ok(Rotated { key, seq: Some(seq) })
}

/// The role as policies name it.
#[must_use]
pub fn role_of(role: Role) -> KeyRole {
    match role {
        Role::Log => KeyRole::Log,
        Role::Run => KeyRole::Run,
        Role::Attest => KeyRole::Attest,
    }
}

/// The key that was recorded and not switched to: files of a rotation are left, and the log names the new key.
fn recorded(engine: &Engine, role: Role, name: &str, history: &KeyHistory) -> Result<Option<VerifyKey>, OpError> {
    let (home, stem) = (engine.home(), role.as_str());
    let is_in_force = |pair: &Ed25519KeyPair| {
        history.in_force(name).is_some_and(|known| known.key.key == PublicKey::Ed25519(public_of(pair)))
    };
    if let Some(staged) = open_pair(&staged_path(home, stem))? {
        // One that the log does not name yet is where this one goes on.
        return if is_in_force(&staged) { Ok(Some(named(name, &staged)?)) } else { Ok(None) };
    }
    let several = trusted(home, stem)?.len() > 1;
    match open_pair(&private_path(home, stem))? {
        Some(pair) if several && is_in_force(&pair) => Ok(Some(named(name, &pair)?)),
        Some(_) | None => Ok(None),
    }
}

/// Puts the new key in the place of the old one, as far as that was not done.
fn switch(engine: &Engine, stem: &str, key: &VerifyKey) -> Result<(), OpError> {
    let (staged, private) = (staged_path(engine.home(), stem), private_path(engine.home(), stem));
    if open_pair(&staged)?.is_some() {
        std::fs::rename(&staged, &private).map_err(|source| WriteError::new(&private, source))?;
        private.parent().map_or(Ok(()), disk::sync_folder)?;
    }
    trust(engine, stem, &[key])
}

fn trust(engine: &Engine, stem: &str, keys: &[&VerifyKey]) -> Result<(), OpError> {
    let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
    Ok(disk::replace(&trusted_path(engine.home(), stem), text.as_bytes())?)
}

fn named(name: &str, pair: &Ed25519KeyPair) -> Result<VerifyKey, OpError> {
    Ok(VerifyKey::new(name, public_of(pair))?)
}

/// A rotation that is about to be recorded.
struct Change {
    log: String,
    role: KeyRole,
    name: String,
    old: Ed25519KeyPair,
    new: Ed25519KeyPair,
}

impl Change {
    fn record(&self, history: &KeyHistory, seq: u64) -> Result<LogRecord, Problem> {
        let Self { log, role, name, old, new } = self;
        let known = history.in_force(name).filter(|known| known.key.key == PublicKey::Ed25519(public_of(old)));
        if known.is_none() {
            let what = format!("the log does not say that the key of the role {} here is in force", role.as_str());
            return Err(Problem::new(Class::Operator, "key-retired", what).hint("run `agora-admin doctor`"));
        }
        let word =
            |text: &str| Word::new(text).map_err(|error| Problem::new(Class::Bug, "internal", error.to_string()));
        let (old_b64, new_b64) = (STANDARD.encode(public_of(old)), STANDARD.encode(public_of(new)));
        let text = rotation_text(log, *role, seq, &old_b64, &new_b64);
        let sign = |pair: &Ed25519KeyPair| STANDARD.encode(pair.sign(text.as_bytes()));
        Ok(LogRecord::KeyRotated {
            name: Enc::encode(name),
            role: word(role.as_str())?,
            alg: word("ed25519")?,
            custody: word("file")?,
            sig_old: sign(old),
            sig_new: sign(new),
            key: new_b64,
            old: old_b64,
        })
    }
}

/// Records that a key that was replaced is not believed beyond `last_good`. Returns the key and the record's position.
///
/// # Errors
/// `home-busy` while somebody drives; `key-not-found`, `key-ambiguous` for what `which`, a name or a key id, does not name or
/// names more than once; `key-in-use` for a key that is in force; `key-last-good` for a position at which the key was not good
/// any more.
pub async fn revoke(
    engine: &Engine,
    caller: &Caller,
    which: &str,
    last_good: u64,
    reason: Word,
) -> Result<(KnownKey, u64), OpError> {
    let held = engine.undriven()?;
    let history = engine.key_history().await?;
    let known = find(&history, which).map_err(OpError::one)?.clone();
    if known.in_force() {
        let what = format!("the key {which} is in force: what it signs next would not be believed");
        let hint = match &known.key.key {
            PublicKey::Ed25519(_) => format!("run `agora-admin key rotate {}` first", known.key.role.as_str()),
            PublicKey::P256(_) => "this version does not replace a key of ecdsa-p256".to_owned(),
        };
        return Err(OpError::one(Problem::new(Class::Caller, "key-in-use", what).hint(hint)));
    }
    if let Some(until) = known.key.until.filter(|until| last_good >= *until) {
        let what = format!("the key {which} was replaced at {until}, so {last_good} cannot be its last good one");
        let hint = format!("name a position of the log below {until}");
        return Err(OpError::one(Problem::new(Class::Caller, "key-last-good", what).hint(hint)));
    }
    let role = Word::new(known.key.role.as_str())
        .map_err(|error| OpError::one(Problem::new(Class::Bug, "internal", error.to_string())))?;
    let (name, key) = (Enc::encode(&known.key.name), known.key.key.base64());
    let record = LogRecord::KeyRevoked { role, name, key, last_good, reason };
    let seq = engine.change_keys(&held, caller, Box::new(move |_, _| Ok(record))).await?;
    Ok((known, seq))
}

fn find<'a>(history: &'a KeyHistory, which: &str) -> Result<&'a KnownKey, Problem> {
    let is_it = |known: &&KnownKey| known.key.name == which || known.key.key.id_hex(&known.key.name) == which;
    let found: Vec<&KnownKey> = history.keys().iter().filter(is_it).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => {
            let what = format!("the log names no key {which:?}");
            Err(Problem::new(Class::Missing, "key-not-found", what).hint("run `agora-admin key list`"))
        }
        several => {
            let ids: Vec<String> = several.iter().map(|known| known.key.key.id_hex(&known.key.name)).collect();
            let what = format!("{} keys have the name {which:?}", several.len());
            let hint = format!("name one by its id: {}", ids.join(", "));
            Err(Problem::new(Class::Caller, "key-ambiguous", what).hint(hint))
        }
    }
}

/// Opens the private half that is here for a key of this role, whichever of the two files has it; `false` when it is not here.
///
/// # Errors
/// [`AdminKeyError`]: a private half that is unfit.
pub fn is_here(engine: &Engine, role: KeyRole, key: &PublicKey) -> Result<bool, AdminKeyError> {
    let (home, stem) = (engine.home(), role.as_str());
    let public = match key {
        PublicKey::Ed25519(public) => public,
        PublicKey::P256(point) => {
            let pair = p256::open_pair(home)?;
            return Ok(pair.is_some_and(|pair| p256::point_of(&pair).as_ref() == Some(point)));
        }
    };
    for path in [private_path(home, stem), staged_path(home, stem)] {
        if open_pair(&path)?.is_some_and(|pair| public_of(&pair) == *public) {
            return Ok(true);
        }
    }
    Ok(false)
}
