//! Real attempt folders, and what a worker makes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::{Duration, SystemTime};

use agora_core::canon;
use agora_core::id::{Digest, ItemId};
use agora_core::registry::{
    Block, Capability, CapabilityFile, Capture, FileMode, GitMode, Lens, PermissionMode, Runtime,
};
use agora_core::target::{Limits, Profile};
use agora_core::tree::{Mode, Node, Tree};
use agora_core::worker::{
    Artifact, AttemptId, Base, Change, Failure, JailPolicy, Outcome, Reason, TASK_FORMAT, Task, TaskCapability,
    TaskRuntime,
};
use agora_worker::{Options, Patience, Stop, run_attempt};
use serde_json::Value;

/// The helper has to lie beside the test's executable, or a folder up, and be of the library's own build: nothing else
/// makes cargo build a sibling's program for a test.
fn build_helper() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let exe = std::env::current_exe().unwrap();
        let target = exe.ancestors().nth(3).unwrap();
        let built = std::fs::metadata(exe.ancestors().nth(2).unwrap().join("agora-jail")).and_then(|it| it.modified());
        let sources = ["../agora-jail/src", "../agora-core/src"].map(|folder| newest(&package.join(folder)));
        if built.is_ok_and(|built| sources.iter().all(|source| *source < built)) {
            return;
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "-q", "-p", "agora-jail", "--target-dir"]).arg(target);
        assert!(build.current_dir(package).status().unwrap().success());
    });
}

