//! Runs, from a plan to commits: with the real worker and jail.

use std::path::Path;
use std::process::Command;

use agora_testkit::env::{TestEnv, binary};
use serde_json::Value;

use crate::support::{ADMIN, admin, any_isolation, json, ready, write};

/// An agent that writes the file it is told to, or fails, or asks.
const AGENT: &str = r#"
runtime = "command"
argv = ["sh", "-c", "set -e; read -r name text || :; [ \"$name\" != fail ] || exit 3; printf '%s\\n' \"$text\" > \"$name\"; echo did it"]
targets = ["*"]
template = "{{ name }} {{ text }}"
"#;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]).args(arguments);
    let output = command.current_dir(folder).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An agent that asks which colour, and writes the one it is told.
const ASKER: &str = r#"
runtime = "command"
argv = ["sh", "-c", '''
case $(cat) in
*blue*) echo blue > colour.txt ;;
*) mkdir .agora; printf '{"question": "which colour?", "options": ["red", "blue"]}' > .agora/needs_input.json ;;
esac''']
targets = ["*"]
template = "paint it{% if agora.answer %}: {{ agora.answer }}{% endif %}"
"#;

/// A home with an agent, and a repository where programs start.
pub(crate) fn place() -> TestEnv {
    for program in ["agora-worker", "agora-jail"] {
        let _built = binary(program);
    }
    let env = ready();
    any_isolation(&env);
    write(&env, "README.md", "hello\n");
    git(&env.work(), &["init", "-q"]);
    git(&env.work(), &["add", "."]);
    git(&env.work(), &["commit", "-q", "-m", "first"]);
    let agent = env.root().join("writer.toml");
    std::fs::write(&agent, AGENT).unwrap();
    let _registered = admin(&env, &["subagent", "register", "writer", "--from", agent.to_str().unwrap()]).ok();
    env
}

fn plan(items: &[(&str, &str, &[&str])]) -> String {
    let items: Vec<Value> = items
        .iter()
        .map(|(id, name, after)| {
            let input = serde_json::json!({"name": name, "text": format!("by {id}")});
            serde_json::json!({"id": id, "inputs": {"subagent": "writer", "workerInput": input}, "depends_on": after})
        })
        .collect();
    serde_json::json!({"items": items, "workspace": {"name": "cwd"}}).to_string()
}

pub(crate) fn submit(env: &TestEnv, plan: &str, code: i32) -> (String, String) {
    std::fs::write(env.root().join("plan.json"), plan).unwrap();
    let path = env.root().join("plan.json");
    let output = admin(env, &["--format", "json", "submit", path.to_str().unwrap(), "--watch", "--timeout", "50"]);
    assert_eq!(output.code, Some(code), "stdout:\n{}\nstderr:\n{}", output.stdout, output.stderr);
    let first: Value = serde_json::from_str(output.stdout.lines().next().unwrap()).unwrap();
    (first["run_id"].as_str().unwrap().to_owned(), output.stdout)
}

