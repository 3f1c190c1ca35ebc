//! A registry and keys as agora-admin makes them, from fixed seeds.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agora_core::audit::note::{VerifyKey, sign_text};
use agora_core::canon;
use agora_core::id::Digest;
use agora_core::registry::note::{NoteText, admin_key_name};
use agora_core::seam::BlobStore;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

/// The DER in front of a 32-byte seed (RFC 8410 §7).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// The log's origin.
const ORIGIN: &str = "test.local/0011aabb";
/// The registry's id.
const REGISTRY: &str = "00112233445566778899aabbccddeeff";
/// The seed of the registry's admin key.
const ADMIN_SEED: u8 = 9;

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn vkey(seed: u8, name: &str) -> VerifyKey {
    VerifyKey::new(name, pair(seed).public_key().as_ref().try_into().unwrap()).unwrap()
}

/// Writes the engine's three keys and pins the registry's.
pub(super) fn write_keys(home: &Path) {
    for folder in ["keys", "trust", "registry"] {
        std::fs::create_dir_all(home.join(folder)).unwrap();
    }
    for (role, seed, name) in
        [("log", 1, ORIGIN.to_owned()), ("run", 2, format!("{ORIGIN}/run")), ("attest", 3, format!("{ORIGIN}/attest"))]
    {
        let der: Vec<u8> = PKCS8.into_iter().chain([seed; 32]).collect();
        let path = home.join("keys").join(format!("{role}.key"));
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
        std::fs::write(&path, pem).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(home.join("trust").join(format!("{role}.vkey")), format!("{}\n", vkey(seed, &name))).unwrap();
    }
    let admin = vkey(ADMIN_SEED, &admin_key_name(REGISTRY));
    std::fs::write(home.join("trust/registry-admin.vkey"), format!("{admin}\n")).unwrap();
}

#[derive(Clone)]
struct Entry {
    digest: Digest,
    since: u64,
    history: Vec<(Digest, u64)>,
}

/// Signs one version after another.
pub(crate) struct Publisher {
    home: PathBuf,
    blobs: Arc<dyn BlobStore>,
    version: u64,
    previous: Option<(Digest, Digest)>,
    entries: BTreeMap<String, BTreeMap<String, Entry>>,
    revoked: Vec<(Digest, u64)>,
}

impl Publisher {
    pub(super) fn new(home: &Path, blobs: Arc<dyn BlobStore>) -> Self {
        let (home, entries) = (home.to_owned(), BTreeMap::new());
        Self { home, blobs, version: 0, previous: None, entries, revoked: Vec::new() }
    }

    /// Puts an artifact into the next version.
    pub(crate) async fn put(&mut self, kind: &str, name: &str, artifact: Value) -> Digest {
        let digest = self.blobs.put(&canon::to_bytes(&artifact).unwrap()).await.unwrap();
        let since = self.version + 1;
        let entry = self.entries.entry(kind.to_owned()).or_default().entry(name.to_owned());
        let entry = entry.or_insert(Entry { digest, since, history: Vec::new() });
        if entry.digest != digest {
            entry.history.insert(0, (entry.digest, entry.since));
            (entry.digest, entry.since) = (digest, since);
        }
        digest
    }

    /// Leaves an artifact out of the next version.
    pub(crate) fn remove(&mut self, kind: &str, name: &str) {
        self.entries.get_mut(kind).and_then(|names| names.remove(name)).unwrap();
    }

    /// Revokes a digest in the next version.
    pub(crate) fn revoke(&mut self, digest: Digest) {
        self.revoked.push((digest, self.version + 1));
    }

    /// Publishes the next version: the snapshot first, the note last.
    pub(crate) async fn publish(&mut self) {
        self.version += 1;
        let entries: BTreeMap<_, BTreeMap<_, _>> = self
            .entries
            .iter()
            .map(|(kind, names)| (kind, names.iter().map(|(name, entry)| (name, entry_json(entry))).collect()))
            .collect();
        let revoked: Vec<_> = self
            .revoked
            .iter()
            .map(|(digest, since)| json!({ "digest": digest.to_string(), "since": since, "why": "test" }))
            .collect();
        let mut snapshot = json!({
            "format": "agora-registry/v1", "registry": REGISTRY, "version": self.version, "comment": "test",
            "created": "2026-11-20T18:07:00.000000Z", "entries": entries, "revoked": revoked,
            "admin_keys": [vkey(ADMIN_SEED, &admin_key_name(REGISTRY)).to_string()],
        });
        if let Some((digest, note)) = &self.previous {
            snapshot["previous"] = json!({ "snapshot": digest.to_string(), "note": note.to_string() });
        }
        let bytes = canon::to_bytes(&snapshot).unwrap();
        let note = sign(ADMIN_SEED, self.version, &bytes, self.previous.map(|(digest, _)| digest));
        self.blobs.put(&bytes).await.unwrap();
        self.blobs.put(&note).await.unwrap();
        self.previous = Some((Digest::of(&bytes), Digest::of(&note)));
        std::fs::write(self.home.join("registry/snapshot.json"), &bytes).unwrap();
        std::fs::write(self.home.join("registry/snapshot.note"), &note).unwrap();
    }
}

fn entry_json(entry: &Entry) -> Value {
    let past = |(digest, since): &(Digest, u64)| json!({ "digest": digest.to_string(), "since": since });
    let history: Vec<_> = entry.history.iter().map(past).collect();
    json!({ "digest": entry.digest.to_string(), "since": entry.since, "history": history })
}

/// The note over a snapshot, signed with the key of this seed under the admin key's name.
pub(crate) fn sign(seed: u8, version: u64, snapshot: &[u8], previous: Option<Digest>) -> Vec<u8> {
    let text =
        NoteText { registry: REGISTRY.to_owned(), version, snapshot: Digest::of(snapshot), previous }.to_string();
    let pair = pair(seed);
    let signature = pair.sign(text.as_bytes());
    let public_key = pair.public_key().as_ref().try_into().unwrap();
    sign_text(&text, &admin_key_name(REGISTRY), &public_key, signature.as_ref().try_into().unwrap()).unwrap()
}
