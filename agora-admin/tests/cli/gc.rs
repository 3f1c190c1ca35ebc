//! C17. Room: what goes, what stays, and what is said of what went.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use agora_testkit::env::TestEnv;
use serde_json::{Value, json};

use crate::backup::failed;
use crate::runs::place;
use crate::support::{admin, json as ask};

/// An item that writes `NAME.txt`.
fn item(id: &str, name: &str, after: &[&str]) -> Value {
    let input = json!({"name": format!("{name}.txt"), "text": format!("by {name}")});
    json!({"id": id, "inputs": {"subagent": "writer", "workerInput": input}, "depends_on": after})
}

fn submit(env: &TestEnv, id: &str, items: &[Value], code: i32) {
    let path = env.root().join("plan.json");
    std::fs::write(&path, json!({"id": id, "items": items, "workspace": {"name": "cwd"}}).to_string()).unwrap();
    let output = admin(env, &["submit", path.to_str().unwrap(), "--watch", "--timeout", "50"]);
    assert_eq!(output.code, Some(code), "{output:?}");
}

/// Every file below a folder, with its size.
fn files(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => drop(found.insert(entry.path(), entry.metadata().unwrap().len())),
            }
        }
    }
    found
}

fn blobs(env: &TestEnv) -> BTreeMap<PathBuf, u64> {
    files(&env.home().join("blobs"))
}

/// Lets all blobs rest for two days.
fn rest(env: &TestEnv) {
    let past = SystemTime::now() - Duration::from_secs(2 * 86_400);
    blobs(env).keys().for_each(|path| File::open(path).unwrap().set_modified(past).unwrap());
}

fn gc(env: &TestEnv, more: &[&str]) -> Value {
    ask(env, &[&["gc", "--older-than", "0h"], more].concat())
}

fn patch_file(env: &TestEnv, run: &str, item: &str) -> PathBuf {
    let digest = ask(env, &["result", run, item])["patch"]["digest"].as_str().unwrap().to_owned();
    let hex = digest.strip_prefix("sha256:").unwrap();
    env.home().join("blobs/sha256").join(&hex[..2]).join(&hex[2..])
}

#[test]
fn bytes_of_old_runs_go_and_what_anything_else_needs_stays() {
    let env = place();
    submit(&env, "old", &[item("a", "shared", &[]), item("b", "own", &["a"])], 0);
    let gate = json!({"id": "gate", "executor": "approval", "inputs": {"question": "go on?"}, "depends_on": ["a"]});
    submit(&env, "open", &[item("a", "shared", &[]), gate, item("c", "later", &["gate"])], 8);
    let (shared, own) = (patch_file(&env, "old", "a"), patch_file(&env, "old", "b"));
    assert_eq!(shared, patch_file(&env, "open", "a"), "both runs made the same patch");
    let _laid_out = admin(&env, &["result", "old"]).ok();

    // Not old enough; then old enough, and its blobs have not rested.
    let reply = ask(&env, &["gc", "--older-than", "30d"]);
    assert_eq!((&reply["runs"], &reply["blobs"], &reply["resting"]), (&json!([]), &0.into(), &0.into()));
    let before = blobs(&env);
    let reply = gc(&env, &[]);
    assert_eq!((&reply["runs"], &reply["blobs"]), (&json!(["old"]), &0.into()));
    assert!(reply["resting"].as_u64().unwrap() > 0 && blobs(&env) == before, "{reply}");

    // Nobody's files, whatever they look like.
    let strange = [
        env.home().join("notes.txt"),
        env.home().join("blobs/sha256/notes"),
        own.with_file_name("0".repeat(62)),
        env.home().join("trees/mine.pack"),
    ];
    strange.iter().for_each(|path| std::fs::write(path, "mine").unwrap());
    rest(&env);
    let all = files(&env.home());
    let mut dry = gc(&env, &["--dry-run"]);
    assert_eq!(
        files(&env.home()).keys().collect::<Vec<_>>(),
        all.keys().collect::<Vec<_>>(),
        "a dry run removes nothing"
    );
    let reply = gc(&env, &[]);
    dry["dry_run"] = false.into();
    assert_eq!(dry, reply);
    let left = files(&env.home());
    let gone: Vec<_> = all.iter().filter(|(path, _)| !left.contains_key(*path)).collect();
    assert_eq!(gone.len() as u64, reply["blobs"].as_u64().unwrap() + reply["packs"].as_u64().unwrap());
    assert_eq!(gone.iter().map(|(_, size)| **size).sum::<u64>(), reply["size_bytes"].as_u64().unwrap());
    assert!(shared.exists() && !own.exists());
    assert!(strange.iter().all(|path| path.exists()));
    assert_eq!(failed(&env, &env.home()), [""; 0]);
    let again = gc(&env, &[]);
    assert_eq!((&again["runs"], &again["blobs"], &again["resting"]), (&json!([]), &0.into(), &0.into()));

    // What is said of it.
    assert!(admin(&env, &["status", "old"]).ok().contains("sealed, collected 20"));
    let audit = admin(&env, &["audit", "old"]).ok();
    assert!(audit.contains("verified") && audit.contains("collected"), "{audit}");
    let summary = ask(&env, &["result", "old", "b"]);
    assert!(summary["collected"].is_string() && summary["patch"]["files"] == 1, "{summary}");
    let refused: [&[&str]; 6] = [
        &["result", "old"],
        &["result", "old", "b", "--part", "patch"],
        &["result", "old", "b", "--part", "log", "--out", "-"],
        &["result", "old", "a", "--part", "patch"],
        &["logs", "old", "b"],
        &["apply", "old"],
    ];
    for verb in refused {
        let said = admin(&env, verb).fails(4);
        assert!(said.contains("[collected]") && said.contains("audit"), "{verb:?}: {said}");
    }

    // What is open goes on, from its base tree and its patches; and what is registered still works.
    let _approved = admin(&env, &["approve", "open", "gate"]).ok();
    let _over = admin(&env, &["watch", "open", "--timeout", "50"]).ok();
    assert!(admin(&env, &["result", "open"]).ok().contains("later.txt"));
    submit(&env, "new", &[item("a", "own", &[])], 0);
    assert!(own.exists(), "the same bytes are there again");
    for run in ["old", "open", "new"] {
        assert!(admin(&env, &["audit", run]).ok().contains("verified"), "{run}");
    }
    assert_eq!(failed(&env, &env.home()), [""; 0]);
}

#[test]
fn what_was_promised_for_longer_is_kept_for_longer() {
    let env = place();
    let path = env.home().join("agora.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{config}\n[retain]\ndays = 30\n")).unwrap();
    submit(&env, "kept", &[item("a", "a", &[])], 0);
    std::fs::write(&path, config).unwrap();
    submit(&env, "not", &[item("a", "b", &[])], 0);
    rest(&env);
    let reply = gc(&env, &[]);
    assert_eq!((&reply["runs"], &reply["retained"]), (&json!(["not"]), &1.into()));
    assert!(admin(&env, &["gc", "--older-than", "0h"]).ok().contains("1 run kept longer"));
    assert!(admin(&env, &["result", "kept"]).ok().contains("a.txt"));
    assert!(admin(&env, &["result", "not"]).fails(4).contains("[collected]"));
    assert!(admin(&env, &["gc", "--older-than", "30"]).fails(6).contains("such as 30d"));
}
