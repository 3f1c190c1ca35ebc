//! Why a command or a box could not be confined, and whose move that is.

use agora_core::error::{Class, Coded};
use agora_core::target::Profile;
use agora_core::worker::Reason;
use serde::{Deserialize, Serialize};

/// Why a command or a box could not be started, or was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JailError {
    /// A helper executable is not beside the running one.
    #[error("the helper {name} is not beside the running executable; looked for {looked}")]
    HelperMissing {
        /// Its file name.
        name: String,
        /// Where it was looked for, `, ` between.
        looked: String,
    },
    /// A helper executable that somebody else could have changed.
    #[error("the helper {path} is refused: {why}")]
    HelperUntrusted {
        /// Where it lies.
        path: String,
        /// Which rule it breaks.
        why: String,
    },
    /// The profile cannot be had.
    #[error("the profile {} cannot be had: {why}", profile.as_str())]
    Unavailable {
        /// Which.
        profile: Profile,
        /// What is missing.
        why: String,
    },
    /// A command that cannot be one.
    #[error("the command cannot be run as it is given: {0}")]
    BadSpec(String),
    /// The program does not exist.
    #[error("the program {0:?} is not there")]
    NotFound(String),
    /// The program exists and cannot be started.
    #[error("the program {program:?} cannot be started: {why}")]
    NotExecutable {
        /// Its name, as given.
        program: String,
        /// What the kernel says.
        why: String,
    },
    /// A step of the confinement failed; nothing was run.
    #[error("the jail could not be made: {step}: {why}")]
    Failed {
        /// Which step, and on which object.
        step: String,
        /// What the kernel says.
        why: String,
    },
    /// The helper ended without saying how the command ended. What it ran may still be there.
    #[error("the helper was lost: {0}")]
    Lost(String),
}

impl JailError {
    /// Makes a failed step of an I/O error.
    pub(crate) fn step(step: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self::Failed { step: step.into(), why: error.to_string() }
    }

    /// The reason of an attempt that fails by this.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unavailable { .. } => Reason::IsolationUnavailable,
            Self::NotFound(_) | Self::NotExecutable { .. } => Reason::RuntimeMissing,
            Self::HelperMissing { .. }
            | Self::HelperUntrusted { .. }
            | Self::BadSpec(_)
            | Self::Failed { .. }
            | Self::Lost(_) => Reason::JailFailed,
        }
    }
}

impl Coded for JailError {
    fn class(&self) -> Class {
        match self {
            Self::BadSpec(_) => Class::Caller,
            Self::HelperMissing { .. }
            | Self::HelperUntrusted { .. }
            | Self::Unavailable { .. }
            | Self::NotFound(_)
            | Self::NotExecutable { .. }
            | Self::Failed { .. } => Class::Operator,
            Self::Lost(_) => Class::Later,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::HelperMissing { .. } => "helper-missing",
            Self::HelperUntrusted { .. } => "helper-untrusted",
            Self::Unavailable { .. } => "isolation-unavailable",
            Self::BadSpec(_) => "command-invalid",
            Self::NotFound(_) => "program-missing",
            Self::NotExecutable { .. } => "program-not-executable",
            Self::Failed { .. } => "jail-failed",
            Self::Lost(_) => "jail-lost",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::HelperMissing { name, .. } => format!("install {name} in the folder of the running executable"),
            Self::HelperUntrusted { path, .. } => {
                format!("make root or yourself its owner and run `chmod go-w {path}`")
            }
            Self::Unavailable { .. } => {
                "name a profile that this machine gives in the target's `profiles`; `agora-admin doctor` lists them"
                    .to_owned()
            }
            Self::BadSpec(_) => "change the command, its environment or its folder".to_owned(),
            Self::NotFound(program) => format!("install {program}, or put its folder into the PATH of the env bundle"),
            Self::NotExecutable { program, .. } => {
                format!("make {program} a program of this machine, and its interpreter one that is there")
            }
            Self::Failed { .. } => "run `agora-admin doctor`; it shows what the machine refuses".to_owned(),
            Self::Lost(_) => "start the attempt again; if it recurs, look who ends agora-jail (memory?)".to_owned(),
        })
    }
}

/// What a helper process answers when it refuses. The same as [`JailError`], as far as a helper can know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// The profile cannot be had.
    Unavailable { profile: Profile, why: String },
    /// A command that cannot be one.
    BadSpec { why: String },
    /// The program does not exist.
    NotFound { program: String },
    /// The program exists and cannot be started.
    NotExecutable { program: String, why: String },
    /// A step failed.
    Failed { step: String, why: String },
}

impl Refusal {
    /// Makes a failed step of an I/O error.
    pub(crate) fn step(step: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self::Failed { step: step.into(), why: error.to_string() }
    }
}

impl From<Refusal> for JailError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unavailable { profile, why } => Self::Unavailable { profile, why },
            Refusal::BadSpec { why } => Self::BadSpec(why),
            Refusal::NotFound { program } => Self::NotFound(program),
            Refusal::NotExecutable { program, why } => Self::NotExecutable { program, why },
            Refusal::Failed { step, why } => Self::Failed { step, why },
        }
    }
}
