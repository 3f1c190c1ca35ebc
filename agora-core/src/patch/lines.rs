//! The lines of a hunk.

/// What a line of a hunk says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// In both versions.
    Context,
    /// Only in the old one.
    Removed,
    /// Only in the new one.
    Added,
}

/// One line of a hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// What it says.
    pub kind: LineKind,
    /// Its bytes, the newline included unless the file ends without one here.
    pub bytes: &'a [u8],
}

/// The marker that git puts after a line without a newline.
pub(crate) const NO_NEWLINE: &[u8] = b"\\ No newline at end of file";

/// Cuts one line off `text`: the line without its newline, and the rest. The last line may lack a newline.
pub(crate) fn cut(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text.is_empty() {
        return None;
    }
    let end = text.iter().position(|b| *b == b'\n').unwrap_or(text.len());
    Some((&text[..end], text.get(end + 1..).unwrap_or_default()))
}

/// Walks the lines of a hunk that has been parsed.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let (line, after) = cut(self.rest)?;
        let kind = match line.first()? {
            b'-' => LineKind::Removed,
            b'+' => LineKind::Added,
            _ => LineKind::Context,
        };
        let bare = cut(after).filter(|(next, _)| *next == NO_NEWLINE);
        let end = if bare.is_some() { line.len() } else { (line.len() + 1).min(self.rest.len()) };
        let bytes = &self.rest[1..end];
        self.rest = bare.map_or(after, |(_, after)| after);
        Some(Line { kind, bytes })
    }
}
