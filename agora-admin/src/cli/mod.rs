//! What every verb starts from: the command line, the home, who calls, and what the environment says.
//!
//! | file | owns |
//! |---|---|
//! | `arguments` | the verbs and what is common to them |
//! | `tool` | calls of tools that the engine names, as verbs |
//! | `usage` | a command line that cannot be read, as an error like all others |
//! | `context` | the home, the engine, the caller |
//! | `identity` | the operating system's user |
//! | `providers` | agora's own providers, as the engine asks for them |
//! | `input` | files, standard input and JSON that arguments name |
//! | `signals` | SIGINT and SIGTERM |
//! | `detach` | a driver that goes on after this process |
//! | `logs` | what the program logs |

mod arguments;
mod context;
pub(crate) mod detach;
mod identity;
pub(crate) mod input;
pub(crate) mod logs;
mod providers;
pub(crate) mod signals;
pub(crate) mod tool;
pub(crate) mod usage;

pub(crate) use arguments::{Cli, Verb};
pub(crate) use context::{Context, now};
