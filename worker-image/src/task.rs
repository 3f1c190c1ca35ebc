//! `task.json`: read once, strictly, and whose attempt it is even when the rest cannot be used.

use agora_core::canon;
use agora_core::id::Digest;
use agora_core::worker::{AttemptId, Failure, Reason, TASK_FORMAT, Task};

use crate::beneath::Root;
use crate::failure::{Fatal, fail};

/// Longest `task.json`, in bytes: the blobs of a capability of 10,000 files, and then some.
const TASK_BYTES_MAX: u64 = 16 << 20;

/// What was found: whose attempt, which bytes, and the task if this worker can use it.
pub(crate) struct Read {
    pub(crate) attempt: AttemptId,
    pub(crate) digest: Digest,
    pub(crate) task: Result<Task, Failure>,
}

/// Reads the task of an attempt's folder.
///
/// # Errors
/// [`Fatal::Task`] when not even the attempt's name can be read: then no outcome could say whose it is.
pub(crate) fn read(folder: &Root) -> Result<Read, Fatal> {
    let bytes = folder
        .read(b"task.json", TASK_BYTES_MAX)
        .map_err(|error| Fatal::Task(error.to_string()))?
        .ok_or_else(|| Fatal::Task("there is none".to_owned()))?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Read, Fatal> {
    let digest = Digest::of(bytes);
    let loose: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| Fatal::Task(format!("not JSON: {error}")))?;
    let attempt = loose.get("attempt").cloned().unwrap_or_default();
    let attempt: AttemptId =
        serde_json::from_value(attempt).map_err(|error| Fatal::Task(format!("no attempt's name: {error}")))?;
    let format = loose.get("format").and_then(serde_json::Value::as_str).unwrap_or_default();
    let task = if format == TASK_FORMAT {
        canon::from_bytes(bytes)
            .map_err(|error| fail(Reason::ProtocolVersion, format!("task.json does not follow {TASK_FORMAT}: {error}")))
    } else {
        Err(fail(
            Reason::ProtocolVersion,
            format!("task.json has the format {format:.80?}, this worker reads {TASK_FORMAT:?}"),
        ))
    };
    Ok(Read { attempt, digest, task })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTEMPT: &str = r#""attempt":{"attempt":1,"fence":1,"item":"a","run":"r"}"#;

    #[test]
    fn a_task_of_another_format_still_says_whose_attempt_it_is() {
        for (rest, part) in [
            (r#""format":"agora-task/v2""#, "agora-task/v2"),
            (r#""format":"agora-task/v1""#, "does not follow"),
            (r#""format":7"#, "has the format"),
        ] {
            let read = parse(format!("{{{ATTEMPT},{rest}}}").as_bytes()).unwrap();
            let failure = read.task.unwrap_err();
            assert_eq!((read.attempt.item.as_str(), failure.reason), ("a", Reason::ProtocolVersion));
            assert!(failure.detail.contains(part), "{}", failure.detail);
        }
    }

    #[test]
    fn a_task_of_nobody_is_fatal() {
        for bytes in ["", "[]", "{}", r#"{"attempt":{"run":"r"}}"#] {
            assert!(matches!(parse(bytes.as_bytes()), Err(Fatal::Task(_))), "{bytes}");
        }
    }
}
