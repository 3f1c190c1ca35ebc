//! Every file that documentation and hints name is there.

use std::path::Path;

use crate::files::{is_product, root, texts};
use crate::source::{Kind, product};

/// What `[text](target)` leads to, without addresses elsewhere.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.contains(char::is_whitespace)).collect()
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn leads_nowhere(file: &Path, target: &str) -> bool {
    let (path, wanted) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { file.to_owned() } else { file.parent().unwrap().join(path) };
    let Some(wanted) = wanted else { return !path.exists() };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    !text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == wanted)
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    for file in texts(|path| path.ends_with(".md") && !path.contains("/src/")) {
        let place = root().join(&file.path);
        let dead: Vec<&str> = links(&file.text).into_iter().filter(|target| leads_nowhere(&place, target)).collect();
        assert!(dead.is_empty(), "{}: {dead:?}", file.path);
    }
}

#[test]
fn every_page_that_code_names_is_there() {
    for file in texts(is_product) {
        let tokens = product(&file.text);
        let hints = tokens.iter().filter(|token| token.kind == Kind::Text).map(|token| token.text.as_str());
        let comments = file.text.lines().filter(|line| line.trim_start().starts_with("//"));
        for rest in hints.chain(comments).flat_map(|text| text.split("docs/").skip(1)) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            let page = rest[name.len()..].starts_with(".md") && !name.is_empty();
            assert!(!page || root().join(format!("docs/{name}.md")).exists(), "{}: docs/{name}.md", file.path);
        }
    }
}

#[test]
fn a_dead_link_is_found_and_a_live_one_is_not() {
    let text = "[a](docs/plan.md#growing-runs) [b](https://example.org) [c](docs/none.md) `x](y z)`";
    assert_eq!(links(text), ["docs/plan.md#growing-runs", "docs/none.md"]);
    let readme = root().join("README.md");
    assert!(!leads_nowhere(&readme, "docs/plan.md#growing-runs"));
    assert!(leads_nowhere(&readme, "docs/plan.md#nothing") && leads_nowhere(&readme, "docs/none.md"));
    assert_eq!(anchor("## The home: one folder"), "the-home-one-folder");
}
