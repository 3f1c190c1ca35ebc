//! What a command is, how it ended, and the messages between a caller and the helper.

use std::collections::BTreeMap;
use std::path::PathBuf;

use agora_core::target::{Limits, Profile};
use serde::{Deserialize, Serialize};

use crate::error::{JailError, Refusal};

/// A message between a caller and the helper, in bytes. The kernel takes no more than 6 MiB of arguments and environment
/// (three quarters of 8 MiB, the default stack limit), and JSON needs some room to quote them.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Arguments and environment of one command, in bytes.
const COMMAND_BYTES_MAX: usize = 4 * 1024 * 1024;
/// One argument or one variable, in bytes: the kernel's `MAX_ARG_STRLEN`, its NUL included.
const STRING_BYTES_MAX: usize = 128 * 1024 - 1;

/// A command to confine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// The profile that confines it.
    pub profile: Profile,
    /// Program and arguments. A program with a slash is found from `cwd`, another one through `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Where it starts; absolute.
    pub cwd: PathBuf,
    /// What bounds it. `none` uses `disk_mib` alone, as the size of one file.
    pub limits: Limits,
}

impl RunSpec {
    /// Says whether the kernel could take it at all.
    ///
    /// # Errors
    /// [`JailError::BadSpec`] naming what cannot be.
    pub(crate) fn check(&self) -> Result<(), JailError> {
        let bad = |why: String| Err(JailError::BadSpec(why));
        match self.argv.first() {
            None => return bad("there is no program".to_owned()),
            Some(program) if program.is_empty() => return bad("the program's name is empty".to_owned()),
            Some(_) => {}
        }
        if !self.cwd.is_absolute() {
            return bad(format!("the folder {:?} is not absolute", self.cwd));
        }
        if self.cwd.to_str().is_none_or(|cwd| cwd.contains('\0')) {
            return bad(format!("the folder {:?} is not UTF-8 without NUL", self.cwd));
        }
        let mut bytes = 0usize;
        for (at, argument) in self.argv.iter().enumerate() {
            if argument.contains('\0') {
                return bad(format!("argument {at} has a NUL byte"));
            }
            if argument.len() > STRING_BYTES_MAX {
                return bad(format!("argument {at} has more than {STRING_BYTES_MAX} bytes"));
            }
            bytes = bytes.saturating_add(argument.len() + 9);
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return bad(format!("{name:?} is no name of a variable"));
            }
            if value.contains('\0') {
                return bad(format!("the variable {name} has a NUL byte"));
            }
            if name.len() + value.len() + 1 > STRING_BYTES_MAX {
                return bad(format!("the variable {name} has more than {STRING_BYTES_MAX} bytes"));
            }
            bytes = bytes.saturating_add(name.len() + value.len() + 10);
        }
        if bytes > COMMAND_BYTES_MAX {
            return bad(format!("arguments and environment have more than {COMMAND_BYTES_MAX} bytes"));
        }
        Ok(())
    }
}

/// How a command ended: by exactly one of code and signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HowEnded {
    /// Its exit code.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Other processes of its tree that still ran when it ended, or when it was told to, and were killed.
    pub leftovers: u64,
}

/// What `probe` and the last step before a command is started read back from the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadBack {
    /// Whether no program can gain privileges by being started.
    pub(crate) no_new_privs: bool,
    /// The resource limits by name.
    pub(crate) rlimits: BTreeMap<String, u64>,
    /// The kernel's release.
    pub(crate) kernel: String,
}

/// What `probe` is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbeSpec {
    /// The profile to try.
    pub(crate) profile: Profile,
    /// What bounds the attempt.
    pub(crate) limits: Limits,
}

/// What the helper answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// Everything is set and read back. From `run`: the command runs.
    Confined(ReadBack),
    /// Nothing was run.
    Refused(Refusal),
    /// The command ended and nothing of it runs any more.
    Ended(HowEnded),
    /// The box holds its lock and has published its handle.
    Ready(crate::boxes::BoxId),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> RunSpec {
        RunSpec {
            profile: Profile::None,
            argv: vec!["true".to_owned()],
            env: BTreeMap::new(),
            cwd: PathBuf::from("/"),
            limits: Limits::default(),
        }
    }

    #[test]
    fn what_the_kernel_cannot_take_is_refused_before_anything_starts() {
        let at_bound = "a".repeat(STRING_BYTES_MAX);
        let var = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let cases: Vec<(&str, RunSpec, bool)> = vec![
            ("plain", spec(), true),
            ("no program", RunSpec { argv: vec![], ..spec() }, false),
            ("empty program", RunSpec { argv: vec![String::new()], ..spec() }, false),
            ("NUL in an argument", RunSpec { argv: vec!["a\0b".to_owned()], ..spec() }, false),
            ("longest argument", RunSpec { argv: vec!["a".to_owned(), at_bound.clone()], ..spec() }, true),
            ("one byte more", RunSpec { argv: vec!["a".to_owned(), format!("{at_bound}a")], ..spec() }, false),
            ("too much in all", RunSpec { argv: vec![at_bound; 40], ..spec() }, false),
            ("a variable", RunSpec { env: var("A", "b=c"), ..spec() }, true),
            ("= in a name", RunSpec { env: var("A=B", "c"), ..spec() }, false),
            ("empty name", RunSpec { env: var("", "c"), ..spec() }, false),
            ("NUL in a value", RunSpec { env: var("A", "\0"), ..spec() }, false),
            ("relative folder", RunSpec { cwd: PathBuf::from("x"), ..spec() }, false),
        ];
        for (name, spec, ok) in cases {
            assert_eq!(spec.check().is_ok(), ok, "{name}");
        }
    }
}
