//! The engine as its edges hold it: one process's view of a home. It may append inputs, read, wait, and drive.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agora_core::audit::history::KeyHistory;
use agora_core::error::{Class, Problem};
use agora_core::id::{Enc, Word};
use agora_core::record::{KeyRecord, LogRecord};
use agora_core::registry::Seen;
use agora_core::seam::{BlobError, BlobStore, ComputeError, ComputeProvider};
use agora_core::target::Target;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::mpsc;

use crate::config::{Config, Machine};
use crate::driver::{self, Driver};
use crate::home;
use crate::host::{Host, ThisMachine};
use crate::hub::Hub;
use crate::journal::{Journal, Stamp, StoreError, recorded};
use crate::keys::{Keys, Role};
use crate::operations::OpError;
use crate::perform::World;
use crate::wake::Wake;

/// The journal's file in a home.
pub(crate) const STORE_FILE: &str = "store.db";

/// Opens what a target or home names. The binaries give agora-providers' own; tests give fakes.
pub trait Providers: Send + Sync {
    /// Opens the compute provider of a target.
    ///
    /// # Errors
    /// As the provider says.
    fn compute(&self, home: &Path, target: &Target) -> Result<Arc<dyn ComputeProvider>, ComputeError>;
    /// Opens the blob store of a home.
    ///
    /// # Errors
    /// As the store says.
    fn blobs(&self, home: &Path) -> Result<Arc<dyn BlobStore>, BlobError>;
    /// The folder of all attempts' folders, on this machine; each has the name that `AttemptId::folder_name` gives.
    fn attempts(&self, home: &Path) -> PathBuf;
}

/// How to open an engine.
pub struct Options {
    /// `$AGORA_HOME`.
    pub home: PathBuf,
    /// Who acts.
    pub providers: Arc<dyn Providers>,
    /// The machine under it; this one, unless a test is another.
    pub host: Arc<dyn Host>,
}

impl Options {
    /// A home with these providers, on this machine.
    #[must_use]
    pub fn new(home: PathBuf, providers: Arc<dyn Providers>) -> Self {
        Self { home, providers, host: Arc::new(ThisMachine) }
    }
}

/// What a store says of whose it is.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// The public keys in force by its log, the log's own under its origin's name.
    pub keys: Vec<KeyRecord>,
    /// The registry version that it accepted last.
    pub registry: Option<Seen>,
}

/// Why an engine does not open.
pub type OpenError = OpError;

/// One process's view of a home.
pub struct Engine {
    pub(crate) home: PathBuf,
    pub(crate) config: Arc<Config>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) journal: Journal,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) providers: Arc<dyn Providers>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) wake: Wake,
}

