//! The path policy: which relative paths may be written below a root, whoever named them.
//!
//! One pure function for all sides: capabilities at register and again at overlay, input keys, output names, the paths of
//! patches and trees. A path is judged by its bytes alone, for every system it may be written on: a name that is harmless
//! here and `.git` on a disk that folds case is refused here too. Whether a path *exists*, or lies behind a link, is for
//! whoever opens it (`openat2`, one component at a time).

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Class, Coded};
use crate::id::Enc;

/// The longest component in bytes: what Linux file systems hold (`NAME_MAX`).
pub const COMPONENT_BYTES_MAX: usize = 255;
/// The longest path of a capability, an input or an output in bytes: room to lie below a long root on any system.
pub const PATH_BYTES_MAX: usize = 1_024;
/// The longest path of a tree or patch in bytes (`PATH_MAX`).
pub const WORKSPACE_PATH_BYTES_MAX: usize = 4_096;
/// The most components of a path: what a walk holds open at the same time.
pub const DEPTH_MAX: usize = 256;

/// What a path is for; it decides how long it may be and which folders are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A file of a capability: 1,024 bytes; `.agora/`, `inputs/` and `outputs/` are taken.
    Capability,
    /// A path of a tree or a patch: 4,096 bytes; only `.agora/` is taken. Bytes that are not UTF-8 are flagged elsewhere,
    /// not refused, and so are names that differ in case alone.
    Workspace,
    /// The key of an input, below `inputs/`.
    Input,
    /// The name of an output, below `outputs/`.
    Output,
}

/// The rule of the path policy that a path breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// No path at all.
    Empty,
    /// Starts with a slash.
    Absolute,
    /// Two slashes in a row, or one at the end.
    EmptyComponent,
    /// A component `.` or `..`.
    DotComponent,
    /// A backslash: a separator elsewhere.
    Backslash,
    /// A NUL byte.
    Nul,
    /// A control character.
    Control,
    /// Not UTF-8.
    NotUtf8,
    /// A component over 255 bytes.
    ComponentTooLong,
    /// A path over the limit of its scope.
    PathTooLong,
    /// More than 256 components.
    TooDeep,
    /// A component that ends with a dot or a space: Windows drops them.
    TrailingDotOrSpace,
    /// A device name of Windows.
    DeviceName,
    /// `.git` in any disguise.
    Git,
    /// Under a folder that agora itself uses.
    Reserved,
    /// The same path twice.
    Twice,
    /// Equal to another path after lower-casing.
    CaseCollision,
    /// A path that is both a file and a folder.
    FileAndFolder,
}

