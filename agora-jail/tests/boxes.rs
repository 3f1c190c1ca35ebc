//! Boxes with a shell script for a worker, through the real helper.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the failure")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use agora_jail::{
    BoxEnd, BoxId, BoxSignal, BoxState, JailError, Stopped, box_state, signal_box, start_box, wait_box_gone,
};

const GRACE: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(60);

struct Bench {
    dir: tempfile::TempDir,
    worker: PathBuf,
}

impl Bench {
    /// `$2` is the attempt's folder.
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let worker = dir.path().join("worker.sh");
        let bench = Self { dir, worker };
        bench.write_worker(script);
        std::fs::create_dir(bench.folder()).unwrap();
        bench
    }

    /// By another process, so that no child of another thread holds it open for writing.
    fn write_worker(&self, script: &str) {
        let write = "printf '#!/bin/sh\n%s\n' \"$2\" > \"$1\" && chmod 755 \"$1\"";
        let mut command = Command::new("sh");
        assert!(command.args(["-c", write, "sh"]).arg(&self.worker).arg(script).status().unwrap().success());
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("attempt")
    }

    fn start(&self, grace: Duration) -> (BoxId, Option<Child>) {
        start_box(&self.folder(), &self.worker, grace).unwrap()
    }

    fn end(&self) -> Option<BoxEnd> {
        wait_box_gone(&self.folder()).unwrap();
        match box_state(&self.folder()).unwrap() {
            BoxState::Ended(_, end) => end,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for a file that the worker makes.
    fn wait_for(&self, name: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.folder().join(name).exists() {
            assert!(Instant::now() < deadline, "{name} does not appear");
            std::thread::yield_now();
        }
    }

    fn signal(&self, id: &BoxId, signal: BoxSignal) {
        signal_box(&id.open().unwrap().unwrap(), signal).unwrap();
    }
}

fn reap(child: Option<Child>) {
    assert!(child.unwrap().wait().unwrap().success());
}

fn alive(pid_file: &Path) -> bool {
    let pid = std::fs::read_to_string(pid_file).unwrap();
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_worker_that_ends_ends_its_box_and_runs_once() {
    let bench = Bench::new("env > $2/env; ls -l /proc/$$/fd > $2/fds; echo $1 >> $2/runs; exit 5");
    let (id, child) = bench.start(GRACE);
    let end = bench.end().unwrap();
    assert_eq!((end.code, end.signal, end.stopped, end.leftovers), (Some(5), None, None, 0));
    reap(child);
    let (again, none) = bench.start(GRACE);
    assert_eq!(again, id);
    assert!(none.is_none());
    assert_eq!(std::fs::read_to_string(bench.folder().join("runs")).unwrap(), "--attempt\n");
    let env = std::fs::read_to_string(bench.folder().join("env")).unwrap();
    let names: Vec<&str> = env.lines().filter_map(|line| line.split('=').next()).collect();
    assert!(names.iter().all(|name| ["PATH", "PWD", "SHLVL", "_", "OLDPWD"].contains(name)), "{env}");
    let descriptors = std::fs::read_to_string(bench.folder().join("fds")).unwrap();
    assert!(descriptors.contains("box.lock") && !descriptors.contains("launch.lock"), "{descriptors}");
}

#[test]
fn many_launches_at_once_start_one_worker() {
    let bench = Bench::new("echo run >> $2/runs; sleep 1000 & touch $2/up; wait");
    let barrier = Barrier::new(6);
    let started: Vec<(BoxId, Option<Child>)> = std::thread::scope(|scope| {
        let launch = || {
            barrier.wait();
            bench.start(GRACE)
        };
        let all: Vec<_> = (0..6).map(|_| scope.spawn(launch)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(started.windows(2).all(|pair| pair[0].0 == pair[1].0));
    assert_eq!(started.iter().filter(|(_, child)| child.is_some()).count(), 1);
    bench.wait_for("up");
    assert!(matches!(box_state(&bench.folder()).unwrap(), BoxState::Runs(Some(_))));
    bench.signal(&started[0].0, BoxSignal::End);
    assert_eq!(bench.end().unwrap().stopped, Some(Stopped::Killed));
    assert_eq!(std::fs::read_to_string(bench.folder().join("runs")).unwrap(), "run\n");
    started.into_iter().filter_map(|(_, child)| child).for_each(|child| reap(Some(child)));
}

#[test]
fn a_worker_that_is_asked_may_finish_and_one_that_does_not_is_killed() {
    let polite = Bench::new("trap 'echo bye > $2/out; exit 0' TERM; sleep 1000 & touch $2/up; wait");
    let (id, child) = polite.start(GRACE);
    polite.wait_for("up");
    polite.signal(&id, BoxSignal::Ask);
    let end = polite.end().unwrap();
    assert_eq!((end.code, end.stopped, end.leftovers), (Some(0), Some(Stopped::Asked), 1));
    assert!(polite.folder().join("out").exists());
    reap(child);

    let stubborn = Bench::new("trap '' TERM; touch $2/up; while :; do sleep 1000; done");
    let (id, child) = stubborn.start(Duration::from_millis(20));
    stubborn.wait_for("up");
    stubborn.signal(&id, BoxSignal::Ask);
    let end = stubborn.end().unwrap();
    assert_eq!((end.code, end.signal, end.stopped), (None, Some(9), Some(Stopped::Killed)));
    reap(child);
}

#[test]
fn what_the_worker_left_is_gone_with_its_box() {
    let bench =
        Bench::new("(setsid sh -c 'echo $$ > $0/pid; sleep 1000; :' $2 &) ; while ! test -s $2/pid; do :; done");
    let (_, child) = bench.start(GRACE);
    let end = bench.end().unwrap();
    assert_eq!((end.code, end.stopped), (Some(0), None));
    assert!(end.leftovers >= 1);
    assert!(!alive(&bench.folder().join("pid")));
    reap(child);
}

#[test]
fn a_box_that_is_killed_takes_its_worker_along() {
    let bench = Bench::new("trap '' TERM; echo $$ > $2/pid; sleep 1000 & touch $2/up; wait");
    let (id, child) = bench.start(GRACE);
    bench.wait_for("up");
    assert!(alive(&bench.folder().join("pid")), "it is there to be killed");
    bench.signal(&id, BoxSignal::Kill);
    child.unwrap().wait().unwrap();
    let deadline = Instant::now() + DEADLINE;
    while alive(&bench.folder().join("pid")) {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    // The shell's own child is no `agora-jail run`: it is not tied, and keeps the lock, so nobody takes the box for gone.
    assert!(matches!(box_state(&bench.folder()).unwrap(), BoxState::Runs(Some(_))));
    for entry in std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path()) {
        if std::fs::read_link(entry.join("cwd")).is_ok_and(|cwd| cwd == bench.folder()) {
            let pid: i32 = entry.file_name().unwrap().to_str().unwrap().parse().unwrap();
            rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL)
                .unwrap();
        }
    }
    assert_eq!(bench.end(), None);
}

/// The whole chain: box, worker, `agora-jail run`, and a command that hides as well as it can.
#[test]
fn when_a_box_is_killed_the_lock_is_free_only_when_its_command_is_gone() {
    let worker = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("one_command");
    let bench = Bench::new("");
    let script = "trap '' TERM; setsid sh -c 'echo $$ > pid; sleep 1000; :' & while ! test -s pid; do :; done; \
        touch up; sleep 1000; :";
    std::fs::write(bench.folder().join("command.sh"), script).unwrap();
    let (id, child) = start_box(&bench.folder(), &worker, GRACE).unwrap();
    bench.wait_for("up");
    assert!(alive(&bench.folder().join("pid")), "it is there to be ended");
    bench.signal(&id, BoxSignal::Kill);
    assert_eq!(bench.end(), None);
    assert!(!alive(&bench.folder().join("pid")));
    child.unwrap().wait().unwrap();
}

/// A command that hides a process, then does this; `$PPID` is its `agora-jail run`.
fn hide_and(then: &str) -> (Bench, Option<Child>) {
    let worker = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("one_command");
    let bench = Bench::new("");
    let script = format!(
        "setsid sh -c 'echo $$ > pid; sleep 1000; :' & while ! test -s pid; do :; done; \
        while ! test -s box.handle; do :; done; {then}"
    );
    std::fs::write(bench.folder().join("command.sh"), script).unwrap();
    let (_, child) = start_box(&bench.folder(), &worker, GRACE).unwrap();
    (bench, child)
}

#[test]
fn a_command_that_kills_its_jail_is_gone_with_its_box() {
    let (bench, child) = hide_and("kill -9 $PPID");
    assert!(bench.end().unwrap().leftovers >= 1);
    assert!(!alive(&bench.folder().join("pid")));
    reap(child);
}

/// What `docs/jail.md` says is not promised: without a wall, the helper can be killed like anything else of this user's.
#[test]
fn a_command_that_kills_its_jail_and_its_box_outlives_both_under_none() {
    // Stopped first: it would notice the end of the box, and it takes the shell along when it is killed.
    let (bench, child) = hide_and(
        "kill -STOP $PPID; box=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/' box.handle); kill -9 $box; kill -9 $PPID",
    );
    child.unwrap().wait().unwrap();
    assert_eq!(bench.end(), None);
    assert!(alive(&bench.folder().join("pid")));
    let pid: i32 = std::fs::read_to_string(bench.folder().join("pid")).unwrap().trim().parse().unwrap();
    let session = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process_group(session, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_worker_that_cannot_start_leaves_the_attempt_free_for_another_launch() {
    let bench = Bench::new("exit 0");
    let missing = bench.dir.path().join("nothing");
    let error = start_box(&bench.folder(), &missing, GRACE).unwrap_err();
    assert!(matches!(&error, JailError::Failed { step, .. } if step.contains("nothing")), "{error}");
    assert_eq!(box_state(&bench.folder()).unwrap(), BoxState::Never);
    let (_, child) = bench.start(GRACE);
    assert_eq!(bench.end().unwrap().code, Some(0));
    reap(child);
}

#[test]
fn a_worker_that_breaks_leaves_its_last_words() {
    let bench = Bench::new("echo 'the disk is on fire' >&2; exit 101");
    let (_, child) = bench.start(GRACE);
    let end = bench.end().unwrap();
    assert_eq!((end.code, end.detail.as_deref()), (Some(101), Some("the disk is on fire")));
    reap(child);
}
