//! C18. A home in one file, made while it is in use, and back.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use agora_testkit::env::{Output, TestEnv};

use crate::runs::place;
use crate::support::{ADMIN, admin, json};

/// Runs a verb on another home than the place's own.
fn at(env: &TestEnv, home: &Path, arguments: &[&str]) -> Output {
    admin(env, &[&["--home", home.to_str().unwrap()], arguments].concat())
}

/// A plan of items, of which each waits for the one before.
fn chain(id: &str, items: usize) -> String {
    let item = |at: usize| {
        let input = serde_json::json!({"name": format!("{id}-{at}.txt"), "text": format!("by {at}")});
        let after: Vec<String> = at.checked_sub(1).map(|before| format!("i{before}")).into_iter().collect();
        let inputs = serde_json::json!({"subagent": "writer", "workerInput": input});
        serde_json::json!({"id": format!("i{at}"), "inputs": inputs, "depends_on": after})
    };
    let items: Vec<_> = (0..items).map(item).collect();
    serde_json::json!({"id": id, "items": items, "workspace": {"name": "cwd"}}).to_string()
}

fn submit(env: &TestEnv, id: &str, items: usize, more: &[&str]) -> String {
    let path = env.root().join("plan.json");
    std::fs::write(&path, chain(id, items)).unwrap();
    admin(env, &[&["submit", path.to_str().unwrap()], more].concat()).ok()
}

