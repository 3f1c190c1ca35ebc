//! Reading a patch: strict, bounded, in one pass, without copying its lines.

use std::fmt;

use super::lines::{Line, LineKind, Lines, NO_NEWLINE, cut};
use super::quote::unquote;
use crate::error::{Class, Coded};
use crate::id::Enc;
use crate::tree::TreePath;

/// The largest patch in bytes: what `patch_mib` can be set to at most.
pub const PATCH_BYTES_MAX: u64 = 64 << 20;
/// The most changes of one patch: what a reviewer could still be shown.
pub const PATCH_FILES_MAX: usize = 20_000;
/// The most hunks of one patch: bounds the memory that parsing takes beside the bytes (40 bytes each).
const HUNKS_MAX: usize = 1 << 20;

/// The id of a git object, SHA-1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GitId(pub [u8; 20]);

impl GitId {
    /// The id that stands for "nothing there".
    pub const ZERO: Self = Self([0; 20]);

    /// Reads 40 lower-case hex digits.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let digit = |b: u8| match b {
            b'0'..=b'9' => Some(b - b'0'),
            b'a'..=b'f' => Some(b - b'a' + 10),
            _ => None,
        };
        let mut out = [0; 20];
        if text.len() != 40 {
            return None;
        }
        for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(out))
    }
}

impl fmt::Display for GitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for GitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One side of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// The mode as git writes it; any six octal digits, the policy judges them.
    pub mode: u32,
    /// The id of the blob. `None`: the content does not change, only the mode does.
    pub id: Option<GitId>,
}

/// A patch: its changes in the order of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch<'a> {
    /// The changes.
    pub files: Vec<FilePatch<'a>>,
    /// The size of the whole patch.
    pub size_bytes: u64,
}

/// A change of one path. A file that becomes a link is two: a deletion and an addition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePatch<'a> {
    /// The path, unquoted.
    pub path: TreePath,
    /// What was there; `None` for an addition.
    pub old: Option<Side>,
    /// What is there afterwards; `None` for a deletion.
    pub new: Option<Side>,
    /// How many lines are added.
    pub added: u64,
    /// How many lines are removed.
    pub removed: u64,
    /// How the content changes.
    pub body: Body<'a>,
}

/// How the content of a path changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// Not at all, or an empty file comes or goes.
    None,
    /// By lines.
    Text(Vec<Hunk<'a>>),
    /// As a whole.
    Binary {
        /// From old to new.
        forward: BinaryHunk<'a>,
        /// From new to old, if it was written.
        reverse: Option<BinaryHunk<'a>>,
    },
}

/// A run of lines that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// The first old line, from 1; where `old_lines` is 0, the line before.
    pub old_start: u32,
    /// How many old lines.
    pub old_lines: u32,
    /// The first new line, in the same way.
    pub new_start: u32,
    /// How many new lines.
    pub new_lines: u32,
    body: &'a [u8],
}

impl<'a> Hunk<'a> {
    /// The lines.
    #[must_use]
    pub fn lines(&self) -> Lines<'a> {
        Lines { rest: self.body }
    }
}

/// How binary content is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryKind {
    /// The content itself.
    Literal,
    /// Git's delta against the other side.
    Delta,
}

/// Binary content: deflated, in base 85.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryHunk<'a> {
    /// How it is written.
    pub kind: BinaryKind,
    /// The size before deflating: of the content, or of the delta.
    pub size_bytes: u64,
    data: &'a [u8],
}

impl BinaryHunk<'_> {
    /// Returns the deflated bytes.
    #[must_use]
    pub fn deflated(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() / 5 * 4);
        let mut rest = self.data;
        while let Some((line, after)) = cut(rest) {
            rest = after;
            // The parser has checked each line; a bad one cannot be here and would add nothing.
            base85_line(line, &mut out);
        }
        out
    }
}

impl<'a> FilePatch<'a> {
    /// Whether the content changes as a whole.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        matches!(self.body, Body::Binary { .. })
    }

    /// The lines that are added.
    pub fn added_lines(&self) -> impl Iterator<Item = &'a [u8]> {
        let hunks: &[Hunk<'a>] = if let Body::Text(hunks) = &self.body { hunks } else { &[] };
        hunks.iter().flat_map(Hunk::lines).filter(|line| line.kind == LineKind::Added).map(|line: Line<'a>| line.bytes)
    }
}

