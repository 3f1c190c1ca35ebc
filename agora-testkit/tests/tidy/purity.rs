//! Core is pure: it is given time, ids and randomness, and gives back records and effects.

use crate::files::{is_product, texts};
use crate::source::{Token, closing, product, stands};

/// What of the standard library core must not use.
const BANNED_MODULES: [&str; 5] = ["fs", "env", "thread", "net", "process"];
/// Names that are banned wherever they stand.
const BANNED_NAMES: [&str; 5] = ["HashMap", "HashSet", "SystemTime", "Instant", "RandomState"];

fn impurities(tokens: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let token = &tokens[at];
        if BANNED_NAMES.iter().any(|name| token.is(name)) {
            found.push(format!("{} in line {}", token.text, token.line));
        }
        if !stands(tokens, at, &["std", ":", ":"]) {
            continue;
        }
        let Some(next) = tokens.get(at + 3) else { continue };
        let end = if next.is("{") { closing(tokens, at + 3) } else { at + 4 };
        // In a group only the first name of each path is a module of std.
        for ix in at + 3..end {
            let first = ix == at + 3 || tokens[ix - 1].is("{") || tokens[ix - 1].is(",");
            if first && BANNED_MODULES.iter().any(|name| tokens[ix].is(name)) {
                found.push(format!("std::{} in line {}", tokens[ix].text, tokens[ix].line));
            }
        }
    }
    found
}

#[test]
fn core_uses_no_clock_file_environment_thread_or_unordered_map() {
    for file in texts(|path| path.starts_with("agora-core/src/") && is_product(path)) {
        let found = impurities(&product(&file.text));
        assert!(found.is_empty(), "{}: {found:?}", file.path);
    }
}

#[test]
fn an_impurity_is_found_however_it_is_written() {
    let found = |source: &str| impurities(&product(source)).len();
    assert_eq!(found("use std::{fmt, fs::File, env};"), 2);
    assert_eq!(found("fn f() { std::thread::spawn(g) }"), 1);
    assert_eq!(found("use std::collections::{BTreeMap, HashMap};"), 1);
    assert_eq!(found("let now = SystemTime::now();"), 1);
    assert_eq!(found("use std::{fmt, str}; use crate::env; // std::fs\n const T: &str = \"std::fs\";"), 0);
}
