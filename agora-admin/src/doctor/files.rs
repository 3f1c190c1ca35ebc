//! The home, who owns it, its modes, and its keys.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use agora_admin::keys::{REGISTRY_ADMIN, private_path};
use agora_core::error::Coded as _;
use agora_engine::home::FOLDERS;
use agora_engine::keys::{Keys, Role, trusted};
use agora_engine::p256::ATTEST_P256;

use super::check::Check;

/// The home itself: a folder, this user's, nobody else's to enter.
pub(super) fn home(home: &Path) -> Vec<Check> {
    let found = match std::fs::metadata(home) {
        Ok(found) => found,
        Err(error) => {
            return vec![Check::fail("home", format!("{}: {error}", home.display()), "run `agora-admin init`")];
        }
    };
    // The mode says nothing of a file system that is mounted read-only.
    let writable = rustix::fs::access(home, rustix::fs::Access::WRITE_OK);
    match (owned(&found, home, 0o700), writable) {
        (Some(check), _) => vec![check],
        (None, Err(error)) => {
            let detail = format!("{} cannot be written: {error}", home.display());
            vec![Check::fail("home", detail, "give this user write access, on a file system that is not read-only")]
        }
        (None, Ok(())) => match folders(home) {
            bad if bad.is_empty() => vec![Check::ok("home", format!("{}, mode 0700", home.display()))],
            bad => bad,
        },
    }
}

/// What stands where a folder of the home should be. One that is not there is made when it is needed; what of it is missed is
/// told by who looks for it.
fn folders(home: &Path) -> Vec<Check> {
    let bad = FOLDERS.into_iter().filter_map(|name| {
        let path = home.join(name);
        match std::fs::symlink_metadata(&path) {
            // Its mode matters less: nobody else comes past the home's.
            Ok(found) if found.is_dir() => None,
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Ok(_) => {
                let remedy = format!("move {} away, then run `agora-admin init`", path.display());
                Some(Check::fail("home", format!("{} is no folder", path.display()), remedy))
            }
            Err(error) => {
                let remedy = format!("give this user access to {}", path.display());
                Some(Check::fail("home", format!("{}: {error}", path.display()), remedy))
            }
        }
    });
    bad.collect()
}

fn owned(found: &Metadata, path: &Path, mode: u32) -> Option<Check> {
    let (uid, shown) = (rustix::process::geteuid().as_raw(), path.display());
    if found.uid() != uid {
        let detail = format!("{shown} belongs to the user {}, and this is {uid}", found.uid());
        return Some(Check::fail("home", detail, "run agora as the user that owns the home, and nobody else"));
    }
    if found.mode() & 0o077 != 0 {
        let detail = format!("{shown} has mode {:04o}: others may use it", found.mode() & 0o7777);
        return Some(Check::fail("home", detail, format!("run `chmod {mode:o} {shown}`")));
    }
    None
}

/// The keys: whole pairs that only this user may read. The key of the registry is looked at and not opened.
pub(super) fn keys(home: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    match Keys::open(home) {
        Ok(keys) if keys.attest_p256().is_some() => {
            checks.push(Check::ok("keys", format!("log, run, attest and {ATTEST_P256} of {}", keys.origin())));
        }
        Ok(keys) => {
            checks.push(Check::ok("keys", format!("log, run and attest of {}", keys.origin())));
            let detail = format!("there is no key {ATTEST_P256}: statements are signed with Ed25519 alone");
            checks.push(Check::warn("keys", detail, "run `agora-admin init`"));
        }
        Err(error) => checks.push(Check::problem("keys", &error.problem())),
    }
    for role in Role::ALL.map(Role::as_str).into_iter().chain([ATTEST_P256, REGISTRY_ADMIN]) {
        let path = private_path(home, role);
        match std::fs::symlink_metadata(&path) {
            Ok(found) => checks.extend(owned(&found, &path, 0o600).map(|check| check_named("keys", check))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && role == REGISTRY_ADMIN => {
                let detail = "the registry's key is not on this machine: nothing can be deployed from here";
                checks.push(Check::warn("keys", detail, "restore keys/registry-admin.key if it should be"));
            }
            // The engine's own keys were told of above.
            Err(_) => {}
        }
    }
    match trusted(home, REGISTRY_ADMIN) {
        Ok(keys) => checks.push(Check::ok("trust", format!("{} pinned for the registry", keys.len()))),
        Err(error) => checks.push(Check::problem("trust", &error.problem())),
    }
    checks
}

fn check_named(name: &'static str, check: Check) -> Check {
    Check::with(name, check.status(), check.detail().to_owned(), check.remedy().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::check::Status;
    use super::*;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_home_that_others_may_enter_fails_and_a_closed_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        mode(folder.path(), 0o755);
        let open = home(folder.path()).remove(0);
        assert_eq!(open.status(), Status::Fail);
        assert!(open.remedy().unwrap().starts_with("run `chmod 700 "), "{open:?}");
        mode(folder.path(), 0o700);
        assert!(home(folder.path()).remove(0).is_ok());
    }

    #[test]
    fn a_file_in_place_of_a_folder_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        mode(folder.path(), 0o700);
        for name in FOLDERS {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            let file = home(folder.path());
            assert_eq!((file.len(), file[0].status()), (1, Status::Fail), "{file:?}");
            assert!(file[0].detail().contains("is no folder") && file[0].detail().contains(name), "{file:?}");
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
        }
        assert!(home(folder.path()).remove(0).is_ok());
    }

    #[test]
    fn keys_that_are_not_there_or_open_to_others_are_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let checks = keys(folder.path());
        assert!(checks.iter().all(|check| !check.is_ok()), "{checks:?}");
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        let key = private_path(folder.path(), REGISTRY_ADMIN);
        std::fs::write(&key, "").unwrap();
        mode(&key, 0o644);
        let detail = |checks: &[Check]| checks.iter().any(|check| check.detail().contains("mode 0644"));
        assert!(detail(&keys(folder.path())));
        mode(&key, 0o600);
        assert!(!detail(&keys(folder.path())));
    }
}
