//! Everything before the agent: a failure of each step, and its twin that succeeds.
use crate::fixture::Fixture;
use agora_core::canon;
use agora_core::id::Digest;
use agora_core::registry::{GitMode, GitNeed, Requirement};
use agora_core::target::Profile;
use agora_core::tree::Mode;
use agora_core::worker::{FailureClass, Reason, Status, TaskCapability};
use agora_worker::Stop;

#[test]
fn a_whole_attempt_with_every_part() {
    let ran = Fixture::new("cat; echo; cat inputs/spec; ls; cat skill.md; echo new >made.txt; echo out >outputs/o.txt")
        .base(&[("src/a.txt", "a\n")])
        .capability("skills", &[("skill.md", "skill\n"), ("agora-setup.sh", "echo ready >setup.txt\n")])
        .input("spec", "the spec\n")
        .run();
    ran.done();
    assert_eq!(ran.outcome.status, Status::Done);
    assert_eq!(ran.summary(), "the message\nthe spec\ninputs\noutputs\nsetup.txt\nskill.md\nsrc\nskill");
    assert_eq!(ran.result()["made.txt"], "new\n");
    assert_eq!(ran.result().len(), 2, "neither the capability's nor the setup's files: {:?}", ran.result());
    assert_eq!(ran.outcome.outputs[0].path, "o.txt");
    let steps: Vec<&str> = ran.outcome.steps.iter().map(|step| step.step.as_str()).collect();
    let expected = "read-task check-blobs start-tree capabilities inputs environment setup requires baseline agent \
                    capture outputs";
    assert_eq!(steps.join(" "), expected);
    assert_eq!(ran.outcome.isolation.as_ref().unwrap().profile, "none");
    assert_eq!(ran.outcome.start_tree, Some(ran.base.digest().unwrap()));
}

/// I01.
#[test]
fn tampered_bytes_of_any_kind_fail_before_the_agent_runs() {
    let make = |marker: &str| {
        let mut made = Fixture::new(&format!("touch {marker}"))
            .base(&[("a", "base\n")])
            .capability("skills", &[("skill.md", "skill\n")])
            .input("spec", "the spec\n");
        let prompt = made.blob(b"be kind");
        made.task.system_prompt = Some(prompt);
        made.write();
        made
    };
    let outside = tempfile::tempdir().unwrap();
    let marker = crate::fixture::marker(outside.path());
    let count = make("x").blobs.len();
    assert_eq!(count, 7, "message, manifest, pack, skill, its manifest, input, prompt");
    for n in 0..count {
        for gone in [false, true] {
            let made = make(&marker.display().to_string());
            let (digest, bytes) = made.blobs.iter().nth(n).unwrap();
            let path = made.folder().join("in").join(digest.hex());
            let mut bytes = bytes.clone();
            bytes[0] ^= 1;
            if gone {
                std::fs::remove_file(path).unwrap()
            } else {
                std::fs::write(path, bytes).unwrap()
            }
            let digest = digest.to_string();
            let ran = made.run_written(Stop::default());
            ran.failed(if gone { Reason::BlobMissing } else { Reason::DigestMismatch }, &[&digest]);
            assert!(!marker.exists());
        }
    }
    make(&marker.display().to_string()).run_written(Stop::default()).done();
    assert!(marker.exists());
}

#[test]
fn a_blob_that_the_task_does_not_list_is_not_read() {
    let mut made = Fixture::new("true");
    made.write();
    made.task.message = Digest::of(b"other");
    std::fs::write(made.folder().join("in").join(Digest::of(b"other").hex()), "other").unwrap();
    std::fs::write(made.folder().join("task.json"), canon::to_bytes(&made.task).unwrap()).unwrap();
    made.run_written(Stop::default()).failed(Reason::BlobMissing, &["the message"]);
}

#[test]
fn another_format_and_another_profile_are_refused_with_an_outcome() {
    let ran = Fixture::new("true").with(|task| task.format = "agora-task/v9".to_owned()).run();
    ran.failed(Reason::ProtocolVersion, &["agora-task/v9"]);
    let ran = Fixture::new("true").with(|task| task.jail.profile = Profile::Strict).run();
    if ran.outcome.status == Status::Failed {
        ran.failed(Reason::IsolationUnavailable, &["strict"]);
        assert_eq!((ran.step("read-task"), ran.step("check-blobs")), (1, 0));
    }
}

fn patch_of(base: &[(&str, &str)], agent: &str) -> (Vec<u8>, Digest) {
    let ran = Fixture::new(agent).base(base).run();
    ran.done();
    (std::fs::read(ran.out("patch")).unwrap(), ran.outcome.result_tree.unwrap())
}

