//! Documents from their text to the version in force.

use std::fs;

use agora_core::error::Coded as _;
use agora_core::registry::Kind;
use agora_core::seam::BlobStore as _;
use agora_core::time::Time;

use super::{NOW, Place, name, rows};
use crate::registry::{ChangeError, Editor, Mode, Others};

const FULL: &str = r#"
[capability.house-rules]
from = "rules"
about = "House rules for edits"
[env.base]
values = { A = "base", B = "base" }
from_env = ["SEEN"]
[env.child]
extends = "base"
values = { B = "child" }
[pipeline.checked]
blocks = [{ kind = "agent" }, { kind = "capture", what = "patch" }, { kind = "script", command = ["true"], lens = "verify" }]
[subagent.code-edit]
about = "Edits one file"
runtime = "command"
argv = ["agent", "--edit"]
system_prompt_file = "prompt.md"
template = "Edit {{ file }}"
capabilities = ["house-rules"]
env = ["child"]
may_add_env = ["base"]
pipeline = "checked"
targets = ["*"]
limits = { wall_seconds = 60 }
"#;

async fn place() -> Place {
    let place = Place::new().await;
    place.write("rules/.claude/skills/lint/SKILL.md", "lint");
    place.write("prompt.md", "You are kind.");
    place
}

fn editor<'a>(place: &'a Place, home: &'a std::path::Path) -> Editor<'a> {
    Editor::new(home, &place.blobs, None, Time::from_micros(NOW + 2))
}

#[tokio::test]
async fn a_whole_document_becomes_one_version_and_the_same_again_none() {
    let place = place().await;
    let deployed = place.deploy(FULL).await;
    let added = ["+ capability house-rules", "+ subagent code-edit", "+ env base", "+ env child", "+ pipeline checked"];
    assert_eq!(rows(&deployed), added);
    assert_eq!((deployed.before, deployed.published.unwrap().version, deployed.unchanged), (1, 2, 0));
    let current = place.read().await;
    let child = current.env(&name("child"), &place.blobs).await.unwrap().unwrap().1;
    let values: Vec<_> = child.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(values, [("A", "base"), ("B", "child"), ("SEEN", "seen")]);
    let (_, subagent) = current.subagent(&name("code-edit"), &place.blobs).await.unwrap().unwrap();
    let (rules, capability) = current.capability(&name("house-rules"), &place.blobs).await.unwrap().unwrap();
    assert_eq!(subagent.capabilities[0].digest, rules);
    assert_eq!(capability.files[0].path, ".claude/skills/lint/SKILL.md");
    let prompt = subagent.system_prompt.unwrap();
    assert_eq!(current.text("code-edit", &prompt, &place.blobs).await.unwrap(), "You are kind.");
    let blobs = place.blobs.len();
    let again = place.deploy(FULL).await;
    assert_eq!((again.published, again.unchanged, place.blobs.len()), (None, 5, blobs));
    assert_eq!(place.version().await, 2);
}

#[tokio::test]
async fn what_changed_is_said_field_by_field() {
    let place = place().await;
    place.deploy(FULL).await;
    place.write("rules/new.md", "new");
    let deployed = place
        .deploy(&FULL.replace("wall_seconds = 60", "wall_seconds = 90").replace("\"child\" }", "\"secret-ish\" }"))
        .await;
    assert_eq!(
        rows(&deployed),
        ["~ capability house-rules", "~ subagent code-edit", "= env base", "~ env child", "= pipeline checked"]
    );
    let details = |i: usize| deployed.changes[i].details.join("; ");
    assert_eq!(details(0), "files: +new.md");
    assert!(details(1).starts_with("capabilities: house-rules ") && details(1).contains(" → "), "{}", details(1));
    assert!(details(1).contains("limits: {\"wall_seconds\":60} → {\"wall_seconds\":90}"));
    assert_eq!(details(3), "values: ~B", "values of variables are not printed");
}