/// Bytes that are no patch of the form that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Another form than git's, or a patch that contradicts itself.
    #[error("the patch is malformed at line {line}: {what}")]
    Malformed {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Git's form, but a part of it that is not taken: renames, copies, binary changes without their bytes.
    #[error("the patch has {what} at line {line}, which is not taken")]
    Unsupported {
        /// The line, from 1.
        line: u64,
        /// The part.
        what: &'static str,
    },
    /// Over a limit.
    #[error("the patch has more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

impl Coded for ParseError {
    fn class(&self) -> Class {
        Class::Caller
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "patch-malformed",
            Self::Unsupported { .. } => "patch-unsupported",
            Self::TooLarge { .. } => "patch-too-large",
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Malformed { .. } | Self::Unsupported { .. } => {
                "make the patch with `git diff --binary --full-index --no-renames`".to_owned()
            }
            Self::TooLarge { .. } => "change less at a time".to_owned(),
        })
    }
}

impl<'a> Patch<'a> {
    /// Reads a patch.
    ///
    /// # Errors
    /// [`ParseError`] for anything but what agora and `git diff --binary --full-index --no-renames` write.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        if bytes.len() as u64 > PATCH_BYTES_MAX {
            return Err(ParseError::TooLarge { what: "bytes", limit: PATCH_BYTES_MAX });
        }
        let mut reader = Reader { rest: bytes, line: 0, hunks: 0 };
        let mut files = Vec::new();
        while !reader.rest.is_empty() {
            if files.len() == PATCH_FILES_MAX {
                return Err(ParseError::TooLarge { what: "changes", limit: PATCH_FILES_MAX as u64 });
            }
            files.push(reader.file()?);
        }
        if files.is_empty() {
            return reader.malformed("there is no change in it");
        }
        Ok(Self { files, size_bytes: bytes.len() as u64 })
    }

    /// How many lines are added in all.
    #[must_use]
    pub fn added(&self) -> u64 {
        self.files.iter().map(|file| file.added).sum()
    }

    /// How many lines are removed in all.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.files.iter().map(|file| file.removed).sum()
    }

    /// The paths, percent-encoded, each once, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<Enc> {
        let mut paths: Vec<&TreePath> = self.files.iter().map(|file| &file.path).collect();
        paths.sort();
        paths.dedup();
        paths.into_iter().map(|path| Enc::encode_bytes(path.as_bytes())).collect()
    }
}

/// The lines between `diff --git` and the content.
#[derive(Default)]
struct Header {
    old_mode: Option<u32>,
    new_mode: Option<u32>,
    deleted: Option<u32>,
    created: Option<u32>,
    index: Option<(GitId, GitId, Option<u32>)>,
}

struct Reader<'a> {
    rest: &'a [u8],
    line: u64,
    hunks: usize,
}

impl<'a> Reader<'a> {
    fn malformed<T>(&self, what: &'static str) -> Result<T, ParseError> {
        Err(ParseError::Malformed { line: self.line.max(1), what })
    }

    fn need<T>(&self, value: Option<T>, what: &'static str) -> Result<T, ParseError> {
        value.map_or_else(|| self.malformed(what), Ok)
    }

