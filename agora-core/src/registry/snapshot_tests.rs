use serde_json::{Value, json};

use super::*;

fn digest(n: usize) -> Digest {
    Digest::of(n.to_string().as_bytes())
}

fn snapshot() -> Value {
    json!({
        "format": "agora-registry/v1", "registry": "5e1c".repeat(8), "version": 42,
        "created": "2027-01-15T09:30:00.000000Z", "comment": "deploy agora.deploy.toml",
        "previous": {"snapshot": digest(1), "note": digest(2)},
        "admin_keys": ["agora/registry-admin/x+00000000+AQ=="],
        "entries": {
            "subagent": {"code-edit": {"digest": digest(3), "since": 42, "history": [{"digest": digest(4), "since": 17}]}},
            "env": {"plain": {"digest": digest(5), "since": 1, "history": []}, "other": {"digest": digest(6), "since": 2, "history": []}},
        },
        "revoked": [{"digest": digest(7), "since": 40, "why": "leaked"}],
    })
}

fn parse(value: &Value) -> Result<Snapshot, RegistryError> {
    Snapshot::parse(&canon::to_bytes(value).unwrap())
}

#[test]
fn a_snapshot_is_read_and_asked() {
    let read = parse(&snapshot()).unwrap();
    assert_eq!(read.entry(Kind::Subagent, "code-edit").unwrap().digest, digest(3));
    assert_eq!(read.entry(Kind::Subagent, "plain"), None);
    assert_eq!(read.entry(Kind::Pipeline, "code-edit"), None);
    assert_eq!(read.names(Kind::Env).map(Name::as_str).collect::<Vec<_>>(), ["other", "plain"]);
    assert_eq!(read.names(Kind::Capability).count(), 0);
    assert!(read.is_revoked(&digest(7)) && !read.is_revoked(&digest(3)));
    let mut pinned = snapshot();
    pinned["config"] = json!(digest(9));
    assert_eq!(parse(&pinned).unwrap().config, Some(digest(9)));
}

#[test]
fn what_could_not_have_been_published_is_refused() {
    type Change = (&'static str, Value);
    let refused: Vec<Change> = vec![
        ("/format", json!("agora-registry/v2")),
        ("/registry", json!("5E1C".repeat(8))),
        ("/registry", json!("5e1c")),
        ("/version", json!(0)),
        ("/version", json!(1)),
        ("/version", json!(41)),
        ("/previous", Value::Null),
        ("/comment", json!("a\nb")),
        ("/comment", json!("x".repeat(COMMENT_BYTES_MAX + 1))),
        ("/admin_keys", json!([])),
        ("/admin_keys", json!(["a", "a"])),
        ("/admin_keys", json!((0..=ADMIN_KEYS_MAX).map(|i| i.to_string()).collect::<Vec<_>>())),
        ("/entries/subagent", json!({})),
        ("/entries/subagent/code-edit/since", json!(43)),
        ("/entries/subagent/code-edit/since", json!(0)),
        ("/entries/subagent/code-edit/history/0/since", json!(42)),
        ("/entries/subagent/code-edit/history/0/since", json!(0)),
        ("/entries/subagent/code-edit/digest", json!("sha512:00")),
        ("/entries/env", json!({"Plain": {"digest": digest(5), "since": 1, "history": []}})),
        ("/entries/env/plain/extra", json!(1)),
        ("/entries/target", json!({"a": {"digest": digest(5), "since": 1, "history": []}})),
        ("/revoked/0/since", json!(43)),
        ("/revoked/0/why", json!("a\nb")),
        ("/revoked/1", json!({"digest": digest(7), "since": 41, "why": "again"})),
        ("/config", Value::Null),
        ("/unknown", json!(1)),
    ];
    for (at, value) in refused {
        let mut changed = snapshot();
        let (parent, member) = at.rsplit_once('/').unwrap();
        let parent = changed.pointer_mut(parent).unwrap();
        match parent.as_array_mut() {
            Some(array) if array.len() == member.parse::<usize>().unwrap() => array.push(value.clone()),
            _ => *parent.pointer_mut(&format!("/{member}")).unwrap_or(&mut Value::Null) = value.clone(),
        }
        if let Some(object) = parent.as_object_mut() {
            object.insert(member.to_owned(), value.clone());
        }
        let error = parse(&changed).unwrap_err();
        assert!(matches!(error, RegistryError::NotCanonical { .. }), "{at} {value}: {error}");
    }
    let mut first = snapshot();
    first.as_object_mut().unwrap().remove("previous");
    assert!(parse(&first).is_err());
    first["version"] = json!(1);
    first["entries"] = json!({});
    first["revoked"] = json!([]);
    assert!(parse(&first).is_ok());
    let mut loose = canon::to_bytes(&snapshot()).unwrap();
    assert!(Snapshot::parse(&loose).is_ok());
    loose.push(b'\n');
    assert!(Snapshot::parse(&loose).is_err());
}

#[test]
fn each_cap_at_its_boundary_and_one_beyond() {
    let entries = |n: usize| {
        let one = json!({"digest": digest(1), "since": 1, "history": []});
        let mut changed = snapshot();
        changed["entries"] =
            json!({"env": (0..n).map(|i| (format!("e{i}"), one.clone())).collect::<serde_json::Map<_, _>>()});
        parse(&changed)
    };
    assert!(entries(SNAPSHOT_ENTRIES_MAX).is_ok());
    assert!(entries(SNAPSHOT_ENTRIES_MAX + 1).unwrap_err().to_string().contains("snapshot_entries_max"));
    let history = |n: usize| {
        let mut changed = snapshot();
        changed["version"] = json!(100);
        changed["entries"]["subagent"]["code-edit"] = json!({"digest": digest(1), "since": 100,
            "history": (0..n).map(|i| json!({"digest": digest(i), "since": 99 - i})).collect::<Vec<_>>()});
        parse(&changed)
    };
    assert!(history(HISTORY_MAX).is_ok());
    assert!(history(HISTORY_MAX + 1).unwrap_err().to_string().contains("history_max"));
    let spaces = Snapshot::parse(&vec![b' '; SNAPSHOT_BYTES_MAX + 1]).unwrap_err();
    assert!(spaces.to_string().contains("snapshot_bytes_max"));
    assert!(!Snapshot::parse(&vec![b' '; SNAPSHOT_BYTES_MAX]).unwrap_err().to_string().contains("snapshot_bytes_max"));
}
