//! `init`, `doctor`, `mcp-config`.

use std::os::unix::fs::PermissionsExt as _;

use agora_testkit::env::TestEnv;

use crate::support::{admin, json, ready};

#[test]
fn init_makes_a_home_and_finds_it_the_next_time() {
    let env = TestEnv::new();
    let first = json(&env, &["init"]);
    assert_eq!((&first["was_whole"], &first["registry_version"]), (&false.into(), &1.into()));
    let second = json(&env, &["init"]);
    assert_eq!((&second["was_whole"], &second["registry"]), (&true.into(), &first["registry"]));
    let mode = std::fs::metadata(env.home()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    // A folder with other things in it is somebody else's.
    let foreign = env.work();
    std::fs::write(foreign.join("x"), "").unwrap();
    let at = |verb: &[&str]| admin(&env, &[&["--home", foreign.to_str().unwrap()], verb].concat());
    for verb in [&["init"] as &[_], &["runs"], &["serve"], &["subagent", "list"]] {
        let text = at(verb).fails(6);
        assert!(text.contains("[home-foreign]"), "{verb:?}: {text}");
    }
    let doctor = at(&["doctor"]);
    assert!(doctor.stdout.contains("fail home") && !doctor.stdout.contains("chmod"), "{}", doctor.stdout);
    assert_eq!(std::fs::read_dir(foreign).unwrap().count(), 1, "nothing is made there");
}

#[test]
fn doctor_finds_what_is_wrong_and_says_what_to_do() {
    let env = ready();
    let checks = |text: &str| -> Vec<(String, String)> {
        let reply: serde_json::Value = serde_json::from_str(text).unwrap();
        let word = |check: &serde_json::Value, key: &str| check[key].as_str().unwrap().to_owned();
        reply["checks"].as_array().unwrap().iter().map(|check| (word(check, "check"), word(check, "status"))).collect()
    };
    let young = checks(&admin(&env, &["--format", "json", "doctor"]).stdout);
    assert!(young.contains(&("store".to_owned(), "warn".to_owned())), "a home without a store: {young:?}");
    admin(&env, &["runs"]).ok();
    // Whether targets are up is the machine's affair, and so is the exit code.
    let healthy = checks(&admin(&env, &["--format", "json", "doctor"]).stdout);
    for check in ["home", "keys", "trust", "config", "registry", "store-integrity", "driver", "clock"] {
        assert!(healthy.contains(&(check.to_owned(), "ok".to_owned())), "{check}: {healthy:?}");
    }
    assert!(healthy.iter().any(|(check, _)| check == "target"));

    std::fs::set_permissions(env.home(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(env.home().join("agora.toml"), "[enigne]\nlinger = false\n").unwrap();
    let output = admin(&env, &["doctor"]);
    assert!(output.stdout.contains("fail home") && output.stdout.contains("chmod 700"), "{}", output.stdout);
    assert!(output.stdout.contains("fail config") && output.stdout.contains("engine"), "{}", output.stdout);
    assert_eq!(output.stdout.matches("enigne").count(), 1, "once: {}", output.stdout);
    assert!(output.stdout.contains("unknown store not looked at"), "{}", output.stdout);
    assert_eq!(output.code, Some(1));
    assert!(!output.stdout.contains('\u{1b}'));
}

#[test]
fn a_folder_in_place_of_the_drivers_lock_is_named_and_without_it_all_is_well() {
    let env = ready();
    admin(&env, &["runs"]).ok();
    let lock = env.home().join("driver.lock");
    std::fs::create_dir(&lock).unwrap();
    let text = admin(&env, &["serve", "--until-idle"]).fails(6);
    assert!(text.contains("[home-file-kind]") && text.contains("driver.lock away"), "{text}");
    let output = admin(&env, &["doctor"]);
    assert!(output.stdout.contains("fail driver") && output.stdout.contains("driver.lock"), "{}", output.stdout);
    std::fs::remove_dir(&lock).unwrap();
    admin(&env, &["serve", "--until-idle"]).ok();
    assert!(admin(&env, &["doctor"]).stdout.contains("ok driver"));
}

/// What was signed stays verifiable: a home that was used is never given another name or other keys.
#[test]
fn init_gives_a_used_home_its_own_identity_back_or_none() {
    let env = ready();
    let origin = json(&env, &["init"])["origin"].clone();
    admin(&env, &["runs"]).ok();
    let trust = |name: &str| env.home().join("trust").join(name);
    let all = ["log", "run", "attest", "registry-admin"].map(|role| trust(&format!("{role}.vkey")));
    let kept = all.clone().map(|path| std::fs::read(path).unwrap());
    std::fs::remove_dir_all(env.home().join("trust")).unwrap();
    assert_eq!(json(&env, &["init"])["origin"], origin, "as the store has it");
    assert_eq!(all.clone().map(|path| std::fs::read(path).unwrap()), kept);
    assert!(admin(&env, &["doctor"]).stdout.contains("ok store-integrity"));

    // Nothing tells the name, and the store may: it is refused, and nothing is made.
    let store = env.home().join("store.db");
    let bytes = std::fs::read(&store).unwrap();
    std::fs::write(&store, "no database").unwrap();
    std::fs::remove_dir_all(env.home().join("trust")).unwrap();
    let text = admin(&env, &["init"]).fails(6);
    assert!(text.contains("[identity-lost]") && text.contains("backup"), "{text}");
    assert!(!trust("log.vkey").exists());
    std::fs::write(&store, bytes).unwrap();
    assert_eq!(json(&env, &["init"])["origin"], origin);
    // With all that says which registry it was, the registry is not begun anew either.
    let registry = env.home().join("registry");
    let aside = env.home().join("aside");
    // A plan that is looked at makes the store accept a registry, whatever else is wrong with it.
    std::fs::write(env.root().join("plan.json"), r#"{"v":1}"#).unwrap();
    admin(&env, &["validate", env.root().join("plan.json").to_str().unwrap()]).fails(6);
    std::fs::rename(&registry, &aside).unwrap();
    std::fs::remove_dir_all(env.home().join("trust")).unwrap();
    let text = admin(&env, &["init"]).fails(6);
    assert!(text.contains("[registry-missing]") && !trust("registry-admin.vkey").exists(), "{text}");
    std::fs::remove_dir_all(&registry).unwrap();
    std::fs::rename(&aside, &registry).unwrap();
    assert_eq!(json(&env, &["init"])["origin"], origin);
    assert_eq!(all.clone().map(|path| std::fs::read(path).unwrap()), kept);

    // Another's private half gets no public one.
    let key = env.home().join("keys/run.key");
    let (own, public) = (std::fs::read(&key).unwrap(), std::fs::read(trust("run.vkey")).unwrap());
    std::fs::copy(env.home().join("keys/attest.key"), &key).unwrap();
    std::fs::remove_file(trust("run.vkey")).unwrap();
    let text = admin(&env, &["init"]).fails(6);
    assert!(text.contains("[key-mismatch]") && !trust("run.vkey").exists(), "{text}");
    std::fs::write(&key, own).unwrap();
    assert_eq!(json(&env, &["init"])["origin"], origin);
    assert_eq!(std::fs::read(trust("run.vkey")).unwrap(), public);

    // Both halves of one key.
    for half in ["keys/run.key", "trust/run.vkey"] {
        std::fs::remove_file(env.home().join(half)).unwrap();
    }
    let text = admin(&env, &["init"]).fails(6);
    assert!(text.contains("[identity-lost]"), "{text}");
}

#[test]
fn a_damaged_store_is_not_blamed_on_the_registry() {
    let env = ready();
    admin(&env, &["runs"]).ok();
    let store = env.home().join("store.db");
    let bytes = std::fs::read(&store).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], b"no database".as_slice(), b"".as_slice()] {
        std::fs::write(&store, damaged).unwrap();
        let text = admin(&env, &["doctor"]).stdout;
        assert!(text.contains("fail store"), "{text}");
        assert!(!text.contains("fail registry") && !text.contains("mend registry"), "{text}");
    }
    std::fs::remove_file(&store).unwrap();
    std::fs::create_dir(&store).unwrap();
    assert!(admin(&env, &["doctor"]).stdout.contains("fail store"));
    std::fs::remove_dir(&store).unwrap();
    let text = admin(&env, &["doctor"]).stdout;
    assert!(text.contains("warn store there is no store.db") && text.contains("ok registry"), "{text}");
    std::fs::write(&store, bytes).unwrap();
    let text = admin(&env, &["doctor"]).stdout;
    assert!(text.contains("ok store-integrity") && text.contains("ok registry"), "{text}");
}

#[test]
fn doctor_without_a_home_says_so() {
    let env = TestEnv::new();
    let output = admin(&env, &["doctor"]);
    assert_eq!(output.code, Some(1));
    assert!(output.stdout.contains("fail home") && output.stdout.contains("agora-admin init"), "{}", output.stdout);
    assert!(!env.home().exists());
}

#[test]
fn mcp_config_names_the_server_and_the_home() {
    let env = TestEnv::new();
    let _built = agora_testkit::env::binary("agora-mcp");
    for client in ["claude-code", "cursor", "vscode"] {
        let output = admin(&env, &["mcp-config", client]);
        let text = output.ok();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let text = value.to_string();
        assert!(text.contains("/agora-mcp\"") && text.contains(env.home().to_str().unwrap()), "{text}");
    }
    let codex = admin(&env, &["mcp-config", "codex"]).ok();
    assert!(codex.starts_with("[mcp_servers.agora]\n") && codex.contains("tool_timeout_sec = 300\n"), "{codex}");
    assert!(json(&env, &["mcp-config", "codex"])["snippet"] == codex.as_str());
}