impl Engine {
    /// Opens a home that `agora-admin init` made. Drives nothing yet.
    ///
    /// # Errors
    /// A typed problem for a home that was not made, a folder that is somebody else's, a configuration with errors (all of
    /// them), keys that cannot be used, and a store that is newer, foreign, damaged, or cannot be written.
    pub async fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        let Options { home, providers, host } = options;
        if !home.is_dir() {
            let problem =
                Problem::new(Class::Operator, "home-missing", format!("there is no folder {}", home.display()));
            return Err(OpError::one(problem.hint(format!("run `agora-admin --home {} init`", home.display()))));
        }
        if let Some(problem) = home::foreign(&home) {
            return Err(OpError::one(problem));
        }
        let config = Config::load(&home, &Machine::this()).map_err(|error| OpError { problems: error.problems() })?;
        let keys = Keys::open(&home)?;
        let blobs = providers.blobs(&home)?;
        let origin = keys.origin().as_str().to_owned();
        let journal = Journal::open(&home.join(STORE_FILE), origin, Arc::clone(&host)).await?;
        // Which of two keys is in force while one is replaced, the log alone knows.
        let keys = Keys::in_force(&home, &open_log(&journal, &keys).await?)?;
        let hub = Arc::new(Hub::new(home.clone(), journal.clone(), Arc::clone(&blobs), Arc::clone(&host)));
        let wake = host.wake(&home);
        let (config, keys) = (Arc::new(config), Arc::new(keys));
        Ok(Arc::new(Self { home, config, keys, journal, blobs, providers, host, hub, wake }))
    }

    /// Starts to drive as soon as nobody else does, and goes on until the driver is stopped.
    #[must_use]
    pub fn drive(self: &Arc<Self>) -> Driver {
        let (sender, inputs) = mpsc::unbounded_channel();
        let parts = driver::Parts {
            journal: self.journal.clone(),
            keys: Arc::clone(&self.keys),
            config: Arc::clone(&self.config),
            world: self.world(sender),
            wake: self.wake.subscribe(),
            hub: Arc::clone(&self.hub),
        };
        driver::start(parts, inputs)
    }

    pub(crate) fn world(&self, inputs: mpsc::UnboundedSender<driver::Input>) -> World {
        World {
            home: self.home.clone(),
            providers: Arc::clone(&self.providers),
            blobs: Arc::clone(&self.blobs),
            host: Arc::clone(&self.host),
            inputs,
        }
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The configuration in force in this process.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether any run is open or not sealed yet.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn has_open_runs(&self) -> Result<bool, OpError> {
        Ok(self.journal.call(|ledger| ledger.any_unsealed()).await?)
    }

    /// The registry version that this store accepted last; none before the first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn registry_seen(&self) -> Result<Option<Seen>, OpError> {
        Ok(self.journal.call(|ledger| ledger.get_meta("registry.seen")).await?)
    }

    /// Whether there is a store in this home already, or something in its place.
    #[must_use]
    pub fn has_store(home: &Path) -> bool {
        std::fs::symlink_metadata(home.join(STORE_FILE)).is_ok()
    }

    /// What the store of this home says of whose it is; nothing when nothing was ever stored. Needs no key, so that a home
    /// whose keys were lost can be told.
    ///
    /// # Errors
    /// For a store that cannot be read.
    pub fn recorded(home: &Path) -> Result<Recorded, OpError> {
        if !Self::has_store(home) {
            return Ok(Recorded::default());
        }
        let (entries, registry) = recorded(&home.join(STORE_FILE))?;
        let mut entries = entries.into_iter().map(|entry| entry.record);
        let mut keys = match entries.next() {
            Some(LogRecord::LogOpened { keys, .. }) => keys,
            Some(_) => return Err(StoreError::Corrupt("the log does not start with its opening".to_owned()).into()),
            None => Vec::new(),
        };
        for record in entries {
            match record {
                LogRecord::KeyAdded(added) => keys.push(added),
                LogRecord::KeyRotated { name, key, .. } => {
                    keys.iter_mut().filter(|known| known.name == name).for_each(|known| known.key.clone_from(&key));
                }
                LogRecord::LogOpened { .. }
                | LogRecord::RunOpened { .. }
                | LogRecord::RunSealed { .. }
                | LogRecord::KeyRevoked { .. }
                | LogRecord::RegistryAccepted { .. }
                | LogRecord::RegistryRefused { .. }
                | LogRecord::AnchorReceipt { .. }
                | LogRecord::ClockJump { .. } => {}
            }
        }
        Ok(Recorded { keys, registry })
    }

    /// Whether the configuration wants a client that goes away to leave a driver behind.
    #[must_use]
    pub fn lingers(&self) -> bool {
        self.config.engine.linger
    }

    /// Whether some process holds the driver's lock now.
    #[must_use]
    pub fn driven(&self) -> bool {
        self.lock_held().unwrap_or(false)
    }

    /// The same, for who wants to know why nobody can.
    ///
    /// # Errors
    /// When something else stands in the lock's place, or it cannot be opened.
    pub fn lock_held(&self) -> Result<bool, OpError> {
        Ok(driver::is_held(&self.home)?)
    }
}

/// Opens the log of runs, once per store, and names a key of this home that it does not name yet. Returns what it says of keys.
async fn open_log(journal: &Journal, keys: &Keys) -> Result<KeyHistory, OpenError> {
    let mut records = Vec::new();
    for role in Role::ALL {
        let signer = keys.signer(role);
        records.push(key_record(signer.name(), role, "ed25519", &signer.public_key())?);
    }
    let second = match keys.attest_p256() {
        Some(key) => Some(key_record(key.name(), Role::Attest, "ecdsa-p256", key.point())?),
        None => None,
    };
    records.extend(second.clone());
    // A log whose opening cannot be read is damaged, and nothing is added to it here.
    let unnamed = move |said: &KeyHistory| {
        let lacks = |key: &KeyRecord| said.named(key.name.as_str()).next().is_none();
        second.clone().filter(|key| !said.keys().is_empty() && lacks(key))
    };
    let said = journal.call(move |ledger| {
        if ledger.log_opened()? {
            let said = ledger.key_history()?;
            if unnamed(&said).is_none() {
                return Ok(said);
            }
        }
        ledger.transact(|tx| {
            // Another process may have been faster.
            let said = tx.ledger().key_history()?;
            if !tx.ledger().log_opened()? {
                tx.log(&Stamp::engine(), LogRecord::LogOpened { format: Enc::encode("agora-log/v1"), keys: records })?;
            } else if let Some(key) = unnamed(&said) {
                tx.log(&Stamp::engine(), LogRecord::KeyAdded(key))?;
            }
            tx.ledger().key_history()
        })
    });
    Ok(said.await?)
}

fn key_record(name: &str, role: Role, alg: &str, key: &[u8]) -> Result<KeyRecord, StoreError> {
    let word = |text: &str| Word::new(text).map_err(|error| StoreError::Sqlite(error.to_string()));
    Ok(KeyRecord {
        name: Enc::encode(name),
        role: word(role.as_str())?,
        alg: word(alg)?,
        key: STANDARD.encode(key),
        custody: word("file")?,
    })
}
