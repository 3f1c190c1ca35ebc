//! The suite of [`ComputeProvider`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agora_core::canon;
use agora_core::id::{Digest, Enc, ItemId, RunId};
use agora_core::registry::{GitMode, PermissionMode, Runtime, default_blocks};
use agora_core::seam::{ComputeError, ComputeProvider, Ended, Handle, LaunchSpec, Launched};
use agora_core::target::{Limits, Target};
use agora_core::worker::{Artifact, AttemptId, JailPolicy, TASK_FORMAT, Task, TaskRuntime};

use super::blob::together;

/// No call of the suite may take longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// What an attempt is to do. Its word is the content of the only blob in `in/`, which is also the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Writes an outcome and ends.
    Ends,
    /// Runs until it is asked to end; then writes an outcome and ends.
    Waits,
    /// Runs, and does not listen.
    Stubborn,
    /// Ends without an outcome.
    Breaks,
}

impl Behaviour {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ends => "ends",
            Self::Waits => "waits",
            Self::Stubborn => "stubborn",
            Self::Breaks => "breaks",
        }
    }
}

/// What the suite has to know of an implementation.
pub trait Bench: Sync {
    /// The home whose `attempts/` the suite fills.
    fn home(&self) -> &Path;
    /// A target that the provider can give.
    fn target(&self) -> Target;
    /// Called before an attempt is launched, for providers that do not read the word themselves.
    fn expect(&self, attempt: &AttemptId, behaviour: Behaviour);
    /// How often the attempt's worker was started.
    fn starts(&self, spec: &LaunchSpec) -> u64;
    /// The provider as another process would open it after a restart.
    fn reopened(&self) -> Arc<dyn ComputeProvider>;
}

/// A worker as a shell script, for providers that run programs: it does what [`Behaviour`] says.
pub const SCRIPT_WORKER: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then echo "script-worker 0.0.1"; exit 0; fi
cd "$2" || exit 70
echo start >> starts
outcome() { printf '{"status":"%s"}' "$1" > out/.new && mv out/.new out/outcome.json; }
case "$(cat in/*)" in
ends) outcome done ;;
waits) trap 'outcome cancelled; kill $!; exit 0' TERM; sleep 1000 & touch up; wait ;;
stubborn) trap '' TERM; (setsid sh -c "trap '' TERM; sleep 1000; :" &) ; touch up; while :; do sleep 1000; done ;;
breaks) echo 'out of cheese' >&2; exit 101 ;;
esac
"#;

/// Writes a program so that it can be started at once: by another process, since the kernel starts no file that somebody
/// has open for writing, and children of other threads may hold what this process has open.
///
/// # Panics
/// When it cannot.
pub fn write_program(path: &Path, text: &str) {
    let script = "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"";
    let status = std::process::Command::new("sh").args(["-c", script, "sh"]).arg(path).arg(text).status().unwrap();
    assert!(status.success());
}

/// Returns the plainest task: nothing but a message.
///
/// # Panics
/// Never.
#[must_use]
pub fn task(attempt: &AttemptId, target: &Target, message: &[u8]) -> Task {
    let digest = Digest::of(message);
    Task {
        format: TASK_FORMAT.to_owned(),
        attempt: attempt.clone(),
        blobs: vec![Artifact { digest, size_bytes: message.len() as u64 }],
        base: None,
        changes: Vec::new(),
        capabilities: Vec::new(),
        inputs: std::collections::BTreeMap::new(),
        system_prompt: None,
        message: digest,
        runtime: TaskRuntime {
            name: Runtime::Command,
            argv: vec!["true".to_owned()],
            model: "standard".to_owned(),
            permission_mode: PermissionMode::Strict,
        },
        env: std::collections::BTreeMap::new(),
        blocks: default_blocks(None),
        requires: Vec::new(),
        git: GitMode::None,
        may_ask: false,
        trust_upstream_config: false,
        jail: JailPolicy { profile: target.profiles[0] },
        limits: Limits::default(),
        resume: None,
    }
}

