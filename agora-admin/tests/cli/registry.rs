//! The registry: deploy, register, assign, list, show.

use crate::support::{admin, json, plain, ready, write};

const SUBAGENT: &str = "runtime = \"command\"\nargv = [\"true\"]\ntargets = [\"*\"]\ntemplate = \"do {{ what }}\"\n";

#[test]
fn a_document_is_shown_deployed_and_pruned() {
    let env = ready();
    write(&env, "rules/RULES.md", "be kind\n");
    let document = format!(
        "[capability.house-rules]\nfrom = \"rules\"\n[subagent.edit]\n{SUBAGENT}capabilities = [\"house-rules\"]\n[env.ci.values]\nA = \"1\"\n"
    );
    write(&env, "agora.deploy.toml", &document);
    let deploy = ["deploy", "--from", "agora.deploy.toml"];
    let mut all = String::new();
    let mut step = |more: &[&str]| {
        let text = plain(&env, &admin(&env, &[deploy.as_slice(), more].concat()).ok());
        all.push_str(&format!("$ deploy {}\n{text}\n", more.join(" ")));
    };
    step(&["--dry-run"]);
    step(&[]);
    step(&[]);
    write(&env, "rules/RULES.md", "be kind, and brief\n");
    write(&env, "agora.deploy.toml", "[capability.house-rules]\nfrom = \"rules\"\n");
    step(&[]);
    write(&env, "agora.deploy.toml", &document.replace("[env.ci.values]\nA = \"1\"\n", ""));
    step(&["--prune"]);
    insta::assert_snapshot!("deploy", all);
    assert_eq!(json(&env, &["env", "list"])["entries"], serde_json::json!([]));
    let reply = json(&env, &[deploy.as_slice(), &["--dry-run"]].concat());
    assert_eq!((&reply["unchanged"], &reply["changes"]), (&2.into(), &serde_json::json!([])));
}

#[test]
fn every_error_of_a_document_is_told_and_nothing_changes() {
    let env = ready();
    write(
        &env,
        "agora.deploy.toml",
        "[capability.a]\nfrom = \"nowhere\"\n[subagent.b]\nruntime = \"command\"\n[env.c]\nvalus = {}\n",
    );
    let text = admin(&env, &["deploy", "--from", "agora.deploy.toml"]).fails(6);
    assert!(
        text.contains("folder-missing") && text.contains("document-key") && text.contains("did you mean values?"),
        "{text}"
    );
    assert_eq!(json(&env, &["subagent", "list"])["entries"], serde_json::json!([]));
    // A document may come through a pipe.
    let piped =
        env.run_with("agora-admin", ["deploy", "--from", "-"], b"{\"env\":{\"c\":{\"values\":{\"A\":\"1\"}}}}").ok();
    assert!(piped.contains("published version 2"), "{piped}");
}

#[test]
fn entries_are_registered_shown_and_reassigned() {
    let env = ready();
    write(&env, "rules/RULES.md", "one\n");
    write(&env, "edit.toml", &format!("{SUBAGENT}capabilities = [\"house-rules\"]\n"));
    let register = ["capability", "register", "house-rules", "--from", "rules", "--about", "how we write"];
    let _first = admin(&env, &register).ok();
    let _edit = admin(&env, &["subagent", "register", "edit", "--from", "edit.toml"]).ok();
    let _env = admin(&env, &["env", "register", "ci", "--set", "A=1"]).ok();
    let shown = json(&env, &["subagent", "show", "edit"]);
    assert_eq!(shown["texts"]["template"], "do {{ what }}");
    assert_eq!(admin(&env, &["--field", "entries.0.about", "capability", "list"]).ok(), "how we write\n");
    assert!(admin(&env, &["env", "show", "ci"]).ok().contains("\"A\": \"1\""));

    write(&env, "rules/RULES.md", "two\n");
    let lags = admin(&env, &register).ok();
    assert!(lags.contains("agora-admin subagent assign edit"), "{lags}");
    let assigned = json(&env, &["subagent", "assign", "edit"]);
    assert_eq!((&assigned["changes"][0]["change"], &assigned["lagging"]), (&"changed".into(), &serde_json::json!([])));
    assert!(admin(&env, &["subagent", "assign", "edit", "hous-rules"]).fails(4).contains("house-rules"));
    assert!(admin(&env, &["subagent", "show", "edti"]).fails(4).contains("did you mean \"edit\"?"));
}
