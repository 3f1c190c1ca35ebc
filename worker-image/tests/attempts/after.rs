//! The agent and everything after it: what is captured, checked, asked and stopped.
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{Fixture, Ran, script};
use agora_core::registry::{Block, Capture, Lens};
use agora_core::worker::{FailureClass, Outcome, Reason, Resume, Status};
use agora_worker::{Options, Patience, Stop, run_attempt};

#[test]
fn how_the_agent_ends_is_how_the_attempt_ends() {
    Fixture::new("exit 0").run().done();
    let ran = Fixture::new("echo out; echo why >&2; exit 3").run();
    ran.failed(Reason::AgentExit, &["exit code 3", "why"]);
    let agent = ran.outcome.steps.iter().find(|step| step.step == "agent").unwrap();
    assert_eq!((agent.ok, agent.exit_code, ran.summary()), (false, Some(3), "out"));
    assert_eq!(ran.step("capture"), 0);
    let ran = Fixture::new("kill -9 $$").run();
    ran.failed(Reason::AgentExit, &["signal 9"]);
    assert_eq!(ran.outcome.steps.last().unwrap().signal, Some(9));
    let ran = Fixture::new("true").capability("c", &[("agora-setup.sh", "rm -f gone.sh")]).base(&[("gone.sh", "x")]);
    ran.with(|task| task.runtime.argv = vec!["./gone.sh".to_owned()])
        .run()
        .failed(Reason::RuntimeMissing, &["gone.sh"]);
}

#[test]
fn the_clock_and_silence_end_an_agent_and_leave_a_draft() {
    let agent = "echo half >half; sleep 600";
    let ran = Fixture::new(agent).with(|task| task.limits.wall_seconds = Some(1)).run();
    ran.failed(Reason::Wall, &["wall_seconds (1 s)"]);
    assert_eq!((ran.outcome.draft.as_ref().unwrap().files, ran.outcome.patch.as_ref()), (1, None));
    let ran = Fixture::new(agent).with(|task| task.limits.idle_seconds = Some(1)).run();
    ran.failed(Reason::NoOutput, &["idle_seconds (1 s)"]);
    assert_eq!(ran.failure().class, FailureClass::Idle);
    let talks = "for n in 1 2 3 4 5 6; do echo $n; sleep 0.3; done";
    Fixture::new(talks).with(|task| task.limits.idle_seconds = Some(1)).run().done();
}

#[test]
fn nothing_of_the_agent_survives_its_step() {
    let agent = "(trap '' TERM; exec setsid sleep 600) & (sleep 1; echo late >late) & echo $! >early";
    let began = Instant::now();
    let ran = Fixture::new(agent).run();
    ran.done();
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(ran.result().into_keys().collect::<Vec<_>>(), ["early"]);
    assert!(!ran.workspace().join("late").exists());
}

/// I06.
#[test]
fn what_setup_installed_and_what_verify_made_is_not_in_the_patch() {
    let blocks = vec![
        Block::Agent,
        Block::Capture { what: Capture::Patch },
        script(Lens::Verify, "echo made >by-verify; echo fine"),
        Block::Capture { what: Capture::Outputs },
    ];
    let agent = "echo 1 >>node_modules/a; echo mine >mine; mkdir -p nested/.git; echo x >nested/.git/HEAD;
                 echo y >nested/code; echo z >debug.log; echo .hidden >>.gitignore; echo h >.hidden";
    let ran = Fixture::new(agent)
        .base(&[(".gitignore", "*.log\nnode_modules/\n"), ("kept.log", "1\n")])
        .capability("tools", &[("agora-setup.sh", "mkdir node_modules; echo 0 >node_modules/a; echo 0 >installed")])
        .with(|task| task.blocks = blocks)
        .run();
    ran.done();
    let result = ran.result();
    assert_eq!(result.keys().collect::<Vec<_>>(), [".gitignore", "kept.log", "mine", "nested/code"]);
    assert_eq!((ran.left_out("git"), ran.left_out("ignored")), (1, 3));
    assert!(ran.workspace().join("by-verify").exists());
    assert!(ran.outcome.verify.as_ref().unwrap().passed);
}

