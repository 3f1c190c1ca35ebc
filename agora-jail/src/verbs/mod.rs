//! The helper's own side: what the executable `agora-jail` does. One thread, no runtime.

mod boxed;
mod exec;
mod probe;
mod run;

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;

use crate::channel::Channel;
use crate::error::Refusal;
use crate::spec::{HowEnded, Said};
use crate::sys;

/// Exit code of a helper that was called wrongly or could not even answer.
const CANNOT: u8 = 70;

/// Runs the executable `agora-jail` with these arguments, its own name left out.
#[must_use]
pub fn helper_main(arguments: Vec<OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let verb = arguments.next().unwrap_or_default();
    if verb == "--version" {
        let line = concat!("agora-jail ", env!("CARGO_PKG_VERSION"), "\n");
        return code(std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).is_ok());
    }
    let Ok(mut options) = Options::new(arguments) else { return ExitCode::from(CANNOT) };
    let Some(control) = options.descriptor("--control") else { return ExitCode::from(CANNOT) };
    let channel = Channel::adopt(control);
    match verb.to_str() {
        Some("run") => code(run::run(channel)),
        Some("exec") => exec::exec(channel),
        Some("probe") => code(probe::probe(channel)),
        Some("box") => code(boxed::run(channel, options)),
        _ => ExitCode::from(CANNOT),
    }
}

fn code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::from(CANNOT) }
}

/// The number of a descriptor, as an option's value.
pub(crate) fn number(fd: &impl AsFd) -> String {
    fd.as_fd().as_raw_fd().to_string()
}

/// Says why nothing is run. The caller may be gone, and then nobody needs to know.
fn refuse(channel: &mut Channel, refusal: Refusal) -> bool {
    channel.send(&Said::Refused(refusal)).is_ok()
}

fn how_ended(status: Option<rustix::process::WaitStatus>, leftovers: u64) -> HowEnded {
    let status = status.map(|status| std::process::ExitStatus::from_raw(status.as_raw()));
    HowEnded {
        code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        leftovers,
    }
}

/// The pairs of option and value that a verb was given. They come from our own library alone, so a wrong one is a bug.
struct Options(Vec<(OsString, OsString)>);

impl Options {
    fn new(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, ()> {
        let mut pairs = Vec::new();
        while let Some(name) = arguments.next() {
            pairs.push((name, arguments.next().ok_or(())?));
        }
        Ok(Self(pairs))
    }

    fn take(&mut self, name: &str) -> Option<OsString> {
        let at = self.0.iter().position(|(given, _)| given == OsStr::new(name))?;
        Some(self.0.swap_remove(at).1)
    }

    /// Takes over the descriptor of an option.
    fn descriptor(&mut self, name: &str) -> Option<OwnedFd> {
        sys::adopt(self.take(name)?.to_str()?.parse().ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_in_pairs() {
        let given = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>().into_iter();
        let mut options = Options::new(given(&["--a", "1", "--b", "2"])).ok().unwrap();
        assert_eq!(options.take("--b"), Some("2".into()));
        assert_eq!(options.take("--b"), None);
        assert!(options.descriptor("--a").is_none(), "standard streams are nobody's to take");
        assert!(Options::new(given(&["--a"])).is_err());
    }
}
