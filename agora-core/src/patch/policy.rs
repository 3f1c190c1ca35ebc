//! The patch policy: what fails a patch, and what a reviewer is shown.
//!
//! Run at capture, when the engine accepts, and at `apply`; each time over the parsed patch and the two trees.

use std::collections::{BTreeMap, BTreeSet};

use super::flag::{by_name, deceives};
use super::folded::Folded;
use super::link::leads_out;
use super::repository::{configures_git, is_config, within_repositories};
use super::{Body, FilePatch, GIT_EXEC, GIT_FILE, GIT_GITLINK, GIT_LINK, PATCH_BYTES_MAX, PATCH_FILES_MAX, Patch};
use crate::error::{Class, Coded};
use crate::id::{Digest, Enc};
use crate::path::{self, Rule, Scope};
use crate::scan;
use crate::tree::{Mode, Node, Tree, TreePath};

/// The most refusals that are kept: a hostile patch earns no longer report.
const REFUSED_MAX: usize = 1_000;

/// How much a patch may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchLimits {
    /// The largest patch in bytes.
    pub bytes_max: u64,
    /// The most changes.
    pub files_max: u64,
}

impl Default for PatchLimits {
    /// 8 MiB and 2,000 files: more than a person reviews.
    fn default() -> Self {
        Self { bytes_max: 8 << 20, files_max: 2_000 }
    }
}

/// Gives verified bytes by digest; `None` when it has none.
pub type ReadBytes<'a> = dyn Fn(&Digest) -> Option<Vec<u8>> + 'a;
/// Says whether bytes hold a secret of the attempt in any form.
pub type FindSecret<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// What the policy judges a patch by.
pub struct Context<'a> {
    /// The tree the patch is made on.
    pub start: &'a Tree,
    /// The tree it gives.
    pub result: &'a Tree,
    /// Verified bytes by digest, of both trees; asked for the links of the trees and for what the patch changes.
    pub content: &'a ReadBytes<'a>,
    /// The limits of the attempt.
    pub limits: PatchLimits,
    /// Whether bytes hold a secret of the attempt in any form; `None` where no secret is known.
    pub secret: Option<&'a FindSecret<'a>>,
}

/// One reason why a patch is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the patch is refused at {}: {detail}", .path.as_ref().map_or("the whole", Enc::as_str))]
pub struct Refused {
    /// The stable code.
    pub code: &'static str,
    /// The path, if it is one path's fault.
    pub path: Option<Enc>,
    /// What is wrong, in words.
    pub detail: String,
}

impl Coded for Refused {
    fn class(&self) -> Class {
        Class::Caller
    }
    fn code(&self) -> &'static str {
        self.code
    }
    fn hint(&self) -> Option<String> {
        Some(
            match self.code {
                "patch-too-large" => "change less in one item, or raise patch_mib up to 64",
                "patch-link-target" => "make links relative, to places inside the tree",
                "patch-mode" => "only regular files, executable files and symbolic links are carried",
                "secret-in-patch" => "rotate the secret, and deliver it by broker",
                _ => "look at the patch with `result`; it is kept as evidence",
            }
            .to_owned(),
        )
    }
    fn at(&self) -> Option<String> {
        self.path.as_ref().map(Enc::to_string)
    }
}

/// What the policy says of a patch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Why it is refused; empty: it is not.
    pub refused: Vec<Refused>,
    /// Kind of flag to the paths that have it, sorted.
    pub flags: BTreeMap<&'static str, Vec<Enc>>,
}

impl Verdict {
    /// Whether the patch fails.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        !self.refused.is_empty()
    }
}

/// Judges a patch.
#[must_use]
pub fn policy(patch: &Patch<'_>, context: &Context<'_>) -> Verdict {
    let mut judge = Judge { context, refused: Vec::new(), flags: BTreeMap::new() };
    judge.limits(patch);
    judge.twice(patch);
    for file in &patch.files {
        judge.file(file);
    }
    judge.links(patch);
    judge.case_collisions(patch);
    judge.repositories(patch);
    let flags = judge
        .flags
        .into_iter()
        .map(|(kind, paths)| (kind, paths.into_iter().map(|path| Enc::encode_bytes(path.as_bytes())).collect()));
    Verdict { refused: judge.refused, flags: flags.collect() }
}

