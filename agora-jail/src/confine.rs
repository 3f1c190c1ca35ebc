//! Confines the calling process by a profile, and reads everything back: it never reports what it only asked for (I17).

use std::collections::BTreeMap;

use agora_core::target::Limits;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::Refusal;
use crate::profile::Policy;
use crate::spec::ReadBack;
use crate::sys;

const MIB: u64 = 1024 * 1024;

/// Confines this process and all it will start. There is no way back, and what is set here is left to programs alone:
/// the caller goes on with its descriptors until it starts one.
///
/// # Errors
/// [`Refusal::Failed`] naming the step; the caller must then end.
pub(crate) fn confine(policy: &Policy, limits: &Limits) -> Result<ReadBack, Refusal> {
    own_session()?;
    rustix::process::umask(Mode::from_bits_truncate(0o022));
    for (resource, wanted) in wanted_limits(policy, limits)? {
        lower(resource, wanted)?;
    }
    rustix::thread::set_no_new_privs(true).map_err(|error| Refusal::step("no_new_privs", error))?;
    sys::close_all_on_exec().map_err(|error| Refusal::step("close_range", error))?;
    check_descriptors()?;
    read_back()
}

/// A terminal of the operator's is out of reach from a new session, and its signals stay there.
fn own_session() -> Result<(), Refusal> {
    rustix::process::setsid().map_err(|error| Refusal::step("setsid", error))?;
    let session = rustix::process::getsid(None).map_err(|error| Refusal::step("getsid", error))?;
    if session == rustix::process::getpid() {
        Ok(())
    } else {
        Err(Refusal::step("getsid", "the session is not its own"))
    }
}

fn wanted_limits(policy: &Policy, limits: &Limits) -> Result<Vec<(Resource, u64)>, Refusal> {
    let mut wanted = Vec::new();
    for bound in &policy.rlimits {
        let resource = match bound.name.as_str() {
            "core" => Resource::Core,
            "nofile" => Resource::Nofile,
            other => return Err(Refusal::step(format!("rlimit {other}"), "no such limit")),
        };
        wanted.push((resource, bound.value));
    }
    wanted.extend(limits.disk_mib.map(|mib| (Resource::Fsize, mib.saturating_mul(MIB))));
    Ok(wanted)
}

/// Sets soft and hard limit to what is wanted, or to the hard limit that stands if that is lower: it is never raised.
fn lower(resource: Resource, wanted: u64) -> Result<(), Refusal> {
    let step = || format!("rlimit {resource:?}");
    let value = Some(getrlimit(resource).maximum.map_or(wanted, |hard| hard.min(wanted)));
    let limit = Rlimit { current: value, maximum: value };
    setrlimit(resource, limit).map_err(|error| Refusal::step(step(), error))?;
    let found = getrlimit(resource);
    if found == limit { Ok(()) } else { Err(Refusal::step(step(), format!("set {limit:?}, read back {found:?}"))) }
}

/// No descriptor but the three standard ones goes into a program.
fn check_descriptors() -> Result<(), Refusal> {
    let step = |error: std::io::Error| Refusal::step("reading the descriptors", error);
    for entry in std::fs::read_dir("/proc/self/fd").map_err(step)? {
        let name = entry.map_err(step)?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse::<i32>().ok()).filter(|number| *number > 2) else {
            continue;
        };
        // By path, since this process does not own all of them: the link is followed for its flags alone.
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).map_err(step)?;
        if !closes_on_exec(&info) {
            return Err(Refusal::step("close_range", format!("descriptor {number} would stay open")));
        }
    }
    Ok(())
}

/// proc_pid_fdinfo(5): `flags:` is octal, and 02000000 is O_CLOEXEC.
fn closes_on_exec(info: &str) -> bool {
    info.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u64::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & 0o2_000_000 != 0)
}

fn read_back() -> Result<ReadBack, Refusal> {
    let no_new_privs =
        rustix::thread::no_new_privs().map_err(|error| Refusal::step("reading no_new_privs back", error))?;
    if !no_new_privs {
        return Err(Refusal::step("no_new_privs", "set, and read back as not set"));
    }
    let names = [
        ("core", Resource::Core),
        ("nofile", Resource::Nofile),
        ("fsize", Resource::Fsize),
        ("nproc", Resource::Nproc),
    ];
    // Unlimited is no number, and what has none is absent from the report.
    let rlimits: BTreeMap<_, _> = names
        .into_iter()
        .filter_map(|(name, resource)| Some((name.to_owned(), getrlimit(resource).current?)))
        .collect();
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    Ok(ReadBack { no_new_privs, rlimits, kernel })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_that_would_stay_open_is_told_from_one_that_would_not() {
        assert!(closes_on_exec("pos:\t0\nflags:\t02100000\nmnt_id:\t1\n"));
        assert!(!closes_on_exec("pos:\t0\nflags:\t0100000\nmnt_id:\t1\n"));
        assert!(!closes_on_exec(""));
    }
}
