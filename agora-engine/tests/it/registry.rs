//! P03: whatever happens to a file of the registry, its next use is refused with its own code and recorded once, and what
//! was accepted goes on.

use std::os::unix::fs::symlink;
use std::path::Path;

use agora_core::canon;
use agora_core::id::{Digest, ItemId};
use serde_json::{Value, json};

use crate::common::{
    Home, check, code_of, fan_out, item, items, plan, sign, states, subagent, submit, try_submit, wait_end, within,
};
use crate::evidence::log;

fn refusals(home: &Path) -> Vec<String> {
    let refused = log(home).into_iter().filter(|entry| entry["type"] == "registry.refused");
    refused.map(|entry| entry["body"]["reason"].as_str().unwrap().to_owned()).collect()
}

/// The folder `registry` and the two files of version 1.
struct Old {
    snapshot: Vec<u8>,
    note: Vec<u8>,
}

/// Changes the snapshot and signs it as its version demands.
fn forged(registry: &Path, seed: u8, change: impl FnOnce(&mut Value)) {
    let path = registry.join("snapshot.json");
    let mut snapshot: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut snapshot);
    let previous = snapshot["previous"]["snapshot"].as_str().map(|digest| digest.parse::<Digest>().unwrap());
    let bytes = canon::to_bytes(&snapshot).unwrap();
    std::fs::write(registry.join("snapshot.note"), sign(seed, snapshot["version"].as_u64().unwrap(), &bytes, previous))
        .unwrap();
    std::fs::write(path, bytes).unwrap();
}

type Damage = fn(&Path, &Old);

/// What is done to the folder `registry`, and what its next use is refused with.
const DAMAGES: &[(&str, &str, Damage)] = &[
    ("snapshot edited", "registry-digest", |registry, _| {
        let path = registry.join("snapshot.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"comment\":\"test\"", "\"comment\":\"tess\"")).unwrap();
    }),
    ("note edited", "registry-signature", |registry, _| {
        let path = registry.join("snapshot.note");
        let text = std::fs::read_to_string(&path).unwrap();
        let (head, line) = text.rsplit_once(' ').unwrap();
        let turned: String = line.chars().map(|c| if c == 'A' { 'B' } else { c }).collect();
        let turned = if turned == line { line.replacen('B', "A", 1) } else { turned };
        std::fs::write(&path, format!("{head} {turned}")).unwrap();
    }),
    ("signed by a stranger", "registry-signature", |registry, _| forged(registry, 8, |_| {})),
    ("snapshot of the version before", "registry-digest", |registry, old| {
        std::fs::write(registry.join("snapshot.json"), &old.snapshot).unwrap();
    }),
    ("both of the version before", "registry-rollback", |registry, old| {
        std::fs::write(registry.join("snapshot.json"), &old.snapshot).unwrap();
        std::fs::write(registry.join("snapshot.note"), &old.note).unwrap();
    }),
    ("another content of the same version", "registry-fork", |registry, _| {
        forged(registry, 9, |snapshot| snapshot["comment"] = json!("other"));
    }),
    ("another registry", "registry-digest", |registry, _| {
        forged(registry, 9, |snapshot| snapshot["registry"] = json!("ff".repeat(16)));
    }),
    ("not as agora writes it", "not-canonical", |registry, _| {
        let path = registry.join("snapshot.json");
        let mut bytes = std::fs::read(&path).unwrap();
        let snapshot: Value = serde_json::from_slice(&bytes).unwrap();
        let previous = snapshot["previous"]["snapshot"].as_str().unwrap().parse().unwrap();
        bytes.push(b'\n');
        std::fs::write(registry.join("snapshot.note"), sign(9, 2, &bytes, Some(previous))).unwrap();
        std::fs::write(&path, &bytes).unwrap();
    }),
    ("snapshot deleted", "registry-missing", |registry, _| {
        std::fs::remove_file(registry.join("snapshot.json")).unwrap();
    }),
    ("note deleted", "registry-missing", |registry, _| {
        std::fs::remove_file(registry.join("snapshot.note")).unwrap();
    }),
    ("folder deleted", "registry-missing", |registry, _| std::fs::remove_dir_all(registry).unwrap()),
    ("snapshot a link", "registry-file", |registry, _| linked(registry, "snapshot.json")),
    ("note a link", "registry-file", |registry, _| linked(registry, "snapshot.note")),
    ("folder a link", "registry-file", |registry, _| {
        let elsewhere = registry.with_file_name("elsewhere");
        remove(&elsewhere);
        remove(&elsewhere);
        std::fs::rename(registry, &elsewhere).unwrap();
        symlink(&elsewhere, registry).unwrap();
    }),
    ("snapshot a folder", "registry-file", |registry, _| {
        std::fs::remove_file(registry.join("snapshot.json")).unwrap();
        std::fs::create_dir(registry.join("snapshot.json")).unwrap();
    }),
];

