//! The configuration: `agora.toml`, read whole, checked whole, never written here.
//!
//! It says *where* things happen (queues, executors, targets, workspaces); *what* may run is the registry's. A missing
//! file means the defaults, and the defaults are enough for everything. `file` reads the small files of the home folder
//! without following links; the registry and the keys are read through it too.

mod error;
pub mod file;
mod parse;
mod section;
mod settings;

pub use error::{CONFIG_CODES, ConfigError};
pub use parse::parse;
pub use settings::{CONFIG_FILE, Config, EngineSettings, Executor, Machine, Queue, Workspace};
