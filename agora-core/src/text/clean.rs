//! Takes out of a text whatever acts on a terminal or hides from a reader.

use std::iter::Peekable;
use std::str::Chars;

const ESC: char = '\u{1B}';
const BEL: char = '\u{7}';
/// String terminator, as one C1 character.
const ST: char = '\u{9C}';

/// Reads bytes as UTF-8, invalid ones as U+FFFD, and strips control characters except `\n` and `\t`, whole escape
/// sequences (ECMA-48 §5.4, §5.6) and what is invisible by design. Every kind of line break becomes `\n`.
///
/// One pass over the text: what an escape sequence hides cannot come together again as another, since no introducer is
/// left in the result.
pub(super) fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            // A bare return would lay progress lines over each other; as a break it hides nothing.
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            ESC => escape(&mut chars),
            '\u{9B}' => control_sequence(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9D}'..='\u{9F}' => control_string(&mut chars),
            c if c.is_control() || is_invisible(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// After ESC: the rest of the sequence, if it is one.
fn escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            control_sequence(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            control_string(chars);
        }
        Some(' '..='~') => {
            skip(chars, ' '..='/');
            if chars.peek().is_some_and(|c| ('0'..='~').contains(c)) {
                chars.next();
            }
        }
        Some(_) | None => {}
    }
}

/// After CSI: parameters, intermediates and the final byte. Anything else ends the sequence and is read as text.
fn control_sequence(chars: &mut Peekable<Chars<'_>>) {
    skip(chars, '0'..='?');
    skip(chars, ' '..='/');
    if chars.peek().is_some_and(|c| ('@'..='~').contains(c)) {
        chars.next();
    }
}

/// After OSC, DCS, SOS, PM or APC: up to the terminator, or to the end of the line, so that one that is never closed does
/// not swallow all that follows.
fn control_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.peek().copied() {
        if c == '\n' || c == '\r' {
            return;
        }
        chars.next();
        if c == BEL || c == ST {
            return;
        }
        if c == ESC {
            match chars.peek() {
                // Another string breaks this one off: the loop goes on in it, so hostile nesting costs no stack.
                Some(']' | 'P' | 'X' | '^' | '_') => {}
                // The terminator, or a sequence that breaks the string off.
                Some(_) | None => return escape(chars),
            }
        }
    }
}

fn skip(chars: &mut Peekable<Chars<'_>>, range: std::ops::RangeInclusive<char>) {
    while chars.peek().is_some_and(|c| range.contains(c)) {
        chars.next();
    }
}

/// Characters that show nothing or turn the direction of what is around them: Unicode's Default_Ignorable_Code_Point
/// (DerivedCoreProperties.txt 16.0, with its unassigned ranges), the interlinear marks, and the byte order mark.
const INVISIBLE: &[(char, char)] = &[
    ('\u{AD}', '\u{AD}'),       // soft hyphen
    ('\u{34F}', '\u{34F}'),     // combining grapheme joiner
    ('\u{61C}', '\u{61C}'),     // Arabic letter mark
    ('\u{115F}', '\u{1160}'),   // Hangul fillers
    ('\u{17B4}', '\u{17B5}'),   // Khmer inherent vowels
    ('\u{180B}', '\u{180F}'),   // Mongolian selectors
    ('\u{200B}', '\u{200F}'),   // zero width, direction marks
    ('\u{202A}', '\u{202E}'),   // bidi embeddings and overrides
    ('\u{2060}', '\u{206F}'),   // word joiner, invisible operators, bidi isolates
    ('\u{3164}', '\u{3164}'),   // Hangul filler
    ('\u{FE00}', '\u{FE0F}'),   // variation selectors
    ('\u{FEFF}', '\u{FEFF}'),   // byte order mark
    ('\u{FFA0}', '\u{FFA0}'),   // half-width Hangul filler
    ('\u{FFF0}', '\u{FFFB}'),   // unassigned, interlinear annotation
    ('\u{1BCA0}', '\u{1BCA3}'), // shorthand format controls
    ('\u{1D173}', '\u{1D17A}'), // musical format controls
    ('\u{E0000}', '\u{E0FFF}'), // tags, further variation selectors
];

/// Whether a character shows nothing, or turns the direction of what is around it. Control characters and white space are
/// not meant: those have tests of their own in the standard library.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c > '\u{A0}' && INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[track_caller]
    fn check(name: &str, given: &[u8], want: &str) {
        assert_eq!(clean(given), want, "{name}");
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["plain\ttext\nand more\n", "naïve — 日本語 😀 ‘quotes’", "[31m is only text", ""] {
            check("stays", text.as_bytes(), text);
        }
    }

    #[test]
    fn escape_sequences_go_whole() {
        check("colour", b"a\x1b[1;31mred\x1b[0mb", "aredb");
        check("private parameters", b"a\x1b[?25lb\x1b[>0;1$qc", "abc");
        check("title with bell", b"a\x1b]0;owned\x07b", "ab");
        check("link with terminator", b"a\x1b]8;;https://x.test\x1b\\b\x1b]8;;\x1b\\c", "abc");
        check("device control", b"a\x1bP+q544e\x1b\\b", "ab");
        check("charset, reset, save", b"a\x1b(0b\x1bcc\x1b7d", "abcd");
        check("C1 sequence", "a\u{9b}31mb\u{9d}0;t\u{9c}c".as_bytes(), "abc");
        check("cut off", b"a\x1b[31", "a");
        check("cut off at escape", b"a\x1b", "a");
        check("broken by a line end", b"a\x1b[31\nb", "a\nb");
        check("string never closed", b"a\x1b]0;swallow\nkept", "a\nkept");
        check("string broken by a sequence", b"a\x1b]0;t\x1b[31mb", "ab");
        check("string broken by a string", b"a\x1b]0;t\x1b]0;u\x07b", "ab");
        check("two escapes", b"a\x1b\x1b[31mb", "ab");
        check("hidden introducer", "a\x1b\u{200B}[31mb".as_bytes(), "a[31mb");
    }

    #[test]
    fn control_and_invisible_characters_go() {
        check("control", b"a\0b\x08c\x7fd", "abcd");
        check("C1", "a\u{85}b\u{80}c".as_bytes(), "abc");
        check("bidi", "a\u{202E}b\u{2066}c\u{2069}d\u{200F}e\u{61C}f".as_bytes(), "abcdef");
        check("zero width", "a\u{200B}b\u{200D}c\u{FEFF}d\u{2060}e".as_bytes(), "abcde");
        check("tags", "a\u{E0041}\u{E007F}\u{E0101}b".as_bytes(), "ab");
        check("fillers", "a\u{3164}b\u{FFA0}c\u{115F}d\u{AD}e".as_bytes(), "abcde");
    }

    #[test]
    fn line_breaks_become_one_kind_and_bad_bytes_are_shown() {
        check("breaks", "a\r\nb\rc\u{2028}d".as_bytes(), "a\nb\nc\nd");
        check("not UTF-8", b"a\xffb\xed\xa0\x80", "a\u{FFFD}b\u{FFFD}\u{FFFD}\u{FFFD}");
    }
}
