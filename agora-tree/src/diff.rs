//! The patch between two trees, in agora's own headers, checked before it is handed out.
//!
//! libgit2 compares two buffers at a time: no repository, attribute or configuration is near. The headers are written
//! here, because its reader and others cut an unquoted name at its first space.

use std::collections::BTreeMap;

use agora_core::patch::{GitId, Patch, quote};
use agora_core::path::check_structure;
use agora_core::tree::{Mode, Node, Tree, TreePath};

use crate::apply::{PatchError, apply_over, blob_id, enc};
use crate::binary::BINARY_BYTES_MAX;
use crate::content::Content;
use crate::sparse::{Changes, View, differences};

/// A patch that has been made, and has proved to give its tree again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadePatch {
    /// The bytes: what the digest is over, and what reviewers are shown.
    pub bytes: Vec<u8>,
    /// How many paths it changes.
    pub files: u64,
    /// How many lines it adds.
    pub added: u64,
    /// How many lines it removes.
    pub removed: u64,
}

/// Makes the patch from `start` to `result`; `None` when there is no difference.
///
/// `content` has the bytes of both trees, as far as they differ. No renames; a file that becomes a link, or a link that
/// becomes a file, is a deletion and an addition. The patch is parsed again and applied to `start` before it is returned.
///
/// # Errors
/// [`PatchError`]; among them [`PatchError::Uncarried`] for a submodule's place that comes, goes or changes.
pub fn diff(start: &Tree, result: &Tree, content: &dyn Content) -> Result<Option<MadePatch>, PatchError> {
    let wanted = differences(start, result);
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    for (path, new) in &wanted {
        check_structure(path.as_bytes())?;
        let old = start.files.get(path).copied();
        let link = |node: &Node| node.mode == Mode::Link;
        match (old, *new) {
            (Some(old), Some(new)) if link(&old) != link(&new) => {
                write_change(&mut bytes, path, Some(old), None, content)?;
                write_change(&mut bytes, path, None, Some(new), content)?;
            }
            (old, new) => write_change(&mut bytes, path, old, new, content)?,
        }
    }
    let (added, removed) = check(&bytes, start, &wanted, content)?;
    Ok(Some(MadePatch { bytes, files: wanted.len() as u64, added, removed }))
}

/// Reads the patch as a stranger would, and applies it.
fn check(bytes: &[u8], start: &Tree, wanted: &Changes, content: &dyn Content) -> Result<(u64, u64), PatchError> {
    let patch = Patch::parse(bytes)?;
    let given = apply_over(&patch, View { base: start, changes: &Changes::new() }, content, &mut BTreeMap::new())?;
    let differs = wanted.keys().chain(given.keys()).find(|path| wanted.get(*path) != given.get(*path));
    differs.map_or(Ok((patch.added(), patch.removed())), |path| Err(PatchError::NotExact { path: enc(path) }))
}

fn write_change(
    out: &mut Vec<u8>,
    path: &TreePath,
    old: Option<Node>,
    new: Option<Node>,
    content: &dyn Content,
) -> Result<(), PatchError> {
    if old.iter().chain(&new).any(|node| node.mode == Mode::Gitlink) {
        return Err(PatchError::Uncarried { path: enc(path) });
    }
    let name = |prefix: &[u8]| quote(&[prefix, path.as_bytes()].concat());
    let (old_name, new_name) = (name(b"a/"), name(b"b/"));
    let line = |out: &mut Vec<u8>, parts: &[&[u8]]| {
        parts.iter().for_each(|part| out.extend_from_slice(part));
        out.push(b'\n');
    };
    let mode = |node: Node| format!("{:06o}", node.mode.git()).into_bytes();
    line(out, &[b"diff --git ", &old_name, b" ", &new_name]);
    match (old, new) {
        (None, Some(new)) => line(out, &[b"new file mode ", &mode(new)]),
        (Some(old), None) => line(out, &[b"deleted file mode ", &mode(old)]),
        (Some(old), Some(new)) if old.mode != new.mode => {
            line(out, &[b"old mode ", &mode(old)]);
            line(out, &[b"new mode ", &mode(new)]);
        }
        _ => {}
    }
    if old.map(|node| node.digest) == new.map(|node| node.digest) {
        return Ok(());
    }
    let bytes = |node: Option<Node>| node.map_or(Ok(Vec::new()), |node| side(path, node, content));
    let (old_bytes, new_bytes) = (bytes(old)?, bytes(new)?);
    let id = |node: Option<Node>, bytes: &[u8]| if node.is_some() { blob_id(bytes) } else { GitId::ZERO };
    let ids = format!("index {}..{}", id(old, &old_bytes), id(new, &new_bytes));
    match (old, new) {
        (Some(old), Some(new)) if old.mode == new.mode => line(out, &[ids.as_bytes(), b" ", &mode(old)]),
        _ => line(out, &[ids.as_bytes()]),
    }
    let body = body(path, &old_bytes, &new_bytes)?;
    if body.starts_with(b"@@ ") {
        line(out, &[b"--- ", if old.is_some() { &old_name } else { b"/dev/null" }]);
        line(out, &[b"+++ ", if new.is_some() { &new_name } else { b"/dev/null" }]);
    }
    out.extend(body);
    Ok(())
}

fn side(path: &TreePath, node: Node, content: &dyn Content) -> Result<Vec<u8>, PatchError> {
    if node.size_bytes > BINARY_BYTES_MAX as u64 {
        return Err(PatchError::TooLarge { path: enc(path), limit: BINARY_BYTES_MAX as u64 });
    }
    Ok(content.read(&node.digest)?)
}

/// The hunks, or the binary content, as libgit2 writes them, without its headers.
fn body(path: &TreePath, old: &[u8], new: &[u8]) -> Result<Vec<u8>, PatchError> {
    if old == new {
        return Ok(Vec::new());
    }
    let failed = |error: git2::Error| PatchError::Diff { path: enc(path), message: error.message().to_owned() };
    let mut options = git2::DiffOptions::new();
    options.context_lines(3).interhunk_lines(0).show_binary(true).id_abbrev(40);
    // A plain name: the real one is written in the headers of our own.
    let name = Some(std::path::Path::new("x"));
    let mut made = git2::Patch::from_buffers(old, name, new, name, Some(&mut options)).map_err(failed)?;
    let text = made.to_buf().map_err(failed)?;
    let mut at = 0;
    for line in text.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b"@@ ") {
            return Ok(text[at..].to_vec());
        }
        if line.starts_with(b"GIT binary patch") {
            let mut body = text[at..].to_vec();
            while !body.ends_with(b"\n\n") {
                body.push(b'\n');
            }
            return Ok(body);
        }
        at += line.len();
    }
    Err(PatchError::NotExact { path: enc(path) })
}
