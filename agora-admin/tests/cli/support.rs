//! What the tests share.

use agora_testkit::env::{Output, TestEnv};
use serde_json::Value;

pub(crate) const ADMIN: &str = "agora-admin";

/// A place with a home that `init` made.
pub(crate) fn ready() -> TestEnv {
    let env = TestEnv::new();
    let _made = admin(&env, &["init"]).ok();
    env
}

pub(crate) fn admin(env: &TestEnv, arguments: &[&str]) -> Output {
    env.run(ADMIN, arguments)
}

/// What a verb answers as JSON.
#[track_caller]
pub(crate) fn json(env: &TestEnv, arguments: &[&str]) -> Value {
    let text = admin(env, &[&["--format", "json"], arguments].concat()).ok();
    serde_json::from_str(&text).unwrap()
}

/// Text without what differs from run to run: the place, and digests.
pub(crate) fn plain(env: &TestEnv, text: &str) -> String {
    let text = text.replace(env.root().to_str().unwrap(), "<ROOT>");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("sha256:") {
        let after = &rest[at + 7..];
        let digits = after.bytes().take_while(u8::is_ascii_hexdigit).count();
        out.push_str(&rest[..at]);
        out.push_str(if digits > 0 { "<DIGEST>" } else { "sha256:" });
        rest = &after[digits..];
    }
    out.push_str(rest);
    out
}

/// Writes a file below the folder where programs start.
pub(crate) fn write(env: &TestEnv, path: &str, text: &str) {
    let path = env.work().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Lets the home's target take what this machine can give, down to nothing: these tests are about the command line.
pub(crate) fn any_isolation(env: &TestEnv) {
    let profiles = r#"["strict", "strict-nocg", "landlock-only", "none"]"#;
    let text = format!("[targets.local]\nprovider = \"process\"\nprofiles = {profiles}\n");
    std::fs::write(env.home().join("agora.toml"), text).unwrap();
}

/// Adds to the home's configuration.
pub(crate) fn write_config(env: &TestEnv, more: &str) {
    let path = env.home().join("agora.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{text}{more}")).unwrap();
}