#[tokio::test]
async fn a_look_opens_no_key_and_stores_nothing() {
    let place = place().await;
    let key = place.home().join("keys/registry-admin.key");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let blobs = place.blobs.len();
    let look = place.deploy_as(FULL, Others::Keep, Mode::DryRun).await.unwrap();
    assert_eq!((look.changes.len(), look.published, place.blobs.len()), (5, None, blobs));
    // The same for real needs the key, and without it nothing is stored either.
    let error = place.deploy_as(FULL, Others::Keep, Mode::Apply).await.unwrap_err();
    assert_eq!((error.code(), place.blobs.len(), place.version().await), ("key-lost", blobs, 1));
    crate::registry::disk::create(&key, &kept).unwrap();
    assert_eq!(place.deploy(FULL).await.changes, look.changes);
}

#[tokio::test]
async fn names_that_the_document_does_not_have_stay_unless_pruned() {
    let place = place().await;
    place.deploy(FULL).await;
    let more = "[env.other]\nvalues = { X = \"1\" }\n";
    assert_eq!(rows(&place.deploy(more).await), ["+ env other"]);
    let pruned = place.deploy_as(FULL, Others::Prune, Mode::Apply).await.unwrap();
    assert_eq!(rows(&pruned).into_iter().filter(|row| !row.starts_with('=')).collect::<Vec<_>>(), ["- env other"]);
    let error = place.deploy_as("[subagent.s]\nruntime = \"codex\"\ntemplate = \"x\"\ntargets = [\"*\"]\ncapabilities = [\"house-rules\"]\n", Others::Prune, Mode::Apply).await.unwrap_err();
    assert_eq!(error.problems()[0].code, "capability-unknown", "what is pruned is not there to be named");
    // An empty registry has to be meant.
    let emptied = place.deploy_as("[subagent]\n", Others::Prune, Mode::Apply).await.unwrap();
    assert!(rows(&emptied).iter().all(|row| row.starts_with('-')) && emptied.unchanged == 0, "{:?}", rows(&emptied));
}

#[tokio::test]
async fn every_error_of_a_document_is_told_at_once() {
    let place = place().await;
    let text = r#"
[capability.gone]
from = "nowhere"
[capability.typo]
form = "rules"
[env.loop-a]
extends = "loop-b"
[env.loop-b]
extends = "loop-a"
[env.bad]
values = { LD_PRELOAD = "x" }
from_env = ["UNSET"]
[env.sealed]
secrets = { KEY = { secret = "k", deliver = "env" } }
[env.orphan]
extends = "bse"
[pipeline.p]
blocks = [{ kind = "agent", lens = "gate" }]
[subagent.s]
runtime = "comand"
template = "{{ unclosed"
model = 5
capabilities = ["gone", "hose-rules"]
env = ["nope"]
egress = []
"#;
    let found = place.refused(text).await;
    let expected = [
        ("folder-missing", "/capability/gone"),
        ("document-key", "/capability/typo/form"),
        ("document-incomplete", "/capability/typo"),
        ("env-unknown", "/env/orphan/extends"),
        ("env-missing", "/env/bad/from_env/0"),
        ("secrets-unavailable", "/env/sealed/secrets/KEY"),
        ("env-circle", "/env/loop-a/extends"),
        ("env-circle", "/env/loop-b/extends"),
        ("artifact-shape", "/pipeline/p/blocks/0"),
        ("not-available", "/subagent/s/egress"),
        ("document-incomplete", "/subagent/s"),
        ("capability-unknown", "/subagent/s/capabilities/1"),
        ("env-unknown", "/subagent/s/env/0"),
        ("document-shape", "/subagent/s/runtime"),
        ("document-shape", "/subagent/s/model"),
    ];
    for (code, at) in expected {
        assert!(found.iter().any(|(c, a)| c == code && a == at), "{code} {at} in {found:#?}");
    }
    assert!(found.iter().any(|(_, at)| at.starts_with("/subagent/s/template")), "{found:#?}");
    assert_eq!(found.len(), expected.len() + 1, "{found:#?}");
    assert_eq!(place.version().await, 1);
}

#[tokio::test]
async fn a_missing_name_gets_the_nearest_of_the_new_state() {
    let place = place().await;
    place.deploy(FULL).await;
    let error = place
        .deploy_as(
            "[subagent.s]\nruntime = \"codex\"\ntemplate = \"x\"\ntargets = [\"*\"]\ncapabilities = [\"hose-rules\"]\n",
            Others::Keep,
            Mode::Apply,
        )
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.hint().as_deref()), ("deploy-refused", Some("did you mean \"house-rules\"?")));
}

