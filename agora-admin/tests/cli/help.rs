//! Help, versions and completions.

use agora_testkit::env::TestEnv;

use crate::support::admin;

/// The verbs that a help text lists.
fn verbs(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Verbs:" && *line != "Commands:").skip(1);
    let rows = lines.take_while(|line| !line.is_empty());
    rows.filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

fn collect(env: &TestEnv, path: &[&str], out: &mut String) {
    let help = admin(env, &[path, &["--help"]].concat()).ok();
    out.push_str(&format!("=== agora-admin {}\n\n{help}\n", path.join(" ")));
    for verb in verbs(&help) {
        collect(env, &[path, &[verb.as_str()]].concat(), out);
    }
}

#[test]
fn help_of_every_verb() {
    let env = TestEnv::new();
    let mut all = String::new();
    collect(&env, &[], &mut all);
    assert!(all.contains("=== agora-admin subagent assign"), "{all}");
    insta::assert_snapshot!("help", all);
}

#[test]
fn every_verb_teaches_by_example() {
    let env = TestEnv::new();
    let help = admin(&env, &["--help"]).ok();
    let mut without = Vec::new();
    for verb in verbs(&help) {
        let text = admin(&env, &[verb.as_str(), "--help"]).ok();
        // Those with verbs below them show these instead.
        if !text.contains("Example") && !text.contains("Verbs:") && !text.contains("Commands:") {
            without.push(verb);
        }
    }
    assert_eq!(without, [""; 0]);
}

#[test]
fn verbs_that_are_not_there_are_not_mentioned() {
    let env = TestEnv::new();
    let help = admin(&env, &["--help"]).ok();
    for verb in ["sync", "secret", "ui", "man", "export"] {
        assert!(!help.lines().any(|line| line.split_whitespace().next() == Some(verb)), "{verb}");
        assert!(admin(&env, &[verb]).fails(6).contains("[usage]"));
    }
}

#[test]
fn completions_come_for_every_shell_and_as_json() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(admin(&env, &["completions", shell]).ok().contains("mcp-config"), "{shell}");
    }
    let script = admin(&env, &["--field", "script", "completions", "bash"]).ok();
    assert!(script.starts_with("_agora__admin()"), "{}", &script[..60]);
    assert!(admin(&env, &["completions", "bsh"]).fails(6).contains("bash"));
}