/// The checks of `doctor` that failed, without those of the machine.
pub(crate) fn failed(env: &TestEnv, home: &Path) -> Vec<String> {
    let output = at(env, home, &["--format", "json", "doctor", "--deep"]);
    let reply: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let checks = reply["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["status"] == "fail").map(ToString::to_string).collect()
}

#[test]
fn a_backup_that_is_made_while_a_driver_writes_is_a_home_that_goes_on() {
    let env = place();
    let _done = submit(&env, "before", 1, &["--watch", "--timeout", "50"]);
    let config = std::fs::read_to_string(env.home().join("agora.toml")).unwrap();
    std::fs::write(env.home().join("agora.toml"), format!("{config}\n[engine]\nlinger = false\n")).unwrap();
    for id in ["one", "two"] {
        let _open = submit(&env, id, 4, &[]);
    }
    let driver = env.command(ADMIN).args(["serve", "--until-idle"]).spawn().unwrap();
    let mut files = Vec::new();
    // As long as it takes, and at least twice.
    while files.len() < 2
        || (files.len() < 12 && json(&env, &["runs", "--state", "open"])["runs"].as_array().unwrap().len() == 2)
    {
        let file = env.root().join(format!("backup-{}.tar", files.len()));
        let reply = json(&env, &["backup", file.to_str().unwrap()]);
        assert_eq!((&reply["keys"], &reply["damaged"]), (&true.into(), &serde_json::json!([])));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        files.push(file);
    }
    let _ended = env.finish(driver, b"").ok();
    for (number, file) in [&files[0], files.last().unwrap()].into_iter().enumerate() {
        let home = env.root().join(format!("restored/{number}"));
        assert!(at(&env, &home, &["restore", file.to_str().unwrap()]).ok().contains("must not run any more"));
        assert_eq!(std::fs::metadata(&home).unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(failed(&env, &home), [""; 0]);
        let _driven = at(&env, &home, &["serve", "--until-idle"]).ok();
        for run in ["before", "one", "two"] {
            assert!(at(&env, &home, &["audit", run]).ok().contains("verified"), "{run}");
            assert!(at(&env, &home, &["result", run]).ok().contains(&format!("{run}-0.txt")));
        }
        assert_eq!(failed(&env, &home), [""; 0]);
    }
    let left =
        |folder: &Path| std::fs::read_dir(folder).unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
    assert!(!left(env.root()).chain(left(&env.root().join("restored"))).any(|name| name.starts_with(".agora-")));
}

#[test]
fn nothing_is_written_over_and_keys_stay_at_home_where_asked() {
    let env = place();
    let _done = submit(&env, "run", 1, &["--watch", "--timeout", "50"]);
    let file = env.root().join("b.tar");
    let name = file.to_str().unwrap();
    let told = admin(&env, &["backup", name, "--without-keys"]).ok();
    assert!(told.contains("without the private keys"), "{told}");
    let before = std::fs::read(&file).unwrap();
    assert!(admin(&env, &["backup", name]).fails(6).contains("backup-exists"));
    assert!(std::fs::read(&file).unwrap() == before);
    assert!(!String::from_utf8_lossy(&before).contains("PRIVATE KEY"));
    // Neither over a home nor over anything else.
    assert!(admin(&env, &["restore", name]).fails(6).contains("home-not-empty"));
    assert!(at(&env, &env.work(), &["restore", name]).fails(6).contains("home-not-empty"));
    let home = env.root().join("other");
    std::fs::create_dir(&home).unwrap();
    assert!(at(&env, &home, &["restore", name]).ok().contains("put keys/ of the old home into it"));
    assert!(at(&env, &home, &["status"]).fails(6).contains("key-lost"));
    for key in std::fs::read_dir(env.home().join("keys")).unwrap().flatten() {
        std::fs::copy(key.path(), home.join("keys").join(key.file_name())).unwrap();
    }
    assert!(at(&env, &home, &["audit", "run"]).ok().contains("verified"));
}

#[test]
fn a_backup_that_was_cut_off_or_changed_is_refused_and_leaves_nothing() {
    let env = place();
    let _done = submit(&env, "run", 1, &["--watch", "--timeout", "50"]);
    let file = env.root().join("b.tar");
    let _made = admin(&env, &["backup", file.to_str().unwrap()]).ok();
    let good = std::fs::read(&file).unwrap();
    let parent = env.root().join("restored");
    std::fs::create_dir(&parent).unwrap();
    let bad = env.root().join("bad.tar");
    let refused = |bytes: &[u8], code: &str| {
        std::fs::write(&bad, bytes).unwrap();
        let said = at(&env, &parent.join("home"), &["restore", bad.to_str().unwrap()]).fails(6);
        assert!(said.contains(code), "{said}");
        assert_eq!(std::fs::read_dir(&parent).unwrap().count(), 0, "something is left");
    };
    for at in [1024, good.len() / 3, good.len() / 2, good.len() - 1536] {
        refused(&good[..at], "backup-damaged");
    }
    let find = |what: &[u8]| good.windows(what.len()).position(|window| window == what).unwrap();
    // The bytes of a blob, of a key and of the store; the name of a member; the manifest.
    for place in [
        find(b"did it"),
        find(b"PRIVATE KEY"),
        find(b"SQLite format 3"),
        find(b"trust/log.vkey"),
        find(b"\"blob_bytes\": ") + 14,
    ] {
        let mut changed = good.clone();
        changed[place] ^= 1;
        refused(&changed, "backup-damaged");
    }
    refused(b"", "backup-format");
    refused(b"no archive at all", "backup-format");
    refused(&[b'x'; 4096], "backup-format");
    let mut newer = good.clone();
    let format = find(b"agora-backup/v1\n");
    newer[format + 14] = b'2';
    refused(&newer, "backup-format");
    std::fs::write(&bad, &good).unwrap();
    let _whole = at(&env, &parent.join("home"), &["restore", bad.to_str().unwrap()]).ok();
    assert!(at(&env, &env.root().join("x"), &["restore", "/nowhere.tar"]).fails(6).contains("backup-io"));
}

/// A damaged blob keeps nobody from a backup of all the others.
#[test]
fn a_damaged_blob_is_left_out_and_named() {
    let env = place();
    let _done = submit(&env, "run", 1, &["--watch", "--timeout", "50"]);
    let log = json(&env, &["result", "run", "i0"])["patch"]["digest"].as_str().unwrap().to_owned();
    let hex = log.strip_prefix("sha256:").unwrap();
    let path = env.home().join("blobs/sha256").join(&hex[..2]).join(&hex[2..]);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "something else").unwrap();
    let file = env.root().join("b.tar");
    let output = admin(&env, &["backup", file.to_str().unwrap()]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains(&format!("left out {log}")), "{output:?}");
    let home = env.root().join("other");
    let _restored = at(&env, &home, &["restore", file.to_str().unwrap()]).ok();
    let failed = failed(&env, &home);
    assert!(failed.len() == 1 && failed[0].contains(hex), "{failed:?}");
}

/// Blobs that are no files are left out and named; what was never one of a backup's members stands for nothing.
#[test]
fn links_and_extensions_are_no_members() {
    let env = place();
    let _done = submit(&env, "run", 1, &["--watch", "--timeout", "50"]);
    let blobs = env.home().join("blobs/sha256");
    let folder = std::fs::read_dir(&blobs).unwrap().flatten().find(|entry| entry.path().is_dir()).unwrap().path();
    let blob = std::fs::read_dir(folder).unwrap().flatten().next().unwrap().path();
    std::fs::rename(&blob, env.root().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(env.root().join("elsewhere"), &blob).unwrap();
    let file = env.root().join("b.tar");
    let said = admin(&env, &["backup", file.to_str().unwrap()]);
    assert_eq!((said.code, said.stdout.contains("left out")), (Some(1), true), "{said:?}");

    let good = std::fs::read(&file).unwrap();
    let bad = env.root().join("bad.tar");
    let refused = |from: &[u8], change: &dyn Fn(&mut tar::Header, &str) -> bool| {
        let mut made = tar::Builder::new(Vec::new());
        for member in tar::Archive::new(from).entries().unwrap() {
            let member = member.unwrap();
            let (mut header, name) = (member.header().clone(), member.path().unwrap().display().to_string());
            if change(&mut header, &name) {
                header.set_cksum();
                made.append(&header, member).unwrap();
            }
        }
        std::fs::write(&bad, made.into_inner().unwrap()).unwrap();
        let home = env.root().join("home-of-bad");
        let said = at(&env, &home, &["restore", bad.to_str().unwrap()]);
        if said.code == Some(0) {
            std::fs::remove_dir_all(home).unwrap();
            return String::new();
        }
        said.fails(6)
    };
    assert_eq!(refused(&good, &|_, _| true), "");
    let said = refused(&good, &|_, name| name != "store.db");
    assert!(said.contains("store.db is not"), "{said}");
    for kind in
        [tar::EntryType::GNULongName, tar::EntryType::XHeader, tar::EntryType::Symlink, tar::EntryType::Directory]
    {
        let said = refused(&good, &|header, name| {
            if name == "agora.toml" {
                header.set_entry_type(kind);
            }
            true
        });
        assert!(said.contains("a member is no file"), "{kind:?}: {said}");
    }
}

#[test]
fn a_home_is_restored_into_nothing_but_an_empty_folder() {
    let env = place();
    let file = env.root().join("b.tar");
    let _made = admin(&env, &["backup", file.to_str().unwrap()]).ok();
    let [plain, dangling, empty] = ["plain", "dangling", "empty"].map(|name| env.root().join(name));
    std::fs::write(&plain, "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
    std::fs::create_dir(&empty).unwrap();
    for home in [&plain, &dangling] {
        let said = at(&env, home, &["restore", file.to_str().unwrap()]).fails(6);
        assert!(said.contains("home-not-empty"), "{said}");
    }
    assert_eq!(std::fs::read(&plain).unwrap(), b"mine");
    let _made = at(&env, &empty, &["restore", file.to_str().unwrap()]).ok();
    assert_eq!(failed(&env, &empty), [""; 0]);
}