#[test]
fn a_patch_may_hold_anything_that_a_tree_may() {
    let agent = r#"printf 'a\0b' >binary; printf 'no end' >text; printf 'a\r\nb\r\n' >crlf; : >empty; rm gone
                   ln -s text link; chmod +x mode; mkdir 'a b'; echo q >'a b/ü "q"'; printf x >"$(printf 'raw\377')""#;
    let ran = Fixture::new(agent).base(&[("gone", "1\n"), ("mode", "#!/bin/sh\n"), ("same", "1\n")]).run();
    ran.done();
    let result = ran.result();
    assert_eq!(result.len(), 9, "{result:?}");
    assert_eq!((result["link"].as_str(), result["binary"].as_str()), ("text", "a\0b"));
    let flags = &ran.outcome.patch.as_ref().unwrap().flags;
    for flag in ["exec-bit", "symlink", "name-not-utf-8"] {
        assert!(flags.iter().any(|found| found == flag), "{flag}: {flags:?}");
    }
}

/// P08.
#[test]
fn hostile_workspaces_leave_nothing_outside_and_nothing_unread() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("marker"), "secret").unwrap();
    let out = outside.path().display();
    let refused = [
        (format!("ln -s {out} away"), "away"),
        ("mkdir a; ln -s ../../x a/up".to_owned(), "a/up"),
        ("mkdir d; echo x >\"d/$(printf 'a\\\\b')\"".to_owned(), "backslash"),
        ("echo x >'name.'".to_owned(), "trailing"),
        ("mkdir .AGORA; echo x >.AGORA/x".to_owned(), "reserved"),
    ];
    for (agent, part) in refused {
        let ran = Fixture::new(&agent).run();
        ran.failed(Reason::PatchRefused, &[part]);
        assert!(ran.out("refused.patch").exists() && !ran.out("patch").exists(), "{agent}");
        assert_eq!(ran.outcome.patch, None);
    }
    let ran =
        Fixture::new("mkdir a; ln -s ../b a/inner; echo x >b; mkfifo pipe; mkdir -p .Git/hooks; echo x >.Git/config")
            .run();
    ran.done();
    assert_eq!((ran.result().len(), ran.left_out("special"), ran.left_out("git")), (2, 1, 1));
    let deep = "n=0; while [ $n -lt 300 ]; do mkdir d && cd d || exit 1; n=$((n+1)); done";
    let ran = Fixture::new(deep).run();
    ran.failed(Reason::CaptureUnreadable, &["256 deep"]);
    let ran = Fixture::new(&format!("rm outputs; ln -s {out} outputs; rm -rf .agora; ln -s {out} .agora")).run();
    ran.failed(Reason::NeedsInputMalformed, &["needs_input"]);
    let ran = Fixture::new(&format!("rm outputs; ln -s {out} outputs; ln -s {out}/marker $AGORA_OUTPUTS/m")).run();
    ran.done();
    assert_eq!((ran.outcome.outputs.len(), ran.left_out("outputs")), (0, 1));
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    let blobs = std::fs::read_dir(ran.dir.path().join("out")).unwrap();
    assert!(blobs.flatten().all(|file| !std::fs::read(file.path()).unwrap().windows(6).any(|w| w == b"secret")));
}

#[test]
fn limits_of_the_patch_are_named() {
    let agent = "i=0; while [ $i -le 2000 ]; do : >f$i; i=$((i+1)); done";
    Fixture::new(agent).run().failed(Reason::PatchRefused, &["2000"]);
    let agent = "head -c 1500000 /dev/urandom >big";
    let of = |mib| Fixture::new(agent).with(|task| task.limits.patch_mib = Some(mib)).run();
    of(1).failed(Reason::PatchRefused, &["1048576"]);
    of(3).done();
}