#[test]
fn the_agent_sees_the_patches_of_what_it_depends_on() {
    let base = [("a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n")];
    let (first, first_tree) = patch_of(&base, "sed -i s/1/one/ a");
    let (last, last_tree) = patch_of(&base, "sed -i s/9/nine/ a; echo x >b");
    let (clash, clash_tree) = patch_of(&base, "sed -i s/1/uno/ a");
    let ran = Fixture::new("tr -d '\\n' <a; cat b").base(&base).change("p", &first, first_tree);
    let ran = ran.change("q", &last, last_tree).run();
    ran.done();
    assert_eq!(ran.summary(), "one2345678ninex");
    assert_eq!((ran.outcome.patch, ran.outcome.start_tree), (None, ran.outcome.result_tree));
    let ran = Fixture::new("true").base(&base).change("p", &first, first_tree).change("q", &clash, clash_tree).run();
    ran.failed(Reason::PatchConflict, &["p", "q", "a"]);
    let ran = Fixture::new("true").base(&base).change("p", &first, clash_tree).run();
    ran.failed(Reason::TreeMismatch, &["p"]);
}

#[test]
fn modes_and_links_of_the_tree_are_laid_out_and_hostile_ones_are_refused() {
    let ran = Fixture::new("test -x run && test ! -x plain && readlink link && cat link && echo y >>run")
        .base_of(&[
            ("run", Mode::Exec, b"x\n"),
            ("plain", Mode::File, b"p\n"),
            ("link", Mode::Link, b"plain"),
            (".agora/mine", Mode::File, b"stays"),
        ])
        .run();
    ran.done();
    assert_eq!(ran.summary(), "plain\np");
    assert_eq!(ran.result()[".agora/mine"], "stays");
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().display().to_string();
    for (files, part) in [
        (vec![("a", Mode::Link, target.as_bytes()), ("a/marker", Mode::File, b"x".as_slice())], "a/marker"),
        (vec![("../marker", Mode::File, b"x".as_slice())], "dot-component"),
        (vec![("/etc/marker", Mode::File, b"x".as_slice())], "absolute"),
        (vec![("x/.GIT/config", Mode::File, b"x".as_slice())], "git-folder"),
        (vec![("x", Mode::File, b"".as_slice()), ("x/y", Mode::File, b"".as_slice())], "x/y"),
    ] {
        let ran = Fixture::new("true").base_of(&files).run();
        ran.failed(Reason::PathRefused, &[part]);
    }
    assert!(!crate::fixture::marker(outside.path()).exists());
}

