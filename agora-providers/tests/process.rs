//! The process provider where its own make matters: drivers that die, boxes that are killed, calls that hang.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the failure")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use agora_core::id::Enc;
use agora_core::seam::{ComputeError, ComputeProvider as _, Handle, LaunchSpec};
use agora_core::target::{Profile, Target};
use agora_core::worker::AttemptId;
use agora_providers::process::{ProcessProvider, attempts_folder};
use agora_testkit::env::{binary, binary_folder};
use agora_testkit::suites::compute::{Behaviour, SCRIPT_WORKER, lay_out, task, write_program};

struct Place {
    home: tempfile::TempDir,
    worker: PathBuf,
}

impl Place {
    fn new() -> Self {
        let _built = binary("agora-jail");
        let home = tempfile::tempdir().unwrap();
        let worker = home.path().join("worker.sh");
        write_program(&worker, SCRIPT_WORKER);
        Self { home, worker }
    }

    fn open(&self) -> ProcessProvider {
        ProcessProvider::new(self.home.path()).unwrap().with_worker(&self.worker)
    }

    fn spec(&self, item: &str, behaviour: Behaviour) -> LaunchSpec {
        let attempt = AttemptId { run: "run".parse().unwrap(), item: item.parse().unwrap(), attempt: 1, fence: 1 };
        let target = Target { profiles: vec![Profile::None], ..Target::default() };
        let word = behaviour.word().as_bytes();
        let folder = lay_out(self.home.path(), &task(&attempt, &target, word), &[word]);
        LaunchSpec { attempt, folder, target, profile: Profile::None }
    }
}

async fn up(folder: &Path) {
    let up = folder.join("up");
    let appears = async {
        while !up.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), appears).await.unwrap();
}

fn pid_of(handle: &Handle) -> rustix::process::Pid {
    let pid = handle.as_str().split(':').nth(2).unwrap().parse().unwrap();
    rustix::process::Pid::from_raw(pid).unwrap()
}

#[tokio::test]
async fn a_box_outlives_a_driver_that_is_killed_and_the_next_one_goes_on() {
    let place = Place::new();
    let spec = place.spec("orphan", Behaviour::Waits);
    let driver = binary_folder().join("examples/launch_and_wait");
    let mut command = Command::new(driver);
    command.arg(place.home.path()).arg(&place.worker).args(["run", "orphan"]).stdout(Stdio::piped());
    let mut driver = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(driver.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let handle = Enc::new(line.trim()).unwrap();
    up(&spec.folder).await;
    driver.kill().unwrap();
    driver.wait().unwrap();

    let provider = place.open();
    let found = provider.list().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].alive, &found[0].handle, &found[0].attempt), (true, &Some(handle.clone()), &spec.attempt));
    assert_eq!(provider.launch(&spec).await.unwrap().handle, handle, "re-attached, not started twice");
    let (ended, stopped) = tokio::join!(provider.wait(&handle), provider.stop(&handle, false));
    stopped.unwrap();
    assert_eq!(ended.unwrap().exit_code, Some(0));
    assert!(spec.folder.join("out/outcome.json").exists());
    assert_eq!(std::fs::read_to_string(spec.folder.join("starts")).unwrap(), "start\n");
}

#[tokio::test]
async fn a_box_that_was_killed_is_gone_and_never_started_again() {
    let place = Place::new();
    let spec = place.spec("killed", Behaviour::Waits);
    let provider = place.open();
    let launched = provider.launch(&spec).await.unwrap();
    up(&spec.folder).await;
    rustix::process::kill_process(pid_of(&launched.handle), rustix::process::Signal::KILL).unwrap();
    // The script's own child has the lock and is tied to nobody: until it ends the box is not taken for gone.
    end_by_folder(&spec.folder);
    let ended = provider.wait(&launched.handle).await.unwrap();
    assert_eq!(ended.exit_code, None);
    assert!(ended.detail.unwrap().contains("the box was killed"));
    assert_eq!(provider.launch(&spec).await.unwrap(), launched);
    assert_eq!(std::fs::read_to_string(spec.folder.join("starts")).unwrap(), "start\n");
    provider.stop(&launched.handle, false).await.unwrap();
    provider.remove(&spec.attempt).await.unwrap();
}

