//! The smallest worker: runs `command.sh` of the attempt's folder in the profile `none`, and ends with its exit code.

use std::collections::BTreeMap;
use std::process::ExitCode;

use agora_core::target::{Limits, Profile};
use agora_jail::{JailError, RunSpec, run};

fn main() -> Result<ExitCode, JailError> {
    let folder = std::env::args_os().nth(2).unwrap_or_default();
    let jailed = run(&RunSpec {
        profile: Profile::None,
        argv: vec!["sh".to_owned(), "command.sh".to_owned()],
        env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        cwd: folder.into(),
        limits: Limits::default(),
    })?;
    let how = jailed.wait()?;
    Ok(how.code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
