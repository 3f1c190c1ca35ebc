//! Writing the signed statements of a run into a folder, for the tools of others.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use agora_core::error::{Class, Problem};
use agora_engine::operations::{StatementRow, StatementsReply};
use agora_engine::p256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::error::Failure;

/// The format of a bundle with one statement, as `cosign` reads it (Sigstore bundle format v0.3).
const SIGSTORE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The files of one statement.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    /// The item.
    pub(crate) item_id: String,
    /// The position of its `item.done`.
    pub(crate) seq: u64,
    /// The envelope.
    pub(crate) envelope: String,
    /// The same for `cosign`, where the P-256 key signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sigstore: Option<String>,
}

/// Writes two files for each statement into a folder, which is made. Nothing is written over.
///
/// # Errors
/// `file-unwritable`, before anything is written where a name is taken.
pub(crate) fn write(folder: &Path, reply: &StatementsReply) -> Result<Vec<Written>, Failure> {
    std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    let mut all = Vec::new();
    for row in &reply.statements {
        // An item's id has letters, digits and `._@:~-` alone, and does not begin with a dot.
        let stem = format!("{:04}-{}", row.seq, row.item);
        let envelope = folder.join(format!("{stem}.dsse.json"));
        let sigstore = sigstore(row, reply).map(|bytes| (folder.join(format!("{stem}.sigstore.json")), bytes));
        all.push(Written {
            item_id: row.item.to_string(),
            seq: row.seq,
            envelope: envelope.display().to_string(),
            sigstore: sigstore.as_ref().map(|(path, _)| path.display().to_string()),
        });
        files.push((envelope, line(row.bytes.clone())));
        files.extend(sigstore);
    }
    if let Some((taken, _)) = files.iter().find(|(path, _)| std::fs::symlink_metadata(path).is_ok()) {
        return Err(unwritable(taken, &io::ErrorKind::AlreadyExists.into()));
    }
    for (path, bytes) in &files {
        let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(bytes));
        written.map_err(|error| unwritable(path, &error))?;
    }
    Ok(all)
}

fn line(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.push(b'\n');
    bytes
}

/// The statement with its P-256 signature alone: that format takes one. The hint is what `cosign` itself writes for a key,
/// the base64 of SHA-256 over its SubjectPublicKeyInfo.
fn sigstore(row: &StatementRow, reply: &StatementsReply) -> Option<Vec<u8>> {
    let (name, point) = reply.p256.as_ref()?;
    let signature = row.envelope.signatures.iter().find(|signature| signature.keyid == *name)?;
    let bundle = json!({
        "mediaType": SIGSTORE,
        "verificationMaterial": { "publicKey": { "hint": STANDARD.encode(Sha256::digest(p256::spki(point))) } },
        "dsseEnvelope": {
            "payload": STANDARD.encode(&row.envelope.payload),
            "payloadType": row.envelope.payload_type,
            "signatures": [{ "sig": STANDARD.encode(&signature.sig) }],
        },
    });
    Some(line(bundle.to_string().into_bytes()))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let problem = Problem::new(Class::Caller, "file-unwritable", error.to_string()).at(path.display().to_string());
    let hint = match error.kind() {
        io::ErrorKind::AlreadyExists => "name a folder without such files: nothing is written over",
        _ => "name a folder that you may write",
    };
    Failure::one(format!("write {}", path.display()), problem.hint(hint))
}