impl Rule {
    /// Every rule.
    pub const ALL: &'static [Self] = &[
        Self::Empty,
        Self::Absolute,
        Self::EmptyComponent,
        Self::DotComponent,
        Self::Backslash,
        Self::Nul,
        Self::Control,
        Self::NotUtf8,
        Self::ComponentTooLong,
        Self::PathTooLong,
        Self::TooDeep,
        Self::TrailingDotOrSpace,
        Self::DeviceName,
        Self::Git,
        Self::Reserved,
        Self::Twice,
        Self::CaseCollision,
        Self::FileAndFolder,
    ];

    /// The rule's stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Absolute => "absolute",
            Self::EmptyComponent => "empty-component",
            Self::DotComponent => "dot-component",
            Self::Backslash => "backslash",
            Self::Nul => "nul",
            Self::Control => "control-character",
            Self::NotUtf8 => "not-utf-8",
            Self::ComponentTooLong => "component-too-long",
            Self::PathTooLong => "path-too-long",
            Self::TooDeep => "too-deep",
            Self::TrailingDotOrSpace => "trailing-dot-or-space",
            Self::DeviceName => "device-name",
            Self::Git => "git-folder",
            Self::Reserved => "reserved-folder",
            Self::Twice => "twice",
            Self::CaseCollision => "case-collision",
            Self::FileAndFolder => "file-and-folder",
        }
    }

    /// Whether the path could lead out of its root, or be taken for a repository, on *this* system: what not even a base
    /// tree may hold. The other rules are about other systems and about clarity; a repository may break them.
    #[must_use]
    pub fn is_structural(self) -> bool {
        match self {
            Self::Empty
            | Self::Absolute
            | Self::EmptyComponent
            | Self::DotComponent
            | Self::Nul
            | Self::ComponentTooLong
            | Self::PathTooLong
            | Self::TooDeep
            | Self::Git
            | Self::Twice
            | Self::FileAndFolder => true,
            Self::Backslash
            | Self::Control
            | Self::NotUtf8
            | Self::TrailingDotOrSpace
            | Self::DeviceName
            | Self::Reserved
            | Self::CaseCollision => false,
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A path that the path policy refuses, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path {path} breaks the rule {rule}")]
pub struct Refusal {
    /// The path, percent-encoded.
    pub path: Enc,
    /// The rule.
    pub rule: Rule,
}

impl Coded for Refusal {
    fn class(&self) -> Class {
        Class::Caller
    }
    fn code(&self) -> &'static str {
        "path-refused"
    }
    fn hint(&self) -> Option<String> {
        Some(match self.rule {
            Rule::CaseCollision | Rule::Twice | Rule::FileAndFolder => "rename one of the two paths".to_owned(),
            Rule::Reserved => "choose another folder: .agora/, inputs/ and outputs/ are agora's own".to_owned(),
            Rule::Git => "leave repositories out: .git is never carried, under any spelling".to_owned(),
            _ => "rename the path so that it is plain, relative and short".to_owned(),
        })
    }
    fn at(&self) -> Option<String> {
        Some(self.path.to_string())
    }
}

/// Checks one path.
///
/// # Errors
/// [`Refusal`] with the first rule that it breaks.
pub fn check(path: &[u8], scope: Scope) -> Result<(), Refusal> {
    first_broken(path, scope).map_or(Ok(()), |rule| Err(Refusal { path: Enc::encode_bytes(path), rule }))
}

/// Checks a path of a base tree: only the rules that are [structural](Rule::is_structural).
///
/// # Errors
/// [`Refusal`] with the first such rule that it breaks.
pub fn check_structure(path: &[u8]) -> Result<(), Refusal> {
    let rule = whole_path(path, WORKSPACE_PATH_BYTES_MAX)
        .or_else(|| path.split(|b| *b == b'/').find_map(|part| structural_component(part, true)));
    rule.map_or(Ok(()), |rule| Err(Refusal { path: Enc::encode_bytes(path), rule }))
}

/// Checks each path, and all of them against each other: none twice, none equal to another after lower-casing (in
/// [`Scope::Workspace`] that is a flag, see `case_collisions`), none both file and folder.
///
/// # Errors
/// All refusals at once, in the order of the paths given.
pub fn check_set<'a>(paths: impl IntoIterator<Item = &'a [u8]>, scope: Scope) -> Result<(), Vec<Refusal>> {
    let paths: Vec<&[u8]> = paths.into_iter().collect();
    let key = |path: &[u8]| if scope == Scope::Workspace { path.to_vec() } else { fold(path) };
    let mut count: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut folders: BTreeSet<Vec<u8>> = BTreeSet::new();
    for path in &paths {
        let key = key(path);
        for (at, _) in key.iter().enumerate().filter(|(_, b)| **b == b'/') {
            folders.insert(key[..at].to_vec());
        }
        *count.entry(key).or_default() += 1;
    }
    let mut refused = Vec::new();
    let mut seen = BTreeSet::new();
    for path in &paths {
        let key = key(path);
        let rule = first_broken(path, scope).or_else(|| {
            if !seen.insert(*path) {
                Some(Rule::Twice)
            } else if count.get(&key).is_some_and(|n| *n > 1) && scope != Scope::Workspace {
                Some(Rule::CaseCollision)
            } else {
                folders.contains(&key).then_some(Rule::FileAndFolder)
            }
        });
        refused.extend(rule.map(|rule| Refusal { path: Enc::encode_bytes(path), rule }));
    }
    if refused.is_empty() { Ok(()) } else { Err(refused) }
}

