//! `command`: the subagent's own argv, the message on its standard input, the end of its standard output as summary.

use std::collections::{BTreeMap, VecDeque};

use agora_core::worker::{Failure, Reason};

use super::{Adapter, Given, Reader, SUMMARY_BYTES_MAX, Said, Start};
use crate::failure::fail;

/// The adapter.
pub(super) struct Command;

impl Adapter for Command {
    fn start(&self, given: &Given<'_>) -> Result<Start, Failure> {
        if given.runtime.argv.first().is_none_or(String::is_empty) {
            return Err(fail(Reason::RuntimeMissing, "the runtime command has no program in its argv"));
        }
        Ok(Start { argv: given.runtime.argv.clone(), env: BTreeMap::new(), stdin: given.message.to_vec() })
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(End(VecDeque::new()))
    }

    fn merged_files(&self) -> &'static [&'static str] {
        &[]
    }
}

/// The last bytes of what was printed.
struct End(VecDeque<u8>);

impl Reader for End {
    fn stdout(&mut self, bytes: &[u8]) {
        let from = bytes.len().saturating_sub(SUMMARY_BYTES_MAX);
        self.0.extend(&bytes[from..]);
        let over = self.0.len().saturating_sub(SUMMARY_BYTES_MAX);
        self.0.drain(..over);
    }

    fn end(self: Box<Self>) -> Said {
        let bytes: Vec<u8> = self.0.into();
        Said { summary: last_words(&bytes), ..Said::default() }
    }
}

/// The text, without white space around it, at most [`SUMMARY_BYTES_MAX`] of its end.
fn last_words(bytes: &[u8]) -> Option<String> {
    // A character cut at the front is left out, not replaced.
    let start = bytes.iter().take(4).position(|byte| byte & 0xC0 != 0x80).unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[start..]);
    let text = text.trim();
    // Replacing bytes that are no text makes three of one.
    let from = (text.len().saturating_sub(SUMMARY_BYTES_MAX)..).find(|at| text.is_char_boundary(*at))?;
    (!text.is_empty()).then(|| text[from..].to_owned())
}

#[cfg(test)]
mod tests {
    use agora_core::registry::{PermissionMode, Runtime};
    use agora_core::worker::TaskRuntime;

    use super::*;

    fn runtime(argv: &[&str]) -> TaskRuntime {
        TaskRuntime {
            name: Runtime::Command,
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            model: "standard".to_owned(),
            permission_mode: PermissionMode::Strict,
        }
    }

    #[test]
    fn the_message_is_standard_input_and_an_empty_argv_is_refused() {
        let start = Command.start(&Given { runtime: &runtime(&["sh", "-c", "cat"]), message: b"do it" }).unwrap();
        assert_eq!((start.argv.len(), start.stdin.as_slice()), (3, b"do it".as_slice()));
        for argv in [&[][..], &[""]] {
            let failure = Command.start(&Given { runtime: &runtime(argv), message: b"" }).unwrap_err();
            assert_eq!(failure.reason, Reason::RuntimeMissing);
        }
    }

    #[test]
    fn the_summary_is_the_end_of_standard_output() {
        let table: [(&[u8], Option<&str>); 4] =
            [(b"", None), (b" \n", None), (b"done\n", Some("done")), (b"a\xFFb", Some("a\u{FFFD}b"))];
        for (bytes, expected) in table {
            let mut reader = Command.reader();
            reader.stdout(bytes);
            assert_eq!(reader.end().summary.as_deref(), expected);
        }
        let mut reader = Command.reader();
        for _ in 0..10 {
            reader.stdout("é".repeat(1000).as_bytes());
        }
        reader.stdout(b"!");
        let summary = reader.end().summary.unwrap();
        assert!(summary.len() <= SUMMARY_BYTES_MAX && summary.starts_with('é') && summary.ends_with("é!"));
        let mut reader = Command.reader();
        reader.stdout(&[0xFF; 20_000]);
        assert!(reader.end().summary.unwrap().len() <= SUMMARY_BYTES_MAX);
    }
}