/// Whoever removes the folder of a box that runs makes nobody believe that it is gone: its locks are somebody's until it is.
#[tokio::test]
async fn a_box_whose_folder_was_removed_is_gone_when_it_ends_and_not_before() {
    let place = Place::new();
    let spec = place.spec("bare", Behaviour::Stubborn);
    let provider = place.open();
    let handle = provider.launch(&spec).await.unwrap().handle;
    up(&spec.folder).await;
    let elsewhere = place.home.path().join("elsewhere");
    std::fs::rename(&spec.folder, &elsewhere).unwrap();
    let provider = Arc::new(provider);
    // The launch itself waits for its child.
    let before = watches(pid_of(&handle));
    let wait = tokio::spawn({
        let (provider, handle) = (Arc::clone(&provider), handle.clone());
        async move { provider.wait(&handle).await }
    });
    while !wait.is_finished() && watches(pid_of(&handle)) == before {
        tokio::task::yield_now().await;
    }
    assert!(!wait.is_finished(), "its process runs");
    rustix::process::kill_process(pid_of(&handle), rustix::process::Signal::KILL).unwrap();
    end_by_folder(&elsewhere);
    assert_eq!(wait.await.unwrap().unwrap().detail.as_deref(), Some("its folder is gone"));
    assert!(matches!(provider.wait(&handle).await, Err(ComputeError::Unknown(_))), "now nothing tells of it");
}

/// How often the runtime waits for the end of that process.
fn watches(pid: rustix::process::Pid) -> usize {
    let line = format!("Pid:\t{}\n", pid.as_raw_nonzero());
    let entries = std::fs::read_dir("/proc/self/fdinfo").unwrap().map(|entry| entry.unwrap());
    // A descriptor may be closed meanwhile.
    let all: Vec<_> = entries
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, std::fs::read_to_string(entry.path()).ok()?)))
        .collect();
    let polled = |fd: &str| {
        let mut lines = all.iter().flat_map(|(_, info)| info.lines());
        lines.any(|line| line.strip_prefix("tfd:").is_some_and(|rest| rest.split_whitespace().next() == Some(fd)))
    };
    all.iter().filter(|(fd, info)| info.contains(&line) && polled(fd)).count()
}

