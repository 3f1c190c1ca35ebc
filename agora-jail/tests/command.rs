//! Commands in the profile `none`, through the real helper.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the failure")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use agora_core::target::{Limits, Profile};
use agora_jail::{HowEnded, JailError, Jailed, RunSpec, probe, run};

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn spec(argv: &[&str]) -> RunSpec {
    RunSpec {
        profile: Profile::None,
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]),
        cwd: PathBuf::from("/"),
        limits: Limits::default(),
    }
}

fn sh(script: &str) -> RunSpec {
    spec(&["sh", "-c", script])
}

fn text_of(jailed: &mut Jailed) -> String {
    let mut text = String::new();
    jailed.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

fn done(spec: &RunSpec) -> (String, HowEnded) {
    let mut jailed = run(spec).unwrap();
    drop(jailed.stdin.take());
    let text = text_of(&mut jailed);
    (text, jailed.wait().unwrap())
}

/// Processes that carry this variable in their first environment.
fn carrying(mark: &str) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    processes
        .filter(|path| {
            let environ = std::fs::read(path.join("environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        })
        .collect()
}

fn marked(script: &str, mark: &str) -> RunSpec {
    let mut spec = sh(script);
    let (name, value) = mark.split_once('=').unwrap();
    spec.env.insert(name.to_owned(), value.to_owned());
    spec
}

fn mark(of: &str) -> String {
    format!("AGORA_TEST_MARK={of}-{}", std::process::id())
}

#[test]
fn the_environment_is_exactly_what_the_spec_lists() {
    let mut spec = spec(&["env"]);
    spec.env.insert("GREETING".to_owned(), "a b\nc".to_owned());
    let (text, how) = done(&spec);
    assert_eq!(text, format!("GREETING=a b\nc\nPATH={PATH}\n"));
    assert_eq!(how, HowEnded { code: Some(0), signal: None, leftovers: 0 });
}

#[test]
fn streams_pass_and_the_exit_is_told() {
    let mut jailed = run(&sh("cat; echo err >&2; exit 7")).unwrap();
    jailed.stdin.take().unwrap().write_all(b"in").unwrap();
    let mut errors = String::new();
    assert_eq!(text_of(&mut jailed), "in");
    jailed.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "err\n");
    assert_eq!(jailed.wait().unwrap(), HowEnded { code: Some(7), signal: None, leftovers: 0 });
    assert_eq!(done(&sh("kill -SEGV $$")).1, HowEnded { code: None, signal: Some(11), leftovers: 0 });
}

#[test]
fn a_command_that_does_not_exist_is_told_from_one_that_is_no_program() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "x").unwrap();
    let orphan = dir.path().join("orphan");
    write_program(&orphan, "#!/nonexistent/interpreter\n");
    let good = dir.path().join("good");
    write_program(&good, "#!/bin/sh\nexit 3\n");
    let name = |path: &Path| path.to_str().unwrap().to_owned();
    for missing in ["agora-no-such-program", "/nonexistent/program"] {
        assert_eq!(run(&spec(&[missing])).unwrap_err(), JailError::NotFound(missing.to_owned()));
    }
    for refused in [name(&plain), name(&orphan), name(dir.path())] {
        let error = run(&spec(&[&refused])).unwrap_err();
        assert!(matches!(error, JailError::NotExecutable { .. }), "{refused}: {error}");
    }
    assert_eq!(done(&spec(&[&name(&good)])).1.code, Some(3));
    let mut relative = spec(&["./good"]);
    relative.cwd = dir.path().to_owned();
    assert_eq!(done(&relative).1.code, Some(3));
    relative.cwd = dir.path().join("nowhere");
    assert!(matches!(run(&relative).unwrap_err(), JailError::Failed { step, .. } if step.contains("nowhere")));
}

/// By another process: a file that this one has open for writing, other threads' children may hold open, and the kernel
/// starts no such file.
fn write_program(path: &Path, text: &str) {
    let script = "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"";
    let status = std::process::Command::new("sh").args(["-c", script, "sh"]).arg(path).arg(text).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_profile_that_this_build_lacks_is_refused_and_none_is_not() {
    for profile in [Profile::Strict, Profile::StrictNocg, Profile::LandlockOnly] {
        let refused = RunSpec { profile, ..spec(&["true"]) };
        assert!(matches!(run(&refused).unwrap_err(), JailError::Unavailable { .. }));
        assert!(matches!(probe("process", profile, &Limits::default()), Err(JailError::Unavailable { .. })));
    }
    assert_eq!(done(&spec(&["true"])).1.code, Some(0));
}

#[test]
fn limits_privileges_and_session_hold_and_the_probe_says_the_same() {
    let script = "ulimit -c; ulimit -n; ulimit -Hn; grep NoNewPrivs /proc/self/status; \
        read -r pid name state parent group session rest < /proc/$$/stat; test $session = $$ && echo own; umask";
    let (text, _) = done(&sh(script));
    let lines: Vec<&str> = text.lines().collect();
    let nofile = lines[1].to_owned();
    assert!(nofile.parse::<u64>().unwrap() <= 4096);
    assert_eq!(lines, ["0", &nofile, &nofile, "NoNewPrivs:\t1", "own", "0022"]);

    let limits = Limits { disk_mib: Some(3), ..Limits::default() };
    let isolation = probe("process", Profile::None, &limits).unwrap();
    assert_eq!(isolation.rlimits["core"], 0);
    assert_eq!(isolation.rlimits["nofile"].to_string(), nofile);
    assert_eq!(isolation.rlimits["fsize"], 3 << 20);
    assert_eq!(isolation.no_new_privs, Some(true));
    assert_eq!((isolation.network.mode.as_str(), isolation.network.boundary.as_str()), ("open", "nothing"));
    assert!(isolation.weaker.len() > 5 && isolation.namespaces.is_empty() && isolation.probes.passed == 0);
    assert!(isolation.jail.unwrap().binary.is_some());
}

#[test]
fn a_file_may_be_as_large_as_the_limit_and_no_larger() {
    let dir = tempfile::tempdir().unwrap();
    let write = |kib: u32| {
        let mut spec = sh(&format!("head -c {kib}K /dev/zero > file-{kib}"));
        spec.cwd = dir.path().to_owned();
        spec.limits.disk_mib = Some(1);
        let how = done(&spec).1;
        (how.code == Some(0), std::fs::metadata(dir.path().join(format!("file-{kib}"))).unwrap().len())
    };
    assert_eq!(write(1024), (true, 1 << 20));
    assert_eq!(write(1025), (false, 1 << 20));
}

#[test]
fn no_descriptor_of_the_caller_gets_in() {
    let leak = std::fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    // Not by listing the folder, which opens a descriptor of its own.
    let look = "n=0; while [ $n -lt 256 ]; do test -e /proc/$$/fd/$n && echo $n; n=$((n+1)); done; exit 0";
    let (text, _) = done(&sh(look));
    assert_eq!(text, "0\n1\n2\n");
    let plain = std::process::Command::new("sh").args(["-c", look]).output().unwrap();
    assert!(String::from_utf8(plain.stdout).unwrap().lines().count() > 3, "an ordinary child has it");
    drop(leak);
}

#[test]
fn what_it_left_behind_is_gone_when_wait_returns() {
    let mark = mark("left");
    let script = "sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000 & trap \"\" TERM; echo ready; sleep 1000' &); \
        read -r line; exit 4";
    let mut jailed = run(&marked(script, &mark)).unwrap();
    let mut line = String::new();
    BufReader::new(jailed.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    assert!(carrying(&mark).len() >= 4, "they are there to be found");
    jailed.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let how = jailed.wait().unwrap();
    assert_eq!((how.code, how.signal), (Some(4), None));
    assert!(how.leftovers >= 4, "{how:?}");
    assert_eq!(carrying(&mark), Vec::<PathBuf>::new());
}

#[test]
fn a_swarm_that_keeps_forking_is_ended() {
    let mark = mark("swarm");
    let script = "swarm() { n=0; while [ $n -lt 60 ]; do (setsid sleep 1000 &) ; n=$((n+1)); done; }; \
        swarm & swarm & swarm & sleep 0.05; exit 0";
    assert_eq!(done(&marked(script, &mark)).1.code, Some(0));
    assert_eq!(carrying(&mark), Vec::<PathBuf>::new());
}

fn ready(jailed: &mut Jailed) {
    let mut line = String::new();
    BufReader::new(jailed.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
}

#[test]
fn stopping_asks_or_kills() {
    let mut polite = run(&sh("trap 'exit 9' TERM; echo ready; sleep 1000 & wait")).unwrap();
    ready(&mut polite);
    polite.stopper().terminate();
    assert_eq!(polite.wait().unwrap().code, Some(9));

    let mark = mark("stubborn");
    let mut stubborn = run(&marked("trap '' TERM; echo ready; sleep 1000; sleep 1000", &mark)).unwrap();
    ready(&mut stubborn);
    let stopper = stubborn.stopper();
    std::thread::spawn(move || {
        stopper.terminate();
        stopper.clone().kill();
    });
    let how = stubborn.wait().unwrap();
    assert_eq!((how.code, how.signal), (None, Some(9)));
    assert_eq!(carrying(&mark), Vec::<PathBuf>::new());
}

#[test]
fn stopping_what_has_ended_does_nothing() {
    let jailed = run(&spec(&["true"])).unwrap();
    let stopper = jailed.stopper();
    assert_eq!(jailed.wait().unwrap().code, Some(0));
    stopper.terminate();
    stopper.kill();
}

#[test]
fn a_command_nobody_waits_for_is_ended() {
    let mark = mark("dropped");
    let mut jailed = run(&marked("echo ready; (setsid sleep 1000 &) ; sleep 1000", &mark)).unwrap();
    ready(&mut jailed);
    assert!(!carrying(&mark).is_empty());
    drop(jailed);
    assert_eq!(carrying(&mark), Vec::<PathBuf>::new());
}

#[test]
fn large_arguments_get_in_whole() {
    let large = "x".repeat(100_000);
    let mut spec = spec(&["sh", "-c", "echo ${#1} ${#2} ${#LARGE}", "sh", &large, &large]);
    spec.env.insert("LARGE".to_owned(), large);
    assert_eq!(done(&spec).0, "100000 100000 100000\n");
}