#[test]
fn gates_fail_and_verify_reports() {
    let with = |lens, text: &str| {
        let blocks = vec![Block::Agent, Block::Capture { what: Capture::Patch }, script(lens, text)];
        Fixture::new("echo x >x").with(|task| task.blocks = blocks).run()
    };
    with(Lens::Gate, "test -f x").done();
    let ran = with(Lens::Gate, "echo it is red; exit 1");
    ran.failed(Reason::GateFailed, &["exit code 1"]);
    assert!(ran.outcome.patch.is_some());
    let ran = with(Lens::Verify, "echo checked; exit 4");
    ran.done();
    let verify = ran.outcome.verify.as_ref().unwrap();
    assert_eq!((verify.passed, verify.exit_code), (false, Some(4)));
    assert!(verify.text.starts_with("checked\n"));
    let ran = with(Lens::Verify, "head -c 100000 /dev/zero | tr '\\0' x");
    assert_eq!(ran.outcome.verify.as_ref().unwrap().text.chars().count(), 8000);
    let blocks = vec![
        Block::Agent,
        Block::Script { command: vec!["no-such".to_owned()], timeout_seconds: 9, lens: Lens::Verify },
    ];
    let ran = Fixture::new("true").with(|task| task.blocks = blocks).run();
    ran.done();
    assert!(!ran.outcome.verify.as_ref().unwrap().passed);
    let blocks = vec![
        Block::Agent,
        Block::Script { command: vec!["sleep".to_owned(), "600".to_owned()], timeout_seconds: 1, lens: Lens::Verify },
    ];
    let ran = Fixture::new("true").with(|task| task.blocks = blocks).run();
    assert!(ran.outcome.verify.as_ref().unwrap().text.contains("too long"));
}

#[test]
fn outputs_are_the_regular_files_below_outputs() {
    let agent = "cd outputs; echo a >a; mkdir d; echo a >d/same; echo b >d-b; ln -s a link; mkfifo pipe; echo s >.git";
    let ran = Fixture::new(agent).run();
    ran.done();
    let paths: Vec<_> = ran.outcome.outputs.iter().map(|output| output.path.as_str()).collect();
    assert_eq!((paths, ran.left_out("outputs")), (vec!["a", "d-b", "d/same"], 3));
    let ran =
        Fixture::new("head -c 1048577 /dev/zero >outputs/big").with(|task| task.limits.output_mib = Some(1)).run();
    assert_eq!((ran.outcome.outputs.len(), ran.left_out("outputs")), (0, 1));
}

const ASK: &str = r#"echo half >half; echo '{"question":"which?","options":["a","b"],"partial_state":{"n":1}}' >.agora/needs_input.json"#;

#[test]
fn a_question_ends_the_attempt_with_a_draft_whatever_the_exit_code() {
    for end in ["", "; exit 9"] {
        let blocks = vec![Block::Agent, script(Lens::Gate, "exit 1")];
        let ran = Fixture::new(&format!("{ASK}{end}")).with(|task| task.blocks = blocks).run();
        assert_eq!(ran.outcome.status, Status::NeedsInput);
        assert_eq!(ran.outcome.question.as_ref().unwrap().options, ["a", "b"]);
        assert!(ran.outcome.draft.is_some() && ran.outcome.patch.is_none());
        assert_eq!(ran.step("script"), 0);
    }
    let ran = Fixture::new("echo '{}' >.agora/needs_input.json").run();
    ran.failed(Reason::NeedsInputMalformed, &["question"]);
    let ran = Fixture::new(ASK).with(|task| task.may_ask = false).run();
    ran.done();
    let ran = Fixture::new("grep -c needs_input $AGORA_NOTES; true").with(|task| task.may_ask = false).run();
    assert_eq!(ran.summary(), "0");
    let setup = "mkdir -p .agora; echo '{\"question\":\"q\"}' >.agora/needs_input.json";
    Fixture::new("true").capability("c", &[("agora-setup.sh", setup)]).run().done();
}