/// Makes the folder of an attempt as the engine does, below a home's `attempts/`.
///
/// # Panics
/// When it cannot.
#[must_use]
pub fn lay_out(home: &Path, task: &Task, blobs: &[&[u8]]) -> PathBuf {
    let folder = home.join("attempts").join(task.attempt.folder_name());
    std::fs::create_dir_all(folder.join("in")).unwrap();
    std::fs::create_dir_all(folder.join("out")).unwrap();
    for blob in blobs {
        std::fs::write(folder.join("in").join(Digest::of(blob).hex()), blob).unwrap();
    }
    std::fs::write(folder.join("task.json"), canon::to_bytes(task).unwrap()).unwrap();
    folder
}

/// Runs all of it.
///
/// # Panics
/// When the provider breaks its contract.
pub async fn run(provider: &dyn ComputeProvider, bench: &dyn Bench) {
    let suite = Suite { provider, bench };
    suite.isolation_is_one_that_the_target_names().await;
    suite.an_attempt_ends_and_is_collected().await;
    suite.launching_is_idempotent().await;
    suite.wait_returns_at_the_end_and_not_before().await;
    suite.what_is_asked_to_end_may_say_so().await;
    suite.what_does_not_listen_is_ended().await;
    suite.a_worker_without_an_outcome_is_no_failure_of_the_provider().await;
    suite.unknown_handles_are_unknown().await;
    suite.another_process_takes_over().await;
    suite.many_at_once().await;
    suite.what_runs_is_not_removed().await;
    suite.a_folder_that_is_not_complete_is_refused().await;
    assert!(!provider.list().await.unwrap().iter().any(|found| found.alive), "the suite leaves nothing running");
}

struct Suite<'a> {
    provider: &'a dyn ComputeProvider,
    bench: &'a dyn Bench,
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what} takes more than {} s", DEADLINE.as_secs()),
    }
}

