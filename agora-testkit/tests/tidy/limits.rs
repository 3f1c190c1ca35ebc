//! I08: every limit of `agora_core::limits` is named by a test, which tries it.

use std::collections::BTreeSet;

use crate::files::texts;
use crate::source::{Token, product, stands, tokens};

const LIMITS: &str = "agora-core/src/limits.rs";

/// The names of `pub const NAME`.
fn constants(source: &str) -> BTreeSet<String> {
    let all = product(source);
    let starts = (0..all.len()).filter(|at| stands(&all, *at, &["pub", "const"]));
    starts.filter_map(|at| all.get(at + 2)).map(|token| token.text.clone()).collect()
}

fn count(tokens: &[Token], name: &str) -> usize {
    tokens.iter().filter(|token| token.is(name)).count()
}

#[test]
fn every_limit_is_named_by_a_test() {
    let files = texts(|path| path.ends_with(".rs"));
    let limits = constants(&files.iter().find(|file| file.path == LIMITS).unwrap().text);
    assert!(limits.len() > 30, "{limits:?}");
    let mut untried = limits;
    for file in &files {
        let is_test = file.path.split('/').any(|part| part == "tests" || part == "tests.rs");
        let (all, shipped) = (tokens(&file.text), product(&file.text));
        untried.retain(|name| {
            let uses = count(&all, name);
            if is_test { uses == 0 } else { uses == count(&shipped, name) }
        });
    }
    assert!(untried.is_empty(), "no test names these limits of {LIMITS}: {untried:?}");
}

#[test]
fn a_constant_is_found() {
    let found = constants("pub const A_MAX: u8 = 1; const B: u8 = 2; #[cfg(test)] mod t { pub const C: u8 = 3; }");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["A_MAX"]);
}
