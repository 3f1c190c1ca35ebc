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
