//! `git = "snapshot"`: a throw-away repository of one commit, for the agent alone.
//!
//! It is made by git itself, inside the jail, before anything foreign has run: the agent needs that git anyway. Nothing
//! of the worker's ever reads it, and capture leaves it out.

use std::collections::BTreeMap;

/// What makes it. No template, so no hooks; everything is added, also what would be ignored, so that `git status` is
/// clean at the start.
const SCRIPT: &str = "set -eu
git init -q --template= -b main .
git add -A -f .
git commit -q --allow-empty --no-verify -m 'start of the item'
mkdir -p .git/info
printf '/inputs\\n/outputs\\n/.agora/\\n' >.git/info/exclude
";

/// The command.
pub(crate) fn argv() -> Vec<String> {
    ["/bin/sh", "-c", SCRIPT].map(str::to_owned).to_vec()
}

/// Its environment: no configuration but the repository's own, and one identity and time, so that the same tree gives
/// the same commit.
pub(crate) fn environment(base: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut env = base.clone();
    for who in ["AUTHOR", "COMMITTER"] {
        env.insert(format!("GIT_{who}_NAME"), "agora".to_owned());
        env.insert(format!("GIT_{who}_EMAIL"), "agora@localhost".to_owned());
        env.insert(format!("GIT_{who}_DATE"), "1970-01-01T00:00:00Z".to_owned());
    }
    env.insert("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned());
    env.insert("GIT_CONFIG_GLOBAL".to_owned(), "/dev/null".to_owned());
    env
}
