//! Who may depend on whom: the walls between the packages, read from their manifests.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::files::{PACKAGES, root};

/// Package, and what it must never use: a name, or the start of one before `*`.
const FORBIDDEN: [(&str, &[&str]); 10] = [
    ("agora-core", &["tokio", "rusqlite", "git2", "bollard", "aws-*", "rmcp", "clap", "agora-*", "tracing", "rustix"]),
    ("agora-tree", &["tokio", "rusqlite", "bollard", "aws-*", "rmcp", "clap"]),
    ("agora-jail", &["tokio", "rusqlite", "git2", "bollard", "aws-*", "rmcp", "clap"]),
    ("agora-engine", &["bollard", "aws-*", "rmcp", "clap", "agora-providers", "agora-admin"]),
    ("agora-providers", &["rusqlite", "rmcp", "clap", "agora-engine", "agora-admin"]),
    ("agora-mcp", &["agora-admin"]),
    ("agora-admin", &["rmcp", "agora-mcp"]),
    ("agora-verify", &["tokio", "rusqlite", "git2", "bollard", "aws-*", "rmcp"]),
    ("agora-worker", &["agora-engine", "rusqlite", "bollard", "aws-*", "rmcp", "tokio"]),
    ("agora-testkit", &["agora-engine", "agora-providers", "agora-admin", "rusqlite", "rmcp"]),
];
/// What only a package's own manifest must not name; further down it is somebody else's business.
const FORBIDDEN_DIRECTLY: [(&str, &[&str]); 2] =
    [("agora-mcp", &["rusqlite", "bollard", "aws-*"]), ("agora-verify", &["agora-tree", "agora-engine"])];
/// All that the auditor's tool may be made of.
const VERIFY_MAY_USE: [&str; 2] = ["agora-core", "clap"];

struct Package {
    needs: BTreeSet<String>,
    builds_with: BTreeSet<String>,
}

fn read(text: &str) -> Table {
    text.parse().unwrap()
}

fn names(table: &Table, key: &str) -> BTreeSet<String> {
    table.get(key).and_then(Value::as_table).into_iter().flat_map(|table| table.keys().cloned()).collect()
}

fn packages() -> BTreeMap<String, Package> {
    let mut all = BTreeMap::new();
    for folder in PACKAGES {
        let table = read(&std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap());
        let name = table["package"]["name"].as_str().unwrap().to_owned();
        let mut needs = names(&table, "dependencies");
        let builds_with = names(&table, "build-dependencies");
        // `[target.'cfg(…)'.dependencies]` is no way round.
        let targets = table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        needs.extend(targets.filter_map(Value::as_table).flat_map(|table| names(table, "dependencies")));
        all.insert(name, Package { needs, builds_with });
    }
    all
}

/// What a package needs, through the packages of this repository.
fn reached(all: &BTreeMap<String, Package>, name: &str) -> BTreeSet<String> {
    let (mut found, mut left) = (BTreeSet::new(), vec![name.to_owned()]);
    while let Some(next) = left.pop() {
        for need in all.get(&next).into_iter().flat_map(|package| &package.needs) {
            if found.insert(need.clone()) {
                left.push(need.clone());
            }
        }
    }
    found
}

fn breaches(needs: &BTreeSet<String>, forbidden: &[&str]) -> Vec<String> {
    let is = |need: &str, rule: &str| match rule.strip_suffix('*') {
        Some(start) => need.starts_with(start),
        None => need == rule,
    };
    needs.iter().filter(|need| forbidden.iter().any(|rule| is(need, rule))).cloned().collect()
}

#[test]
fn no_package_reaches_what_it_must_never_use() {
    let all = packages();
    assert_eq!(all.len(), FORBIDDEN.len(), "a package without a rule");
    for (name, forbidden) in FORBIDDEN {
        assert_eq!(breaches(&reached(&all, name), forbidden), [""; 0], "{name} must never use these");
    }
    for (name, forbidden) in FORBIDDEN_DIRECTLY {
        assert_eq!(breaches(&all[name].needs, forbidden), [""; 0], "{name} must not name these");
    }
    let verify: BTreeSet<String> = VERIFY_MAY_USE.map(str::to_owned).into();
    assert!(all["agora-verify"].needs.is_subset(&verify), "{:?}", all["agora-verify"].needs);
}

#[test]
fn the_testkit_is_for_tests_alone() {
    for (name, package) in packages() {
        assert!(!package.needs.contains("agora-testkit"), "{name} ships the testkit");
        assert!(package.builds_with.is_empty(), "{name} runs code at build time: {:?}", package.builds_with);
    }
}

#[test]
fn every_dependency_has_its_one_version_in_the_root() {
    let table = read(&std::fs::read_to_string(root().join("Cargo.toml")).unwrap());
    let members: Vec<&str> =
        table["workspace"]["members"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(members, PACKAGES, "a package that no rule here knows");
    for folder in PACKAGES {
        let table = read(&std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap());
        for key in ["dependencies", "dev-dependencies"] {
            for (name, value) in table.get(key).and_then(Value::as_table).into_iter().flatten() {
                let inherits = value.get("workspace").and_then(Value::as_bool) == Some(true);
                assert!(inherits, "{folder}: {name} is not declared in the root's [workspace.dependencies]");
            }
        }
    }
}

#[test]
fn a_breach_is_found_and_a_neighbour_is_none() {
    let needs = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    assert_eq!(breaches(&needs(&["tokio", "aws-sdk-s3", "serde"]), &["tokio", "aws-*"]), ["aws-sdk-s3", "tokio"]);
    assert_eq!(breaches(&needs(&["tokio-util", "aws"]), &["tokio", "aws-*"]), [""; 0]);
}