struct Judge<'a> {
    context: &'a Context<'a>,
    refused: Vec<Refused>,
    flags: BTreeMap<&'static str, BTreeSet<TreePath>>,
}

impl Judge<'_> {
    fn refuse(&mut self, code: &'static str, path: Option<&TreePath>, detail: impl Into<String>) {
        if self.refused.len() < REFUSED_MAX {
            let path = path.map(|path| Enc::encode_bytes(path.as_bytes()));
            self.refused.push(Refused { code, path, detail: detail.into() });
        }
    }

    fn flag(&mut self, kind: &'static str, path: &TreePath) {
        self.flags.entry(kind).or_default().insert(path.clone());
    }

    fn limits(&mut self, patch: &Patch<'_>) {
        let bytes_max = self.context.limits.bytes_max.min(PATCH_BYTES_MAX);
        let files_max = self.context.limits.files_max.min(PATCH_FILES_MAX as u64);
        if patch.size_bytes > bytes_max {
            self.refuse("patch-too-large", None, format!("{} bytes, the limit is {bytes_max}", patch.size_bytes));
        }
        if patch.files.len() as u64 > files_max {
            self.refuse("patch-too-large", None, format!("{} changes, the limit is {files_max}", patch.files.len()));
        }
    }

    /// A path stands once, but for a deletion with an addition of another type after it.
    fn twice(&mut self, patch: &Patch<'_>) {
        let mut seen: BTreeMap<&TreePath, Vec<&FilePatch<'_>>> = BTreeMap::new();
        for file in &patch.files {
            seen.entry(&file.path).or_default().push(file);
        }
        for (path, files) in seen {
            let fine = match files.as_slice() {
                [_] => true,
                [FilePatch { old: Some(old), new: None, .. }, FilePatch { old: None, new: Some(new), .. }] => {
                    (old.mode == GIT_LINK) != (new.mode == GIT_LINK)
                }
                _ => false,
            };
            if !fine {
                self.refuse("patch-path-twice", Some(path), "it stands in the patch twice");
            }
        }
    }

    fn file(&mut self, file: &FilePatch<'_>) {
        let path = &file.path;
        if let Err(refusal) = path::check(path.as_bytes(), Scope::Workspace) {
            self.refuse("path-refused", Some(path), format!("it breaks the rule {}", refusal.rule));
        }
        for side in [file.old, file.new].into_iter().flatten() {
            match side.mode {
                GIT_FILE | GIT_EXEC | GIT_LINK => {}
                GIT_GITLINK => self.refuse("patch-gitlink", Some(path), "it is a submodule's place"),
                mode => self.refuse("patch-mode", Some(path), format!("it has the mode {mode:06o}")),
            }
        }
        self.place(file);
        self.flags_of(file);
        self.content(file);
    }

    /// What is there afterwards must lie in folders alone.
    fn place(&mut self, file: &FilePatch<'_>) {
        if file.new.is_none() {
            return;
        }
        let files = &self.context.result.files;
        let bytes = file.path.as_bytes();
        let above = bytes
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'/')
            .find_map(|(at, _)| files.get(&TreePath::new(&bytes[..at])).map(|node| node.mode));
        let below = TreePath::new([bytes, b"/"].concat());
        let has_below = files.range(below..).next().is_some_and(|(next, _)| {
            next.as_bytes().strip_prefix(bytes).is_some_and(|rest| rest.first() == Some(&b'/'))
        });
        if above == Some(Mode::Link) {
            self.refuse("patch-beyond-link", Some(&file.path), "it lies beyond a symbolic link");
        } else if above.is_some() || has_below {
            self.refuse("path-refused", Some(&file.path), format!("it breaks the rule {}", Rule::FileAndFolder));
        }
    }

    fn flags_of(&mut self, file: &FilePatch<'_>) {
        let path = &file.path;
        for kind in by_name(path) {
            self.flag(kind, path);
        }
        match path.as_str() {
            None => self.flag("name-not-utf-8", path),
            Some(text) if text.chars().any(deceives) => self.flag("bidi-name", path),
            Some(_) => {}
        }
        let mode = |side: Option<super::Side>| side.map(|side| side.mode);
        if mode(file.new) == Some(GIT_EXEC) && mode(file.old) != Some(GIT_EXEC) {
            self.flag("exec-bit", path);
        }
        if mode(file.new) == Some(GIT_LINK) {
            self.flag("symlink", path);
        }
    }

    /// Looks into what is added: deceiving characters, credentials, the attempt's own secrets.
    fn content(&mut self, file: &FilePatch<'_>) {
        let path = &file.path;
        let added: Vec<u8> = file.added_lines().collect::<Vec<_>>().concat();
        if String::from_utf8_lossy(&added).chars().any(deceives) {
            self.flag("bidi-text", path);
        }
        let node = self.context.result.files.get(path).filter(|_| file.new.is_some());
        let whole = node.filter(|_| file.is_binary() || self.context.secret.is_some());
        let bytes = whole.map(|node| (self.context.content)(&node.digest));
        let found = match &bytes {
            Some(Some(bytes)) if file.is_binary() => scan::scan(bytes),
            _ => scan::scan(&added),
        };
        if !found.is_empty() {
            self.flag("credential", path);
        }
        if bytes == Some(None) {
            self.refuse("patch-unreadable", Some(path), "what it becomes cannot be read");
        }
        if let Some(secret) = self.context.secret {
            let parts = [path.as_bytes(), &added, bytes.as_ref().and_then(Option::as_deref).unwrap_or_default()];
            if parts.into_iter().any(secret) {
                self.refuse("secret-in-patch", Some(path), "it holds a secret of the attempt");
            }
        }
    }

    /// Every link of the result that leads out and did not before: a link may be turned by changing another.
    fn links(&mut self, patch: &Patch<'_>) {
        let touches =
            |file: &FilePatch<'_>| [file.old, file.new].into_iter().flatten().any(|side| side.mode == GIT_LINK);
        if !patch.files.iter().any(touches) {
            return;
        }
        let (start, result) = (self.context.start, self.context.result);
        let is_link = |(_, node): &(&TreePath, &Node)| node.mode == Mode::Link;
        let found: Vec<(&TreePath, &'static str)> = result
            .files
            .iter()
            .filter(is_link)
            .filter_map(|(path, node)| {
                let why = leads_out(path, result, &self.targets(result))?;
                let before =
                    start.files.get(path) == Some(node) && leads_out(path, start, &self.targets(start)).is_some();
                (!before).then_some((path, why))
            })
            .collect();
        for (path, why) in found {
            self.refuse("patch-link-target", Some(path), format!("the link is refused: {why}"));
        }
    }

    fn targets<'t>(&'t self, tree: &'t Tree) -> impl Fn(&TreePath) -> Option<Vec<u8>> + 't {
        move |path| tree.files.get(path).and_then(|node| (self.context.content)(&node.digest))
    }

    /// Flags added paths that another spelling in the result meets after lower-casing, as files or as folders.
    fn case_collisions(&mut self, patch: &Patch<'_>) {
        let added = patch.files.iter().filter(|file| file.old.is_none() && file.new.is_some()).map(|file| &file.path);
        let mut folded = Folded::new(path::fold);
        let added: Vec<(&TreePath, Vec<usize>)> = added.map(|path| (path, folded.add(path))).collect();
        if added.is_empty() {
            return;
        }
        // Two spellings of a folder make a collision of all below it, so that names can be compared one by one.
        let mut spellings: BTreeMap<usize, BTreeSet<&[u8]>> = BTreeMap::new();
        for path in self.context.result.files.keys().chain(added.iter().map(|(path, _)| *path)) {
            folded.walk(path, |_, name, _, number| {
                if let Some(number) = number {
                    spellings.entry(number).or_default().insert(name);
                }
            });
        }
        for (path, numbers) in added {
            if numbers.iter().any(|number| spellings.get(number).is_some_and(|known| known.len() > 1)) {
                self.flag("case-collision", path);
            }
        }
    }

    /// Flags what git would obey in a folder that has no `.git` and is a repository all the same.
    fn repositories(&mut self, patch: &Patch<'_>) {
        for path in within_repositories(patch, self.context.result) {
            self.flag("git-config", path);
        }
        for file in patch.files.iter().filter(|file| file.new.is_some() && is_config(&file.path)) {
            let node = self.context.result.files.get(&file.path);
            let bytes = node.and_then(|node| (self.context.content)(&node.digest));
            // What cannot be read is not known to be harmless.
            if bytes.is_none_or(|bytes| configures_git(&bytes)) {
                self.flag("git-config", &file.path);
            }
        }
    }
}

impl Body<'_> {
    /// Whether there is nothing to it.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
