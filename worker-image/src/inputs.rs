//! The inputs: blobs at `inputs/<key>`, read-only, and the links that lead there from the workspace.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;

use agora_core::id::Digest;
use agora_core::path::{self, Scope};
use agora_core::worker::{Failure, Reason, Resume};

use crate::baseline::PassedOver;
use crate::beneath::{Root, create_in, split};
use crate::blobs::Blobs;
use crate::failure::{broke, fail};

/// All inputs of an attempt: the item's, and what an answered question adds under its reserved keys.
///
/// # Errors
/// `bad-input-key`, naming each key and its rule.
pub(crate) fn all(
    inputs: &BTreeMap<String, Digest>,
    resume: Option<&Resume>,
) -> Result<BTreeMap<String, Digest>, Failure> {
    let mut all = inputs.clone();
    let reserved = resume.map(|resume| [("answer", Some(resume.answer)), ("partial_state", resume.partial_state)]);
    for (key, digest) in reserved.into_iter().flatten().filter_map(|(key, digest)| Some((key, digest?))) {
        if all.insert(key.to_owned(), digest).is_some_and(|taken| taken != digest) {
            let what = format!("the key {key:?} is reserved for what an answered question adds");
            return Err(fail(Reason::BadInputKey, what));
        }
    }
    path::check_set(all.keys().map(String::as_bytes), Scope::Input).map_err(|refusals| {
        let shown: Vec<String> = refusals.iter().take(10).map(ToString::to_string).collect();
        fail(Reason::BadInputKey, format!("input keys: {}", shown.join("; ")))
    })?;
    Ok(all)
}

/// Lays the inputs out.
pub(crate) fn lay_out(root: &Root, inputs: &BTreeMap<String, Digest>, blobs: &Blobs) -> Result<(), Failure> {
    for (key, digest) in inputs {
        let what = format!("the input {key:?}");
        let (folder, name) = split(key.as_bytes());
        let mut file = root
            .make_folders(folder)
            .and_then(|folder| create_in(folder.as_fd(), name, 0o444))
            .map_err(|error| broke(&format!("lay out {what}"), &error))?;
        blobs.copy(digest, &what, &mut file)?;
    }
    Ok(())
}

/// Links `inputs` and `outputs` into the workspace. Where the tree has such a name itself it is left alone, and only the
/// variables lead there.
pub(crate) fn link(workspace: &Root, inputs: &Path, outputs: &Path) -> Result<PassedOver, Failure> {
    use std::os::unix::ffi::OsStrExt;
    let link = |name: &[u8], target: &Path| {
        let failed = |error: &std::io::Error| broke("link the inputs and outputs into the workspace", error);
        if workspace.stat(name).map_err(|error| failed(&error))?.is_some() {
            return Ok(false);
        }
        workspace.link(name, target.as_os_str().as_bytes()).map_err(|error| failed(&error))?;
        Ok(true)
    };
    Ok(PassedOver { inputs_link: link(b"inputs", inputs)?, outputs_link: link(b"outputs", outputs)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> BTreeMap<String, Digest> {
        keys.iter().map(|key| ((*key).to_owned(), Digest::of(key.as_bytes()))).collect()
    }

    #[test]
    fn keys_follow_the_path_policy_and_each_refusal_is_named() {
        assert_eq!(all(&keys(&["patch", "a/b.json", "ü"]), None).unwrap().len(), 3);
        for (key, rule) in [
            ("../x", "dot-component"),
            ("/etc/passwd", "absolute"),
            ("a\\b", "backslash"),
            ("a\0b", "nul"),
            (".git/config", "git-folder"),
            ("", "empty"),
        ] {
            let failure = all(&keys(&["fine", key]), None).unwrap_err();
            assert_eq!(failure.reason, Reason::BadInputKey);
            assert!(failure.detail.contains(rule) && !failure.detail.contains("fine"), "{}", failure.detail);
        }
        assert!(all(&keys(&["a", "a/b"]), None).is_err());
    }

    #[test]
    fn an_answer_has_its_reserved_keys() {
        let resume = |answer: &[u8]| Resume { draft: None, answer: Digest::of(answer), partial_state: None };
        let with = all(&keys(&["patch"]), Some(&resume(b"yes"))).unwrap();
        assert_eq!(with["answer"], Digest::of(b"yes"));
        assert!(!with.contains_key("partial_state"));
        assert!(all(&keys(&["answer"]), Some(&resume(b"answer"))).is_ok(), "the same twice is no conflict");
        assert_eq!(all(&keys(&["answer"]), Some(&resume(b"no"))).unwrap_err().reason, Reason::BadInputKey);
    }
}
