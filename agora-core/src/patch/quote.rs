//! Names in patches, in C's quoting as git writes and reads it.

/// Returns a name as agora writes it: as it is when every byte is visible ASCII and none is special, else C-quoted.
///
/// A space is quoted too, though git would not: some readers of patches cut an unquoted name at its first space.
#[must_use]
pub fn quote(name: &[u8]) -> Vec<u8> {
    if name.iter().all(|b| (0x21..=0x7E).contains(b) && !b"\"\\".contains(b)) {
        return name.to_vec();
    }
    let mut out = vec![b'"'];
    for &byte in name {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\t' => out.extend(b"\\t"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            0x21..=0x7E => out.push(byte),
            _ => out.extend([b'\\', b'0' + (byte >> 6), b'0' + ((byte >> 3) & 7), b'0' + (byte & 7)]),
        }
    }
    out.push(b'"');
    out
}

/// Reads a C-quoted name at the start of `text`; returns it and what follows the closing quote.
///
/// `None` when there is no opening or closing quote, or an escape that git does not write.
#[must_use]
pub fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut out = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => return Some((out, after)),
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                out.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                rest = after;
            }
            [b'\\', escape, after @ ..] => {
                out.push(match escape {
                    b'a' => 0x07,
                    b'b' => 0x08,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 0x0B,
                    b'f' => 0x0C,
                    b'r' => b'\r',
                    b'"' | b'\\' => *escape,
                    _ => return None,
                });
                rest = after;
            }
            [b'\\'] | [] => return None,
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{quote, unquote};

    #[test]
    fn only_visible_ascii_stays_unquoted() {
        for (name, quoted) in [
            (&b"src/a.rs"[..], &b"src/a.rs"[..]),
            (b"a b", b"\"a\\040b\""),
            (b"a\"b\\", b"\"a\\\"b\\\\\""),
            (b"\xFF\x01\n", b"\"\\377\\001\\n\""),
        ] {
            assert_eq!(quote(name), quoted);
        }
        for bad in [&b"\"a"[..], b"a\"", b"\"\\x\"", b"\"\\400\"", b"\"\\"] {
            assert_eq!(unquote(bad), None);
        }
    }

    proptest! {
        #[test]
        fn quoted_names_round_trip(name in proptest::collection::vec(any::<u8>(), 1..30)) {
            let quoted = quote(&name);
            if quoted[0] == b'"' {
                prop_assert_eq!(unquote(&quoted), Some((name, &b""[..])));
            } else {
                prop_assert_eq!(quoted, name);
            }
        }
    }
}
