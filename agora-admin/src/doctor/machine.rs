//! The machine: the programs beside this one, git, disk, clock.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use agora_core::time::Time;

use super::check::Check;

/// Free bytes below which nothing can be promised: a few attempts' patches and logs.
const FREE_FAIL_BYTES: u64 = 128 << 20;
/// Free bytes below which it is time to look: a base tree and some attempts.
const FREE_WARN_BYTES: u64 = 2 << 30;
/// 2026-01-01T00:00:00Z in microseconds: nothing of agora is older.
const CLOCK_FIRST_MICROS: i64 = 1_767_225_600_000_000;

/// The programs that must lie beside this one, and what each is for.
const PROGRAMS: [(&str, &str); 3] = [
    ("agora-worker", "no attempt can run"),
    ("agora-jail", "no attempt can be confined"),
    ("agora-mcp", "no client can be served"),
];

/// The programs beside this one. They are never looked for anywhere else.
pub(super) fn programs() -> Vec<Check> {
    match std::env::current_exe() {
        Ok(path) => programs_in(path.parent().unwrap_or(Path::new("/"))),
        Err(error) => vec![Check::unknown("programs", format!("where this program lies: {error}"), "mount /proc")],
    }
}

fn programs_in(folder: &Path) -> Vec<Check> {
    let mut checks: Vec<Check> =
        PROGRAMS.iter().filter_map(|(name, without)| program(&folder.join(name), without)).collect();
    if checks.is_empty() {
        let names = PROGRAMS.map(|(name, _)| name).join(", ");
        checks.push(Check::ok("programs", format!("{names} in {}", folder.display())));
    }
    checks
}

fn program(path: &Path, without: &str) -> Option<Check> {
    let shown = path.display();
    let remedy = format!("install it at {shown}, from the same release as this program");
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => {
            let open = found.permissions().mode() & 0o022 != 0;
            open.then(|| {
                Check::fail("programs", format!("others may write {shown}"), format!("run `chmod go-w {shown}`"))
            })
        }
        Ok(_) => Some(Check::fail("programs", format!("{shown} is no program: {without}"), remedy)),
        Err(error) => Some(Check::fail("programs", format!("{shown}: {error}: {without}"), remedy)),
    }
}

/// Git, which agora itself does without: agents and reviewers want it.
pub(super) fn git() -> Check {
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).map(|folder| folder.join("git")).find(is_program) {
        Some(found) => Check::ok("git", found.display().to_string()),
        None => Check::warn(
            "git",
            "there is no git on PATH; agora reads repositories without it, agents with git = \"snapshot\" cannot",
            "install git",
        ),
    }
}

fn is_program(path: &PathBuf) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The room that is left where the home is.
pub(super) fn disk(home: &Path) -> Check {
    match rustix::fs::statvfs(home) {
        Ok(found) => room(found.f_bavail.saturating_mul(found.f_frsize), found.f_files == 0 || found.f_favail > 1_000),
        Err(error) => Check::unknown("disk", format!("{}: {error}", home.display()), "look with `df` yourself"),
    }
}

fn room(free_bytes: u64, files_left: bool) -> Check {
    let detail = format!("{} MiB free", free_bytes >> 20);
    let remedy = "free some space: what was accepted is kept, and nothing new can be";
    if !files_left {
        return Check::fail("disk", "no more files can be made on the home's file system", remedy);
    }
    match free_bytes {
        0..FREE_FAIL_BYTES => Check::fail("disk", detail, remedy),
        FREE_FAIL_BYTES..FREE_WARN_BYTES => Check::warn("disk", detail, "free some space before large runs"),
        _ => Check::ok("disk", detail),
    }
}

/// The clock: records keep its times as evidence.
pub(super) fn clock(now: Time) -> Check {
    if now.micros() < CLOCK_FIRST_MICROS {
        return Check::fail(
            "clock",
            format!("it says {now}, which is long past"),
            "set the clock, and keep it set by NTP",
        );
    }
    Check::ok("clock", now.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    #[test]
    fn room_has_three_answers() {
        assert_eq!(room(FREE_WARN_BYTES, true).status(), Status::Ok);
        assert_eq!(room(FREE_WARN_BYTES - 1, true).status(), Status::Warn);
        assert_eq!(room(FREE_FAIL_BYTES, true).status(), Status::Warn);
        assert_eq!(room(FREE_FAIL_BYTES - 1, true).status(), Status::Fail);
        assert_eq!(room(FREE_WARN_BYTES, false).status(), Status::Fail);
    }

    #[test]
    fn a_clock_of_long_ago_fails() {
        assert_eq!(clock(Time::from_micros(CLOCK_FIRST_MICROS - 1)).status(), Status::Fail);
        assert!(clock(Time::from_micros(CLOCK_FIRST_MICROS)).is_ok());
        assert_eq!(Time::from_micros(CLOCK_FIRST_MICROS).to_string(), "2026-01-01T00:00:00.000000Z");
    }

    #[test]
    fn programs_must_be_there_and_nobody_elses_to_write() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(programs_in(folder.path()).len(), PROGRAMS.len());
        for (name, _) in PROGRAMS {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let all = programs_in(folder.path());
        assert!(all.len() == 1 && all[0].is_ok(), "{all:?}");
        let worker = folder.path().join("agora-worker");
        std::fs::set_permissions(&worker, std::fs::Permissions::from_mode(0o775)).unwrap();
        let open = programs_in(folder.path()).remove(0);
        assert!(open.detail().contains("others may write"), "{open:?}");
        std::fs::set_permissions(&worker, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(programs_in(folder.path()).remove(0).detail().contains("is no program"));
    }
}
