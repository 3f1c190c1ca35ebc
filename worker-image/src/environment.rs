//! The environment of every command of an attempt: from empty, nothing inherited; pure.

use std::collections::BTreeMap;
use std::path::Path;

use agora_core::worker::{AttemptId, Failure, Reason};

use crate::failure::fail;

/// Where programs are looked up, unless a bundle says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the agent finds what is its own.
pub(crate) struct Places<'a> {
    pub(crate) workspace: &'a Path,
    pub(crate) home: &'a Path,
    pub(crate) tmp: &'a Path,
    pub(crate) inputs: &'a Path,
    pub(crate) outputs: &'a Path,
    pub(crate) notes: &'a Path,
}

/// Makes the environment.
///
/// # Errors
/// `env-refused`, which names each variable and the rule.
pub(crate) fn environment(
    bundles: &BTreeMap<String, String>,
    places: &Places<'_>,
    attempt: &AttemptId,
) -> Result<BTreeMap<String, String>, Failure> {
    let refused: Vec<String> = bundles
        .iter()
        .filter_map(|(name, value)| {
            let why = refused(name).or_else(|| value.contains('\0').then_some("its value holds a NUL"))?;
            Some(format!("{:.128} ({why})", name.escape_debug().to_string()))
        })
        .take(20)
        .collect();
    if !refused.is_empty() {
        return Err(fail(Reason::EnvRefused, format!("variables that may not be set: {}", refused.join(", "))));
    }
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut env: BTreeMap<String, String> = [
        ("PATH", PATH.to_owned()),
        ("HOME", text(places.home)),
        ("USER", "agent".to_owned()),
        ("SHELL", "/bin/sh".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("TZ", "UTC".to_owned()),
        ("TERM", "dumb".to_owned()),
        ("TMPDIR", text(places.tmp)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    env.extend(bundles.clone());
    env.extend(
        [
            ("AGORA_WORKSPACE", text(places.workspace)),
            ("AGORA_INPUTS", text(places.inputs)),
            ("AGORA_OUTPUTS", text(places.outputs)),
            ("AGORA_NOTES", text(places.notes)),
            ("AGORA_RUN", attempt.run.to_string()),
            ("AGORA_ITEM", attempt.item.to_string()),
            ("AGORA_ATTEMPT", attempt.attempt.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    Ok(env)
}

/// Why a variable may not be set by a bundle: it would change what a trusted command does, or is agora's own.
fn refused(name: &str) -> Option<&'static str> {
    agora_core::registry::env_name_refused(name, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(bundles: &[(&str, &str)]) -> Result<BTreeMap<String, String>, Failure> {
        let bundles = bundles.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let places = Places {
            workspace: Path::new("/w"),
            home: Path::new("/h"),
            tmp: Path::new("/t"),
            inputs: Path::new("/i"),
            outputs: Path::new("/o"),
            notes: Path::new("/n"),
        };
        let attempt = AttemptId { run: "r".parse().unwrap(), item: "a".parse().unwrap(), attempt: 2, fence: 3 };
        environment(&bundles, &places, &attempt)
    }

    #[test]
    fn it_is_made_from_empty_and_nothing_is_inherited() {
        let env = made(&[("GREETING", "hello"), ("LANG", "de_DE.UTF-8")]).unwrap();
        let names: Vec<&str> = env.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "AGORA_ATTEMPT",
                "AGORA_INPUTS",
                "AGORA_ITEM",
                "AGORA_NOTES",
                "AGORA_OUTPUTS",
                "AGORA_RUN",
                "AGORA_WORKSPACE",
                "GREETING",
                "HOME",
                "LANG",
                "PATH",
                "SHELL",
                "TERM",
                "TMPDIR",
                "TZ",
                "USER"
            ]
        );
        assert_eq!((env["LANG"].as_str(), env["AGORA_ATTEMPT"].as_str()), ("de_DE.UTF-8", "2"));
    }

    #[test]
    fn variables_that_steer_trusted_commands_are_refused_by_name() {
        for name in ["LD_PRELOAD", "GIT_DIR", "AGORA_RUN", "BASH_ENV", "HTTPS_PROXY", "DOCKER_HOST", "", "A B", "1A"] {
            let failure = made(&[(name, "x"), ("FINE", "y")]).unwrap_err();
            assert_eq!(failure.reason, Reason::EnvRefused, "{name}");
            assert!(failure.detail.contains(name) && !failure.detail.contains("FINE"), "{}", failure.detail);
        }
        assert!(made(&[("LDX", "x"), ("MY_GIT_DIR", "y")]).is_ok());
        assert!(made(&[("A", "x\0y")]).is_err());
    }
}
