//! The frozen bundles: what each of them must come to. `agora-testkit/verify/make.py` makes them, always the same bytes,
//! and its own verifier says what is in `expected.json`; this one must find the same.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests, of bundles that are files")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use agora_core::audit::verify::{Evidence, Report, Requirement, SPEC, Status, Verifier, verify};
use serde::Deserialize;

/// A row of `expected.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The bundle.
    file: PathBuf,
    policy: Option<PathBuf>,
    anchor: Option<PathBuf>,
    require: Vec<String>,
    /// What the bundle was made to fail by: it fails, or is told as unchecked.
    codes: Vec<String>,
    /// Every check that fails.
    failed: BTreeSet<String>,
    /// Of what has no failure.
    axes: Option<BTreeMap<String, String>>,
    exit: u8,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/bundle")
}

fn rows() -> Vec<Row> {
    serde_json::from_slice(&std::fs::read(folder().join("expected.json")).unwrap()).unwrap()
}

fn judge(row: &Row) -> Report {
    let read = |path: &PathBuf| std::fs::read(folder().join(path)).map_err(|error| error.to_string());
    let bundle = read(&row.file);
    let policy = row.policy.as_ref().map(|path| read(path).map(|bytes| String::from_utf8(bytes).unwrap()));
    let fetched = row.anchor.as_ref().map(read);
    let require: Vec<Requirement> = row.require.iter().map(|value| Requirement::parse(value).unwrap()).collect();
    let evidence = Evidence {
        bundle: bundle.as_deref().map_err(Clone::clone),
        policy: policy.as_ref().map(|policy| policy.as_deref().map_err(Clone::clone)),
        require: &require,
        fetched: fetched.as_ref().map(|fetched| fetched.as_deref().map_err(Clone::clone)),
    };
    verify(&evidence, Verifier { version: "1".to_owned(), spec: SPEC.to_owned(), binary: None })
}

#[test]
fn every_frozen_bundle_comes_to_what_the_other_verifier_says() {
    for row in rows() {
        let report = judge(&row);
        let of = |statuses: &[Status]| {
            let rows = report.checks.iter().filter(|check| statuses.contains(&check.status));
            rows.map(|check| check.code.to_owned()).collect::<BTreeSet<String>>()
        };
        let name = row.file.display();
        assert_eq!(of(&[Status::Fail]), row.failed, "{name}\n{report}");
        assert_eq!(report.verdict.exit_code(), row.exit, "{name}\n{report}");
        let told = of(&[Status::Fail, Status::Unchecked]);
        assert!(row.codes.iter().all(|code| told.contains(code)), "{name}: {:?}\n{report}", row.codes);
        let axes = report.axes.iter().map(|(axis, value)| ((*axis).to_owned(), (*value).to_owned()));
        assert!(row.axes.is_none_or(|wanted| wanted == axes.collect()), "{name}\n{report}");
    }
}

/// What is bad fails and what is good does not, and no file lies about without a row.
#[test]
fn the_frozen_bundles_are_good_and_bad_as_their_folders_say() {
    let (mut good, mut bad) = (BTreeSet::new(), BTreeSet::new());
    for row in rows() {
        let is_good = row.file.starts_with("good");
        // One that cannot be checked whole is told so, and is no failure where nobody requires it.
        assert!(is_good == row.codes.is_empty() && (row.exit == 0 || !is_good), "{}", row.file.display());
        assert_eq!(row.exit == 0, row.axes.is_some(), "{}", row.file.display());
        if is_good { &mut good } else { &mut bad }.insert(row.file);
    }
    for (kind, named) in [("good", good), ("bad", bad)] {
        let found = std::fs::read_dir(folder().join(kind)).unwrap();
        let found = found.map(|entry| Path::new(kind).join(entry.unwrap().file_name()));
        let stray: Vec<PathBuf> = found.filter(|file| !named.contains(file)).collect();
        assert!(stray.is_empty() && !named.is_empty(), "{stray:?}");
    }
}
