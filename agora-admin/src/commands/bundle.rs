//! Writing a bundle into a file.

use std::io::{self, Write as _};
use std::path::Path;

use agora_core::error::{Class, Problem};
use agora_core::id::Digest;
use serde::Serialize;

use crate::error::Failure;
use crate::output::{Line, Page};

/// A bundle that was written.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    file: String,
    digest: Digest,
    size_bytes: u64,
}

impl Made {
    /// Shows where it is, and what an auditor does with it.
    pub(crate) fn show(&self, page: &mut Page) {
        page.blank();
        page.heading("bundle");
        page.line(Line::of(&self.file).indent(2));
        page.line(Line::of(self.digest.to_string()).indent(2));
        page.next(format!("agora-verify {} --policy TRUST.TOML", self.file));
    }
}

/// Writes a new file. Nothing is written over.
///
/// # Errors
/// `file-unwritable`.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<Made, Failure> {
    create(path, bytes)?;
    let file = path.display().to_string();
    Ok(Made { file, digest: Digest::of(bytes), size_bytes: bytes.len() as u64 })
}

/// Makes a new file of these bytes.
///
/// # Errors
/// `file-unwritable`, also where there is a file already.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::File::create_new(path).and_then(|mut file| file.write_all(bytes)).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let problem = Problem::new(Class::Caller, "file-unwritable", error.to_string()).at(path.display().to_string());
    let hint = match error.kind() {
        io::ErrorKind::AlreadyExists => "name a file that is not there: nothing is written over",
        _ => "name a file that you may write",
    };
    Failure::one(format!("write {}", path.display()), problem.hint(hint))
}