fn linked(registry: &Path, name: &str) {
    let elsewhere = registry.with_file_name(name);
    std::fs::rename(registry.join(name), &elsewhere).unwrap();
    symlink(&elsewhere, registry.join(name)).unwrap();
}

fn remove(path: &Path) {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path).unwrap(),
        Ok(_) => std::fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

fn read_both(home: &Path) -> Old {
    let read = |name: &str| std::fs::read(home.join("registry").join(name)).unwrap();
    Old { snapshot: read("snapshot.json"), note: read("snapshot.note") }
}

#[tokio::test]
async fn every_damage_has_its_code_is_recorded_once_and_stops_nothing_that_was_accepted() {
    for (name, code, damage) in DAMAGES {
        let mut home = Home::new().await;
        let old = read_both(home.path());
        home.registry.put("env", "extra", json!({ "format": "agora-env/v1", "values": { "A": "1" } })).await;
        home.registry.publish().await;
        let good = read_both(home.path());
        let held = ItemId::new("held").unwrap();
        home.compute.hold(&held);
        let engine = home.open().await;
        let driver = engine.drive();
        submit(&engine, plan("before", vec![item("held", &[]), item("after", &["held"])])).await;
        within(home.compute.wait_started(&held)).await;

        let registry = home.path().join("registry");
        damage(&registry, &old);
        for at in 0..2 {
            let reply = try_submit(&engine, fan_out(&format!("new-{at}"), 1)).await;
            assert_eq!(reply.map_err(|error| error.first().code).err().as_deref(), Some(*code), "{name}");
        }
        home.compute.release(&held);
        assert_eq!(wait_end(&engine, &["before"]).await[0].state, "done", "{name}");
        assert_eq!(refusals(home.path()), [*code], "{name}");
        // A fresh process refuses it as well, and it is the same refusal.
        assert_eq!(code_of(try_submit(&*home.open().await, fan_out("new", 1)).await), *code, "{name}");
        assert_eq!(refusals(home.path()), [*code], "{name}");

        remove(&registry);
        std::fs::create_dir(&registry).unwrap();
        std::fs::write(registry.join("snapshot.json"), &good.snapshot).unwrap();
        std::fs::write(registry.join("snapshot.note"), &good.note).unwrap();
        submit(&engine, fan_out("restored", 1)).await;
        wait_end(&engine, &["restored"]).await;
        // The same damage again is news again.
        damage(&registry, &old);
        assert_eq!(code_of(try_submit(&engine, fan_out("again", 1)).await), *code, "{name}");
        assert_eq!(refusals(home.path()), [*code, *code], "{name}");
        check(&engine, &["before", "restored"]).await;
        driver.stop().await;
    }
}

#[tokio::test]
async fn a_new_version_is_followed_and_recorded_and_binds_later_runs_alone() {
    let mut home = Home::new().await;
    let engine = home.open().await;
    assert_eq!(try_submit(&engine, fan_out("one", 1)).await.unwrap().registry_version, 1);
    let template = home.blobs.put(b"differently: {{ prompt }}").await.unwrap();
    home.registry.put("subagent", "noop", subagent(&template)).await;
    home.registry.publish().await;
    assert_eq!(try_submit(&engine, fan_out("two", 1)).await.unwrap().registry_version, 2);
    let driver = engine.drive();
    wait_end(&engine, &["one", "two"]).await;
    let accepted = log(home.path()).iter().filter(|entry| entry["type"] == "registry.accepted").count();
    assert_eq!(accepted, 2);
    check(&engine, &["one", "two"]).await;
    driver.stop().await;
}

/// What is revoked after its acceptance starts no further attempt; damage to the registry does not bring it back.
#[tokio::test]
async fn what_is_revoked_starts_no_more() {
    for damaged in [false, true] {
        let mut home = Home::new().await;
        let template = home.blobs.put(b"other: {{ prompt }}").await.unwrap();
        let digest = home.registry.put("subagent", "other", subagent(&template)).await;
        home.registry.publish().await;
        home.compute.hold(&ItemId::new("first").unwrap());
        let engine = home.open().await;
        let driver = engine.drive();
        let mut then = item("then", &["first"]);
        then["inputs"]["subagent"] = json!("other");
        submit(&engine, plan("run", vec![item("first", &[]), then, item("twin", &["first"])])).await;
        within(home.compute.wait_started(&ItemId::new("first").unwrap())).await;
        home.registry.revoke(digest);
        home.registry.publish().await;
        // The new version is taken note of before anything else happens.
        submit(&engine, fan_out("barrier", 1)).await;
        wait_end(&engine, &["barrier"]).await;
        if damaged {
            std::fs::remove_dir_all(home.path().join("registry")).unwrap();
        }
        home.compute.release(&ItemId::new("first").unwrap());
        wait_end(&engine, &["run"]).await;
        assert_eq!(states(&engine, "run").await, ["first: done", "then: failed", "twin: done"], "{damaged}");
        assert_eq!(items(&engine, "run").await.items[1].failure.as_deref(), Some("setup: registry-revoked"));
        check(&engine, &["run"]).await;
        driver.stop().await;
    }
}
