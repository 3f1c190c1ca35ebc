//! Step 7: the registry that the run is bound to.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Code;
use super::checks::Checks;
use super::known::Known;
use super::story::Told;
use crate::audit::bundle::RegistryPart;
use crate::audit::note::{Note, NoteError, VerifyKey};
use crate::audit::policy::{KeyRole, PublicKey};
use crate::canon;
use crate::id::Digest;
use crate::record::{LogEntry, LogRecord, NamedRef, Record, RunOpened};
use crate::registry::note::{NoteText, admin_key_name};
use crate::registry::snapshot::HISTORY_MAX;

/// What is read of a snapshot; the rest is the registry's own.
#[derive(Deserialize)]
struct Listed {
    version: u64,
    entries: BTreeMap<String, BTreeMap<String, ListedEntry>>,
}

#[derive(Deserialize)]
struct ListedEntry {
    digest: Digest,
    #[serde(default)]
    history: Vec<ListedPast>,
}

#[derive(Deserialize)]
struct ListedPast {
    digest: Digest,
}

/// Checks note, digests, and that everything resolved is listed.
pub(super) fn check(part: &RegistryPart, opened: &RunOpened, told: &[Told], known: &mut Known, checks: &mut Checks) {
    let text = signature(&part.note.0, known, checks);
    digests(part, text.as_ref(), opened, checks);
    let Ok(listed) = canon::from_bytes::<Listed>(&part.snapshot.0) else {
        checks.fail(Code::RegistryDigest, "registry.snapshot", "it is no snapshot of a registry");
        checks.untold(Code::RegistryUnlisted, "", "the snapshot could not be read");
        return;
    };
    let said = listed.version != opened.registry.version;
    let wrong = said.then(|| format!("it is version {}, the run names {}", listed.version, opened.registry.version));
    checks.settle(Code::RegistryDigest, "registry.snapshot", wrong);
    for told in told {
        let Record::ItemsAdded(added) = &told.entry.record else { continue };
        for used in &added.resolved {
            let wrong =
                (!listed.has(used)).then(|| format!("{} {} with {} is not listed", used.kind, used.name, used.digest));
            checks.settle(Code::RegistryUnlisted, &format!("entry {}", told.entry.seq), wrong);
        }
    }
}

fn signature(bytes: &[u8], known: &mut Known, checks: &mut Checks) -> Option<NoteText> {
    let place = "registry.note";
    checks.judge(Code::RegistrySignature, 1);
    let note = match Note::parse(bytes) {
        Ok(note) => note,
        Err(error) => {
            checks.fail(Code::RegistrySignature, place, error.to_string());
            return None;
        }
    };
    let text = match NoteText::parse(&note.text) {
        Ok(text) => text,
        Err(error) => {
            checks.fail(Code::RegistrySignature, place, error.to_string());
            return None;
        }
    };
    let name = admin_key_name(&text.registry);
    let of_role = known.keys_of(KeyRole::RegistryAdmin).filter(|(_, key)| key.name == name);
    let (at, keys): (Vec<usize>, Vec<VerifyKey>) = of_role
        .filter_map(|(at, key)| match key.key {
            PublicKey::Ed25519(public_key) => Some((at, VerifyKey { name: key.name.clone(), public_key })),
            PublicKey::P256(_) => None,
        })
        .unzip();
    match note.verify(&keys) {
        Ok(verified) if !verified.keys.is_empty() => {
            let by: Vec<usize> = verified.keys.iter().filter_map(|key| at.get(*key).copied()).collect();
            known.speak(&by, text.version, place, checks);
        }
        Ok(_) => checks.fail(Code::RegistrySignature, place, format!("no known key {name} has signed it")),
        Err(NoteError::Weak { name }) => checks.fail(Code::KeyWeak, place, format!("the key {name} is weak")),
        Err(error) => checks.fail(Code::RegistrySignature, place, error.to_string()),
    }
    Some(text)
}

fn digests(part: &RegistryPart, text: Option<&NoteText>, opened: &RunOpened, checks: &mut Checks) {
    let snapshot = Digest::of(&part.snapshot.0);
    let facts = [
        (Digest::of(&part.note.0) != opened.registry.note, "registry.note", "it is another note than the run names"),
        (snapshot != opened.registry.digest, "registry.snapshot", "it is another snapshot than the run names"),
        (text.is_some_and(|text| text.snapshot != snapshot), "registry.note", "it names another snapshot"),
        (
            text.is_some_and(|text| text.version != opened.registry.version),
            "registry.note",
            "it is of another version than the run names",
        ),
    ];
    for (wrong, place, what) in facts {
        checks.settle(Code::RegistryDigest, place, wrong.then(|| what.to_owned()));
    }
}

impl Listed {
    /// Whether what was resolved is in the snapshot. A run may use a capability as a subagent froze it: one of its earlier
    /// digests, which a full history does not tell for sure.
    fn has(&self, used: &NamedRef) -> bool {
        let Some(entry) = self.entries.get(used.kind.as_str()).and_then(|names| names.get(used.name.as_str())) else {
            return false;
        };
        entry.digest == used.digest
            || used.kind.as_str() == "capability"
                && (entry.history.len() >= HISTORY_MAX || entry.history.iter().any(|past| past.digest == used.digest))
    }
}

/// Compares with the newest version that was accepted before the run; only all entries of the log show it.
pub(super) fn newest(opened: &RunOpened, log: &[LogEntry], checks: &mut Checks) {
    let before = log.iter().take_while(|entry| entry.seq < opened.log_seq);
    let newest = before.filter_map(|entry| match &entry.record {
        LogRecord::RegistryAccepted { version, digest, .. } => Some((*version, *digest)),
        _ => None,
    });
    let Some((version, digest)) = newest.last() else { return };
    let same = (version, digest) == (opened.registry.version, opened.registry.digest);
    let wrong =
        (!same).then(|| format!("version {version} was accepted before, the run names {}", opened.registry.version));
    checks.settle(Code::RegistryRollback, "entry 0", wrong);
}