#[tokio::test]
async fn credentials_are_refused_on_every_way_in() {
    let token = ["np", "m_", &"a1".repeat(18)].concat();
    let place = place().await;
    place.write("leak/a.md", &token);
    place.write("leak.md", &token);
    let subagent = "runtime = \"codex\"\ntargets = [\"*\"]\n";
    for (text, at) in [
        ("[capability.c]\nfrom = \"leak\"\n".to_owned(), "/capability/c a.md"),
        (format!("[env.e]\nvalues = {{ X = \"{token}\" }}\n"), "/env/e/values/X"),
        (format!("[subagent.s]\n{subagent}template = \"{token}\"\n"), "/subagent/s/template"),
        (format!("[subagent.s]\n{subagent}system_prompt_file = \"leak.md\"\n"), "/subagent/s/system_prompt"),
        (
            format!("[subagent.s]\n{subagent}template = \"x\"\nverify = {{ command = [\"{token}\"] }}\n"),
            "/subagent/s/verify/command",
        ),
        (format!("[subagent.s]\n{subagent}template = \"x\"\nabout = \"{token}\"\n"), "/subagent/s/about"),
    ] {
        assert_eq!(place.refused(&text).await, [("credential-found".to_owned(), at.to_owned())]);
    }
    assert_eq!(place.blobs.len(), 2, "nothing of it was stored");
    place.deploy("[capability.c]\nfrom = \"leak\"\nallowed_patterns = [\"npm-token\"]\n").await;
}

#[tokio::test]
async fn prompts_behind_links_are_not_read() {
    let place = place().await;
    place.write("real.md", "x");
    std::os::unix::fs::symlink(place.documents().join("real.md"), place.documents().join("link.md")).unwrap();
    let text =
        |file: &str| format!("[subagent.s]\nruntime = \"codex\"\ntargets = [\"*\"]\nsystem_prompt_file = \"{file}\"\n");
    assert_eq!(place.refused(&text("link.md")).await[0].0, "home-file-kind");
    assert_eq!(place.refused(&text("none.md")).await[0].0, "file-missing");
    place.deploy(&text("real.md")).await;
}

#[tokio::test]
async fn a_new_capability_reaches_a_subagent_when_it_is_assigned() {
    let place = place().await;
    place.deploy(FULL).await;
    place.write("rules/new.md", "new");
    let deployed =
        place.deploy("[capability.house-rules]\nfrom = \"rules\"\nabout = \"House rules for edits\"\n").await;
    assert_eq!(deployed.lagging.len(), 1);
    assert_eq!(deployed.lagging[0].subagent, name("code-edit"));
    let home = place.home();
    let editor = editor(&place, &home);
    assert_eq!(editor.lagging().await.unwrap(), deployed.lagging);
    let assigned = editor.assign(&name("code-edit"), None, Mode::Apply).await.unwrap();
    assert_eq!((rows(&assigned), assigned.lagging.len()), (vec!["~ subagent code-edit".to_owned()], 0));
    assert_eq!(editor.assign(&name("code-edit"), None, Mode::Apply).await.unwrap().published, None);
    let none = editor.assign(&name("code-edit"), Some(&[]), Mode::DryRun).await.unwrap();
    assert!(none.changes[0].details[0].contains("-house-rules") && none.published.is_none());
    let error = editor.assign(&name("code-edit"), Some(&[name("house-rulez")]), Mode::Apply).await.unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("did you mean \"house-rules\"?"));
    assert_eq!(editor.assign(&name("code-edi"), None, Mode::Apply).await.unwrap_err().code(), "entry-unknown");
}

