//! What every artifact must hold to. A check returns all problems at once, each with a place in the artifact.
//!
//! Two questions are kept apart. `check`: is this well-formed, safe and within its caps? It is asked whenever an artifact
//! is read. `credentials`: does this hold a secret in plain sight? It is asked only of what enters, so that a new pattern
//! of the scanner never makes a registered artifact unreadable.

mod capability;
mod credential;
mod env;
mod field;
mod pipeline;
mod subagent;

pub use capability::{CAPABILITY_BYTES_MAX, CAPABILITY_FILES_MAX, check_file};
pub use credential::{PROMPT_BYTES_MAX, check_text, credentials};
pub use env::{ENV_BYTES_MAX, ENV_SECRETS_MAX, ENV_VALUE_BYTES_MAX, ENV_VALUES_MAX, env_name_refused, unsupported};
pub use field::{ABOUT_BYTES_MAX, ARG_BYTES_MAX, ARGS_MAX, COMMAND_SECONDS_MAX, over};
pub use pipeline::PIPELINE_BLOCKS_MAX;
pub use subagent::{MODEL_BYTES_MAX, SUBAGENT_BUNDLES_MAX, SUBAGENT_CAPABILITIES_MAX};
