//! Errors: what, why, next; as text and as JSON; with their exit codes.

use agora_testkit::env::TestEnv;

use crate::support::{admin, plain, ready, write};

#[test]
fn an_error_says_what_why_and_next() {
    let env = TestEnv::new();
    let mut all = String::new();
    let cases: [(&[&str], i32); 8] = [
        (&["sumbit", "plan.json"], 6),
        (&["submit"], 6),
        (&["submit", "plan.json", "--wtach"], 6),
        (&["submit", "nowhere.json"], 4),
        (&["runs"], 5),
        (&["runs", "--limit", "0"], 6),
        (&["subagent", "show", "Big"], 6),
        (&["deploy", "--from", "nowhere.toml"], 6),
    ];
    for (arguments, code) in cases {
        let text = plain(&env, &admin(&env, arguments).fails(code));
        assert_eq!(text.lines().count(), 3, "{text}");
        all.push_str(&format!("$ agora-admin {} # {code}\n{text}\n", arguments.join(" ")));
    }
    insta::assert_snapshot!("errors", all);
}

#[test]
fn an_error_is_data_where_data_is_wanted() {
    let env = TestEnv::new();
    for arguments in [&["--format", "json", "runs"] as &[&str], &["--format=json", "sumbit"]] {
        let text = admin(&env, arguments).fails(if arguments.len() == 3 { 5 } else { 6 });
        let error: serde_json::Value = serde_json::from_str(&text).unwrap();
        let problem = &error["problems"][0];
        assert!(
            problem["code"].is_string() && problem["message"].is_string() && problem["hint"].is_string(),
            "{error}"
        );
        assert!(error["exit_code"].is_number() && error["retryable"].is_boolean(), "{error}");
    }
}

#[test]
fn every_problem_of_a_plan_is_told_with_the_nearest_name() {
    let env = ready();
    write(&env, "house/rules.md", "be kind\n");
    let subagent = "runtime = \"command\"\nargv = [\"true\"]\ntargets = [\"*\"]\ntemplate = \"x\"\n";
    write(&env, "agora.deploy.toml", &format!("[subagent.code-edit]\n{subagent}"));
    let _deployed = admin(&env, &["deploy", "--from", "agora.deploy.toml"]).ok();
    let plan = r#"{"items": [
        {"id": "a", "inputs": {"subagent": "code-edti", "workerInput": {}}, "depends_on": ["bb"]},
        {"id": "b", "inputs": {"subagent": "code-edit", "workerInput": {}}, "depends_on": ["b"]}]}"#;
    write(&env, "plan.json", plan);
    for verb in ["submit", "validate"] {
        let text = plain(&env, &admin(&env, &[verb, "plan.json"]).fails(6));
        assert!(text.contains("problems, and nothing was done") && text.contains("code-edit"), "{text}");
    }
    let good = plan.replace("code-edti", "code-edit").replace("[\"bb\"]", "[\"b\"]").replace("[\"b\"]}]}", "[]}]}");
    write(&env, "plan.json", &good);
    let _valid = admin(&env, &["validate", "plan.json"]).ok();
}

#[test]
fn what_nobody_reads_ends_quietly() {
    let env = TestEnv::new();
    let mut child = env.command("agora-admin").args(["completions", "bash"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = env.finish(child, b"");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
}