    fn peek(&self) -> Option<&'a [u8]> {
        cut(self.rest).map(|(line, _)| line)
    }

    /// The next line, which must end with a newline.
    fn next(&mut self) -> Result<&'a [u8], ParseError> {
        self.line += 1;
        let (line, after) = self.need(cut(self.rest), "it ends too early")?;
        if line.len() == self.rest.len() {
            return self.malformed("the last line has no newline");
        }
        self.rest = after;
        Ok(line)
    }

    fn file(&mut self) -> Result<FilePatch<'a>, ParseError> {
        let first = self.next()?;
        let names =
            self.need(first.strip_prefix(b"diff --git "), "a line that starts with `diff --git` was expected")?;
        let path = self.need(both_names(names), "two equal names were expected, after a/ and b/")?;
        let header = self.header()?;
        let (old, new) = self.sides(&header)?;
        let mut file = FilePatch { path: TreePath::new(path), old, new, added: 0, removed: 0, body: Body::None };
        let content = header.index.is_some_and(|(old, new, _)| old != new);
        match self.peek() {
            Some(line) if line.starts_with(b"--- ") && content => self.text(&mut file)?,
            Some(b"GIT binary patch") if content => self.binary(&mut file)?,
            Some(line) if line.starts_with(b"Binary files ") => {
                return Err(ParseError::Unsupported { line: self.line + 1, what: "a binary change without its bytes" });
            }
            _ => {}
        }
        Ok(file)
    }

    fn header(&mut self) -> Result<Header, ParseError> {
        let mut header = Header::default();
        while let Some(line) = self.peek() {
            if let Some(mode) = line.strip_prefix(b"old mode ") {
                self.mode(&mut header.old_mode, mode)?;
            } else if let Some(mode) = line.strip_prefix(b"new mode ") {
                self.mode(&mut header.new_mode, mode)?;
            } else if let Some(mode) = line.strip_prefix(b"deleted file mode ") {
                self.mode(&mut header.deleted, mode)?;
            } else if let Some(mode) = line.strip_prefix(b"new file mode ") {
                self.mode(&mut header.created, mode)?;
            } else if let Some(index) = line.strip_prefix(b"index ") {
                self.next()?;
                let parsed = self.need(index_line(index), "an index line with two full ids was expected")?;
                if header.index.replace(parsed).is_some() {
                    return self.malformed("a second index line");
                }
            } else if [&b"rename "[..], b"copy ", b"similarity ", b"dissimilarity "].iter().any(|p| line.starts_with(p))
            {
                return Err(ParseError::Unsupported { line: self.line + 1, what: "a rename or copy" });
            } else {
                break;
            }
        }
        Ok(header)
    }

    fn mode(&mut self, slot: &mut Option<u32>, text: &[u8]) -> Result<(), ParseError> {
        self.next()?;
        let mode = self.need(octal(text), "a mode of six octal digits was expected")?;
        if slot.replace(mode).is_some() {
            return self.malformed("a mode twice");
        }
        Ok(())
    }

    fn sides(&self, header: &Header) -> Result<(Option<Side>, Option<Side>), ParseError> {
        let ids = header.index.map(|(old, new, _)| (old, new));
        let side = |mode: u32, id: Option<GitId>| Some(Side { mode, id });
        let contradiction = "the modes and ids contradict each other";
        let sides = match (header.created, header.deleted, header.old_mode, header.new_mode, ids) {
            (Some(mode), None, None, None, Some((GitId::ZERO, new))) if new != GitId::ZERO => {
                (None, side(mode, Some(new)))
            }
            (None, Some(mode), None, None, Some((old, GitId::ZERO))) if old != GitId::ZERO => {
                (side(mode, Some(old)), None)
            }
            (None, None, Some(old), Some(new), None) if old != new => (side(old, None), side(new, None)),
            (None, None, old_mode, new_mode, Some((old, new)))
                if old != new && old != GitId::ZERO && new != GitId::ZERO =>
            {
                let suffix = header.index.and_then(|(_, _, mode)| mode);
                match (old_mode, new_mode, suffix) {
                    (Some(a), Some(b), None) if a != b => (side(a, Some(old)), side(b, Some(new))),
                    (None, None, Some(mode)) => (side(mode, Some(old)), side(mode, Some(new))),
                    _ => return self.malformed(contradiction),
                }
            }
            _ => return self.malformed(contradiction),
        };
        let suffixed = header.index.is_some_and(|(_, _, mode)| mode.is_some());
        if suffixed && (sides.0.is_none() || sides.1.is_none()) {
            return self.malformed(contradiction);
        }
        Ok(sides)
    }

    fn text(&mut self, file: &mut FilePatch<'a>) -> Result<(), ParseError> {
        for (mark, prefix, there) in [(&b"--- "[..], b'a', file.old.is_some()), (b"+++ ", b'b', file.new.is_some())] {
            let line = self.next()?;
            let name = self.need(line.strip_prefix(mark), "a line with ---, then one with +++ was expected")?;
            let right = if there {
                side_name(name, prefix).as_deref() == Some(file.path.as_bytes())
            } else {
                name == b"/dev/null"
            };
            if !right {
                return self.malformed("the name differs from that of the first line");
            }
        }
        let mut hunks: Vec<Hunk<'a>> = Vec::new();
        let mut last = (0u64, 0u64);
        while let Some(line) = self.peek() {
            let Some(ranges) = line.strip_prefix(b"@@ ") else { break };
            self.next()?;
            let (old, new) = self.need(hunk_ranges(ranges), "a hunk line was expected")?;
            last = self.need(after_last(last, old, new), "the hunk is not beyond the one before")?;
            self.hunks += 1;
            if self.hunks > HUNKS_MAX {
                return Err(ParseError::TooLarge { what: "hunks", limit: HUNKS_MAX as u64 });
            }
            hunks.push(self.hunk(file, old, new)?);
        }
        if hunks.is_empty() {
            return self.malformed("a hunk was expected");
        }
        file.body = Body::Text(hunks);
        Ok(())
    }

    fn hunk(&mut self, file: &mut FilePatch<'a>, old: (u32, u32), new: (u32, u32)) -> Result<Hunk<'a>, ParseError> {
        let start = self.rest;
        let (mut old_left, mut new_left) = (old.1, new.1);
        let (mut old_ended, mut new_ended) = (false, false);
        while old_left > 0 || new_left > 0 {
            let line = self.next()?;
            let (in_old, in_new) = match line.first() {
                Some(b' ') => (true, true),
                Some(b'-') => (true, false),
                Some(b'+') => (false, true),
                _ => return self.malformed("a line of a hunk starts with a space, - or +"),
            };
            if (in_old && (old_left == 0 || old_ended)) || (in_new && (new_left == 0 || new_ended)) {
                return self.malformed("the hunk has other lines than it says");
            }
            old_left -= u32::from(in_old);
            new_left -= u32::from(in_new);
            file.removed += u64::from(!in_new);
            file.added += u64::from(!in_old);
            if self.peek() == Some(NO_NEWLINE) {
                self.next()?;
                old_ended |= in_old;
                new_ended |= in_new;
                if (in_old && old_left > 0) || (in_new && new_left > 0) {
                    return self.malformed("a line without a newline is not the last");
                }
            }
        }
        let body = &start[..start.len() - self.rest.len()];
        Ok(Hunk { old_start: old.0, old_lines: old.1, new_start: new.0, new_lines: new.1, body })
    }

    fn binary(&mut self, file: &mut FilePatch<'a>) -> Result<(), ParseError> {
        self.next()?;
        let first = self.binary_hunk()?;
        let forward = self.need(first, "binary content was expected")?;
        let reverse = self.binary_hunk()?;
        file.body = Body::Binary { forward, reverse };
        Ok(())
    }

    fn binary_hunk(&mut self) -> Result<Option<BinaryHunk<'a>>, ParseError> {
        let Some(line) = self.peek() else { return Ok(None) };
        let (kind, size) = if let Some(size) = line.strip_prefix(b"literal ") {
            (BinaryKind::Literal, size)
        } else if let Some(size) = line.strip_prefix(b"delta ") {
            (BinaryKind::Delta, size)
        } else {
            return Ok(None);
        };
        self.next()?;
        let size_bytes = u64::from(self.need(decimal(size), "a size was expected")?);
        let start = self.rest;
        let mut scratch = Vec::new();
        let data = loop {
            let before = start.len() - self.rest.len();
            let line = self.next()?;
            if line.is_empty() {
                break &start[..before];
            }
            scratch.clear();
            if !base85_line(line, &mut scratch) {
                return self.malformed("a line of base 85 was expected");
            }
        };
        Ok(Some(BinaryHunk { kind, size_bytes, data }))
    }
}