#[test]
fn a_plan_is_run_watched_shown_and_applied() {
    let env = place();
    let (run, events) = submit(&env, &plan(&[("a", "a.txt", &[]), ("b", "Makefile", &["a"])]), 0);
    for event in ["item.done", "run.completed", "watch.ended"] {
        assert!(events.contains(event), "{events}");
    }
    // Watching what is over ends at once, with the same code.
    assert!(admin(&env, &["watch", &run]).ok().contains("done"));
    assert_eq!(admin(&env, &["--field", "runs.0.run_id", "runs"]).ok().trim(), run);
    assert!(admin(&env, &["status", &run]).ok().contains("2 done"));
    assert!(admin(&env, &["status", &run, "a"]).ok().contains("attempt"));
    assert!(admin(&env, &["logs", &run, "a"]).ok().contains("did it"));
    assert!(admin(&env, &["result", &run]).ok().contains("a.txt"));
    assert!(admin(&env, &["audit", &run]).ok().contains("verified"));

    let patch = admin(&env, &["result", &run, "--part", "patch", "--out", "-"]).ok();
    std::fs::write(env.root().join("run.patch"), &patch).unwrap();
    git(&env.work(), &["apply", "--check", env.root().join("run.patch").to_str().unwrap()]);

    let refused = admin(&env, &["apply", &run]).fails(6);
    assert!(refused.contains("flags-unacknowledged") && refused.contains("--accept-flag build-script"), "{refused}");
    let branches = || git(&env.work(), &["for-each-ref", "--format=%(refname)"]);
    assert!(!branches().contains("agora/"));
    let apply = ["apply", &run, "--accept-flag", "build-script"];
    let reply = json(&env, &apply);
    assert_eq!(reply["items"].as_array().unwrap().len(), 2);
    let branch = reply["branch"].as_str().unwrap().to_owned();
    let log = git(
        &env.work(),
        &["log", "--format=%s|%(trailers:key=Agora-Item,valueonly,separator=)", &format!("main..{branch}")],
    );
    assert_eq!(log.lines().collect::<Vec<_>>(), ["b by writer|b", "a by writer|a"]);
    assert_eq!(git(&env.work(), &["show", &format!("{branch}:a.txt")]), "by a\n");
    assert!(!env.work().join("a.txt").exists());
    // Again: the same branch, nothing new. Elsewhere: not over what is there.
    assert_eq!(json(&env, &apply)["items"], reply["items"]);
    assert!(admin(&env, &[apply.as_slice(), &["--branch", "main"]].concat()).fails(6).contains("branch-exists"));
    let _written = admin(&env, &["apply", &run, "a", "--worktree"]).ok();
    assert_eq!(std::fs::read(env.work().join("a.txt")).unwrap(), b"by a\n");
}

#[test]
fn a_failed_run_ends_with_its_code_and_is_diagnosed() {
    let env = place();
    let (run, _) = submit(&env, &plan(&[("a", "fail", &[]), ("b", "b.txt", &["a"])]), 1);
    assert!(admin(&env, &["watch", &run]).code == Some(1));
    assert_eq!(admin(&env, &["--field", "diagnosis.likely_issue", "diagnose", &run]).ok().trim(), "failed");
    assert!(admin(&env, &["apply", &run]).fails(4).contains("no-patch"));
    assert!(admin(&env, &["status", "nowhere"]).fails(4).contains("run-unknown"));
}

/// Without the jail beside the program nothing can run here.
#[test]
fn who_watches_what_cannot_run_is_told_why() {
    let env = place();
    let config = std::fs::read_to_string(env.home().join("agora.toml")).unwrap();
    std::fs::write(env.home().join("agora.toml"), format!("{config}\n[engine]\nlinger = false\n")).unwrap();
    let alone = env.root().join(ADMIN);
    std::fs::copy(binary(ADMIN), &alone).unwrap();
    std::fs::write(env.root().join("plan.json"), plan(&[("a", "a.txt", &[])])).unwrap();
    let mut watch = env.program(&alone);
    watch.args(["submit", "../plan.json", "--watch", "--timeout", "6"]);
    let told = env.finish(watch.spawn().unwrap(), b"").fails(3);
    assert_eq!(told.matches("waiting a target down: local: ").count(), 1, "{told}");
    assert!(told.contains("nobody drives it: run `agora-admin serve`"), "{told}");
}

#[test]
fn a_run_without_a_watcher_goes_on_by_itself() {
    let env = place();
    std::fs::write(env.root().join("plan.json"), plan(&[("a", "a.txt", &[])])).unwrap();
    let path = env.root().join("plan.json");
    let reply = json(&env, &["submit", path.to_str().unwrap(), "--request-id", "one"]);
    assert_eq!(reply["driving"], "started");
    let run = reply["run_id"].as_str().unwrap();
    let again = json(&env, &["submit", path.to_str().unwrap(), "--request-id", "one"]);
    assert_eq!((again["run_id"].as_str(), &again["deduplicated"]), (Some(run), &true.into()));
    let _over = admin(&env, &["watch", run, "--timeout", "50"]).ok();
    // What was started ends by itself: with it gone, this one has the lock and nothing to do.
    let _idle = admin(&env, &["serve", "--until-idle"]).ok();
}