/// I09.
#[test]
fn capabilities_are_laid_over_in_order_and_all_their_setup_scripts_run() {
    let ran = Fixture::new("cat order; cat .mcp.json; test -x tool.sh; cat doc")
        .base(&[(".mcp.json", r#"{"a":[1]}"#), ("doc", "base\n"), ("agora-setup.sh", "echo never >>order\n")])
        .capability("one", &[("agora-setup.sh", "echo one >>order"), (".mcp.json", r#"{"a":[2]}"#), ("tool.sh", "")])
        .capability("two", &[("agora-setup.sh", "#!/bin/sh\necho two >>order"), ("doc", "two\n")])
        .run();
    ran.done();
    assert_eq!(ran.summary(), "one\ntwo\n{\n  \"a\": [\n    1,\n    2\n  ]\n}\ntwo");
    assert_eq!((ran.step("setup"), ran.outcome.patch.is_none()), (2, true));
    let overlaid = &ran.outcome.overlaid;
    assert_eq!((overlaid.len(), overlaid[0].path.as_str(), overlaid[0].winner.as_str()), (1, "doc", "two"));
    let ran = Fixture::new("true")
        .capability("one", &[(".mcp.json", r#"{"a":1}"#)])
        .capability("two", &[(".mcp.json", r#"{"a":[]}"#)])
        .run();
    ran.failed(Reason::MergeConflict, &[".mcp.json", "one", "two"]);
    assert_eq!(ran.step("agent"), 0);
}

#[test]
fn a_capability_with_a_path_that_is_refused_is_refused_again() {
    for path in ["../x", ".git/config", "inputs/x", ".agora/x", "a\\b"] {
        let ran = Fixture::new("true").capability("evil", &[(path, "x")]).run();
        ran.failed(Reason::PathRefused, &["evil"]);
    }
    let mut made = Fixture::new("true");
    let manifest = made.blob(br#"{"files":[],"format":"agora-capability/v9"}"#);
    made.task.capabilities.push(TaskCapability { name: "later".to_owned(), manifest });
    made.run().failed(Reason::ProtocolVersion, &["later", "agora-capability/v9"]);
}

#[test]
fn a_setup_script_fails_the_attempt_and_names_the_capability() {
    let setup = |text: &str, seconds| {
        Fixture::new("true")
            .capability("tools", &[("agora-setup.sh", text)])
            .with(|task| task.limits.setup_seconds = seconds)
            .run()
    };
    setup("exit 0", None).done();
    setup("echo broken >&2; exit 3", None).failed(Reason::SetupFailed, &["tools", "exit code 3", "broken"]);
    setup("#!/no/such/interpreter", None).failed(Reason::SetupFailed, &["tools"]);
    let ran = setup("sleep 600", Some(1));
    ran.failed(Reason::SetupTimeout, &["tools"]);
    assert_eq!(ran.step("agent"), 0);
}

#[test]
fn inputs_are_read_only_and_reached_by_link_unless_the_tree_has_the_name() {
    let agent =
        "stat -c %a $AGORA_INPUTS/a/b; cat $AGORA_INPUTS/a/b; readlink inputs outputs; echo o >$AGORA_OUTPUTS/o";
    let ran = Fixture::new(agent).input("a/b", "in\n").run();
    ran.done();
    let work = ran.dir.path().canonicalize().unwrap().join("work");
    let expected = format!("444\nin\n{0}/inputs\n{0}/outputs", work.display());
    assert_eq!((ran.summary(), ran.left_out("links")), (expected.as_str(), 0));
    let ran = Fixture::new("cat inputs; cat $AGORA_INPUTS/k; echo changed >inputs").base(&[("inputs", "mine\n")]);
    let ran = ran.input("k", "in\n").run();
    ran.done();
    assert_eq!((ran.summary(), ran.result()["inputs"].as_str()), ("mine\nin", "changed\n"));
    for key in ["../x", "/x", ".git/x", "a\\b"] {
        Fixture::new("true").input(key, "x").run().failed(Reason::BadInputKey, &["input keys"]);
    }
}

/// P06.
#[test]
fn the_environment_is_made_from_empty() {
    let ran = Fixture::new("env | sed s/=.*// | sort | tr '\\n' ' '; ls -A $HOME $TMPDIR | wc -l")
        .with(|task| drop(task.env.insert("GREETING".to_owned(), "hello".to_owned())))
        .run();
    ran.done();
    let names = "AGORA_ATTEMPT AGORA_INPUTS AGORA_ITEM AGORA_NOTES AGORA_OUTPUTS AGORA_RUN AGORA_WORKSPACE GREETING \
                 HOME LANG PATH PWD SHELL TERM TMPDIR TZ USER";
    let seen = ran.summary().replace(" OLDPWD", "").replace(" SHLVL", "").replace(" _", "");
    assert!(seen.starts_with(names), "{seen}");
    let ran = Fixture::new("true").with(|task| drop(task.env.insert("LD_PRELOAD".to_owned(), "x".to_owned()))).run();
    ran.failed(Reason::EnvRefused, &["LD_PRELOAD"]);
}

#[test]
fn requirements_are_checked_where_the_agent_will_work() {
    let requires = |requirement: Requirement| {
        Fixture::new("true")
            .base(&[("src/a.rs", "")])
            .capability("tools", &[("agora-setup.sh", "mkdir gen; touch gen/b.rs")])
            .with(|task| task.requires = vec![requirement])
            .run()
    };
    requires(Requirement::Paths { glob: "*.rs".to_owned(), min: 2 }).done();
    requires(Requirement::Paths { glob: "*.rs".to_owned(), min: 3 }).failed(Reason::ContextUnmet, &["*.rs", "2", "3"]);
    requires(Requirement::Exec { bin: "sh".to_owned() }).done();
    requires(Requirement::Exec { bin: "no-such".to_owned() }).failed(Reason::ContextUnmet, &["no-such"]);
    let git = requires(Requirement::Git { needs: GitNeed::Worktree });
    git.failed(Reason::ContextUnmet, &["git repository"]);
    let ran = Fixture::new("true").with(|task| task.runtime.argv = vec!["no-such".to_owned()]).run();
    ran.failed(Reason::RuntimeMissing, &["no-such"]);
    assert_eq!(ran.failure().class, FailureClass::Setup);
}

#[test]
fn a_snapshot_is_a_clean_repository_that_is_never_captured() {
    let requires = vec![Requirement::Git { needs: GitNeed::History }];
    let ran = Fixture::new("git status --porcelain; git log --oneline | wc -l; echo x >>a; git commit -qam mine 2>&1")
        .base(&[("a", "1\n"), (".gitignore", "*.log\n"), ("kept.log", "1\n")])
        .capability("docs", &[("doc.md", "d\n")])
        .with(|task| (task.git, task.requires) = (GitMode::Snapshot, requires))
        .with(|task| {
            for who in ["USER_NAME", "EMAIL"] {
                task.env.insert(who.to_owned(), "agent@example.org".to_owned());
            }
        })
        .run();
    ran.done();
    assert!(ran.summary().starts_with('1'), "{}", ran.summary());
    assert_eq!(ran.result()["a"], "1\nx\n");
    assert_eq!((ran.result().len(), ran.left_out("git")), (3, 1));
}

#[test]
fn settings_that_upstream_changed_have_no_effect_unless_trusted() {
    let base = [("AGENTS.md", "base\n"), ("x", "1\n")];
    let (patch, tree) = patch_of(&base, "echo evil >AGENTS.md; echo evil >.mcp.json; echo 2 >x");
    for (trust, seen) in [(false, "base\n2"), (true, "evil\nevil\n2")] {
        let ran = Fixture::new("cat AGENTS.md .mcp.json x 2>/dev/null; true")
            .base(&base)
            .change("up", &patch, tree)
            .with(|task| task.trust_upstream_config = trust)
            .run();
        ran.done();
        assert_eq!(ran.summary(), seen);
        assert_eq!(ran.outcome.result_tree, Some(tree), "what the agent left alone stays in the tree");
    }
}
