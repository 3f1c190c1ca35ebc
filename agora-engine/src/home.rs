//! What lies in a home, and so whether a folder is one. `agora-admin init` makes it; here it is only looked at.

use std::path::Path;

use agora_core::error::{Class, Problem};

use crate::config::CONFIG_FILE;
use crate::driver::LOCK_FILE;
use crate::engine::STORE_FILE;
use crate::keys::{KEYS_FOLDER, TRUST_FOLDER};
use crate::registry::REGISTRY_FOLDER;

/// The folders of a home.
pub const FOLDERS: [&str; 7] = [KEYS_FOLDER, TRUST_FOLDER, REGISTRY_FOLDER, "blobs", "trees", "attempts", "logs"];
/// What a home may hold besides: a folder with none of these and none of [`FOLDERS`] is somebody else's.
pub const FILES: [&str; 3] = [CONFIG_FILE, STORE_FILE, LOCK_FILE];

/// Returns what is wrong with a folder that holds other things and nothing of a home: a slip such as `AGORA_HOME=/etc`, about
/// which no advice for homes (close it to others, run `init`) may be given. `None` for one that is empty or cannot be listed.
#[must_use]
pub fn foreign(folder: &Path) -> Option<Problem> {
    let is_empty = std::fs::read_dir(folder).ok()?.next().is_none();
    let mut known = FOLDERS.iter().chain(&FILES);
    if is_empty || known.any(|name| folder.join(name).symlink_metadata().is_ok()) {
        return None;
    }
    let message = format!("{} holds other things and none of agora's", folder.display());
    let hint = "name the home with --home or AGORA_HOME, or an empty folder for `agora-admin init`";
    Some(Problem::new(Class::Operator, "home-foreign", message).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_foreign_when_it_holds_something_and_nothing_of_a_home() {
        let folder = tempfile::tempdir().unwrap();
        let is_foreign = || foreign(folder.path()).is_some();
        assert!(!is_foreign(), "it is empty");
        std::fs::write(folder.path().join("passwd"), "x").unwrap();
        assert_eq!(foreign(folder.path()).unwrap().code, "home-foreign");
        for name in FOLDERS.iter().chain(&FILES) {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            assert!(!is_foreign(), "{name}");
            std::fs::remove_file(path).unwrap();
        }
        assert!(is_foreign());
        assert!(foreign(&folder.path().join("none")).is_none(), "it is not there");
    }
}