#[test]
fn an_open_ended_run_is_extended_and_closed() {
    let env = place();
    let file = |name: &str, plan: &str, open_ended: bool| {
        let mut plan: Value = serde_json::from_str(plan).unwrap();
        if open_ended {
            plan["openEnded"] = true.into();
        } else {
            plan.as_object_mut().unwrap().retain(|key, _| key == "items");
        }
        let path = env.root().join(name);
        std::fs::write(&path, plan.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let first = file("plan.json", &plan(&[("a", "a.txt", &[])]), true);
    let more = file("more.json", &plan(&[("a", "a.txt", &[]), ("b", "b.txt", &["a"])]), false);
    let last = file("last.json", &plan(&[("c", "c.txt", &["b"])]), false);
    let other = file("other.json", &plan(&[("a", "other.txt", &[])]), false);
    let reply = json(&env, &["submit", &first]);
    let run = reply["run_id"].as_str().unwrap();
    for added in [1, 0] {
        let reply = json(&env, &["submit", &more, "--extend", run]);
        assert_eq!((&reply["added"], &reply["items"], &reply["state"]), (&added.into(), &2.into(), &"open".into()));
    }
    assert!(admin(&env, &["submit", &other, "--extend", run]).fails(6).contains("item-conflict"));
    let closing = ["submit", &last, "--extend", run, "--close", "--watch", "--timeout", "50"];
    assert!(admin(&env, &closing).ok().contains("run.completed"));
    assert!(admin(&env, &["status", run]).ok().contains("3 done"));
    assert!(admin(&env, &["audit", run]).ok().contains("verified"));
    for again in [&["submit", &last, "--extend", run][..], &["submit", "--extend", run, "--close"]] {
        assert!(admin(&env, again).fails(6).contains("run-over"));
    }
    assert!(admin(&env, &["submit", "--close"]).fails(6).contains("--extend"));
}

#[test]
fn a_dispatch_is_a_run_of_one() {
    let env = place();
    let input = r#"{"name": "x.txt", "text": "hi"}"#;
    let arguments = ["dispatch", "writer", "--input", input, "--workspace", "cwd", "--watch", "--timeout", "50"];
    let text = admin(&env, &arguments).ok();
    assert!(text.contains("item.done"), "{text}");
    assert!(text.contains("next: agora-admin result") && text.contains("agora-admin apply"), "{text}");
    // Where nothing was changed there is nothing to apply.
    let input = r#"{"name": "/dev/null", "text": "hi"}"#;
    let arguments = ["dispatch", "writer", "--input", input, "--workspace", "cwd", "--watch", "--timeout", "50"];
    let text = admin(&env, &arguments).ok();
    assert!(text.contains("next: agora-admin status") && !text.contains("apply"), "{text}");
}

#[test]
fn a_question_ends_the_watch_and_an_answer_lets_the_run_go_on() {
    let env = place();
    let agent = env.root().join("asker.toml");
    std::fs::write(&agent, ASKER).unwrap();
    let _registered = admin(&env, &["subagent", "register", "asker", "--from", agent.to_str().unwrap()]).ok();
    let watch = ["dispatch", "asker", "--workspace", "cwd", "--watch", "--timeout", "50"];
    let asked = admin(&env, &watch);
    assert_eq!(asked.code, Some(8), "{}\n{}", asked.stdout, asked.stderr);
    assert!(asked.stdout.contains("  │ which colour?") && asked.stdout.contains("--choice 1"), "{}", asked.stdout);
    let inbox = json(&env, &["status", "--view", "inbox"]);
    let row = |key: &str| inbox["inbox"][0][key].as_str().unwrap().to_owned();
    let (run, item) = (row("run_id"), row("item_id"));
    assert_eq!(admin(&env, &["watch", &run]).code, Some(8));

    assert!(admin(&env, &["answer", &run, &item]).fails(6).contains("usage"));
    assert!(admin(&env, &["answer", &run, &item, "x", "--question", "99"]).code != Some(0));
    assert!(admin(&env, &["answer", &run, &item, " "]).fails(6).contains("answer-shape"));
    let answer = ["answer", &run, &item, "--choice", "2", "--request-id", "r"];
    let first = json(&env, &answer);
    let again = json(&env, &answer);
    assert_eq!((&first["state"], first.get("deduplicated")), (&"answered".into(), None));
    assert_eq!((&again["state"], &again["deduplicated"]), (&"answered".into(), &true.into()));
    let _over = admin(&env, &["watch", &run, "--timeout", "50"]).ok();
    assert!(admin(&env, &["result", &run]).ok().contains("colour.txt"));
    let late = admin(&env, &["answer", &run, &item, "late"]).fails(4);
    assert!(late.contains("question-missing") && late.contains("`agora-admin status --view inbox`"), "{late}");
}

#[test]
fn a_held_run_starts_nothing_until_it_is_released_and_a_cancelled_one_ends() {
    let env = place();
    let text = "[targets.local]\nprovider = \"process\"\nprofiles = [\"strict\", \"none\"]\n[engine]\nlinger = false\n";
    std::fs::write(env.home().join("agora.toml"), text).unwrap();
    std::fs::write(env.root().join("plan.json"), plan(&[("a", "a.txt", &[])])).unwrap();
    let path = env.root().join("plan.json");
    let submitted = json(&env, &["submit", path.to_str().unwrap()]);
    assert_eq!(submitted["driving"], "nobody");
    let run = submitted["run_id"].as_str().unwrap();
    assert_eq!(json(&env, &["hold", run, "--reason", "wait"])["state"], "held");
    assert_eq!(admin(&env, &["watch", run, "--timeout", "50"]).code, Some(8));
    assert_eq!(json(&env, &["release", run])["state"], "released");
    let _over = admin(&env, &["watch", run, "--timeout", "50"]).ok();

    let again = json(&env, &["submit", path.to_str().unwrap()]);
    let run = again["run_id"].as_str().unwrap();
    assert_eq!(json(&env, &["cancel", run])["run_id"], run);
    assert_eq!(admin(&env, &["watch", run, "--timeout", "50"]).code, Some(1));
    assert!(admin(&env, &["status", run]).ok().contains("cancelled"));
}

#[test]
fn an_approval_ends_the_watch_and_a_person_lets_the_run_go_on_or_not() {
    let env = place();
    let path = env.root().join("plan.json");
    let mut text: serde_json::Value =
        serde_json::from_str(&plan(&[("a", "a.txt", &[]), ("b", "b.txt", &["ok"])])).unwrap();
    let ok = serde_json::json!({
        "id": "ok", "executor": "approval", "depends_on": ["a"], "inputs": { "question": "ship it?" }
    });
    text["items"].as_array_mut().unwrap().push(ok);
    std::fs::write(&path, text.to_string()).unwrap();
    for (verb, state, code) in [("approve", "approved", 0), ("reject", "rejected", 1)] {
        let asked = admin(&env, &["submit", path.to_str().unwrap(), "--watch", "--timeout", "50"]);
        assert_eq!(asked.code, Some(8), "{}\n{}", asked.stdout, asked.stderr);
        assert!(asked.stdout.contains("ship it?") && asked.stdout.contains("agora-admin approve"), "{}", asked.stdout);
        let inbox = json(&env, &["status", "--view", "inbox"]);
        assert_eq!((&inbox["inbox"][0]["kind"], &inbox["inbox"][0]["item_id"]), (&"approval".into(), &"ok".into()));
        let run = inbox["inbox"][0]["run_id"].as_str().unwrap();
        assert!(admin(&env, &["answer", run, "ok", "yes"]).fails(6).contains("agora-admin approve RUN ITEM"));
        assert!(admin(&env, &[verb, run, "a"]).fails(4).contains("approval-unknown"));
        let decided = json(&env, &[verb, run, "ok", "--note", "seen", "--request-id", run]);
        let again = json(&env, &[verb, run, "ok", "--note", "seen", "--request-id", run]);
        assert_eq!((&decided["state"], &again["deduplicated"]), (&state.into(), &true.into()));
        assert_eq!(admin(&env, &["watch", run, "--timeout", "50"]).code, Some(code));
        let _whole = admin(&env, &["audit", run]).ok();
    }
}
