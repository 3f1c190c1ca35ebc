//! `docs/errors.md` and the code name the same codes: what the code can say has a row, and what has a row is said.

use std::collections::{BTreeMap, BTreeSet};

use agora_core::plan::Code;
use agora_core::worker::Reason;

use crate::files::{is_product, root, texts};
use crate::source::{Kind, Token, arguments, closing, product, stands};

/// A file's path and its tokens.
type Sources = Vec<(String, Vec<Token>)>;

fn sources() -> Sources {
    texts(is_product).into_iter().map(|file| (file.path, product(&file.text))).collect()
}

fn is_code(text: &str) -> bool {
    let mut parts = text.split('-');
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

/// The codes of the rows of `docs/errors.md`: every backquoted word of a row's first cell.
fn documented() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let mut rows = BTreeMap::new();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.trim_start_matches("| ").split(" | ").next().unwrap();
        for code in cell.split('`').filter(|part| is_code(part)) {
            *rows.entry(code.to_owned()).or_insert(0) += 1;
        }
    }
    rows
}

/// Names of functions with a parameter `code`, and its position without `self`.
fn takers(sources: &Sources) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::from([("Problem::new".to_owned(), 1)]);
    for (_, tokens) in sources {
        for at in 0..tokens.len() {
            if !tokens[at].is("fn") || !tokens.get(at + 2).is_some_and(|t| t.is("(") || t.is("<")) {
                continue;
            }
            let Some(open) = (at..tokens.len()).find(|ix| tokens[*ix].is("(")) else { continue };
            let parameters = arguments(tokens, open);
            let own = usize::from(parameters.first().is_some_and(|p| p.iter().any(|token| token.is("self"))));
            let code = parameters.iter().position(|p| p.first().is_some_and(|t| t.is("code")));
            if let Some(position) = code {
                found.insert(tokens[at + 1].text.clone(), position - own);
            }
        }
    }
    found
}

/// Every code that the sources can say, with one place.
fn said(sources: &Sources) -> BTreeMap<String, String> {
    let takers = takers(sources);
    let constants: BTreeMap<&str, &str> = sources.iter().flat_map(|(_, tokens)| constants(tokens)).collect();
    let mut said = BTreeMap::new();
    for (path, tokens) in sources {
        let mut say = |token: &Token| {
            let text =
                if token.kind == Kind::Text { Some(token.text.as_str()) } else { constants.get(&*token.text).copied() };
            if let Some(code) = text.filter(|text| is_code(text)) {
                said.entry(code.to_owned()).or_insert_with(|| format!("{path}:{}", token.line));
            }
        };
        for at in 0..tokens.len() {
            // A function that answers with a code: all its texts, but not those of its guards.
            let named = tokens.get(at + 1).is_some_and(|name| name.is("code") || name.text.starts_with("code_of"));
            if tokens[at].is("fn") && named && returns_text(tokens, at) {
                let Some(open) = (at..tokens.len()).find(|ix| tokens[*ix].is("{")) else { continue };
                tokens[open..closing(tokens, open)].iter().filter(|t| t.kind == Kind::Text).for_each(&mut say);
            }
            // A call that is given one.
            let name = match tokens[at].is("(") && at > 0 {
                true if at > 3 && stands(tokens, at - 4, &["Problem", ":", ":", "new"]) => "Problem::new",
                true => tokens[at - 1].text.as_str(),
                false => continue,
            };
            let declared = at > 1 && tokens[at - 2].is("fn");
            if let Some(position) = takers.get(name).filter(|_| !declared) {
                let given = arguments(tokens, at);
                if let Some([token]) = given.get(*position) {
                    say(token);
                }
            }
        }
        // `let code = if full { "a" } else { "b" };`
        for at in (0..tokens.len()).filter(|at| stands(tokens, *at, &["let", "code", "="])) {
            let end = (at..tokens.len()).find(|ix| tokens[*ix].is(";")).unwrap_or(at);
            tokens[at..end].iter().filter(|token| token.kind == Kind::Text).for_each(&mut say);
        }
        // A field.
        for at in 0..tokens.len() {
            if stands(tokens, at, &["code", ":"])
                && let Some(token) = tokens.get(at + 2).filter(|token| token.kind == Kind::Text)
            {
                say(token);
            }
        }
    }
    said.extend(Code::ALL.iter().map(|code| (code.as_str().to_owned(), "agora-core/src/plan/code.rs".to_owned())));
    said.extend(Reason::ALL.iter().map(|reason| (reason.as_str().to_owned(), "agora-core/src/worker.rs".to_owned())));
    said
}

fn returns_text(tokens: &[Token], at: usize) -> bool {
    let body = (at..tokens.len()).find(|ix| tokens[*ix].is("{") || tokens[*ix].is(";")).unwrap_or(at);
    tokens[at..body].iter().any(|token| token.is("str"))
}

/// `const NAME: &str = "text";`
fn constants(tokens: &[Token]) -> impl Iterator<Item = (&str, &str)> {
    (0..tokens.len()).filter(|at| tokens[*at].is("const")).filter_map(|at| {
        let end = (at..tokens.len()).find(|ix| tokens[*ix].is(";"))?;
        let value = tokens.get(end - 1).filter(|token| token.kind == Kind::Text && tokens[end - 2].is("="))?;
        Some((tokens[at + 1].text.as_str(), value.text.as_str()))
    })
}

#[test]
fn every_code_has_one_row_and_every_row_a_code() {
    let (sources, documented) = (sources(), documented());
    let said = said(&sources);
    assert!(said.len() > 100 && documented.len() > 100, "{} said, {} documented", said.len(), documented.len());
    let missing: Vec<String> = said
        .iter()
        .filter(|(code, _)| !documented.contains_key(*code))
        .map(|(code, at)| format!("{code} ({at})"))
        .collect();
    let texts: BTreeSet<&str> = sources
        .iter()
        .flat_map(|(_, tokens)| tokens.iter().filter(|token| token.kind == Kind::Text).map(|token| token.text.as_str()))
        .collect();
    let stale: Vec<&String> =
        documented.keys().filter(|code| !said.contains_key(*code) && !texts.contains(code.as_str())).collect();
    let twice: Vec<&String> = documented.iter().filter(|(_, rows)| **rows > 1).map(|(code, _)| code).collect();
    assert!(
        missing.is_empty() && stale.is_empty() && twice.is_empty(),
        "docs/errors.md lacks {missing:#?}\nhas what nothing says: {stale:#?}\nhas more than once: {twice:#?}"
    );
}

#[test]
fn codes_are_found_where_code_says_them() {
    let source = r#"
        const SHUT: &str = "gate-shut";
        impl Coded for E { fn code(&self) -> &'static str { match self { Self::A => "a-code", Self::B(e) => e.code() } } }
        fn problem(at: usize, code: &'static str) -> Problem { Problem::new(Class::Bug, code, "no-code here") }
        impl D { fn refuse(&mut self, code: &str) {} }
        fn all() { problem(1, "b-code"); doc.refuse("c-code"); Problem::new(Class::Bug, SHUT, "x"); P { code: "d-code" }; }
        fn code_of(kind: Kind) -> &'static str { "e-code" }
        fn code(self) -> u8 { "not-a-code"; 1 }
    "#;
    let found = said(&vec![("f.rs".to_owned(), product(source))]);
    for code in ["a-code", "b-code", "c-code", "d-code", "e-code", "gate-shut", "plan-shape", "agent-exit"] {
        assert!(found.contains_key(code), "{code}: {found:?}");
    }
    assert!(!found.contains_key("not-a-code"));
}
