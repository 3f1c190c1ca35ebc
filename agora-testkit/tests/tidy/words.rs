//! Words that belong in no file: left-over work, and traces of one developer's machine.

use crate::files::texts;

/// Each in two halves, so that this file is clean too.
const BANNED: [(&str, &str, &str); 14] = [
    ("TO", "DO", "left-over work: do it, or say in docs/ that it is not there"),
    ("FIX", "ME", "left-over work"),
    ("XX", "X", "left-over work"),
    ("todo", "!(", "a stub called done"),
    ("unimplem", "ented!(", "a stub called done"),
    ("lorem", " ipsum", "text that stands for another"),
    ("/wo", "rk/", "a path of one machine"),
    ("/fa", "rm/", "a path of one machine"),
    ("/ro", "ot/", "a path of one machine"),
    ("/home/run", "ner/", "a path of one machine"),
    ("crates.io-", "index", "the host of a registry is the client's to know"),
    ("registry.npm", "js.org", "the host of a registry is the client's to know"),
    ("files.python", "hosted.org", "the host of a registry is the client's to know"),
    ("proxy.gol", "ang.org", "the host of a registry is the client's to know"),
];
/// Cargo writes these; nobody chooses their words.
const GENERATED: [&str; 1] = ["Cargo.lock"];

fn banned(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (head, tail, why) in BANNED {
            let word = format!("{head}{tail}");
            if let Some(at) = line.find(&word) {
                // A part of a longer word is another word.
                let joined = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
                let (before, after) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
                let is_word = word.ends_with(|c: char| c.is_ascii_uppercase());
                if !(is_word && (joined(before) || joined(after))) {
                    found.push(format!("line {}: {word} ({why})", number + 1));
                }
            }
        }
    }
    found
}

#[test]
fn no_file_has_words_that_belong_in_none() {
    for file in texts(|path| !GENERATED.contains(&path)) {
        let found = banned(&file.text);
        assert!(found.is_empty(), "{}: {found:#?}", file.path);
    }
}

#[test]
fn a_banned_word_is_found_and_a_part_of_another_is_not() {
    let (head, tail, _) = BANNED[0];
    assert_eq!(banned(&format!("// {head}{tail}: later")).len(), 1);
    assert_eq!(banned(&format!("// MAS{head}{tail}N")).len(), 0);
    assert_eq!(banned("the workspace /workspace, a root:x:0:0:root:/root:/bin/sh").len(), 0);
}
