//! The files that a worker leaves in `out/`, read: every byte of them is hostile until it matches its digest.
//!
//! Only regular files are read, each with a bound, none through a link. Together they may have more than a gigabyte, so they
//! are read and hashed where blocking is allowed, unless they are small: the loop and other attempts go on meanwhile.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use agora_core::canon;
use agora_core::id::{Digest, Enc};
use agora_core::worker::{AttemptId, OUTCOME_FORMAT, Outcome, OutputReport};

/// The longest `outcome.json`, in bytes.
const OUTCOME_BYTES_MAX: u64 = 4 << 20;
/// All outputs together, in bytes.
const OUTPUTS_BYTES_MAX: u64 = 1 << 30;
/// Fewer bytes are read at once: handing the work over would take longer.
const AT_ONCE_BYTES: u64 = 64 << 10;
/// Why an outcome is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// There is none.
    #[error("the worker left no outcome")]
    Absent,
    /// It is not what it should be.
    #[error("{0}")]
    Invalid(String),
    /// The blob store did not take it.
    #[error("{0}")]
    Store(#[from] agora_core::seam::BlobError),
}

pub(super) fn invalid(why: impl Into<String>) -> Refused {
    Refused::Invalid(why.into())
}

/// Does work where blocking is allowed.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(|error| invalid(format!("the check ended early: {error}")))?
}

/// Does work on the file at once if it is small, and else aside.
async fn by_size<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    // A file that is not there is not large.
    let bytes = std::fs::symlink_metadata(path).map_or(0, |found| found.len());
    if bytes <= AT_ONCE_BYTES { work() } else { aside(work).await }
}

/// Reads the outcome of this very attempt.
pub(super) async fn outcome(folder: PathBuf, attempt: AttemptId) -> Result<(Vec<u8>, Outcome), Refused> {
    by_size(&folder.join("out/outcome.json"), move || read_outcome(&folder, &attempt)).await
}

/// Reads a file that must have exactly these bytes.
pub(super) async fn whole(path: PathBuf, bytes_max: u64, digest: Digest, size_bytes: u64) -> Result<Vec<u8>, Refused> {
    by_size(&path.clone(), move || read_whole(&path, bytes_max, digest, size_bytes)).await
}

/// Reads a pack of outputs, and says where in it each distinct one lies.
pub(super) async fn outputs(
    path: PathBuf,
    outputs: Vec<OutputReport>,
) -> Result<(Vec<u8>, Vec<Range<usize>>), Refused> {
    by_size(&path.clone(), move || read_outputs(&path, &outputs)).await
}

fn read_outcome(folder: &Path, attempt: &AttemptId) -> Result<(Vec<u8>, Outcome), Refused> {
    let bytes = match read(&folder.join("out/outcome.json"), OUTCOME_BYTES_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Refused::Absent),
        Err(error) => return Err(invalid(format!("outcome.json: {error}"))),
        Ok(bytes) => bytes,
    };
    let outcome: Outcome = canon::from_bytes_with_floats(&bytes).map_err(|e| invalid(format!("outcome.json: {e}")))?;
    check_identity(&outcome, folder, attempt)?;
    Ok((bytes, outcome))
}

fn check_identity(outcome: &Outcome, folder: &Path, attempt: &AttemptId) -> Result<(), Refused> {
    if outcome.format != OUTCOME_FORMAT {
        return Err(invalid(format!("an outcome of format {:?}", outcome.format)));
    }
    if outcome.attempt != *attempt {
        return Err(invalid("the outcome is another attempt's"));
    }
    let task = std::fs::read(folder.join("task.json")).map_err(|error| invalid(format!("task.json: {error}")))?;
    if outcome.task != Digest::of(&task) {
        return Err(invalid("the outcome answers another task"));
    }
    Ok(())
}

/// Reads a regular file of at most this many bytes, never through a link.
pub(super) fn read(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits() | rustix::fs::OFlags::NONBLOCK.bits());
    let flags = no_follow.map_err(std::io::Error::other)?;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    if metadata.len() > bytes_max {
        return Err(std::io::Error::other(format!("{} bytes, the limit is {bytes_max}", metadata.len())));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(std::io::Error::other(format!("more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

fn named(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Refused> {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    read(path, bytes_max).map_err(|error| invalid(format!("out/{name}: {error}")))
}

fn read_whole(path: &Path, bytes_max: u64, digest: Digest, size_bytes: u64) -> Result<Vec<u8>, Refused> {
    let bytes = named(path, bytes_max)?;
    if bytes.len() as u64 != size_bytes || Digest::of(&bytes) != digest {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        return Err(invalid(format!("the bytes of out/{name} are not those of its digest")));
    }
    Ok(bytes)
}

fn read_outputs(path: &Path, outputs: &[OutputReport]) -> Result<(Vec<u8>, Vec<Range<usize>>), Refused> {
    let pack = named(path, OUTPUTS_BYTES_MAX)?;
    let mut offset = 0_usize;
    let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
    let mut slices = Vec::new();
    for output in outputs {
        match sizes.insert(output.digest, output.size_bytes) {
            Some(size_bytes) if size_bytes != output.size_bytes => return Err(invalid("an output with two sizes")),
            Some(_) => continue,
            None => {}
        }
        let size = usize::try_from(output.size_bytes).map_err(|_| invalid("an output that is too large"))?;
        let end = offset.checked_add(size).filter(|end| *end <= pack.len());
        let slice = offset..end.ok_or_else(|| invalid("outputs.pack is too short"))?;
        if Digest::of(&pack[slice.clone()]) != output.digest {
            return Err(invalid(format!("the output {} is not what its digest says", Enc::encode(&output.path))));
        }
        offset = slice.end;
        slices.push(slice);
    }
    if offset != pack.len() {
        return Err(invalid("outputs.pack holds more than the outputs"));
    }
    Ok((pack, slices))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::{Refused, outputs, whole};
    use agora_core::id::Digest;
    use agora_core::worker::OutputReport;

    /// Runs it with the one thread that may block taken: it must not go on, and let others go on. Then frees the thread.
    fn waits_for_the_thread<T>(future: impl Future<Output = Result<T, Refused>>) -> Result<T, Refused> {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (free, taken) = std::sync::mpsc::channel::<()>();
            let taken = tokio::task::spawn_blocking(move || taken.recv());
            let mut future = pin!(future);
            let first = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(first, Poll::Pending), "it was read where nothing may block");
            drop(free);
            taken.await.unwrap().unwrap_err();
            future.await
        })
    }

    #[test]
    fn what_may_be_large_is_read_and_hashed_apart_from_the_runtime() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let (one, two) = (vec![b'1'; 60 << 10], vec![b'2'; 60 << 10]);
        let both = [two.as_slice(), one.as_slice()].concat();
        std::fs::write(&path, &both).unwrap();
        let output = |path: &str, bytes: &[u8]| OutputReport {
            path: path.to_owned(),
            digest: Digest::of(bytes),
            size_bytes: bytes.len() as u64,
        };
        let all = vec![output("a", &two), output("b", &one), output("c", &two)];
        let (pack, slices) = waits_for_the_thread(outputs(path.clone(), all)).unwrap();
        assert_eq!((pack == both, slices), (true, vec![0..two.len(), two.len()..both.len()]));
        let (digest, size) = (Digest::of(&both), both.len() as u64);
        assert!(waits_for_the_thread(whole(path.clone(), size, digest, size)).unwrap() == both);
        assert!(waits_for_the_thread(whole(path, size - 1, digest, size)).is_err());
    }
}
