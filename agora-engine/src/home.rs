//! What lies in a home, and so whether a folder is one. `agora-admin init` makes it; here it is only looked at.

use std::ffi::OsStr;
use std::path::Path;

use agora_core::error::{Class, Problem};

use crate::config::CONFIG_FILE;
use crate::driver::LOCK_FILE;
use crate::engine::STORE_FILE;
use crate::keys::{KEYS_FOLDER, TRUST_FOLDER};
use crate::registry::REGISTRY_FOLDER;

/// The folders of a home.
pub const FOLDERS: [&str; 7] = [KEYS_FOLDER, TRUST_FOLDER, REGISTRY_FOLDER, "blobs", "trees", "attempts", "logs"];
/// What may lie in a home besides: files of agora's, those of SQLite, and what a file system of its own begins with.
const FILES: [&str; 6] = [CONFIG_FILE, STORE_FILE, "store.db-wal", "store.db-shm", LOCK_FILE, "lost+found"];
/// What nobody else's folder holds, whatever lies beside it.
const PROOFS: [&str; 4] = [STORE_FILE, "registry/snapshot.note", "trust/log.vkey", "keys/log.key"];

/// Returns what is wrong with a folder that is somebody else's: it holds other things, and nothing that only a home holds.
/// A slip such as `AGORA_HOME=/proc` must neither close that folder to others nor fill it. `None` for one that is empty or
/// cannot be listed.
#[must_use]
pub fn foreign(folder: &Path) -> Option<Problem> {
    let is_ours = |name: &OsStr| FOLDERS.iter().chain(&FILES).any(|known| *known == name);
    let is_other = std::fs::read_dir(folder).ok()?.flatten().any(|entry| !is_ours(&entry.file_name()));
    if !is_other || PROOFS.iter().any(|path| folder.join(path).symlink_metadata().is_ok()) {
        return None;
    }
    let message = format!("{} holds other things and no home of agora's", folder.display());
    let hint = "name the home with --home or AGORA_HOME, or an empty folder for `agora-admin init`";
    Some(Problem::new(Class::Operator, "home-foreign", message).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_foreign_when_it_holds_other_things_and_nothing_that_only_a_home_holds() {
        let folder = tempfile::tempdir().unwrap();
        let is_foreign = || foreign(folder.path()).is_some();
        assert!(!is_foreign(), "it is empty");
        for name in FOLDERS {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join(CONFIG_FILE), "").unwrap();
        assert!(!is_foreign(), "`init` was interrupted");
        std::fs::write(folder.path().join("passwd"), "x").unwrap();
        assert_eq!(foreign(folder.path()).unwrap().code, "home-foreign", "other programs have such folders, too");
        for name in PROOFS {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            assert!(!is_foreign(), "{name}");
            std::fs::remove_file(path).unwrap();
        }
        assert!(is_foreign());
        assert!(foreign(&folder.path().join("none")).is_none(), "it is not there");
    }
}
