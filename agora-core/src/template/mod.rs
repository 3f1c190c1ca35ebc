//! Prompt templates: a subagent's text and an item's input become the message that the agent is told.
//!
//! The template is the operator's, the input is the caller's, and neither is the other: input is only ever a value, never
//! template text. A name that is not defined is an error, not an empty place. No includes, no imports, no files, no
//! macros; steps, sizes and the filters that could multiply input are bounded.

mod error;
mod filter;
mod message;
mod missing;
mod parse;

pub use error::TemplateError;
pub use message::{AgoraVars, MESSAGE_BYTES_MAX, add_answer, message_without_template};
pub use parse::{TEMPLATE_BYTES_MAX, Template};

#[cfg(test)]
mod tests;
