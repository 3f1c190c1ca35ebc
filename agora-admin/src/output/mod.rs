//! What is shown, and the only place that prints.
//!
//! | file | owns |
//! |---|---|
//! | `text` | lines, tables and quoted blocks, made of cells that are cleaned before they are shown |
//! | `field` | one value out of a reply, for `--field` |
//! | `screen` | standard output and standard error |

mod field;
mod screen;
mod text;

pub(crate) use field::Field;
pub(crate) use screen::{Format, OUTPUT_CLOSED, Output};
pub(crate) use text::{Cell, Line, Page, Style};
