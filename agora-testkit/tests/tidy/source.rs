//! Rust as tokens: enough to find what stands where without being misled by comments, texts and tests.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name, a keyword or a number.
    Word,
    /// The inside of a string literal, as it is written.
    Text,
    /// One character of punctuation.
    Mark,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    /// Whether it is this name or mark.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }
}

/// The tokens of a file without its comments.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let start = at;
        let (kind, text) = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => {
                at = end_of(&chars, at, |c| c == '\n');
                (None, String::new())
            }
            '/' if chars.get(at + 1) == Some(&'*') => {
                at = end_of_block(&chars, at);
                (None, String::new())
            }
            '"' => {
                at = end_of_string(&chars, at);
                (Some(Kind::Text), chars[start + 1..at - 1].iter().collect())
            }
            'r' | 'b' if is_raw(&chars, at) => {
                let quote = end_of(&chars, at, |c| c == '"');
                let hashes = chars[at..quote].iter().filter(|c| **c == '#').count();
                let close: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                let rest: String = chars[quote + 1..].iter().collect();
                let length = rest.find(&close).map_or(rest.chars().count(), |end| rest[..end].chars().count());
                at = quote + 1 + length + close.len();
                (Some(Kind::Text), chars[quote + 1..quote + 1 + length].iter().collect())
            }
            '\'' => {
                at = end_of_quote(&chars, at);
                (None, String::new())
            }
            c if c.is_alphanumeric() || c == '_' => {
                at = end_of(&chars, at, |c| !(c.is_alphanumeric() || c == '_'));
                (Some(Kind::Word), chars[start..at].iter().collect())
            }
            c => {
                at += 1;
                ((!c.is_whitespace()).then_some(Kind::Mark), c.to_string())
            }
        };
        tokens.extend(kind.map(|kind| Token { kind, text, line }));
        line += chars[start..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn end_of(chars: &[char], from: usize, ends: impl Fn(char) -> bool) -> usize {
    chars[from..].iter().position(|c| ends(*c)).map_or(chars.len(), |found| from + found)
}

fn end_of_block(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0_usize);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) if depth == 1 => return at + 2,
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn end_of_string(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `r"`, `r#"`, `br"`, `b"` are texts; a `b"` has escapes, and the difference does not matter here.
fn is_raw(chars: &[char], at: usize) -> bool {
    let mut rest = chars[at..].iter().skip_while(|c| **c == 'b').skip_while(|c| **c == 'r').skip_while(|c| **c == '#');
    let starts_a_word = at == 0 || !(chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    starts_a_word && rest.next() == Some(&'"')
}

/// A character literal, or the quote of a lifetime.
fn end_of_quote(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => {
            // The escaped character itself may be a quote.
            let close = end_of(chars, from + 3, |c| c == '\'');
            (close + 1).min(chars.len())
        }
        (Some(_), Some('\'')) => from + 3,
        _ => from + 1,
    }
}

/// The position after the mark that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token], open: usize) -> usize {
    let (opens, closes) = match tokens[open].text.as_str() {
        "{" => ("{", "}"),
        "(" => ("(", ")"),
        _ => ("[", "]"),
    };
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is(opens) {
            depth += 1;
        } else if token.is(closes) {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
    }
    tokens.len()
}

/// Whether the tokens at `at` are these, in order.
pub(crate) fn stands(tokens: &[Token], at: usize, wanted: &[&str]) -> bool {
    tokens.get(at..at + wanted.len()).is_some_and(|found| found.iter().zip(wanted).all(|(token, text)| token.is(text)))
}

/// The tokens of what ships: without the items under `#[cfg(test)]`.
pub(crate) fn product(source: &str) -> Vec<Token> {
    let all = tokens(source);
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < all.len() {
        if stands(&all, at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            let item = at + 7;
            let open = (item..all.len()).find(|ix| all[*ix].is("{") || all[*ix].is(";")).unwrap_or(all.len());
            at = if all.get(open).is_some_and(|token| token.is("{")) { closing(&all, open) } else { open + 1 };
        } else {
            kept.push(all[at].clone());
            at += 1;
        }
    }
    kept
}

/// The arguments of the call whose bracket is at `open`, each as its tokens.
pub(crate) fn arguments(tokens: &[Token], open: usize) -> Vec<&[Token]> {
    let end = closing(tokens, open) - 1;
    let (mut parts, mut from, mut at) = (Vec::new(), open + 1, open + 1);
    while at < end {
        match tokens[at].text.as_str() {
            "(" | "[" | "{" if tokens[at].kind == Kind::Mark => at = closing(tokens, at),
            "," if tokens[at].kind == Kind::Mark => {
                parts.push(&tokens[from..at]);
                at += 1;
                from = at;
            }
            _ => at += 1,
        }
    }
    if from < end {
        parts.push(&tokens[from..end]);
    }
    parts
}

#[test]
fn comments_texts_lifetimes_and_tests_do_not_mislead() {
    let source = r##"
        // "a" /* b
        /* c /* d */ "e" */
        fn f<'a>(x: &'a str) -> char { g("t\"u", r#"v"w"#, b"z", '"', '\'', 1) }
        #[cfg(test)]
        mod tests { fn gone() { "gone" } }
        #[cfg(test)]
        mod other;
        const C: u8 = 2;
    "##;
    let found = product(source);
    let texts: Vec<&str> = found.iter().filter(|t| t.kind == Kind::Text).map(|t| t.text.as_str()).collect();
    assert_eq!(texts, ["t\\\"u", "v\"w", "z"]);
    assert!(!found.iter().any(|token| token.text == "gone" || token.text == "other"));
    assert!(found.iter().any(|token| token.is("C") && token.line == 9));
    let call = found.iter().position(|token| token.is("g")).unwrap();
    assert_eq!(arguments(&found, call + 1).len(), 6);
}
