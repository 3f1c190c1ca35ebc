//! The home, and engines over it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agora_core::id::{Digest, Enc, Word};
use agora_core::record::CancelVia;
use agora_core::seam::{BlobError, BlobStore, ComputeError, ComputeProvider};
use agora_core::target::Target;
use agora_engine::host::{Host, ThisMachine};
use agora_engine::operations::{
    AuditArgs, Caller, CheckStatus, OpError, RunRow, StatusArgs, StatusReply, SubmitArgs, SubmitReply, Until, View,
    WatchArgs,
};
use agora_engine::{Engine, OpenError, Options, Providers};
use agora_testkit::fakes::{FakeCompute, MemoryBlobs};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::registry::{Publisher, write_keys};
use super::{FileBlobs, tell_all};

/// The longest a test waits for anything: far beyond what it takes, so that a busy machine fails nothing.
const DEADLINE: Duration = Duration::from_secs(120);

const CONFIG: &str = r#"
[queues.default]
concurrency = 64
[queues.other]
concurrency = 2
[queues.pipeline]
pattern = "pipeline"
[queues.map-reduce]
pattern = "map-reduce"
[queues.quorum]
pattern = "quorum"
[executors.second]
target = "second"
[targets.local]
profiles = ["none"]
[targets.second]
profiles = ["none"]
"#;

/// Waits for something, and panics when it does not come.
#[track_caller]
pub(crate) fn within<F: Future>(what: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(DEADLINE, what).await {
            Ok(done) => done,
            Err(_) => panic!("what {place} waits for does not come"),
        }
    }
}

/// Who calls: the operator.
pub(crate) fn caller() -> Caller {
    Caller {
        actor: Enc::encode("human:ada"),
        how: Word::new("os-user").unwrap(),
        rule: Enc::encode("owner"),
        via: CancelVia::Cli,
        cwd: None,
        tools: None,
        all_runs: false,
    }
}

/// The code of the first problem.
#[track_caller]
pub(crate) fn code_of<T>(result: Result<T, OpError>) -> String {
    match result {
        Ok(_) => panic!("it is not refused"),
        Err(error) => error.first().code,
    }
}

/// The fakes, as an engine opens them.
struct Fakes {
    /// Where attempts' folders are, if not in the home.
    attempts: Option<PathBuf>,
    compute: Arc<dyn ComputeProvider>,
    blobs: Arc<dyn BlobStore>,
}

impl Providers for Fakes {
    fn compute(&self, _: &Path, _: &Target) -> Result<Arc<dyn ComputeProvider>, ComputeError> {
        Ok(Arc::clone(&self.compute))
    }
    fn blobs(&self, _: &Path) -> Result<Arc<dyn BlobStore>, BlobError> {
        Ok(Arc::clone(&self.blobs))
    }
    fn attempts(&self, home: &Path) -> PathBuf {
        self.attempts.clone().unwrap_or_else(|| home.join("attempts"))
    }
}

/// A home with a registry that has the subagent `noop`.
pub(crate) struct Home {
    root: TempDir,
    pub(crate) compute: FakeCompute,
    pub(crate) blobs: Arc<dyn BlobStore>,
    /// The same, where they are in memory.
    pub(crate) memory: MemoryBlobs,
    pub(crate) registry: Publisher,
    host: Arc<dyn Host>,
    attempts: Option<TempDir>,
}

impl Home {
    /// Every attempt is done at once, without a patch. Blobs are in memory.
    pub(crate) async fn new() -> Self {
        Self::with(FakeCompute::default()).await
    }

    /// The same below this folder.
    pub(crate) async fn new_in(folder: &Path) -> Self {
        let (memory, root) = (MemoryBlobs::new(), tempfile::tempdir_in(folder).unwrap());
        Self::make(FakeCompute::default(), Arc::new(memory.clone()), memory, root).await
    }

    /// Attempts do what this provider's script says.
    pub(crate) async fn with(compute: FakeCompute) -> Self {
        let memory = MemoryBlobs::new();
        Self::make(compute, Arc::new(memory.clone()), memory, tempfile::tempdir().unwrap()).await
    }

    /// The same over blobs that the script knows too.
    pub(crate) async fn with_memory(compute: FakeCompute, memory: MemoryBlobs) -> Self {
        Self::make(compute, Arc::new(memory.clone()), memory, tempfile::tempdir().unwrap()).await
    }

    /// Blobs are in files, for other processes.
    pub(crate) async fn with_files(compute: FakeCompute) -> Self {
        let root = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::new(&root.path().join("blobs"));
        Self::make(compute, Arc::new(blobs), MemoryBlobs::new(), root).await
    }

    async fn make(compute: FakeCompute, blobs: Arc<dyn BlobStore>, memory: MemoryBlobs, root: TempDir) -> Self {
        write_keys(root.path());
        std::fs::write(root.path().join("agora.toml"), CONFIG).unwrap();
        let mut registry = Publisher::new(root.path(), Arc::clone(&blobs));
        let template = blobs_text(&blobs, "{{ prompt }}").await;
        registry.put("subagent", "noop", subagent(&template)).await;
        registry.publish().await;
        Self { root, compute, blobs, memory, registry, host: Arc::new(ThisMachine), attempts: None }
    }

    /// Engines that are opened from now on tell time by this clock.
    pub(crate) fn set_clock(&mut self, clock: impl Host + 'static) {
        self.host = Arc::new(clock);
    }

