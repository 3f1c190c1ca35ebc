//! Every ignored test has a lane: `#[ignore = "needs X"]` runs in `.ci/run` as `-- --ignored needs_X`.

use crate::files::{root, texts};
use crate::source::{Kind, stands, tokens};

#[test]
fn every_ignored_test_has_a_reason_and_a_lane() {
    let script = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    for file in texts(|path| path.ends_with(".rs")) {
        let tokens = tokens(&file.text);
        for at in (0..tokens.len()).filter(|at| stands(&tokens, *at, &["#", "[", "ignore"])) {
            let place = format!("{}:{}", file.path, tokens[at].line);
            let reason = tokens.get(at + 4).filter(|token| token.kind == Kind::Text);
            let reason = reason.unwrap_or_else(|| panic!("{place}: an ignored test without a reason"));
            let need = reason.text.strip_prefix("needs ").filter(|need| need.bytes().all(|b| b.is_ascii_lowercase()));
            let need = need.unwrap_or_else(|| panic!("{place}: a reason is `needs X`, this is {:?}", reason.text));
            let lane = format!("needs_{need}");
            assert!(script.contains(&format!("--ignored {lane}")), "{place}: .ci/run has no lane {lane}");
            assert!(
                file.text.contains(&format!("mod {lane}")),
                "{place}: it stands outside mod {lane}, so no lane runs it"
            );
        }
    }
}
