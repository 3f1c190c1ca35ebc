//! Homes that earlier versions made (`tests/golden/make.sh`): this one restores them, reads what they tell, and goes on.

use std::path::{Path, PathBuf};

use agora_testkit::env::{TestEnv, binary};

use crate::backup::failed;
use crate::support::{admin, json};

fn golden() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "tar")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn homes_of_earlier_versions_are_read_finished_and_verified() {
    for program in ["agora-worker", "agora-jail"] {
        let _built = binary(program);
    }
    for file in golden() {
        let env = TestEnv::new();
        assert!(admin(&env, &["restore", file.to_str().unwrap()]).ok().contains("log golden.local/"));
        // Read as it was left.
        assert_eq!(failed(&env, &env.home()), [""; 0], "{}", file.display());
        assert!(admin(&env, &["audit", "done"]).ok().contains("verified"));
        assert!(admin(&env, &["result", "done"]).ok().contains("a.txt"));
        assert!(admin(&env, &["result", "done", "b", "--part", "patch", "--out", "-"]).ok().contains("+by b"));
        assert!(admin(&env, &["logs", "done", "a"]).ok().contains("did it"));
        let inbox = json(&env, &["status", "--view", "inbox"]);
        assert_eq!(inbox["inbox"][0]["item_id"], "ask", "{inbox}");
        // Finished.
        let _answered = admin(&env, &["answer", "asks", "ask", "blue"]).ok();
        assert_eq!(admin(&env, &["watch", "asks", "--timeout", "50"]).code, Some(8), "it waits for a person");
        let _approved = admin(&env, &["approve", "asks", "gate"]).ok();
        let _closed = admin(&env, &["submit", "--extend", "grows", "--close"]).ok();
        for run in ["asks", "grows"] {
            let _ended = admin(&env, &["watch", run, "--timeout", "50"]).ok();
            assert!(admin(&env, &["audit", run]).ok().contains("verified"), "{run}");
        }
        assert!(admin(&env, &["result", "asks"]).ok().contains("colour.txt"));
        assert!(admin(&env, &["result", "grows"]).ok().contains("second.txt"));
        assert_eq!(failed(&env, &env.home()), [""; 0], "{}", file.display());
    }
}