/// When anything below the folder was last changed.
fn newest(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let times = entries.map(|entry| {
        let found = entry.metadata().unwrap();
        if found.is_dir() { newest(&entry.path()) } else { found.modified().unwrap() }
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// An attempt being made up.
pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
    pub(crate) task: Task,
    pub(crate) base: Tree,
    pub(crate) patience: Patience,
}

/// What came of it.
pub(crate) struct Ran {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) outcome: Outcome,
    pub(crate) base: Tree,
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
}

pub(crate) fn script(lens: Lens, text: &str) -> Block {
    let command = ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
    Block::Script { command, timeout_seconds: 60, lens }
}

pub(crate) fn default_blocks() -> Vec<Block> {
    vec![Block::Agent, Block::Capture { what: Capture::Patch }, Block::Capture { what: Capture::Outputs }]
}

impl Fixture {
    /// An attempt at an empty workspace whose agent is this shell script.
    pub(crate) fn new(agent: &str) -> Self {
        build_helper();
        let mut blobs = BTreeMap::new();
        let message = Digest::of(b"the message");
        blobs.insert(message, b"the message".to_vec());
        let task = Task {
            format: TASK_FORMAT.to_owned(),
            attempt: AttemptId { run: "run-1".parse().unwrap(), item: "item".parse().unwrap(), attempt: 1, fence: 7 },
            blobs: vec![],
            base: None,
            changes: vec![],
            capabilities: vec![],
            inputs: BTreeMap::new(),
            system_prompt: None,
            message,
            runtime: TaskRuntime {
                name: Runtime::Command,
                argv: ["/bin/sh", "-c", agent].map(str::to_owned).to_vec(),
                model: "standard".to_owned(),
                permission_mode: PermissionMode::Strict,
            },
            env: BTreeMap::new(),
            blocks: default_blocks(),
            requires: vec![],
            git: GitMode::None,
            may_ask: true,
            trust_upstream_config: false,
            jail: JailPolicy { profile: Profile::None },
            limits: Limits::default(),
            resume: None,
        };
        let patience = Patience { grace: Duration::from_secs(10), draft: Duration::from_secs(20) };
        Self { dir: tempfile::tempdir().unwrap(), blobs, task, base: Tree::default(), patience }
    }

    pub(crate) fn blob(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.blobs.insert(digest, bytes.to_vec());
        digest
    }

    /// The base tree, of plain files.
    pub(crate) fn base(self, files: &[(&str, &str)]) -> Self {
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, Mode::File, text.as_bytes())).collect();
        self.base_of(&files)
    }

    /// The base tree.
    pub(crate) fn base_of(mut self, files: &[(&str, Mode, &[u8])]) -> Self {
        let mut bytes = BTreeMap::new();
        for (path, mode, text) in files {
            let node = Node { mode: *mode, digest: Digest::of(text), size_bytes: text.len() as u64 };
            bytes.insert(node.digest, text.to_vec());
            self.base.files.insert((*path).into(), node);
        }
        let pack: Vec<u8> = self.base.pack_order().iter().flat_map(|(digest, _)| bytes[digest].clone()).collect();
        let manifest = self.base.to_manifest().unwrap();
        let (manifest, pack) = (self.blob(&manifest), self.blob(&pack));
        self.task.base = Some(Base { manifest, pack });
        self
    }

    /// A capability; a path that ends in `.sh` may be executed.
    pub(crate) fn capability(mut self, name: &str, files: &[(&str, &str)]) -> Self {
        let mut listed = Vec::new();
        for (path, text) in files {
            let digest = self.blob(text.as_bytes());
            let mode = if path.ends_with(".sh") { FileMode::Exec } else { FileMode::File };
            let (path, sha256, size) = ((*path).to_owned(), digest.hex(), text.len() as u64);
            listed.push(CapabilityFile { mode, path, sha256, size });
        }
        listed.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = Capability {
            format: "agora-capability/v1".to_owned(),
            about: None,
            allowed_patterns: vec![],
            files: listed,
        };
        let manifest = self.blob(&canon::to_bytes(&manifest).unwrap());
        self.task.capabilities.push(TaskCapability { name: name.to_owned(), manifest });
        self
    }

    pub(crate) fn input(mut self, key: &str, text: &str) -> Self {
        let digest = self.blob(text.as_bytes());
        self.task.inputs.insert(key.to_owned(), digest);
        self
    }

    /// An accepted patch of an item that started from the base tree.
    pub(crate) fn change(mut self, item: &str, patch: &[u8], result_tree: Digest) -> Self {
        let patch = Some(self.blob(patch));
        let item: ItemId = item.parse().unwrap();
        self.task.changes.push(Change { item, patch, after: vec![], result_tree });
        self
    }

    pub(crate) fn with(mut self, act: impl FnOnce(&mut Task)) -> Self {
        act(&mut self.task);
        self
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Writes the folder as an engine does.
    pub(crate) fn write(&mut self) {
        let folder = self.folder();
        std::fs::create_dir(folder.join("in")).unwrap();
        std::fs::create_dir(folder.join("out")).unwrap();
        for (digest, bytes) in &self.blobs {
            std::fs::write(folder.join("in").join(digest.hex()), bytes).unwrap();
        }
        let listed =
            self.blobs.iter().map(|(digest, bytes)| Artifact { digest: *digest, size_bytes: bytes.len() as u64 });
        self.task.blobs = listed.collect();
        std::fs::write(folder.join("task.json"), canon::to_bytes(&self.task).unwrap()).unwrap();
    }

    pub(crate) fn run(mut self) -> Ran {
        self.write();
        self.run_written(Stop::default())
    }

    pub(crate) fn run_written(self, stop: Stop) -> Ran {
        let options = Options { stop, echo: Box::new(std::io::sink()), patience: self.patience };
        let outcome = run_attempt(&self.folder(), options).unwrap();
        Ran { dir: self.dir, outcome, base: self.base, blobs: self.blobs }.checked()
    }
}

