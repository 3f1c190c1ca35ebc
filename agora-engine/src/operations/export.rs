//! The bundle of a run, or of the log: all that checking it elsewhere takes (`docs/audit.md`, "The bundle").
//!
//! The same store and options give the same bytes: of a sealed run the smallest log checkpoint that was kept and covers its
//! seal, and nothing of when or where it was exported.

use std::collections::{BTreeMap, BTreeSet};

use agora_core::audit::bundle::{
    ArtifactPart, B64, BUNDLE_FORMAT, Bundle, BundleKey, FromSize, InLog, Kind, LogBundle, LogManifest, LogPart,
    RegistryPart, RunBundle, RunManifest, WholeLog,
};
use agora_core::audit::checkpoint::Checkpoint;
use agora_core::audit::dsse::Envelope;
use agora_core::audit::merkle::{consistency_proof, inclusion_proof};
use agora_core::audit::policy::KeyRole;
use agora_core::audit::verify::signers;
use agora_core::error::{Class, Problem};
use agora_core::id::{Digest, Enc, Hash, RunId, Word};
use agora_core::limits::BUNDLE_BYTES_MAX;
use agora_core::record::{Entry, Record, RunOpened};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::accept::internal;
use super::{Caller, OpError};
use crate::engine::Engine;
use crate::journal::{Ledger, StoreError, Stored};
use crate::keys::{Keys, Role, trusted};
use crate::perform::{log_note, sign};
use crate::upkeep::Upkeep;

/// What a bundle of a run holds beside the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportArgs {
    /// The run: its id or a unique prefix.
    pub run_id: String,
    /// All entries of the log, which show that no run is missing.
    pub whole_log: bool,
    /// Sizes of log checkpoints that the auditor has seen: proofs that the log continues them.
    pub since: Vec<u64>,
    /// The bytes of patches, outputs, logs, reports and messages.
    pub artifacts: bool,
    /// What is there, even where it does not verify: for who shows what a verification found. Else nothing is exported that
    /// the home itself would not sign.
    pub as_found: bool,
}

impl Engine {
    /// Writes the bundle of a run, sealed or open.
    ///
    /// # Errors
    /// For a run that is not there; `home-busy` while keys change or `gc` removes; `since-beyond` for a size that the log does
    /// not have; `collected` when artifacts are asked for and `gc` has removed them; `bundle-limit` for what would be over 4 GiB.
    pub async fn export_run(&self, caller: &Caller, args: ExportArgs) -> Result<Vec<u8>, OpError> {
        let (_unchanged, keys) = self.keys_now().await?;
        let key = self.find_run(caller, &args.run_id, false).await?.key;
        let facts = self.facts_of(key, args.as_found).await?;
        if args.artifacts && facts.collected {
            let what = format!("the bytes of {} were removed to make room", facts.id);
            let problem = Problem::new(Class::Missing, "collected", what);
            return Err(OpError::one(problem.hint("export without --artifacts: the evidence is whole without them")));
        }
        let statements = match facts.sealed {
            true => self.envelopes(caller, &facts, args.as_found).await?,
            false => Vec::new(),
        };
        let log = self.log_part(&facts, &args, &keys).await?;
        let checkpoint = match facts.checkpoint {
            Some(note) => note,
            None => sign_open(&keys, &facts.id, &facts.entries).await?,
        };
        let get = |digest: Digest| async move { self.blobs.get(&digest).await.map_err(OpError::from) };
        let registry = RegistryPart {
            note: B64(get(facts.opened.registry.note).await?),
            snapshot: B64(get(facts.opened.registry.digest).await?),
        };
        let entries = text_of(facts.entries)?;
        let mut artifacts = Vec::new();
        let mut size: u64 = entries.iter().map(|entry| entry.len() as u64).sum();
        for digest in if args.artifacts { named(&entries) } else { BTreeSet::new() } {
            let data = get(digest).await?;
            size = size.saturating_add(data.len() as u64 / 3 * 4);
            if size > BUNDLE_BYTES_MAX {
                let what = format!("the artifacts of {} do not fit into a bundle of 4 GiB", facts.id);
                let problem = Problem::new(Class::Caller, "bundle-limit", what);
                return Err(OpError::one(
                    problem.hint("export without --artifacts, and copy the blobs that are wanted"),
                ));
            }
            artifacts.push(ArtifactPart { data: B64(data), digest });
        }
        let bundle = RunBundle {
            anchors: Vec::new(),
            checkpoint: B64(checkpoint),
            keys: Vec::new(),
            manifest: RunManifest {
                artifacts: artifacts.len() as u64,
                entries: entries.len() as u64,
                format: BUNDLE_FORMAT.to_owned(),
                kind: Kind::Run,
                origin: Enc::encode(self.keys.origin().as_str()),
                run: facts.id,
                sealed: facts.sealed,
                statements: statements.len() as u64,
            },
            artifacts,
            entries,
            log,
            registry,
            statements,
        };
        self.finish(Bundle::Run(Box::new(bundle))).await
    }

