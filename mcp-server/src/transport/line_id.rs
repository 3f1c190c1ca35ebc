//! Finds the id of a request in a line that is not going to be parsed, in constant memory: whoever sent a line that is too
//! long, too deep or ambiguous should still learn which of its requests failed.

use rmcp::model::RequestId;
use serde_json::Value;

use super::ID_BYTES_MAX;

/// Bytes of a name or value that are kept: an id with its quotes, every character escaped.
const KEPT_BYTES_MAX: usize = 6 * ID_BYTES_MAX + 2;

/// What the next bytes at the top level of the object belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Name,
    Value,
}

/// Reads the bytes of one line, in pieces of any size.
#[derive(Debug)]
pub(super) struct LineId {
    depth: usize,
    in_text: bool,
    escaped: bool,
    part: Part,
    name: Vec<u8>,
    value: Vec<u8>,
    found: Vec<Option<RequestId>>,
}

impl LineId {
    pub(super) fn new() -> Self {
        Self {
            depth: 0,
            in_text: false,
            escaped: false,
            part: Part::Name,
            name: Vec::new(),
            value: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Reads on.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.step(byte);
        }
    }

    /// The id, if the line has exactly one that a request may have.
    pub(super) fn end(mut self) -> Option<RequestId> {
        match (self.found.len(), self.found.pop()) {
            (1, Some(id)) => id,
            _ => None,
        }
    }

    fn step(&mut self, byte: u8) {
        if self.in_text {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'{' | b'[' => {
                // An id is never an object: what the value holds by now makes it unreadable, as it should be.
                self.keep(byte);
                self.depth += 1;
                if self.depth == 1 {
                    self.next(Part::Name);
                }
            }
            b'}' | b']' => {
                if self.depth == 1 {
                    self.member();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b',' if self.depth == 1 => {
                self.member();
                self.next(Part::Name);
            }
            b':' if self.depth == 1 => self.part = Part::Value,
            b'"' => {
                self.in_text = true;
                self.keep(byte);
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth != 1 {
            return;
        }
        let kept = if self.part == Part::Name { &mut self.name } else { &mut self.value };
        if kept.len() < KEPT_BYTES_MAX {
            kept.push(byte);
        }
    }

    fn next(&mut self, part: Part) {
        self.part = part;
        self.name.clear();
        self.value.clear();
    }

    fn member(&mut self) {
        let is_id = self.part == Part::Value && self.name == b"\"id\"";
        // Two are as ambiguous as a hundred.
        if is_id && self.found.len() < 2 {
            self.found.push(serde_json::from_slice(&self.value).ok().as_ref().and_then(request_id));
        }
    }
}

/// The id that a value stands for: an integer, or text of a bounded length.
pub(super) fn request_id(value: &Value) -> Option<RequestId> {
    match value {
        Value::Number(number) => number.as_i64().map(RequestId::Number),
        Value::String(text) if text.len() <= ID_BYTES_MAX => Some(RequestId::String(text.as_str().into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn id_of(line: &str, piece: usize) -> Option<RequestId> {
        let mut scan = LineId::new();
        for piece in line.as_bytes().chunks(piece) {
            scan.feed(piece);
        }
        scan.end()
    }

    #[test]
    fn the_id_is_found_at_the_top_level_alone_and_only_once() {
        let number = |n| Some(RequestId::Number(n));
        let text = |t: &str| Some(RequestId::String(t.into()));
        let cases = [
            (r#"{"jsonrpc":"2.0","id":7,"method":"x"}"#, number(7)),
            (r#"{"params":{"id":1,"a":[{"id":2}]},"id" : "q\"}," }"#, text("q\"},")),
            (r#"{"id":-3}"#, number(-3)),
            (r#"{"id":7,"id":8}"#, None),
            (r#"{"id":7.5}"#, None),
            (r#"{"id":null}"#, None),
            (r#"{"id":{"a":1}}"#, None),
            (r#"{"id":[1]}"#, None),
            (r#"{"params":{"id":1}}"#, None),
            (r#"{"a":"id","b":7}"#, None),
            (r#"["id",7]"#, None),
            (r#"{"id":7"#, None),
            ("}}}{\"id\":4}", number(4)),
        ];
        for (line, id) in cases {
            for piece in [1, 3, 1000] {
                assert_eq!(id_of(line, piece), id, "{line}");
            }
        }
        let (fits, too_long) = ("x".repeat(ID_BYTES_MAX), "x".repeat(ID_BYTES_MAX + 1));
        assert_eq!(id_of(&json!({ "id": fits }).to_string(), 9), text(&fits));
        assert_eq!(id_of(&json!({ "id": too_long }).to_string(), 9), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut scan = LineId::new();
            scan.feed(&bytes);
            let _ = scan.end();
        }

        #[test]
        fn what_stands_around_the_id_does_not_matter(before in ".{0,30}", after in ".{0,30}", id in any::<i64>()) {
            let line = format!("{{{}:{},\"id\":{id},\"z\":{}}}", json!(format!("p{before}")), json!([&before]), json!({ "id": after }));
            prop_assert_eq!(id_of(&line, 5), Some(RequestId::Number(id)));
        }
    }
}