    /// Engines that are opened from now on have the folders of attempts in here.
    pub(crate) fn set_attempts(&mut self, folder: &Path) {
        self.attempts = Some(tempfile::tempdir_in(folder).unwrap());
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// Opens an engine, as another process would.
    pub(crate) async fn open(&self) -> Arc<Engine> {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Arc<Engine>, OpenError> {
        self.open_as(Arc::new(self.compute.clone())).await
    }

    /// Opens an engine whose provider is another one.
    pub(crate) async fn open_with(&self, compute: FakeCompute) -> Arc<Engine> {
        self.open_through(Arc::new(compute)).await
    }

    /// The same with any provider.
    pub(crate) async fn open_through(&self, compute: Arc<dyn ComputeProvider>) -> Arc<Engine> {
        self.open_as(compute).await.unwrap()
    }

    async fn open_as(&self, compute: Arc<dyn ComputeProvider>) -> Result<Arc<Engine>, OpenError> {
        let attempts = self.attempts.as_ref().map(|folder| folder.path().to_owned());
        let fakes = Fakes { attempts, compute, blobs: Arc::clone(&self.blobs) };
        open_at(self.path(), fakes, Arc::clone(&self.host)).await
    }

    /// A home that another process made, opened here with blobs in files.
    pub(crate) async fn visit(home: &Path) -> Arc<Engine> {
        let blobs = Arc::new(FileBlobs::new(&home.join("blobs")));
        let fakes = Fakes { attempts: None, compute: Arc::new(FakeCompute::default()), blobs };
        open_at(home, fakes, Arc::new(ThisMachine)).await.unwrap()
    }
}

async fn open_at(home: &Path, fakes: Fakes, host: Arc<dyn Host>) -> Result<Arc<Engine>, OpenError> {
    within(Engine::open(Options { host, ..Options::new(home.to_owned(), Arc::new(fakes)) })).await
}

/// A subagent with this template and nothing else.
pub(crate) fn subagent(template: &Digest) -> Value {
    json!({
        "format": "agora-subagent/v1", "runtime": "command", "argv": ["/bin/true"], "targets": ["*"],
        "template": template.to_string(),
    })
}

/// Keeps a text.
pub(crate) async fn blobs_text(blobs: &Arc<dyn BlobStore>, text: &str) -> Digest {
    blobs.put(text.as_bytes()).await.unwrap()
}

/// Submits a plan.
pub(crate) async fn try_submit(engine: &Engine, plan: Value) -> Result<SubmitReply, OpError> {
    within(engine.submit(&caller(), SubmitArgs { plan: Some(plan), ..SubmitArgs::default() })).await
}

/// Submits a plan that is fine, and returns its run's id.
pub(crate) async fn submit(engine: &Engine, plan: Value) -> String {
    try_submit(engine, plan).await.unwrap().run_id.unwrap()
}

/// Waits until runs are over and sealed.
pub(crate) async fn wait_end(engine: &Engine, runs: &[&str]) -> Vec<RunRow> {
    let run_ids = Some(runs.iter().map(|run| (*run).to_owned()).collect());
    let mut args = WatchArgs { run_ids, until: Some(Until::Terminal), wait_seconds: Some(110), ..WatchArgs::default() };
    args.limit = Some(500);
    loop {
        let reply = within(engine.watch(&caller(), args.clone(), &|_| {})).await.unwrap();
        assert!(!reply.timed_out, "{runs:?} do not end: {:?}", reply.runs);
        if reply.runs.iter().all(|run| run.sealed) {
            return reply.runs;
        }
        // A reply comes early when there is more to tell than it may hold.
        assert!(reply.more);
        args.after = Some(reply.cursor);
    }
}

/// The rows of a run's items, at most 200.
pub(crate) async fn items(engine: &Engine, run: &str) -> StatusReply {
    let args =
        StatusArgs { view: Some(View::Run), run_id: Some(run.to_owned()), limit: Some(200), ..StatusArgs::default() };
    engine.status(&caller(), args).await.unwrap()
}

/// `item: state` of each item, in plan order.
pub(crate) async fn states(engine: &Engine, run: &str) -> Vec<String> {
    items(engine, run).await.items.iter().map(|item| format!("{}: {}", item.item_id, item.state)).collect()
}

/// The codes of the checks of a run that failed.
pub(crate) async fn failed(engine: &Engine, run: &str) -> Vec<String> {
    let audit = engine.audit(&caller(), AuditArgs { run_id: run.to_owned(), full: None }).await.unwrap();
    assert_eq!(audit.verdict == "failed", !audit.checks.is_empty());
    audit.checks.into_iter().map(|check| check.code).collect()
}

/// Checks what every store must hold after a test: chain, tree, projections and artifacts of all runs, that each tells a
/// story, and that the run verifies if it is named.
pub(crate) async fn check(engine: &Engine, runs: &[&str]) {
    for row in engine.check_store(true).await.unwrap() {
        assert_eq!(row.status, CheckStatus::Ok, "{row:?}");
    }
    tell_all(engine.home());
    for run in runs {
        let audit = engine.audit(&caller(), AuditArgs { run_id: (*run).to_owned(), full: None }).await.unwrap();
        assert_eq!(audit.verdict, "verified", "{:?}", audit.checks);
        assert!(audit.passed > 0);
    }
}
