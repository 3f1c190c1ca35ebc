//! The keys that may speak: the policy's, or without one the bundle's own.

use std::collections::BTreeSet;

use super::Code;
use super::checks::Checks;
use crate::audit::bundle::BundleKey;
use crate::audit::checkpoint::{Checkpoint, CheckpointError, RoleKeys, run_key_name};
use crate::audit::note::VerifyKey;
use crate::audit::policy::{KeyRole, Policy, PolicyKey, PublicKey, Window};
use crate::id::{Enc, Word};

/// The keys, and which of them have verified something.
#[derive(Debug)]
pub(super) struct Known {
    log: String,
    keys: Vec<PolicyKey>,
    used: BTreeSet<usize>,
    /// Whether they are the policy's.
    pub(super) pinned: bool,
}

/// The Ed25519 keys of one role, and those of the others.
struct OfRole {
    keys: Vec<VerifyKey>,
    at: Vec<usize>,
    others: Vec<VerifyKey>,
}

impl Known {
    /// Takes the policy's keys, or the bundle's.
    pub(super) fn new(log: &str, policy: Option<&Policy>, given: &[BundleKey], checks: &mut Checks) -> Self {
        let read: Vec<(usize, Option<PolicyKey>)> =
            given.iter().enumerate().map(|(at, key)| (at, read_key(at, key, checks))).collect();
        let Some(policy) = policy else {
            let keys = read.into_iter().filter_map(|(_, key)| key).collect();
            return Self { log: log.to_owned(), keys, used: BTreeSet::new(), pinned: false };
        };
        for (at, key) in read.iter().filter_map(|(at, key)| key.as_ref().map(|key| (at, key))) {
            let same = |known: &&PolicyKey| known.name == key.name;
            let is_known = policy.keys.iter().filter(same).any(|known| known.key == key.key && known.role == key.role);
            checks.judge(Code::KeySubstituted, 1);
            if !is_known && policy.keys.iter().any(|known| same(&known)) {
                let what = format!("the policy has another key under the name {}", key.name);
                checks.fail(Code::KeySubstituted, format!("keys[{at}]"), what);
            }
        }
        Self { log: log.to_owned(), keys: policy.keys.clone(), used: BTreeSet::new(), pinned: true }
    }

    fn of_role(&self, role: KeyRole) -> OfRole {
        let mut found = OfRole { keys: Vec::new(), at: Vec::new(), others: Vec::new() };
        for (at, known) in self.keys.iter().enumerate() {
            let PublicKey::Ed25519(public_key) = known.key else { continue };
            let key = VerifyKey { name: known.name.clone(), public_key };
            if known.role == role {
                found.keys.push(key);
                found.at.push(at);
            } else {
                found.others.push(key);
            }
        }
        found
    }

    /// The keys of a role, with their positions.
    pub(super) fn keys_of(&self, role: KeyRole) -> impl Iterator<Item = (usize, &PolicyKey)> {
        self.keys.iter().enumerate().filter(move |(_, key)| key.role == role)
    }

    /// Notes that these keys have verified something that speaks at `index`, and judges their windows: one of them has to
    /// be good there.
    pub(super) fn speak(&mut self, keys: &[usize], index: u64, place: &str, checks: &mut Checks) {
        self.used.extend(keys);
        let ends: Vec<Result<(), Window>> =
            keys.iter().filter_map(|at| self.keys.get(*at)).map(|key| key.speaks_at(index)).collect();
        checks.judge(Code::KeyWindow, 1);
        checks.judge(Code::KeyRevoked, 1);
        if ends.iter().any(Result::is_ok) {
            return;
        }
        for window in ends.into_iter().filter_map(Result::err) {
            checks.error(&window, place);
        }
    }

    /// Opens a checkpoint of `origin`, signed by the role; what is wrong is told. `None` where it says nothing.
    pub(super) fn open(
        &self,
        bytes: &[u8],
        origin: &str,
        role: KeyRole,
        place: &str,
        checks: &mut Checks,
    ) -> Option<Told> {
        for code in [
            Code::CheckpointFormat,
            Code::CheckpointOrigin,
            Code::CheckpointSignature,
            Code::KeyRole,
            Code::KeyUnknown,
            Code::CheckpointUnsigned,
        ] {
            checks.judge(code, 1);
        }
        let found = self.of_role(role);
        let name = match role {
            KeyRole::Run => run_key_name(&self.log),
            _ => self.log.clone(),
        };
        let keys = RoleKeys { name: &name, keys: &found.keys, others: &found.others };
        match Checkpoint::open(bytes, origin, keys) {
            Ok(opened) => Some(Told {
                keys: opened.keys.iter().filter_map(|at| found.at.get(*at).copied()).collect(),
                ignored: opened.ignored as u64,
                checkpoint: opened.checkpoint,
            }),
            Err(error) => {
                checks.error(&error, place);
                let (checkpoint, _) = Checkpoint::parse(bytes).ok()?;
                if matches!(error, CheckpointError::Origin { .. }) {
                    // Whose it is otherwise is told too.
                    let again = Checkpoint::open(bytes, &checkpoint.origin, keys);
                    again.err().iter().for_each(|error| checks.error(error, place));
                }
                Some(Told { checkpoint, keys: Vec::new(), ignored: 0 })
            }
        }
    }

    /// The keys that have verified something, as a bundle lists them.
    pub(super) fn used(&self) -> Vec<BundleKey> {
        let mut used: Vec<BundleKey> =
            self.used.iter().filter_map(|at| self.keys.get(*at)).filter_map(written).collect();
        used.sort_by(|one, next| (&one.name, &one.key).cmp(&(&next.name, &next.key)));
        used.dedup();
        used
    }
}

/// What a checkpoint says, and who signed it: nobody, where the signature is refused.
pub(super) struct Told {
    pub(super) checkpoint: Checkpoint,
    pub(super) keys: Vec<usize>,
    pub(super) ignored: u64,
}

/// A key as a bundle lists it.
fn written(key: &PolicyKey) -> Option<BundleKey> {
    Some(BundleKey {
        alg: Word::new(key.key.alg()).ok()?,
        key: key.key.base64(),
        name: Enc::new(key.name.as_str()).ok()?,
        role: Word::new(key.role.as_str()).ok()?,
    })
}

/// Reads a key that a bundle lists. One under which a signature fits many messages is none.
fn read_key(at: usize, key: &BundleKey, checks: &mut Checks) -> Option<PolicyKey> {
    let place = format!("keys[{at}]");
    checks.judge(Code::KeyWeak, 1);
    let Some(role) = KeyRole::parse(key.role.as_str()) else {
        checks.fail(Code::BundleSchema, place, format!("there is no role {}", key.role));
        return None;
    };
    let public = match PublicKey::parse(key.alg.as_str(), &key.key) {
        Ok(public) => public,
        Err(why) => {
            checks.fail(Code::BundleSchema, place, why);
            return None;
        }
    };
    if public.is_weak() {
        checks.fail(Code::KeyWeak, place, format!("the key {} is weak", key.name));
        return None;
    }
    Some(PolicyKey { name: key.name.to_string(), role, key: public, from: 0, until: None, last_good: None })
}
