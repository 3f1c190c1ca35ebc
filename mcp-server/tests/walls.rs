//! What must not be inside `agora-mcp` (I14): anything that publishes the registry or opens a key that may.

#![expect(clippy::unwrap_used, reason = "a panic in a test's helper is the failure")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Bytes that only code which writes the registry carries.
const SENTINEL: &[u8] = b"agora-sentinel:registry-admin-writer";

fn cargo(arguments: &[&str]) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(arguments).arg("--offline").current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// What is linked into a package: how deep it stands, and its name.
fn linked(package: &str) -> Vec<(usize, String)> {
    let output = cargo(&["tree", "--package", package, "--edges", "normal", "--prefix", "depth", "--format", " {p}"]);
    let tree = String::from_utf8(output.stdout).unwrap();
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.parse().unwrap(), words.next()?.to_owned()))
        })
        .collect()
}

#[test]
fn the_dependency_graph_has_no_way_to_registry_writes() {
    let linked = linked("agora-mcp");
    let has = |name: &str| linked.iter().any(|(_, linked)| linked == name);
    assert!(has("agora-engine") && has("rmcp") && has("rusqlite"), "the graph was read: {linked:?}");
    for name in ["agora-admin", "agora-testkit"] {
        assert!(!has(name), "{name} is linked into agora-mcp");
    }
    for (_, name) in linked.iter().filter(|(depth, _)| *depth == 1) {
        let banned = ["rusqlite", "bollard", "git2"].contains(&name.as_str()) || name.starts_with("aws-");
        assert!(!banned, "agora-mcp uses {name} directly");
    }
}

fn has_sentinel(program: &Path) -> bool {
    let bytes = std::fs::read(program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    bytes.windows(SENTINEL.len()).any(|window| window == SENTINEL)
}

/// `agora-admin` of the same build; made now if it is missing.
fn admin() -> PathBuf {
    let profile = Path::new(env!("CARGO_BIN_EXE_agora-mcp")).parent().unwrap();
    let admin = profile.join("agora-admin");
    if !admin.exists() {
        let target = profile.parent().unwrap().to_str().unwrap();
        let mut arguments = vec!["build", "--package", "agora-admin", "--bin", "agora-admin", "--target-dir", target];
        if profile.ends_with("release") {
            arguments.push("--release");
        }
        cargo(&arguments);
    }
    admin
}

#[test]
fn the_built_program_does_not_hold_what_the_admins_does() {
    assert!(has_sentinel(&admin()), "agora-admin carries the sentinel, so its absence below means something");
    assert!(!has_sentinel(Path::new(env!("CARGO_BIN_EXE_agora-mcp"))));
}