#[tokio::test]
async fn an_entry_is_removed_unless_a_subagent_names_it() {
    let place = place().await;
    place.deploy(FULL).await;
    let home = place.home();
    let editor = editor(&place, &home);
    for (kind, entry) in
        [(Kind::Capability, "house-rules"), (Kind::Env, "child"), (Kind::Env, "base"), (Kind::Pipeline, "checked")]
    {
        let error = editor.remove(kind, &name(entry), Mode::Apply).await.unwrap_err();
        assert!(matches!(&error, ChangeError::Refused(problems) if problems[0].code == "registry-in-use"), "{error}");
        assert!(error.problems()[0].message.contains("code-edit"));
    }
    editor.remove(Kind::Subagent, &name("code-edit"), Mode::Apply).await.unwrap();
    let removed = editor.remove(Kind::Env, &name("base"), Mode::Apply).await.unwrap();
    assert_eq!((rows(&removed), removed.unchanged), (vec!["- env base".to_owned()], 3));
    assert_eq!(editor.remove(Kind::Env, &name("base"), Mode::Apply).await.unwrap_err().code(), "entry-unknown");
}

#[tokio::test]
async fn old_content_becomes_current_again() {
    let place = place().await;
    place.deploy(FULL).await;
    let first = place.read().await.snapshot.entry(Kind::Env, "base").unwrap().digest;
    place.deploy("[env.base]\nvalues = { A = \"2\" }\n[env.more]\nvalues = { C = \"1\" }\n").await;
    let home = place.home();
    let editor = editor(&place, &home);
    let look = editor.rollback(2, Mode::DryRun).await.unwrap();
    let changed: Vec<_> = rows(&look).into_iter().filter(|row| !row.starts_with('=')).collect();
    assert_eq!((changed, look.published), (vec!["~ env base".to_owned(), "- env more".to_owned()], None));
    assert_eq!(editor.rollback(2, Mode::Apply).await.unwrap().published.unwrap().version, 4);
    let entry = place.read().await.snapshot.entry(Kind::Env, "base").unwrap().clone();
    assert_eq!((entry.digest, entry.since, entry.history.len()), (first, 4, 2));
    assert_eq!(editor.rollback(9, Mode::Apply).await.unwrap_err().code(), "version-unknown");
    assert_eq!(editor.rollback(0, Mode::Apply).await.unwrap_err().code(), "version-unknown");
    place.blobs.remove(&first);
    assert!(editor.rollback(2, Mode::Apply).await.is_err());
    place.blobs.put(b"{}").await.unwrap();
}

#[tokio::test]
async fn surroundings_hold_what_a_plan_names() {
    let place = place().await;
    place.deploy(FULL).await;
    let plan = br#"{"items":[{"id":"a","inputs":{"subagent":"code-edit","addCapabilities":["house-rules","none"],"workerInput":{"file":"x"}}}]}"#;
    let parsed = agora_core::plan::parse(plan);
    let machine = agora_engine::config::Machine { processors: 2, user_home: None };
    let config = agora_engine::config::Config::load(&place.home(), &machine).unwrap();
    let current = place.read().await;
    let found = current.surroundings(&parsed.plan, &config, &place.blobs).await.unwrap();
    assert_eq!(found.subagents.len(), 1);
    assert_eq!(found.templates.values().collect::<Vec<_>>(), ["Edit {{ file }}"]);
    assert_eq!(found.capabilities.keys().collect::<Vec<_>>(), [&name("house-rules")]);
    assert_eq!(found.envs.keys().collect::<Vec<_>>(), [&name("child")]);
    assert_eq!(found.pipelines.len(), 1);
    assert_eq!((found.known.envs.len(), found.executors.len(), found.workspaces.len()), (2, 1, 1));
}

#[tokio::test]
async fn deploying_the_same_again_brings_back_lost_blobs() {
    let place = place().await;
    place.deploy(FULL).await;
    let current = place.read().await;
    let subagent = current.snapshot.entry(Kind::Subagent, "code-edit").unwrap().digest;
    place.blobs.remove(&subagent);
    assert!(current.subagent(&name("code-edit"), &place.blobs).await.is_err());
    let home = place.home();
    let error = editor(&place, &home).remove(Kind::Env, &name("base"), Mode::DryRun).await.unwrap_err();
    assert_eq!(error.code(), "registry-entry", "it might name what goes");
    place.deploy("[env.other]\nvalues = { X = \"1\" }\n").await;
    assert_eq!(place.deploy(FULL).await.published, None);
    assert!(current.subagent(&name("code-edit"), &place.blobs).await.unwrap().is_some());
}