/// `a/NAME b/NAME`, each plain or quoted, the names equal. Plain names may hold spaces, so the middle is counted.
fn both_names(text: &[u8]) -> Option<Vec<u8>> {
    if text.first() == Some(&b'"') {
        let (first, rest) = unquote(text)?;
        let rest = rest.strip_prefix(b" ")?;
        let second = if rest.first() == Some(&b'"') {
            unquote(rest).filter(|(_, end)| end.is_empty())?.0
        } else {
            rest.to_vec()
        };
        let name = first.strip_prefix(b"a/")?;
        return (second.strip_prefix(b"b/")? == name && !name.is_empty()).then(|| name.to_vec());
    }
    let length = text.len().checked_sub(5).filter(|n| n % 2 == 0)? / 2;
    let first = text.get(..length + 2)?.strip_prefix(b"a/")?;
    let second = text.get(length + 2..)?.strip_prefix(b" b/")?;
    (first == second && !first.is_empty() && !first.contains(&b'"')).then(|| first.to_vec())
}

/// The name of a `---` or `+++` line. Git puts a tab after a name that holds a space, quoted or not.
fn side_name(text: &[u8], prefix: u8) -> Option<Vec<u8>> {
    let name = if text.first() == Some(&b'"') {
        unquote(text).filter(|(_, end)| end.is_empty() || *end == b"\t")?.0
    } else {
        text.strip_suffix(b"\t").unwrap_or(text).to_vec()
    };
    name.strip_prefix(&[prefix, b'/']).map(<[u8]>::to_vec)
}

