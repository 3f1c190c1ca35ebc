//! The place that real binaries are started from.

use std::process::Stdio;
use std::time::Duration;

use agora_testkit::env::TestEnv;

#[test]
fn nothing_of_the_developers_gets_in() {
    let env = TestEnv::new().with_var("EXTRA", "1");
    let output = env.finish(env.program("/usr/bin/env").spawn().unwrap(), b"").ok();
    let mut names: Vec<&str> = output.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["AGORA_HOME", "COLUMNS", "EXTRA", "HOME", "LANG", "NO_COLOR", "PATH", "TERM", "TMPDIR", "TZ"]);
    assert!(output.contains(&format!("AGORA_HOME={}", env.home().display())));
    let pwd = env.finish(env.program("/bin/pwd").spawn().unwrap(), b"").ok();
    assert_eq!(pwd.trim(), env.work().canonicalize().unwrap().to_str().unwrap());
}

#[test]
fn a_binary_of_the_workspace_is_found_or_built() {
    let env = TestEnv::new();
    assert!(env.run("agora-jail", ["--version"]).ok().starts_with("agora-jail "));
    let _ = env.run("agora-jail", ["no-such-verb"]).fails(70);
}

#[test]
fn input_gets_in_and_streams_are_told_apart() {
    let env = TestEnv::new();
    let mut command = env.program("/bin/sh");
    command.args(["-c", "cat; echo err >&2; exit 3"]).stdin(Stdio::piped());
    let output = env.finish(command.spawn().unwrap(), b"in");
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(3), "in", "err\n"));
}

#[test]
#[should_panic(expected = "does not end within")]
fn what_does_not_end_is_killed() {
    let env = TestEnv::new().with_deadline(Duration::from_millis(50));
    let mut command = env.program("/bin/sh");
    command.args(["-c", "exec sleep 1000"]);
    let _ = env.finish(command.spawn().unwrap(), b"");
}
