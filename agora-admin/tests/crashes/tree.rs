//! U04, C01: forty items on a real source tree, in three layers; whoever drives is killed twice in the middle of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::place::Place;

/// The package whose sources are worked on: this workspace depends on it, so they are on every machine that builds it.
const PACKAGE: &str = "rustix";
/// Items of the layers. Those of the first edit a file each, the others look at what they depend on.
const FIRST: usize = 24;
const SECOND: usize = 12;
const THIRD: usize = 4;

/// Renames a word in a file of the tree, and says at its head who was here.
const EDITOR: &str = r#"
runtime = "command"
argv = ["sh", "-c", '''
set -eu
read -r file
echo "$AGORA_RUN $AGORA_ITEM $AGORA_ATTEMPT" >> ROOT/started
sed -i -e "1i // edited by $AGORA_ITEM" -e 's/\<fn\>/fn \/* seen *\//g' "$file"
''']
targets = ["*"]
template = "{{ file }}\n"
"#;

/// Fails unless each of the files was edited, and keeps their digests.
const CHECKER: &str = r#"
runtime = "command"
argv = ["sh", "-c", '''
set -eu
echo "$AGORA_RUN $AGORA_ITEM $AGORA_ATTEMPT" >> ROOT/started
mkdir -p checked
while read -r file; do
  grep -q "^// edited by" "$file"
  sha256sum "$file" >> "checked/$AGORA_ITEM"
done
''']
targets = ["*"]
template = "{% for file in files %}{{ file }}\n{% endfor %}"
"#;

fn said(program: &str, arguments: &[&str]) -> String {
    let program = std::env::var_os(program.to_uppercase()).unwrap_or_else(|| program.into());
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Where cargo keeps the sources of a package that this workspace depends on.
fn sources(package: &str) -> PathBuf {
    let rustc = said("rustc", &["-vV"]);
    // What other machines alone need was never downloaded.
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc knows where it is");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let of_here = ["--filter-platform", host, "--manifest-path", manifest];
    let metadata = ["metadata", "--format-version=1", "--locked", "--offline"];
    let metadata = said("cargo", &[metadata.as_slice(), &of_here].concat());
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let found = packages.find(|found| found["name"] == package).expect("the workspace depends on it");
    Path::new(found["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

/// Copies a folder, and gives the paths of its Rust files that say `fn`, in order.
fn copy(from: &Path, to: &Path, below: &str, found: &mut Vec<String>) {
    std::fs::create_dir_all(to).unwrap();
    let mut entries: Vec<_> = std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{below}{name}");
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(&name), &format!("{path}/"), found);
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap();
        if name.ends_with(".rs") && String::from_utf8_lossy(&bytes).contains("fn ") {
            found.push(path);
        }
        std::fs::write(to.join(name), bytes).unwrap();
    }
}

/// The plan: an item of the second layer checks two files, one of the third all that three of the second did.
fn items(files: &[String]) -> Vec<Value> {
    let mut items = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let mut item =
            json!({"id": format!("edit-{at}"), "inputs": {"subagent": "editor", "workerInput": {"file": file}}});
        if at % 4 == 0 {
            item["resourceLocks"] = json!(["every-fourth"]);
        }
        items.push(item);
    }
    let mut check = |id: String, files: Vec<&String>, after: Vec<String>| {
        let inputs = json!({"subagent": "checker", "workerInput": {"files": files}});
        items.push(json!({"id": id, "inputs": inputs, "depends_on": after}));
    };
    for at in 0..SECOND {
        let pair = [at, at + SECOND];
        check(format!("pair-{at}"), pair.map(|at| &files[at]).to_vec(), pair.map(|at| format!("edit-{at}")).to_vec());
    }
    for at in 0..THIRD {
        let three = [at, at + THIRD, at + 2 * THIRD];
        let files = three.iter().flat_map(|at| [&files[*at], &files[at + SECOND]]).collect();
        check(format!("all-{at}"), files, three.map(|at| format!("pair-{at}")).to_vec());
    }
    items
}

#[test]
fn forty_items_on_a_real_tree_end_right_though_their_driver_is_killed_twice() {
    let place = Place::new(false);
    let mut files = Vec::new();
    copy(&sources(PACKAGE), &place.env.work(), "", &mut files);
    files.truncate(FIRST);
    assert_eq!(files.len(), FIRST);
    place.commit_all();
    place.register("editor", EDITOR);
    place.register("checker", CHECKER);
    let path = place.plan("forty", &items(&files));

    let mut driver = place.start(&["submit", &path, "--watch"]);
    driver.events("item.done", 10);
    assert!(driver.kill());
    let mut driver = place.start(&["watch", "forty"]);
    driver.events("item.done", 15);
    assert!(driver.kill());
    place.start(&["watch", "forty"]).ends(0);
    place.judge(&BTreeMap::from([("forty".to_owned(), "done")]));
    assert_eq!(place.started().len(), FIRST + SECOND + THIRD, "each is started once");

    // The whole patch applies to what was committed, and gives the tree that the commits of the items give.
    let patch = place.root().join("forty.patch");
    let _patch = place.admin(&["result", "forty", "--part", "patch", "--out", patch.to_str().unwrap()]).ok();
    let applied = place.json(&["apply", "forty", "--accept-flag", "build-script"]);
    assert_eq!(applied["items"].as_array().unwrap().len(), FIRST + SECOND + THIRD, "{applied}");
    let branch = applied["branch"].as_str().unwrap();
    assert_eq!(place.git(&["rev-list", "--count", &format!("main..{branch}")]).trim(), "40");
    place.git(&["apply", "--index", patch.to_str().unwrap()]);
    assert_eq!(place.git(&["diff", "--cached", "--stat", branch]), "");
    for (at, file) in files.iter().enumerate() {
        let text = std::fs::read_to_string(place.env.work().join(file)).unwrap();
        assert!(text.starts_with(&format!("// edited by edit-{at}\n")) && text.contains("fn /* seen */"), "{file}");
    }
}