fn octal(text: &[u8]) -> Option<u32> {
    let digits = text.len() == 6 && text.iter().all(|b| (b'0'..=b'7').contains(b));
    digits.then(|| text.iter().fold(0, |value, b| value << 3 | u32::from(b - b'0')))
}

fn index_line(text: &[u8]) -> Option<(GitId, GitId, Option<u32>)> {
    let old = GitId::from_hex(text.get(..40)?)?;
    let rest = text.get(40..)?.strip_prefix(b"..")?;
    let new = GitId::from_hex(rest.get(..40)?)?;
    let mode = match rest.get(40..)? {
        [] => None,
        [b' ', mode @ ..] => Some(octal(mode)?),
        _ => return None,
    };
    Some((old, new, mode))
}

fn decimal(text: &[u8]) -> Option<u32> {
    let plain = !text.is_empty() && text.len() <= 10 && text.iter().all(u8::is_ascii_digit);
    if plain && (text == b"0" || text[0] != b'0') { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// `-1,2 +3,4 @@` and perhaps a heading; a missing count is 1.
fn hunk_ranges(text: &[u8]) -> Option<((u32, u32), (u32, u32))> {
    let range = |text: &[u8]| match text.iter().position(|b| *b == b',') {
        Some(comma) => Some((decimal(&text[..comma])?, decimal(&text[comma + 1..])?)),
        None => Some((decimal(text)?, 1)),
    };
    let mut parts = text.splitn(4, |b| *b == b' ');
    let old = range(parts.next()?.strip_prefix(b"-")?)?;
    let new = range(parts.next()?.strip_prefix(b"+")?)?;
    (parts.next()? == b"@@" && (old.1 > 0 || new.1 > 0)).then_some((old, new))
}

/// Checks that a hunk lies beyond the last one, on both sides by as much; returns where it ends on both.
fn after_last(last: (u64, u64), old: (u32, u32), new: (u32, u32)) -> Option<(u64, u64)> {
    // Lines before the hunk: an empty range names the line before it, any other its first line.
    let before = |(start, lines): (u32, u32)| u64::from(start).checked_sub(u64::from(lines > 0));
    let (old_before, new_before) = (before(old)?, before(new)?);
    let skipped = old_before.checked_sub(last.0)?;
    (new_before.checked_sub(last.1)? == skipped).then(|| (old_before + u64::from(old.1), new_before + u64::from(new.1)))
}

const BASE85: &[u8; 85] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

const BASE85_VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut i = 0;
    while i < 85 {
        values[BASE85[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// Decodes one line: a letter for the count of bytes, then five digits for each four of them. False if it is none.
fn base85_line(line: &[u8], out: &mut Vec<u8>) -> bool {
    let count = match line.first() {
        Some(c @ b'A'..=b'Z') => usize::from(c - b'A' + 1),
        Some(c @ b'a'..=b'z') => usize::from(c - b'a' + 27),
        _ => return false,
    };
    if line.len() - 1 != count.div_ceil(4) * 5 {
        return false;
    }
    let end = out.len() + count;
    for group in line[1..].chunks_exact(5) {
        let mut value = 0u64;
        for digit in group {
            let digit = BASE85_VALUES[usize::from(*digit)];
            if digit == u8::MAX {
                return false;
            }
            value = value * 85 + u64::from(digit);
        }
        let Ok(value) = u32::try_from(value) else { return false };
        out.extend(value.to_be_bytes());
    }
    out.truncate(end);
    true
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
