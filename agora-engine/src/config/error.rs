//! Why a configuration is refused.

use std::path::PathBuf;

use agora_core::error::{Class, Coded, Problem};

use super::file::FileError;

/// The codes that a [`Problem`] of a configuration may have; all of class `operator`.
///
/// `config-syntax` not TOML · `config-key` an unknown key · `config-value` a wrong type or a value out of range ·
/// `config-reference` a name that nothing here defines · `config-unavailable` a key that this version does not have.
pub const CONFIG_CODES: [&str; 5] =
    ["config-syntax", "config-key", "config-value", "config-reference", "config-unavailable"];

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file says things it must not say: all of them, in the order of their lines.
    #[error("the configuration {} has {} {}; the first: {}", .path.display(), .problems.len(),
        if .problems.len() == 1 { "error" } else { "errors" }, first(.problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong with it, at least one.
        problems: Vec<Problem>,
    },
}

fn first(problems: &[Problem]) -> String {
    problems.first().map(ToString::to_string).unwrap_or_default()
}

impl ConfigError {
    /// Everything that is wrong, for those who show a list.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::File(error) => vec![error.problem()],
            Self::Invalid { problems, .. } => problems.clone(),
        }
    }
}

impl Coded for ConfigError {
    fn class(&self) -> Class {
        Class::Operator
    }
    fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::Invalid { .. } => "config-invalid",
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Invalid { path, problems } => Some(
                problems
                    .iter()
                    .find_map(|problem| problem.hint.clone())
                    .unwrap_or_else(|| format!("mend {} and try again", path.display())),
            ),
        }
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::File(error) => error.at(),
            Self::Invalid { problems, .. } => problems.first().and_then(|problem| problem.at.clone()),
        }
    }
}