/// Returns the lower-case form under which two paths are the same on a disk that folds case.
#[must_use]
pub fn fold(path: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(path) {
        Ok(text) => text.to_lowercase().into_bytes(),
        Err(_) => path.to_ascii_lowercase(),
    }
}

/// Whether a name is `.git`, or may be taken for it: by a disk that folds case, by HFS+ (which ignores some characters) or
/// by NTFS (short names, streams, trailing dots and spaces).
#[must_use]
pub fn is_git(component: &[u8]) -> bool {
    let plain = undisguise(component);
    plain == ".git"
        || plain.strip_prefix("git~").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn first_broken(path: &[u8], scope: Scope) -> Option<Rule> {
    let max = if scope == Scope::Workspace { WORKSPACE_PATH_BYTES_MAX } else { PATH_BYTES_MAX };
    whole_path(path, max)
        .or_else(|| (scope != Scope::Workspace && std::str::from_utf8(path).is_err()).then_some(Rule::NotUtf8))
        .or_else(|| path.split(|b| *b == b'/').find_map(component))
        .or_else(|| reserved(path, scope))
}

fn whole_path(path: &[u8], max: usize) -> Option<Rule> {
    if path.is_empty() {
        Some(Rule::Empty)
    } else if path[0] == b'/' {
        Some(Rule::Absolute)
    } else if path.len() > max {
        Some(Rule::PathTooLong)
    } else if path.iter().filter(|b| **b == b'/').count() >= DEPTH_MAX {
        Some(Rule::TooDeep)
    } else {
        None
    }
}

fn structural_component(part: &[u8], nul: bool) -> Option<Rule> {
    if part.is_empty() {
        Some(Rule::EmptyComponent)
    } else if part == b"." || part == b".." {
        Some(Rule::DotComponent)
    } else if nul && part.contains(&0) {
        Some(Rule::Nul)
    } else if part.len() > COMPONENT_BYTES_MAX {
        Some(Rule::ComponentTooLong)
    } else if is_git(part) {
        Some(Rule::Git)
    } else {
        None
    }
}

fn component(part: &[u8]) -> Option<Rule> {
    if let Some(rule) = structural_component(part, true) {
        return Some(rule);
    }
    let text = String::from_utf8_lossy(part);
    if part.contains(&b'\\') {
        Some(Rule::Backslash)
    } else if text.chars().any(char::is_control) {
        Some(Rule::Control)
    } else if part.ends_with(b".") || part.ends_with(b" ") {
        Some(Rule::TrailingDotOrSpace)
    } else if is_device(&text) {
        Some(Rule::DeviceName)
    } else {
        None
    }
}

fn reserved(path: &[u8], scope: Scope) -> Option<Rule> {
    let top = undisguise(path.split(|b| *b == b'/').next()?);
    let taken = match scope {
        Scope::Capability => top == ".agora" || top == "inputs" || top == "outputs",
        Scope::Workspace | Scope::Input | Scope::Output => top == ".agora",
    };
    taken.then_some(Rule::Reserved)
}

/// The characters that HFS+ ignores in names, as git lists them (git, utf8.c, `next_hfs_char`).
fn hfs_ignores(c: char) -> bool {
    matches!(c, '\u{200C}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{206A}'..='\u{206F}' | '\u{FEFF}')
}

/// What is left of a name when every file system has had its way with it.
pub(crate) fn undisguise(component: &[u8]) -> String {
    // Upper case first: disks that fold case fully take a long s for an s, and a ligature for its letters.
    let text: String = String::from_utf8_lossy(component)
        .chars()
        .filter(|c| !hfs_ignores(*c))
        .map(|c| if c == '\u{130}' { 'i' } else { c })
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    let text = text.split([':', '\\']).next().unwrap_or_default();
    text.trim_end_matches(['.', ' ']).to_owned()
}

fn is_device(text: &str) -> bool {
    let stem = text.split(['.', ':']).next().unwrap_or_default().trim_end().to_lowercase();
    if matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$") {
        return true;
    }
    let number = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    number.is_some_and(|n| {
        let mut chars = n.chars();
        matches!((chars.next(), chars.next()), (Some('0'..='9' | '\u{B9}' | '\u{B2}' | '\u{B3}'), None))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(path: &[u8], scope: Scope) -> Option<Rule> {
        check(path, scope).err().map(|refusal| refusal.rule)
    }

    #[test]
    fn each_rule_refuses_its_own_and_a_neighbour_passes() {
        let cases: &[(&[u8], Rule, &[u8])] = &[
            (b"", Rule::Empty, b"a"),
            (b"/etc/passwd", Rule::Absolute, b"etc/passwd"),
            (b"a//b", Rule::EmptyComponent, b"a/b"),
            (b"a/", Rule::EmptyComponent, b"a"),
            (b"a/../b", Rule::DotComponent, b"a/..b"),
            (b"./a", Rule::DotComponent, b".a"),
            (b"a\\b", Rule::Backslash, b"a-b"),
            (b"a\0b", Rule::Nul, b"ab"),
            (b"a\rb", Rule::Control, b"a b"),
            ("a\u{85}b".as_bytes(), Rule::Control, "a\u{E9}b".as_bytes()),
            (b"a\x7F", Rule::Control, b"a~"),
            (b"a\xFF", Rule::NotUtf8, "a\u{FF}".as_bytes()),
            (b"a./b", Rule::TrailingDotOrSpace, b"a.b/b"),
            (b"a /b", Rule::TrailingDotOrSpace, b"a b/b"),
            (b"src/AUX.c", Rule::DeviceName, b"src/auxiliary.c"),
            (b"com1", Rule::DeviceName, b"com10"),
            ("lpt\u{B2}.txt".as_bytes(), Rule::DeviceName, b"lptx.txt"),
            (b".agora/x", Rule::Reserved, b"a/.agora/x"),
            (b".AGORA", Rule::Reserved, b".agora2"),
            (b"inputs/x", Rule::Reserved, b"src/inputs/x"),
            (b"Outputs/x", Rule::Reserved, b"output/x"),
            ("input\u{17F}/x".as_bytes(), Rule::Reserved, "input\u{15F}/x".as_bytes()),
        ];
        for (refused, why, allowed) in cases {
            assert_eq!(rule(refused, Scope::Capability), Some(*why), "{:?}", Enc::encode_bytes(refused));
            assert_eq!(rule(allowed, Scope::Capability), None, "{:?}", Enc::encode_bytes(allowed));
        }
    }

    #[test]
    fn git_in_any_disguise_is_refused_and_its_neighbours_are_not() {
        for name in [
            ".git",
            ".GIT",
            ".gIt",
            ".git.",
            ".git ",
            ".git. .",
            ".g\u{200C}it",
            "\u{FEFF}.git",
            ".gi\u{206F}t",
            "git~1",
            "GIT~1",
            "git~2",
            "git~10",
            ".git::$INDEX_ALLOCATION",
            ".git:stream",
            ".git\\config",
            ".g\u{131}t",
        ] {
            for path in [name.to_owned(), format!("a/{name}/config")] {
                assert_eq!(rule(path.as_bytes(), Scope::Workspace), Some(Rule::Git), "{path:?}");
                assert_eq!(check_structure(path.as_bytes()).map_err(|r| r.rule), Err(Rule::Git), "{path:?}");
            }
        }
        for path in
            [".gitignore", "git", "git/config", ".github/x", "git~", "git~x", "a.git", ".gitattributes", "dotgit"]
        {
            assert_eq!(rule(path.as_bytes(), Scope::Workspace), None, "{path:?}");
        }
    }

    #[test]
    fn lengths_at_their_boundary_and_one_beyond() {
        assert_eq!(rule(&[b'a'; 255], Scope::Capability), None);
        assert_eq!(rule(&[b'a'; 256], Scope::Capability), Some(Rule::ComponentTooLong));
        let long = |n: usize| (0..n).map(|i| if i % 100 == 99 { b'/' } else { b'a' }).collect::<Vec<u8>>();
        for (scope, max) in
            [(Scope::Capability, 1_024), (Scope::Input, 1_024), (Scope::Output, 1_024), (Scope::Workspace, 4_096)]
        {
            assert_eq!(rule(&long(max), scope), None);
            assert_eq!(rule(&long(max + 1), scope), Some(Rule::PathTooLong));
        }
        let deep = |n: usize| vec!["a"; n].join("/");
        assert_eq!(rule(deep(256).as_bytes(), Scope::Workspace), None);
        assert_eq!(rule(deep(257).as_bytes(), Scope::Workspace), Some(Rule::TooDeep));
    }

    #[test]
    fn scopes_differ_only_where_they_say() {
        assert_eq!(rule(b"inputs/x", Scope::Workspace), None);
        assert_eq!(rule(b"outputs/x", Scope::Output), None);
        assert_eq!(rule(b".agora/x", Scope::Workspace), Some(Rule::Reserved));
        assert_eq!(rule(b"a\xFF", Scope::Workspace), None);
        assert_eq!(rule(b"a\xFF", Scope::Input), Some(Rule::NotUtf8));
        assert!(check_structure(b"drivers/aux.c").is_ok());
        assert!(check_structure(b"a\\b").is_ok());
    }

    fn set(paths: &[&str], scope: Scope) -> Vec<(String, Rule)> {
        let refused = check_set(paths.iter().map(|p| p.as_bytes()), scope).err().unwrap_or_default();
        refused.into_iter().map(|r| (r.path.to_string(), r.rule)).collect()
    }

    #[test]
    fn paths_are_checked_against_each_other() {
        let both = |a: &str, b: &str, rule| vec![(a.to_owned(), rule), (b.to_owned(), rule)];
        assert_eq!(set(&["A", "a"], Scope::Capability), both("A", "a", Rule::CaseCollision));
        assert_eq!(set(&["A", "a"], Scope::Workspace), []);
        assert_eq!(set(&["a", "b", "a"], Scope::Workspace), [("a".to_owned(), Rule::Twice)]);
        assert_eq!(set(&["a", "a/b"], Scope::Workspace), [("a".to_owned(), Rule::FileAndFolder)]);
        assert_eq!(set(&["A", "a/b"], Scope::Capability), [("A".to_owned(), Rule::FileAndFolder)]);
        assert_eq!(set(&["A", "a/b"], Scope::Workspace), []);
        assert_eq!(set(&["a", "ab", "a.b", "c/d", "c/e"], Scope::Capability), []);
        assert_eq!(set(&["../x", "/y", "z"], Scope::Input).len(), 2);
    }

    #[test]
    fn names_of_rules_are_distinct() {
        let names: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        assert_eq!(check(b"", Scope::Input).unwrap_err().code(), "path-refused");
    }

    proptest! {
        #[test]
        fn what_passes_stays_below_its_root(path in proptest::collection::vec(any::<u8>(), 0..40)) {
            if check(&path, Scope::Workspace).is_ok() {
                prop_assert!(path.split(|b| *b == b'/').all(|c| !c.is_empty() && c != b"." && c != b".." && !c.contains(&0)));
                prop_assert!(!String::from_utf8_lossy(&path).to_lowercase().split('/').any(|c| c == ".git"));
            }
        }
    }
}
