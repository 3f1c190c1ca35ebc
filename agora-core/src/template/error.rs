//! Why a template gave no message.

use minijinja::ErrorKind;

use super::message::MESSAGE_BYTES_MAX;
use super::parse::FUEL;
use crate::error::{Class, Coded};

/// Characters of the engine's own words that are shown: they may repeat input.
const DETAIL_CHARS_MAX: usize = 200;

/// Why a message could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template uses something that the input does not have.
    #[error("line {line} of the template uses a name or a member that is not defined")]
    Undefined {
        /// The line, from 1; 0 when it is not known.
        line: usize,
    },
    /// The template takes too many steps with this input.
    #[error("the template took more than template_fuel = {FUEL} steps")]
    Fuel,
    /// The message is too long.
    #[error("the message is over message_bytes_max = {MESSAGE_BYTES_MAX}")]
    TooLarge,
    /// Anything else: the input has another type than the template expects, or the template is wrong.
    #[error("line {line} of the template failed: {detail}")]
    Failed {
        /// The line, from 1; 0 when it is not known.
        line: usize,
        /// What happened, cut short.
        detail: String,
    },
}

impl Coded for TemplateError {
    fn class(&self) -> Class {
        Class::Caller
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Undefined { .. } => "input-missing",
            Self::Fuel => "template-fuel",
            Self::TooLarge => "message-too-large",
            Self::Failed { .. } => "template-failed",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Undefined { .. } => {
                    "give the missing input in workerInput; the catalog lists what the subagent expects"
                }
                Self::Fuel | Self::TooLarge => {
                    "give less in workerInput; large content belongs into inputRefs or the workspace"
                }
                Self::Failed { .. } => "compare workerInput with what the subagent expects, then the template with it",
            }
            .to_owned(),
        )
    }
}

pub(super) fn plain(text: &str) -> String {
    text.chars().take(DETAIL_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether an error means that the template itself is wrong, whatever the input.
pub(super) fn is_unknown_name(error: &minijinja::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction)
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        let line = error.line().unwrap_or(0);
        match error.kind() {
            ErrorKind::UndefinedError => Self::Undefined { line },
            ErrorKind::OutOfFuel => Self::Fuel,
            // Only the message's own writer fails, and only when it is full.
            ErrorKind::WriteFailure => Self::TooLarge,
            kind => Self::Failed { line, detail: plain(&format!("{kind}: {}", error.detail().unwrap_or("no detail"))) },
        }
    }
}