    /// The statements of a sealed run.
    async fn envelopes(&self, caller: &Caller, facts: &Facts, as_found: bool) -> Result<Vec<Envelope>, OpError> {
        match self.statements(caller, facts.id.as_str()).await {
            Ok(found) => Ok(found.statements.into_iter().map(|row| row.envelope).collect()),
            Err(_) if as_found => {
                let key = facts.key;
                let kept = self.journal.call(move |ledger| ledger.statements(key)).await?;
                Ok(kept.iter().filter_map(|(_, bytes)| Envelope::from_bytes(bytes).ok()).collect())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the bundle of the log as it is now: which runs there were, which keys, which registries.
    ///
    /// # Errors
    /// As [`Engine::export_run`].
    pub async fn export_log(&self, since: &[u64]) -> Result<Vec<u8>, OpError> {
        let (_unchanged, keys) = self.keys_now().await?;
        log_note(&self.journal, &keys).await?;
        let (note, size, log) = self.journal.call(|ledger| ledger.at_one_moment(newest)).await?;
        let sizes = sizes(since, &[], size)?;
        let leaves = leaves_of(&log, size)?;
        let bundle = LogBundle {
            anchors: Vec::new(),
            keys: Vec::new(),
            log: WholeLog {
                checkpoint: B64(note),
                consistency: proofs(&leaves, &sizes)?,
                entries: text_of(log.into_iter().take(leaves.len()).collect())?,
            },
            manifest: LogManifest {
                format: BUNDLE_FORMAT.to_owned(),
                kind: Kind::Log,
                origin: Enc::encode(self.keys.origin().as_str()),
            },
        };
        self.finish(Bundle::Log(Box::new(bundle))).await
    }

    /// The keys in force, and that they stay so: this process may have been opened before one was replaced, and what is
    /// exported is signed here, though nobody may drive. Nothing is removed meanwhile either.
    async fn keys_now(&self) -> Result<(Upkeep, Keys), OpError> {
        let held = Upkeep::copying(&self.home)?;
        let keys = Keys::in_force(&self.home, &self.key_history().await?)?;
        Ok((held, keys))
    }

    /// Lists the keys that signed something, and writes the bytes.
    async fn finish(&self, bundle: Bundle) -> Result<Vec<u8>, OpError> {
        let candidates = self.candidates().await?;
        let work = move || {
            let keys = signers(&bundle, &candidates);
            bundle.with_keys(keys).to_bytes()
        };
        let bytes = tokio::task::spawn_blocking(work).await.map_err(|error| internal(&error))?;
        bytes.map_err(|error| internal(&error))
    }

    /// Every key that this home ever had, as far as log and `trust/` say.
    async fn candidates(&self) -> Result<Vec<BundleKey>, OpError> {
        let mut found = BTreeMap::new();
        for known in self.key_history().await?.keys() {
            let row = BundleKey {
                alg: word(known.key.key.alg())?,
                key: known.key.key.base64(),
                name: Enc::encode(&known.key.name),
                role: word(known.key.role.as_str())?,
            };
            found.insert((row.name.clone(), row.key.clone()), row);
        }
        // The log does not name the registry's first key.
        for key in trusted(&self.home, KeyRole::RegistryAdmin.as_str())? {
            let row = BundleKey {
                alg: word("ed25519")?,
                key: STANDARD.encode(key.public_key),
                name: Enc::encode(&key.name),
                role: word(KeyRole::RegistryAdmin.as_str())?,
            };
            found.insert((row.name.clone(), row.key.clone()), row);
        }
        Ok(found.into_values().collect())
    }

    async fn facts_of(&self, key: i64, as_found: bool) -> Result<Facts, OpError> {
        let found = self
            .journal
            .call(move |ledger| {
                ledger.at_one_moment(|ledger| {
                    let run = ledger.summary_at(key)?.ok_or_else(|| StoreError::NoRun(key.to_string()))?;
                    let entries = ledger.journal_of(key)?;
                    Ok((run, entries))
                })
            })
            .await?;
        let (run, entries) = found;
        let damaged = || OpError::from(StoreError::CorruptRun(format!("{}: its journal cannot be read", run.id)));
        let mut opened = None;
        let mut logged = Vec::new();
        for (bytes, _) in &entries {
            match Entry::from_bytes(bytes).map(|entry| entry.record) {
                Ok(Record::RunOpened(body)) => opened = Some(*body),
                Ok(Record::RunLogged(place)) => logged.push(place.size),
                Ok(_) => {}
                Err(_) if as_found => {}
                Err(_) => return Err(damaged()),
            }
        }
        Ok(Facts {
            opened: opened.ok_or_else(damaged)?,
            logged,
            key,
            id: run.id,
            sealed: run.sealed,
            checkpoint: run.checkpoint,
            collected: run.collected.is_some(),
            entries,
        })
    }

    async fn log_part(&self, facts: &Facts, args: &ExportArgs, keys: &Keys) -> Result<LogPart, OpError> {
        let id = facts.id.clone();
        let (at, sealed) = (facts.opened.log_seq, facts.sealed);
        let least = args.since.iter().copied().max().unwrap_or(0);
        let find = move |ledger: &mut Ledger| {
            ledger.at_one_moment(|ledger| {
                let log = ledger.log_from(0)?.0;
                let seal = match sealed {
                    true => Some(ledger.seal_in_log(&id, at)?.ok_or_else(|| unsealed(&id))?.seq),
                    false => None,
                };
                let covers = seal.unwrap_or(at).saturating_add(1).max(least);
                let kept = match seal {
                    Some(_) => ledger.log_note_covering(covers)?,
                    None => None,
                };
                Ok((log, seal, covers, kept))
            })
        };
        let (mut log, seal, covers, mut kept) = self.journal.call(find).await?;
        if kept.is_none() {
            // An open run, or one that was sealed before checkpoints were kept: the log as it is now.
            log_note(&self.journal, keys).await?;
            let (note, size, now) = self.journal.call(|ledger| ledger.at_one_moment(newest)).await?;
            log = now;
            kept = (size >= covers).then_some((size, note));
        }
        let Some((size, note)) = kept else { return Err(beyond(least, log.len() as u64)) };
        let leaves = leaves_of(&log, size)?;
        let in_log = |seq: u64| -> Result<InLog, OpError> {
            let entry =
                usize::try_from(seq).ok().and_then(|at| log.get(at)).ok_or_else(|| internal(&"a log that shrank"))?;
            let proof = inclusion_proof(&leaves, seq).map_err(|error| internal(&error))?;
            Ok(InLog { entry: text(entry.0.clone())?, proof })
        };
        let sizes = sizes(&args.since, &facts.logged, size)?;
        Ok(LogPart {
            checkpoint: B64(note),
            consistency: proofs(&leaves, &sizes)?,
            opened: in_log(at)?,
            sealed: seal.map(in_log).transpose()?,
            entries: match args.whole_log {
                true => Some(text_of(log.iter().take(leaves.len()).cloned().collect())?),
                false => None,
            },
        })
    }
}

/// The checkpoint of a run that is still open, signed as it stands now.
async fn sign_open(keys: &Keys, id: &RunId, entries: &[Stored]) -> Result<Vec<u8>, OpError> {
    let leaves = leaves_of(entries, entries.len() as u64)?;
    let origin = format!("{}/run/{id}", keys.origin());
    let root = agora_core::audit::merkle::root(&leaves);
    let checkpoint = Checkpoint { origin, size: leaves.len() as u64, root };
    Ok(sign(&checkpoint, &keys.signer(Role::Run)).await?.0)
}

/// A run, as it is exported.
struct Facts {
    key: i64,
    id: RunId,
    opened: RunOpened,
    /// Sizes of the log checkpoints that stand in it.
    logged: Vec<u64>,
    sealed: bool,
    checkpoint: Option<Vec<u8>>,
    collected: bool,
    entries: Vec<Stored>,
}

/// The newest signed checkpoint of the log, its size, and all entries.
fn newest(ledger: &mut Ledger) -> Result<(Vec<u8>, u64, Vec<Stored>), StoreError> {
    let lost = || StoreError::Corrupt("the log was never signed".to_owned());
    let note = ledger.get_meta::<String>("log.note")?.ok_or_else(lost)?.into_bytes();
    let (checkpoint, _) = Checkpoint::parse(&note).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok((note, checkpoint.size, ledger.log_from(0)?.0))
}

/// The sizes below that of the log checkpoint that proofs start from.
fn sizes(since: &[u64], logged: &[u64], size: u64) -> Result<BTreeSet<u64>, OpError> {
    if let Some(beyond_it) = since.iter().copied().find(|since| *since > size) {
        return Err(beyond(beyond_it, size));
    }
    Ok(since.iter().chain(logged).copied().filter(|from| (1..size).contains(from)).collect())
}

fn unsealed(id: &RunId) -> StoreError {
    StoreError::CorruptRun(format!("{id}: its row says that it is sealed, and the log does not"))
}

fn beyond(since: u64, size: u64) -> OpError {
    let what = format!("the log has {size} entries, and no checkpoint of {since}");
    let problem = Problem::new(Class::Caller, "since-beyond", what);
    OpError::one(
        problem.hint("if a checkpoint of that size was seen, this log is another or an older one: keep it as it is"),
    )
}

fn proofs(leaves: &[Hash], sizes: &BTreeSet<u64>) -> Result<Vec<FromSize>, OpError> {
    let proof = |from: &u64| {
        let proof = consistency_proof(leaves, *from).map_err(|error| internal(&error))?;
        Ok(FromSize { from: *from, proof })
    };
    sizes.iter().map(proof).collect()
}

/// The leaves of the first entries, hashed anew from their bytes.
fn leaves_of(entries: &[Stored], size: u64) -> Result<Vec<Hash>, OpError> {
    let first = usize::try_from(size).ok().and_then(|size| entries.get(..size));
    let first = first.ok_or_else(|| internal(&"a journal that is shorter than its checkpoint"))?;
    Ok(first.iter().map(|(bytes, _)| agora_core::audit::merkle::leaf_hash(bytes)).collect())
}

fn text(bytes: Vec<u8>) -> Result<String, OpError> {
    String::from_utf8(bytes).map_err(|_| OpError::from(StoreError::Corrupt("an entry is not ASCII".to_owned())))
}

fn text_of(entries: Vec<Stored>) -> Result<Vec<String>, OpError> {
    entries.into_iter().map(|(bytes, _)| text(bytes)).collect()
}

fn word(text: &str) -> Result<Word, OpError> {
    Word::new(text).map_err(|error| internal(&error))
}

/// The artifacts that entries name: patches, outputs, logs, reports, messages.
fn named(entries: &[String]) -> BTreeSet<Digest> {
    let mut found = BTreeSet::new();
    for entry in entries.iter().filter_map(|entry| Entry::from_bytes(entry.as_bytes()).ok()) {
        match entry.record {
            Record::AttemptLeased(leased) => found.extend(leased.message),
            Record::AttemptFinished(finished) => {
                found.extend(finished.patch.map(|patch| patch.digest));
                found.extend(finished.outputs.iter().map(|output| output.digest));
                found.extend(finished.log.map(|log| log.digest));
                found.extend(finished.verify.map(|verify| verify.report));
                found.extend(finished.report);
            }
            _ => {}
        }
    }
    found
}