impl Ran {
    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.dir.path().join("out").join(name)
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.dir.path().join("work/workspace")
    }

    /// What must hold of every outcome, whatever happened.
    pub(crate) fn checked(self) -> Self {
        let bytes = std::fs::read(self.out("outcome.json")).unwrap();
        assert_eq!(canon::from_bytes::<Outcome>(&bytes).unwrap(), self.outcome, "the file says the same");
        let task = std::fs::read(self.dir.path().join("task.json")).unwrap();
        assert_eq!(self.outcome.task, Digest::of(&task));
        let log = std::fs::read(self.out("log.jsonl")).unwrap();
        assert_eq!((self.outcome.log.digest, self.outcome.log.size_bytes), (Digest::of(&log), log.len() as u64));
        for (n, line) in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
            let line: Value = serde_json::from_slice(line).unwrap();
            assert_eq!(line["n"].as_u64(), Some(n as u64));
            let kinds = ["step", "stdout", "stderr", "message", "tool", "usage", "egress", "sample", "note"];
            assert!(kinds.contains(&line["kind"].as_str().unwrap()));
        }
        for (name, report) in [("patch", &self.outcome.patch), ("draft", &self.outcome.draft)] {
            let found = std::fs::read(self.out(name)).ok();
            let named = report.as_ref().map(|report| report.digest);
            assert_eq!(found.map(|bytes| Digest::of(&bytes)), named, "{name}");
        }
        let pack: Vec<u8> = std::fs::read(self.out("outputs.pack")).unwrap_or_default();
        let mut at = 0;
        let mut packed = std::collections::BTreeSet::new();
        for output in &self.outcome.outputs {
            if packed.insert(output.digest) {
                let end = at + usize::try_from(output.size_bytes).unwrap();
                assert_eq!(Digest::of(&pack[at..end]), output.digest, "{}", output.path);
                at = end;
            }
        }
        assert_eq!(at, pack.len());
        self
    }

    pub(crate) fn failure(&self) -> &Failure {
        self.outcome.failure.as_ref().unwrap_or_else(|| panic!("it did not fail: {:?}", self.outcome))
    }

    #[track_caller]
    pub(crate) fn failed(&self, reason: Reason, parts: &[&str]) {
        let failure = self.failure();
        assert_eq!((failure.reason, failure.class), (reason, reason.class()), "{failure:?}");
        for part in parts {
            assert!(failure.detail.contains(part), "{part:?} is not in {:?}", failure.detail);
        }
    }

    #[track_caller]
    pub(crate) fn done(&self) {
        assert_eq!(self.outcome.failure, None);
    }

    pub(crate) fn step(&self, name: &str) -> usize {
        self.outcome.steps.iter().filter(|step| step.step == name).count()
    }

    pub(crate) fn summary(&self) -> &str {
        self.outcome.summary.as_deref().unwrap_or_default()
    }

    /// The tree that the patch gives on the base tree: path to text.
    pub(crate) fn result(&self) -> BTreeMap<String, String> {
        let content = self.content();
        let start = self.base.clone();
        let merged = match std::fs::read(self.out("patch")) {
            Ok(patch) => agora_tree::apply(&patch, &start, &content).unwrap(),
            Err(_) => agora_tree::Merged { tree: start, added: BTreeMap::new() },
        };
        assert_eq!(Some(merged.tree.digest().unwrap()), self.outcome.result_tree);
        let all = agora_tree::Overlay::new(&merged.added, &content);
        let text =
            |node: &Node| String::from_utf8_lossy(&agora_tree::Content::read(&all, &node.digest).unwrap()).into_owned();
        merged.tree.files.iter().map(|(path, node)| (path.to_string(), text(node))).collect()
    }

    /// Every file of the base tree, taken from the pack.
    pub(crate) fn content(&self) -> BTreeMap<Digest, Vec<u8>> {
        let index = self.base.pack_index();
        let total: u64 = index.values().map(|(_, size)| size).sum();
        let is_pack = |bytes: &&Vec<u8>| {
            bytes.len() as u64 == total
                && index.iter().all(|(digest, (at, size))| {
                    let (at, size) = (usize::try_from(*at).unwrap(), usize::try_from(*size).unwrap());
                    Digest::of(&bytes[at..at + size]) == *digest
                })
        };
        let Some(pack) = self.blobs.values().find(is_pack) else { return BTreeMap::new() };
        let slice =
            |at: u64, size: u64| pack[usize::try_from(at).unwrap()..usize::try_from(at + size).unwrap()].to_vec();
        index.iter().map(|(digest, (at, size))| (*digest, slice(*at, *size))).collect()
    }

    pub(crate) fn left_out(&self, why: &str) -> u64 {
        self.outcome.left_out.get(why).map_or(0, |left| left.count)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.out("log.jsonl")).unwrap()
    }
}

/// Writes a marker that shows that something ran.
pub(crate) fn marker(folder: &Path) -> PathBuf {
    folder.join("marker")
}
