//! How bytes that anybody may have written are shown: what acts, hides or turns the direction of a text, as an escape.

use agora_core::text::is_invisible;

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// A character that shows as what it is.
    Plain(char),
    /// A character that does not.
    Hidden(char),
    /// A byte that is no part of UTF-8.
    Byte(u8),
}

/// Cuts bytes into pieces. Line ends and tabs are hidden, too: who lays out lines takes them out before.
pub(super) fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let good = chunk.valid().chars().map(|c| if is_plain(c) { Piece::Plain(c) } else { Piece::Hidden(c) });
        good.chain(chunk.invalid().iter().copied().map(Piece::Byte))
    })
}

/// Writes what stands for a hidden character or a byte.
pub(super) fn escape(piece: Piece, out: &mut String) {
    match piece {
        Piece::Plain(c) => out.push(c),
        Piece::Hidden('\n') => out.push_str("\\n"),
        Piece::Hidden('\r') => out.push_str("\\r"),
        Piece::Hidden('\t') => out.push_str("\\t"),
        Piece::Hidden(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        Piece::Byte(byte) => out.push_str(&format!("\\x{byte:02x}")),
    }
}

fn is_plain(c: char) -> bool {
    let is_blank = c.is_whitespace() || c == '\u{2800}';
    // No font of the reader's is bound to draw these, so two of them may look alike.
    let is_private = matches!(u32::from(c), 0xE000..=0xF8FF | 0xF_0000.. | 0xFDD0..=0xFDEF);
    let is_noncharacter = u32::from(c) & 0xFFFE == 0xFFFE;
    c == ' ' || !(c.is_control() || is_blank || is_invisible(c) || is_private || is_noncharacter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut out = String::new();
        pieces(bytes).for_each(|piece| escape(piece, &mut out));
        out
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["plain text", "naïve — 日本語 😀 שלום", "<b> & \"quotes\"", "\u{FFFD}", ""] {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }

    #[test]
    fn what_acts_or_hides_is_seen() {
        for (given, want) in [
            ("a\0b\u{1b}[31mc\u{7f}\u{85}", r"a\u{0}b\u{1b}[31mc\u{7f}\u{85}"),
            ("a\u{202a}b\u{202e}c\u{2066}d\u{2069}", r"a\u{202a}b\u{202e}c\u{2066}d\u{2069}"),
            ("a\u{200b}b\u{feff}c\u{ad}\u{e0041}", r"a\u{200b}b\u{feff}c\u{ad}\u{e0041}"),
            ("a\u{a0}b\u{2003}c\u{2800}d\u{3164}", r"a\u{a0}b\u{2003}c\u{2800}d\u{3164}"),
            ("a\r\n\tb\u{2028}c", r"a\r\n\tb\u{2028}c"),
            ("\u{e000}\u{10fffe}\u{ffff}", r"\u{e000}\u{10fffe}\u{ffff}"),
        ] {
            assert_eq!(shown(given.as_bytes()), want);
        }
        assert_eq!(shown(b"a\xffb\xed\xa0\x80"), r"a\xffb\xed\xa0\x80");
    }
}