/// Ends what works in this test's own folder.
fn end_by_folder(folder: &Path) {
    for entry in std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path()) {
        if std::fs::read_link(entry.join("cwd")).is_ok_and(|cwd| cwd == folder) {
            let pid: i32 = entry.file_name().unwrap().to_str().unwrap().parse().unwrap();
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            // It may have ended since.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

#[tokio::test]
async fn after_its_grace_a_worker_is_killed() {
    let place = Place::new();
    let spec = place.spec("grace", Behaviour::Stubborn);
    let provider = place.open().with_grace(Duration::from_millis(30));
    let handle = provider.launch(&spec).await.unwrap().handle;
    up(&spec.folder).await;
    provider.stop(&handle, false).await.unwrap();
    let ended = provider.wait(&handle).await.unwrap();
    assert_eq!(ended.exit_code, None);
    assert!(ended.detail.unwrap().contains("killed by a stop"));
}

#[tokio::test]
async fn asking_twice_is_not_less_patient() {
    let place = Place::new();
    let spec = place.spec("twice", Behaviour::Waits);
    let provider = place.open();
    let handle = provider.launch(&spec).await.unwrap().handle;
    up(&spec.folder).await;
    let (one, two) = tokio::join!(provider.stop(&handle, false), provider.stop(&handle, false));
    one.and(two).unwrap();
    assert!(spec.folder.join("out/outcome.json").exists(), "it could finish");
}

#[tokio::test]
async fn a_helper_that_is_missing_or_not_to_be_trusted_is_the_operators_to_mend() {
    let place = Place::new();
    let spec = place.spec("helper", Behaviour::Ends);
    let missing = place.open().with_worker(place.home.path().join("nothing"));
    assert!(matches!(missing.isolation(&spec.target).await, Err(ComputeError::Helper(_))));
    assert!(matches!(missing.launch(&spec).await, Err(ComputeError::Helper(_))));
    let open = place.home.path().join("open.sh");
    write_program(&open, SCRIPT_WORKER);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&open, mode).unwrap();
    let refused = place.open().with_worker(&open).launch(&spec).await;
    assert!(matches!(&refused, Err(ComputeError::Helper(why)) if why.contains("write")), "{refused:?}");
    let mute = place.home.path().join("mute.sh");
    write_program(&mute, "#!/bin/sh\nexit 0\n");
    assert!(matches!(place.open().with_worker(&mute).launch(&spec).await, Err(ComputeError::Helper(_))));

    let provider = place.open();
    let launched = provider.launch(&spec).await.unwrap();
    assert_eq!(launched.worker_version.as_str(), "0.0.1");
    assert_eq!(provider.wait(&launched.handle).await.unwrap().exit_code, Some(0));
}

#[tokio::test]
async fn only_the_profiles_of_this_build_are_given_and_none_instead_of_another() {
    let place = Place::new();
    let provider = place.open();
    let strict = Target::default();
    let refused = provider.isolation(&strict).await;
    assert!(matches!(&refused, Err(ComputeError::Isolation(why)) if why.contains("strict-nocg")), "{refused:?}");
    let listed = Target { profiles: vec![Profile::Strict, Profile::None], ..Target::default() };
    assert_eq!(provider.isolation(&listed).await.unwrap().0, Profile::None);
}

#[tokio::test]
async fn a_folder_that_is_not_the_attempts_own_is_refused() {
    let place = Place::new();
    let provider = place.open();
    let spec = place.spec("own", Behaviour::Ends);
    let other = place.spec("other", Behaviour::Ends);
    let swapped = LaunchSpec { folder: other.folder, ..spec.clone() };
    assert!(matches!(provider.launch(&swapped).await, Err(ComputeError::Failed(_))));
    std::fs::write(spec.folder.join("out/left"), "x").unwrap();
    assert!(matches!(provider.launch(&spec).await, Err(ComputeError::Failed(_))), "out/ is not empty");
    std::fs::remove_file(spec.folder.join("out/left")).unwrap();
    assert_eq!(spec.folder, attempts_folder(place.home.path()).join(spec.attempt.folder_name()));
    let handle = provider.launch(&spec).await.unwrap().handle;
    assert_eq!(provider.wait(&handle).await.unwrap().exit_code, Some(0));
}

#[tokio::test]
async fn boxes_are_reaped() {
    let place = Place::new();
    let spec = place.spec("reaped", Behaviour::Ends);
    let provider = place.open();
    let handle = provider.launch(&spec).await.unwrap().handle;
    provider.wait(&handle).await.unwrap();
    let stat = format!("/proc/{}/stat", pid_of(&handle).as_raw_nonzero());
    let reaped = async {
        while Path::new(&stat).exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reaped).await.unwrap();
}

#[tokio::test]
async fn the_real_worker_runs_and_nothing_of_its_agent_outlives_a_box_that_is_killed() {
    let place = Place::new();
    let _built = binary("agora-worker");
    let provider = ProcessProvider::new(place.home.path()).unwrap();
    let launch = |item: &str, script: &str| {
        let spec = place.spec(item, Behaviour::Ends);
        let mut wanted = task(&spec.attempt, &spec.target, Behaviour::Ends.word().as_bytes());
        wanted.runtime.argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        std::fs::write(spec.folder.join("task.json"), agora_core::canon::to_bytes(&wanted).unwrap()).unwrap();
        spec
    };
    let well = launch("well", "echo hello > file; (setsid sleep 1000 &)");
    let handle = provider.launch(&well).await.unwrap().handle;
    assert_eq!(provider.wait(&handle).await.unwrap().exit_code, Some(0));
    let outcome = std::fs::read_to_string(well.folder.join("out/outcome.json")).unwrap();
    assert!(outcome.contains(r#""status":"done""#), "{outcome}");

    let marker = place.home.path().join("pid");
    let script = format!("setsid sh -c 'trap \"\" TERM; echo $$ > {}; sleep 1000; :' & wait", marker.display());
    let killed = launch("killed", &script);
    let handle = provider.launch(&killed).await.unwrap().handle;
    let written = async {
        while !std::fs::read_to_string(&marker).is_ok_and(|text| text.ends_with('\n')) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), written).await.unwrap();
    let stat = format!("/proc/{}/stat", std::fs::read_to_string(&marker).unwrap().trim());
    assert!(Path::new(&stat).exists(), "it is there to be ended");
    rustix::process::kill_process(pid_of(&handle), rustix::process::Signal::KILL).unwrap();
    assert_eq!(provider.wait(&handle).await.unwrap().exit_code, None);
    assert!(!Path::new(&stat).exists());
}
