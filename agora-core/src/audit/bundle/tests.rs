//! What is read as a bundle, and what is not.

use serde_json::Value;

use super::*;
use crate::audit::merkle::PROOF_HASHES_MAX;
use crate::error::Coded as _;
use crate::id::{Digest, Enc, Hash, RunId};
use crate::limits::{BUNDLE_BYTES_MAX, BUNDLE_ENTRIES_MAX, STATEMENT_BYTES_MAX};

fn small() -> RunBundle {
    RunBundle {
        anchors: Vec::new(),
        artifacts: vec![ArtifactPart { data: B64(b"x".to_vec()), digest: Digest::of(b"x") }],
        checkpoint: B64(b"note".to_vec()),
        entries: vec![r#"{"a":1}"#.to_owned()],
        keys: Vec::new(),
        log: LogPart {
            checkpoint: B64(b"note".to_vec()),
            consistency: vec![FromSize { from: 1, proof: vec![Hash([1; 32])] }],
            entries: None,
            opened: InLog { entry: "{}".to_owned(), proof: Vec::new() },
            sealed: None,
        },
        manifest: RunManifest {
            artifacts: 1,
            entries: 1,
            format: BUNDLE_FORMAT.to_owned(),
            kind: Kind::Run,
            origin: Enc::new("example.com/agora").unwrap(),
            run: RunId::new("r").unwrap(),
            sealed: false,
            statements: 0,
        },
        registry: RegistryPart { note: B64(Vec::new()), snapshot: B64(Vec::new()) },
        statements: Vec::new(),
    }
}

fn bytes_of(bundle: RunBundle) -> Vec<u8> {
    Bundle::Run(Box::new(bundle)).to_bytes().unwrap()
}

fn code_of(bytes: &[u8]) -> &'static str {
    match Bundle::parse(bytes) {
        Ok(_) => "read",
        Err(error) => error.code(),
    }
}

/// The same after a change of its JSON, canonical again.
fn changed(change: impl Fn(&mut Value)) -> Vec<u8> {
    let bytes = bytes_of(small());
    let mut value: Value = serde_json::from_slice(&bytes).unwrap();
    change(&mut value);
    let mut bytes = crate::canon::entry_bytes(&value, BUNDLE_DEPTH_MAX).unwrap();
    bytes.push(b'\n');
    bytes
}

#[test]
fn what_is_written_is_read_and_is_one_line() {
    let bytes = bytes_of(small());
    assert_eq!(Bundle::parse(&bytes), Ok(Bundle::Run(Box::new(small()))));
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert_eq!(changed(|_| {}), bytes);
    let log = LogBundle {
        anchors: Vec::new(),
        keys: Vec::new(),
        log: WholeLog { checkpoint: B64(Vec::new()), consistency: Vec::new(), entries: Vec::new() },
        manifest: LogManifest {
            format: BUNDLE_FORMAT.to_owned(),
            kind: Kind::Log,
            origin: Enc::new("example.com/agora").unwrap(),
        },
    };
    let log = Bundle::Log(Box::new(log));
    assert_eq!(Bundle::parse(&log.to_bytes().unwrap()), Ok(log));
}

#[test]
fn there_is_one_spelling() {
    let good = bytes_of(small());
    assert_eq!(code_of(&good), "read");
    let text = String::from_utf8(good.clone()).unwrap();
    let bad = [
        good[..good.len() - 1].to_vec(),
        [&good[..], b"\n"].concat(),
        text.replace('\n', "\r\n").into_bytes(),
        text.replacen('{', "{ ", 1).into_bytes(),
        text.replacen("\"kind\":\"run\"", "\"kind\":\"\\u0072un\"", 1).into_bytes(),
        text.replacen("\"sealed\":false", "\"sealed\":false,\"sealed\":false", 1).into_bytes(),
        text.replacen("\"from\":1", "\"from\":1.0", 1).into_bytes(),
        text.replacen("\"from\":1", "\"from\":null", 1).into_bytes(),
        text.replacen("example", "exämple", 1).into_bytes(),
        format!("[{}]\n", text.trim_end()).into_bytes(),
        Vec::new(),
        b"\n".to_vec(),
    ];
    for bytes in bad {
        assert_eq!(code_of(&bytes), "bundle-encoding", "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_member_that_is_missing_unknown_or_mistyped_is_refused() {
    let names = ["anchors", "artifacts", "checkpoint", "entries", "keys", "log", "registry", "statements"];
    for name in names {
        let without = changed(|bundle| drop(bundle.as_object_mut().unwrap().remove(name)));
        assert_eq!(code_of(&without), "bundle-schema", "{name}");
        let other = changed(|bundle| bundle[name] = Value::from(1));
        assert_eq!(code_of(&other), "bundle-schema", "{name}");
    }
    type Change = fn(&mut Value);
    let changes: [Change; 9] = [
        // A report that says "intact", a policy, a path: nothing that a lenient reader would honour.
        |bundle| bundle["report"] = "intact".into(),
        |bundle| bundle["manifest"]["policy"] = "trust.toml".into(),
        |bundle| bundle["log"]["consistency"][0]["root"] = "00".into(),
        |bundle| bundle["manifest"]["run"] = "no run".into(),
        |bundle| bundle["manifest"]["kind"] = "both".into(),
        |bundle| bundle["checkpoint"] = "bm90ZQ".into(),
        |bundle| bundle["checkpoint"] = "bm90ZR==".into(),
        // The values of an object, in order: a second spelling.
        |bundle| {
            let values: Vec<Value> = bundle["registry"].as_object().unwrap().values().cloned().collect();
            bundle["registry"] = values.into();
        },
        |bundle| bundle["log"]["consistency"][0]["proof"][0] = "AB".repeat(32).into(),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert_eq!(code_of(&changed(change)), "bundle-schema", "change {at}");
    }
    assert_eq!(code_of(&changed(|bundle| bundle["manifest"]["kind"] = "log".into())), "bundle-schema");
    assert_eq!(code_of(&changed(|bundle| bundle["manifest"]["format"] = "agora-bundle/v2".into())), "bundle-format");
}

#[test]
fn a_bundle_has_bounds() {
    // Their length alone is looked at: none of these bytes is ever touched.
    let most = usize::try_from(BUNDLE_BYTES_MAX).unwrap();
    assert_eq!(code_of(&vec![0; most]), "bundle-encoding");
    assert_eq!(code_of(&vec![0; most + 1]), "bundle-limit");
    let entries = usize::try_from(BUNDLE_ENTRIES_MAX).unwrap();
    let with = |entries: usize| bytes_of(RunBundle { entries: vec![String::new(); entries], ..small() });
    assert_eq!(code_of(&with(entries)), "read");
    assert_eq!(code_of(&with(entries + 1)), "bundle-limit");
    let with = |hashes: usize| {
        let mut bundle = small();
        bundle.log.opened.proof = vec![Hash([0; 32]); hashes];
        bytes_of(bundle)
    };
    assert_eq!(code_of(&with(PROOF_HASHES_MAX)), "read");
    assert_eq!(code_of(&with(PROOF_HASHES_MAX + 1)), "bundle-limit");
    let payload = usize::try_from(STATEMENT_BYTES_MAX).unwrap();
    let with = |bytes: usize| {
        bytes_of(RunBundle { statements: vec![crate::audit::dsse::Envelope::new(vec![0; bytes])], ..small() })
    };
    assert_eq!(code_of(&with(payload)), "read");
    assert_eq!(code_of(&with(payload + 1)), "bundle-limit");
}
