//! What a configuration says, after it was checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agora_core::canon;
use agora_core::id::{Digest, Name};
use agora_core::plan::QueuePattern;
use agora_core::target::Target;

use super::error::ConfigError;
use super::file;
use super::parse::{CONFIG_BYTES_MAX, parse};

/// The file's name in the home folder.
pub const CONFIG_FILE: &str = "agora.toml";

/// What the configuration needs to know of the machine. Given from outside, so that a test decides it.
#[derive(Debug, Clone)]
pub struct Machine {
    /// How many processors there are: the slots of a queue that does not say.
    pub processors: u32,
    /// What `~/` stands for in a path.
    pub user_home: Option<PathBuf>,
}

impl Machine {
    /// Asks the machine.
    #[must_use]
    pub fn this() -> Self {
        let processors =
            std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
        Self { processors, user_home: std::env::var_os("HOME").map(PathBuf::from).filter(|path| path.is_absolute()) }
    }
}

/// `[queues.NAME]`: how many items run at once, and what follows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// How many attempts of the queue may run at once; 1 to 1,024.
    pub concurrency: u32,
    /// What its runs may grow by.
    pub pattern: QueuePattern,
}

/// `[executors.NAME]`: where the items that name it run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executor {
    /// The target's name; there is one.
    pub target: Name,
}

/// One row of `[workspaces]`: a folder that plans may work on by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// A git repository or a plain folder; absolute.
    pub path: PathBuf,
    /// How many commits an agent with `git = "snapshot"` may see; 0 is one synthetic commit.
    pub history: u32,
}

/// `[engine]`: how the engine behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// Whether a process whose client goes away leaves a detached driver behind while runs are open.
    pub linger: bool,
}

/// The whole configuration, checked: every name in it leads somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The target of the executor `dispatch`.
    pub default_target: Name,
    /// The queues; `default` is always there.
    pub queues: BTreeMap<Name, Queue>,
    /// The executors; `dispatch` is always there.
    pub executors: BTreeMap<Name, Executor>,
    /// The targets; `local` is always there.
    pub targets: BTreeMap<Name, Target>,
    /// The registered workspaces, without `cwd`.
    pub workspaces: BTreeMap<Name, Workspace>,
    /// Whether `cwd`, the folder in which the program was started, may be worked on.
    pub cwd: bool,
    /// The engine's own settings.
    pub engine: EngineSettings,
    /// For how many days a finished run's bytes are kept at least; absent: until somebody says otherwise.
    pub retain_days: Option<u64>,
    pub(super) digest: Digest,
    pub(super) path: PathBuf,
}

impl Config {
    /// Reads `agora.toml` of this home folder. A missing file gives the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong at once.
    pub fn load(home: &Path, machine: &Machine) -> Result<Self, ConfigError> {
        let path = home.join(CONFIG_FILE);
        let bytes = file::read(&path, CONFIG_BYTES_MAX)?.map(|found| found.bytes).unwrap_or_default();
        parse(&path, &bytes, machine)
    }

    /// The digest of the file's bytes, of no bytes when there is no file: which configuration was in force.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Where the file is, or would be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The target of an executor.
    #[must_use]
    pub fn target_of(&self, executor: &Name) -> Option<(&Name, &Target)> {
        let executor = self.executors.get(executor)?;
        self.targets.get_key_value(&executor.target)
    }

    /// The queues and their patterns.
    #[must_use]
    pub fn patterns(&self) -> BTreeMap<Name, QueuePattern> {
        self.queues.iter().map(|(name, queue)| (name.clone(), queue.pattern)).collect()
    }

    /// The digest of a target: over its strict canonical JSON, so defaults written out change nothing.
    #[must_use]
    pub fn target_digest(&self, name: &Name) -> Option<Digest> {
        // Only a number beyond 2^53 could be refused, and the parser takes none that large.
        canon::to_bytes(self.targets.get(name)?).ok().map(|bytes| Digest::of(&bytes))
    }

    /// The workspaces a plan may name: those registered, and `cwd` when it is on.
    #[must_use]
    pub fn workspace_names(&self) -> std::collections::BTreeSet<Name> {
        let cwd = if self.cwd { Name::new("cwd").ok() } else { None };
        self.workspaces.keys().cloned().chain(cwd).collect()
    }
}