#[test]
fn the_next_attempt_goes_on_from_the_draft_with_the_answer() {
    let base = [("a", "1\n"), ("folder/x", "1\n")];
    let asked =
        Fixture::new(&format!("echo 2 >a; rm -r folder; echo f >folder; ln -s a link; {ASK}")).base(&base).run();
    assert_eq!(asked.outcome.status, Status::NeedsInput);
    let draft = std::fs::read(asked.out("draft")).unwrap();
    let agent = "cat a half folder $AGORA_INPUTS/answer $AGORA_INPUTS/partial_state; readlink link; echo 3 >a";
    let mut next = Fixture::new(agent).base(&base);
    let (draft, answer, state) = (next.blob(&draft), next.blob(b"b\n"), next.blob(b"{\"n\":1}\n"));
    next.task.resume = Some(Resume { draft: Some(draft), answer, partial_state: Some(state) });
    let ran = next.run();
    ran.done();
    assert_eq!(ran.summary(), "2\nhalf\nf\nb\n{\"n\":1}\na");
    let result = ran.result();
    assert_eq!(result.keys().collect::<Vec<_>>(), ["a", "folder", "half", "link"], "the draft is the agent's work");
    assert_eq!(result["a"], "3\n");
}

/// Asks the attempt to stop once its log shows the word, `times` times in a row.
fn stopped_at(mut made: Fixture, word: &'static str, times: u32) -> Ran {
    struct Watch(Stop, &'static str, u32);
    impl std::io::Write for Watch {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if String::from_utf8_lossy(bytes).contains(self.1) {
                let (stop, times) = (self.0.clone(), std::mem::take(&mut self.2));
                // Not from the thread that has to listen.
                std::thread::spawn(move || (0..times).for_each(|_| stop.request()));
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    made.write();
    let stop = Stop::default();
    let echo = Box::new(Watch(stop.clone(), word, times));
    let outcome = run_attempt(&made.folder(), Options { stop, echo, patience: made.patience }).unwrap();
    Ran { dir: made.dir, outcome, base: made.base, blobs: made.blobs }.checked()
}

#[test]
fn a_wish_to_stop_ends_the_agent_and_leaves_a_draft() {
    let agent =
        "trap 'echo bye; echo tidy >tidy; exit 0' TERM; echo half >half; echo ready; while :; do sleep 0.1; done";
    let ran = stopped_at(Fixture::new(agent), "ready", 1);
    ran.failed(Reason::Caller, &["stop"]);
    assert_eq!((ran.outcome.status, ran.outcome.draft.as_ref().unwrap().files), (Status::Cancelled, 2));
    assert!(ran.log().contains("bye"));
}

#[test]
fn who_does_not_hear_is_killed_after_the_grace_and_at_once_at_the_second_wish() {
    let agent = "trap '' TERM; echo half >half; echo ready; while :; do sleep 0.1; done";
    let mut made = Fixture::new(agent);
    made.patience = Patience { grace: Duration::from_millis(300), ..made.patience };
    let ran = stopped_at(made, "ready", 1);
    assert_eq!((ran.outcome.status, ran.outcome.draft.is_some()), (Status::Cancelled, true));
    let mut made = Fixture::new(agent);
    made.patience = Patience { grace: Duration::from_secs(600), ..made.patience };
    let ran = stopped_at(made, "ready", 2);
    assert_eq!((ran.outcome.status, ran.outcome.draft.is_some()), (Status::Cancelled, false));
}

#[test]
fn a_wish_to_stop_is_heard_between_steps_too() {
    let ran =
        stopped_at(Fixture::new("true").capability("c", &[("agora-setup.sh", "echo ready; sleep 600")]), "ready", 1);
    assert_eq!((ran.outcome.status, ran.step("agent")), (Status::Cancelled, 0));
    let mut made = Fixture::new("touch ran");
    made.write();
    let stop = Stop::default();
    stop.request();
    let ran = made.run_written(stop);
    assert_eq!((ran.outcome.status, ran.outcome.steps.len()), (Status::Cancelled, 0));
}

fn worker() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agora-worker"));
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
}

#[test]
fn a_second_signal_ends_an_agent_that_does_not_hear_and_leaves_no_draft() {
    let mut made = Fixture::new("trap 'echo heard' TERM; echo half >half; echo ready; while :; do sleep 0.1; done");
    made.write();
    let folder = made.folder();
    let mut child = worker().arg("--attempt").arg(&folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // The second one comes once the first was heard, and long before its grace is over.
    for said in ["ready", "heard"] {
        assert!(lines.any(|line| line.unwrap().contains(said)), "{said}");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
    assert!(lines.count() > 0, "the log is echoed to the end");
    assert!(child.wait().unwrap().success());
    let bytes = std::fs::read(folder.join("out/outcome.json")).unwrap();
    let outcome: Outcome = agora_core::canon::from_bytes(&bytes).unwrap();
    assert_eq!((outcome.status, outcome.draft.is_some()), (Status::Cancelled, false));
}

#[test]
fn the_program_does_an_attempt_and_stops_at_a_signal() {
    let mut made = Fixture::new("echo half >half; echo ready; sleep 600");
    made.write();
    let folder = made.folder();
    let mut child = worker().arg("--attempt").arg(&folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready")));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(lines.count() > 0, "the log is echoed to the end");
    assert!(child.wait().unwrap().success());
    let bytes = std::fs::read(folder.join("out/outcome.json")).unwrap();
    let outcome: Outcome = agora_core::canon::from_bytes(&bytes).unwrap();
    assert_eq!((outcome.status, outcome.draft.is_some()), (Status::Cancelled, true));
}

#[test]
fn exit_codes_tell_an_outcome_from_none() {
    let version = worker().arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(version.stdout).unwrap(), format!("agora-worker {}\n", agora_worker::VERSION));
    assert_eq!(worker().arg("--help").output().unwrap().status.code(), Some(2));
    let empty = tempfile::tempdir().unwrap();
    let output = worker().arg("--attempt").arg(empty.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("worker-folder"));
    let mut made = Fixture::new("exit 3");
    made.write();
    assert_eq!(worker().arg("--attempt").arg(made.folder()).output().unwrap().status.code(), Some(0));
    assert_eq!(worker().arg("--attempt").arg(made.folder()).output().unwrap().status.code(), Some(1), "never twice");
}

/// File systems of their own, made in a namespace of their own: the test starts itself again inside.
mod needs_root {
    use super::*;

    /// Set in the child, whose temporary folders are on a small file system.
    const SMALL: &str = "AGORA_TEST_SMALL";

    /// Runs an agent on a file system with these options, and says how it ended; `work/` must have given way.
    fn on_a_small_disk(test: &str, options: &str, agent: &str, reason: Reason) {
        if std::env::var_os(SMALL).is_some() {
            let ran = Fixture::new(agent).run();
            ran.failed(reason, &[]);
            assert!(!ran.dir.path().join("work").exists());
            // The twin: on the same disk, an agent that leaves room keeps what it made.
            Fixture::new("echo made >made").run().done();
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let script = "mount -t tmpfs -o \"$1\" agora \"$0\" && shift && TMPDIR=\"$0\" exec \"$@\"";
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", script])
            .arg(folder.path())
            .arg(options)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
            .env(SMALL, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[test]
    #[ignore = "needs root"]
    fn an_agent_that_uses_up_the_files_still_has_an_outcome() {
        // A shell that cannot make a file for `:` ends with 2.
        let agent = "mkdir many; n=0; while : >many/$n; do n=$((n+1)); done 2>/dev/null";
        on_a_small_disk(
            "after::needs_root::an_agent_that_uses_up_the_files_still_has_an_outcome",
            "size=256m,nr_inodes=1000",
            agent,
            Reason::AgentExit,
        );
    }

    #[test]
    #[ignore = "needs root"]
    fn an_agent_that_fills_the_disk_below_a_deep_folder_still_has_an_outcome() {
        let agent = "p=$(printf 'd/%.0s' $(seq 150)); for n in $(seq 12); do mkdir -p $p; cd -P $p; done; \
            cat /dev/zero >filler 2>/dev/null; exit 0";
        on_a_small_disk(
            "after::needs_root::an_agent_that_fills_the_disk_below_a_deep_folder_still_has_an_outcome",
            "size=64m",
            agent,
            Reason::CaptureUnreadable,
        );
    }
}
