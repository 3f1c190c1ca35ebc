//! The accepted patch of an item, a line at a time. Which lines are added and removed is told by the counts of each hunk, as
//! `git apply` does it: a removed line that looks like the head of a file is a removed line.

use super::document::Page;
use super::items::{absent, left_out};
use super::run::Item;
use super::safe::Html;
use super::show;
use super::texts::Text;

/// What a line of a patch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Says of which file, or anything else that changes no line.
    Head,
    Hunk,
    Added,
    Removed,
    Same,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Hunk => "hunk",
            Self::Added => "add",
            Self::Removed => "del",
            Self::Same => "same",
        }
    }
}

/// Writes the accepted patch, or nothing where there is none.
pub(super) fn write(html: &mut Html, page: &Page<'_>, item: &Item<'_>) {
    let Some(patch) = item.accepted().and_then(|attempt| attempt.finished?.body.patch.as_ref()) else { return };
    html.open("figure").inside(|html| {
        html.open("figcaption").inside(|html| {
            html.text(format!("Patch: {}, {} bytes ", show::count(patch.files, "file"), patch.size_bytes));
            for flag in item.flags() {
                html.open("span").class("pill flag").text(format!("⚑ {flag}"));
                html.text(" ");
            }
            html.open("code").class("digest").text(patch.digest.to_string());
        });
        let (head, bytes) = match page.texts.of(&patch.digest) {
            Text::Found { head, bytes } => (head, *bytes),
            other => return absent(html, other),
        };
        html.open("pre").class("patch").inside(|html| lines(html, head));
        left_out(html, head.len() as u64, bytes);
        if (head.len() as u64) < bytes && page.recheck.export.is_some() {
            let run = page.report.run.as_ref().map(ToString::to_string).unwrap_or_default();
            let id = &item.added.id;
            html.open("p").class("note").inside(|html| {
                html.text("All of it, to compare with the digest: ");
                html.say("code", format!("agora-admin result {run} {id} --part patch --out FILE"));
            });
        }
    });
}

fn lines(html: &mut Html, patch: &[u8]) {
    let mut counts = Counts::default();
    for line in patch.strip_suffix(b"\n").unwrap_or(patch).split(|byte| *byte == b'\n') {
        let kind = counts.kind(line);
        html.open("span").class(kind.class()).inside(|html| {
            html.line(line);
            html.end_line();
        });
    }
}

/// How many lines of the hunk are still to come: old, new.
#[derive(Debug, Default)]
struct Counts {
    old: u64,
    new: u64,
}

impl Counts {
    fn kind(&mut self, line: &[u8]) -> Kind {
        if self.old == 0 && self.new == 0 {
            return match hunk(line) {
                Some((old, new)) => {
                    (self.old, self.new) = (old, new);
                    Kind::Hunk
                }
                None => Kind::Head,
            };
        }
        let (old, new, kind) = match line.first() {
            Some(b'+') => (0, 1, Kind::Added),
            Some(b'-') => (1, 0, Kind::Removed),
            // `\ No newline at end of file`
            Some(b'\\') => (0, 0, Kind::Same),
            _ => (1, 1, Kind::Same),
        };
        (self.old, self.new) = (self.old.saturating_sub(old), self.new.saturating_sub(new));
        kind
    }
}

/// The counts of `@@ -start,count +start,count @@`.
fn hunk(line: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(line.strip_prefix(b"@@ -")?.split(|byte| *byte == b'@').next()?).ok()?;
    let (old, new) = text.trim_end().split_once(" +")?;
    let count = |range: &str| match range.split_once(',') {
        Some((_, count)) => count.parse().ok(),
        None => Some(1),
    };
    Some((count(old)?, count(new)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_their_hunk_says() {
        let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,2 @@ fn x()\n same\n--- a/y\n-gone\n+++ b/y\ndiff --git a/z b/z\n\
                     @@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\nend\n";
        let mut counts = Counts::default();
        let kinds: Vec<&str> = patch.lines().map(|line| counts.kind(line.as_bytes()).class()).collect();
        assert_eq!(
            kinds,
            ["head", "head", "head", "hunk", "same", "del", "del", "add", "head", "hunk", "del", "same", "add", "head"]
        );
    }

    #[test]
    fn what_is_no_hunk_begins_none() {
        for line in
            ["@@", "@@ -1,x +1 @@", "@@ -1 @@", "-@@ -1 +1 @@", "@@ -99999999999999999999,99999999999999999999 +1 @@"]
        {
            assert_eq!(hunk(line.as_bytes()), None, "{line}");
        }
        assert_eq!(hunk(b"@@ -0,0 +1,12 @@"), Some((0, 12)));
    }
}