impl Suite<'_> {
    fn spec(&self, item: &str, behaviour: Behaviour) -> LaunchSpec {
        let attempt =
            AttemptId { run: RunId::new("suite").unwrap(), item: ItemId::new(item).unwrap(), attempt: 1, fence: 1 };
        let target = self.bench.target();
        let word = behaviour.word().as_bytes();
        let folder = lay_out(self.bench.home(), &task(&attempt, &target, word), &[word]);
        self.bench.expect(&attempt, behaviour);
        let profile = target.profiles[0];
        LaunchSpec { attempt, folder, target, profile }
    }

    async fn launch(&self, spec: &LaunchSpec) -> Launched {
        in_time("launch", self.provider.launch(spec)).await.unwrap()
    }

    async fn wait(&self, handle: &Handle) -> Ended {
        in_time("wait", self.provider.wait(handle)).await.unwrap()
    }

    async fn stop(&self, handle: &Handle, at_once: bool) {
        in_time("stop", self.provider.stop(handle, at_once)).await.unwrap();
    }

    async fn alive(&self, spec: &LaunchSpec) -> Option<bool> {
        let all = in_time("list", self.provider.list()).await.unwrap();
        let of_it: Vec<_> = all.iter().filter(|found| found.attempt == spec.attempt).collect();
        assert!(of_it.len() <= 1, "an attempt is listed once");
        of_it.first().map(|found| found.alive)
    }

    /// Until a program's worker has set itself up to be asked; a fake's has from the start.
    async fn up(&self, spec: &LaunchSpec) {
        if self.provider.kind() != "fake" {
            let up = spec.folder.join("up");
            in_time("the worker", async {
                while !up.exists() {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
    }

    async fn isolation_is_one_that_the_target_names(&self) {
        let target = self.bench.target();
        let (profile, isolation) = in_time("isolation", self.provider.isolation(&target)).await.unwrap();
        assert!(target.profiles.contains(&profile));
        assert_eq!(isolation.profile, profile.as_str());
        assert_eq!(isolation.provider, target.provider.as_str(), "as its leases say");
        let none = Target { profiles: Vec::new(), ..target };
        let refused = in_time("isolation", self.provider.isolation(&none)).await;
        assert!(matches!(refused, Err(ComputeError::Isolation(_))), "{refused:?}");
        let spec = LaunchSpec { target: none, ..self.spec("isolation", Behaviour::Ends) };
        let refused = in_time("launch", self.provider.launch(&spec)).await;
        assert!(matches!(refused, Err(ComputeError::Isolation(_))), "{refused:?}");
        assert_eq!(self.bench.starts(&spec), 0);
    }

    async fn an_attempt_ends_and_is_collected(&self) {
        let spec = self.spec("ends", Behaviour::Ends);
        let launched = self.launch(&spec).await;
        assert_eq!(launched.isolation.profile, spec.profile.as_str());
        let ended = self.wait(&launched.handle).await;
        assert_eq!(ended.exit_code, Some(0), "{ended:?}");
        assert_eq!(self.wait(&launched.handle).await, ended, "it may be asked again");
        assert!(spec.folder.join("out/outcome.json").exists());
        assert_eq!(self.alive(&spec).await, Some(false));
        self.stop(&launched.handle, false).await;
        for _ in 0..2 {
            in_time("remove", self.provider.remove(&spec.attempt)).await.unwrap();
            assert_eq!(self.alive(&spec).await, None);
            assert!(!spec.folder.exists());
        }
        self.stop(&launched.handle, true).await;
    }

    async fn launching_is_idempotent(&self) {
        let spec = self.spec("idempotent", Behaviour::Waits);
        let launches = (0..4).map(|_| self.provider.launch(&spec)).collect();
        let all: Vec<Launched> = in_time("launch", together(launches)).await.into_iter().map(Result::unwrap).collect();
        assert!(all.windows(2).all(|pair| pair[0].handle == pair[1].handle), "one handle, whoever asks");
        let first = &all[0];
        assert_eq!(self.launch(&spec).await, *first, "while it runs");
        self.up(&spec).await;
        self.stop(&first.handle, false).await;
        assert_eq!(self.launch(&spec).await, *first, "and after its end");
        assert_eq!(self.bench.starts(&spec), 1);
        assert_eq!(self.alive(&spec).await, Some(false));
        let later = AttemptId { attempt: 2, fence: 2, ..spec.attempt.clone() };
        let word = Behaviour::Ends.word().as_bytes();
        let folder = lay_out(self.bench.home(), &task(&later, &spec.target, word), &[word]);
        self.bench.expect(&later, Behaviour::Ends);
        let second = LaunchSpec { attempt: later, folder, ..spec };
        let other = self.launch(&second).await;
        assert_ne!(other.handle, first.handle, "another attempt is another box");
        self.wait(&other.handle).await;
    }

    async fn wait_returns_at_the_end_and_not_before(&self) {
        let spec = self.spec("waits", Behaviour::Waits);
        let handle = self.launch(&spec).await.handle;
        self.up(&spec).await;
        {
            let mut waiting = self.provider.wait(&handle);
            for _ in 0..3 {
                tokio::select! {
                    biased;
                    ended = &mut waiting => panic!("it still runs: {ended:?}"),
                    alive = self.alive(&spec) => assert_eq!(alive, Some(true)),
                }
            }
        }
        assert_eq!(self.alive(&spec).await, Some(true), "a dropped wait stops nothing");
        let both = async { tokio::join!(self.provider.wait(&handle), self.provider.stop(&handle, false)) };
        let (ended, stopped) = in_time("wait and stop", both).await;
        stopped.unwrap();
        assert_eq!(ended.unwrap(), self.wait(&handle).await);
    }

    async fn what_is_asked_to_end_may_say_so(&self) {
        let spec = self.spec("asked", Behaviour::Waits);
        let handle = self.launch(&spec).await.handle;
        self.up(&spec).await;
        assert_eq!(self.alive(&spec).await, Some(true));
        self.stop(&handle, false).await;
        assert_eq!(self.alive(&spec).await, Some(false), "absence is proven");
        let outcome = std::fs::read_to_string(spec.folder.join("out/outcome.json")).unwrap();
        assert!(outcome.contains("cancelled"), "{outcome}");
        self.stop(&handle, false).await;
        self.wait(&handle).await;
    }

    async fn what_does_not_listen_is_ended(&self) {
        let spec = self.spec("stubborn", Behaviour::Stubborn);
        let handle = self.launch(&spec).await.handle;
        self.up(&spec).await;
        self.stop(&handle, true).await;
        assert_eq!(self.alive(&spec).await, Some(false));
        assert!(!spec.folder.join("out/outcome.json").exists());
        assert_ne!(self.wait(&handle).await.exit_code, Some(0));
    }

    async fn a_worker_without_an_outcome_is_no_failure_of_the_provider(&self) {
        let spec = self.spec("breaks", Behaviour::Breaks);
        let handle = self.launch(&spec).await.handle;
        let ended = self.wait(&handle).await;
        assert_ne!(ended.exit_code, Some(0), "{ended:?}");
        assert!(ended.detail.is_some(), "it says what it knows");
        assert!(!spec.folder.join("out/outcome.json").exists());
    }

    async fn unknown_handles_are_unknown(&self) {
        let spec = self.spec("known", Behaviour::Ends);
        let known = self.launch(&spec).await.handle;
        self.wait(&known).await;
        for text in ["nobody", &format!("{known}0"), &known.as_str().replacen(':', ";", 1)] {
            let handle = Enc::new(text).unwrap();
            let answer = in_time("wait", self.provider.wait(&handle)).await;
            assert_eq!(answer, Err(ComputeError::Unknown(handle)));
        }
    }

    async fn another_process_takes_over(&self) {
        let spec = self.spec("taken-over", Behaviour::Waits);
        let launched = self.launch(&spec).await;
        self.up(&spec).await;
        let other = self.bench.reopened();
        assert_eq!(in_time("launch", other.launch(&spec)).await.unwrap().handle, launched.handle);
        let found = in_time("list", other.list()).await.unwrap();
        let found: Vec<_> = found.into_iter().filter(|found| found.attempt == spec.attempt).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].alive);
        assert_eq!(found[0].handle, Some(launched.handle.clone()));
        let both = async { tokio::join!(self.provider.wait(&launched.handle), other.stop(&launched.handle, false)) };
        let (ended, stopped) = in_time("wait and stop", both).await;
        stopped.unwrap();
        assert_eq!(in_time("wait", other.wait(&launched.handle)).await.unwrap(), ended.unwrap());
        assert_eq!(self.bench.starts(&spec), 1);
        in_time("remove", other.remove(&spec.attempt)).await.unwrap();
        assert_eq!(self.alive(&spec).await, None);
    }

    async fn many_at_once(&self) {
        let specs: Vec<LaunchSpec> = (0..12).map(|at| self.spec(&format!("many-{at}"), Behaviour::Ends)).collect();
        let all = specs.iter().map(|spec| async {
            let launched = self.provider.launch(spec).await.unwrap();
            self.provider.wait(&launched.handle).await.unwrap()
        });
        for ended in in_time("many at once", together(all.collect())).await {
            assert_eq!(ended.exit_code, Some(0));
        }
        for spec in &specs {
            assert_eq!(self.bench.starts(spec), 1);
        }
    }

    async fn what_runs_is_not_removed(&self) {
        let spec = self.spec("removed", Behaviour::Waits);
        let handle = self.launch(&spec).await.handle;
        self.up(&spec).await;
        let refused = in_time("remove", self.provider.remove(&spec.attempt)).await;
        assert!(matches!(refused, Err(ComputeError::Failed(_))), "{refused:?}");
        assert_eq!(self.alive(&spec).await, Some(true));
        self.stop(&handle, true).await;
        in_time("remove", self.provider.remove(&spec.attempt)).await.unwrap();
        assert_eq!(self.alive(&spec).await, None);
    }

    async fn a_folder_that_is_not_complete_is_refused(&self) {
        let spec = self.spec("incomplete", Behaviour::Ends);
        let text = std::fs::read(spec.folder.join("task.json")).unwrap();
        std::fs::remove_file(spec.folder.join("task.json")).unwrap();
        let refused = in_time("launch", self.provider.launch(&spec)).await;
        assert!(matches!(refused, Err(ComputeError::Failed(_))), "{refused:?}");
        std::fs::write(spec.folder.join("task.json"), text).unwrap();
        let handle = self.launch(&spec).await.handle;
        assert_eq!(self.wait(&handle).await.exit_code, Some(0));
        assert_eq!(self.bench.starts(&spec), 1);
    }
}
