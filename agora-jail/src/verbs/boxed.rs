//! `agora-jail box`: the box of one attempt, for profiles whose worker runs on the host.
//!
//! It holds `box.lock`, publishes its handle, starts the worker, and ends when nothing of it is left. SIGTERM: the worker
//! is asked, and killed after the grace. A second SIGTERM, or SIGQUIT: all is killed at once.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::Serialize;

use super::Options;
use crate::boxes::{BoxEnd, BoxId, END, HANDLE, LOCK, Stopped};
use crate::channel::Channel;
use crate::error::Refusal;
use crate::family::Family;
use crate::lock;
use crate::spec::Said;
use crate::sys::{self, Tie};

/// How long to wait for the lock: the caller holds `launch.lock`, so only those who look hold it, for an instant.
const LOCK_MAX: Duration = Duration::from_secs(10);
/// How much of the worker's last words is kept, in bytes.
const WORDS_BYTES_MAX: usize = 2 * 1024;
/// Where the worker's standard error goes.
const WORDS: &str = "worker.stderr";
/// The worker needs no program but those of the system; its own helper lies beside it.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

struct Order {
    folder: PathBuf,
    worker: OsString,
    grace: Duration,
}

pub(super) fn run(mut channel: Channel, mut options: Options) -> bool {
    let (Some(turn), Some(order)) = (options.descriptor("--launch"), order(&mut options)) else {
        return super::refuse(&mut channel, Refusal::BadSpec { why: "an option of `box` is missing".to_owned() });
    };
    let (mut family, held) = match start(&order) {
        Ok(started) => started,
        Err(refusal) => return super::refuse(&mut channel, refusal),
    };
    // The driver may be gone by now; the box goes on without it, and the next one finds it by its handle.
    let _ = BoxId::own().map(|id| channel.send(&Said::Ready(id)));
    drop((channel, turn));
    // A box that cannot watch any more ends what it was to watch.
    let stopped = watch(&mut family, order.grace).unwrap_or(Some(Stopped::Killed));
    let ended = family.end_all().map(|leftovers| report(&family, &order.folder, stopped, leftovers));
    let written = ended.and_then(|end| write_new(&order.folder, END, &end));
    // Not before: a free lock promises that all there is to know has been written.
    drop(held);
    written.is_ok()
}

fn order(options: &mut Options) -> Option<Order> {
    Some(Order {
        folder: options.take("--attempt")?.into(),
        worker: options.take("--worker")?,
        grace: Duration::from_millis(options.take("--grace-ms")?.to_str()?.parse().ok()?),
    })
}

fn start(order: &Order) -> Result<(Family, OwnedFd), Refusal> {
    rustix::process::setsid().map_err(|error| Refusal::step("setsid", error))?;
    let mut family = Family::new().map_err(|error| Refusal::step("becoming the subreaper", error))?;
    let held = lock::open(&order.folder.join(LOCK)).map_err(|error| Refusal::step("opening box.lock", error))?;
    lock::take(&held, LOCK_MAX).map_err(|error| Refusal::step("taking box.lock", error))?;
    let handle = order.folder.join(HANDLE);
    if handle.exists() {
        return Err(Refusal::step("box.handle", "this attempt had a box already"));
    }
    let id = BoxId::own().map_err(|error| Refusal::step("reading the own start time", error))?;
    write_new(&order.folder, HANDLE, &id).map_err(|error| Refusal::step("writing box.handle", error))?;
    match start_worker(order, &held) {
        Ok(pid) => family.set_main(pid),
        Err(error) => {
            // Nothing ran, so the attempt may be launched again.
            let _ = std::fs::remove_file(handle);
            return Err(Refusal::step(format!("starting {}", Path::new(&order.worker).display()), error));
        }
    }
    Ok((family, held.into()))
}

fn start_worker(order: &Order, held: &File) -> io::Result<u32> {
    let words = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default())
        .open(order.folder.join(WORDS))?;
    let mut command = Command::new(&order.worker);
    command.arg("--attempt").arg(&order.folder).env_clear().env("PATH", PATH).current_dir(&order.folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
    // Tied, and with the lock: see `crate::boxes` for what that proves.
    Ok(sys::spawn(&mut command, &[held.as_fd()], Tie::DiesWithParent)?.id())
}

/// Returns when the worker has ended or is to be killed, with what was asked of it.
fn watch(family: &mut Family, grace: Duration) -> io::Result<Option<Stopped>> {
    let mut asked: Option<Instant> = None;
    while family.ended().is_none() {
        let left = asked.map(|asked| (asked + grace).saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(Some(Stopped::Killed));
        }
        for signal in family.wait(None, left)?.signals {
            if signal == Signal::QUIT.as_raw() || (signal == Signal::TERM.as_raw() && asked.is_some()) {
                // It may have ended at the same moment, by itself or because it was asked.
                let by_itself = family.ended().is_some();
                return Ok(if by_itself { asked.map(|_| Stopped::Asked) } else { Some(Stopped::Killed) });
            }
            if signal == Signal::TERM.as_raw() {
                asked = Some(Instant::now());
                family.ask_main();
            }
        }
    }
    Ok(asked.map(|_| Stopped::Asked))
}

fn report(family: &Family, folder: &Path, stopped: Option<Stopped>, leftovers: u64) -> BoxEnd {
    let how = super::how_ended(family.ended(), leftovers);
    let detail = if how.code == Some(0) { None } else { last_words(&folder.join(WORDS)).ok().flatten() };
    BoxEnd { code: how.code, signal: how.signal, leftovers, stopped, detail }
}

/// The end of what the worker said, made harmless: it is the worker's own text, and may quote the agent's.
fn last_words(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(WORDS_BYTES_MAX as u64)))?;
    let mut bytes = Vec::new();
    file.take(WORDS_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    let text: String = bytes
        .into_iter()
        .map(|byte| if (0x20..=0x7E).contains(&byte) { char::from(byte) } else { ' ' })
        .collect::<String>()
        .trim()
        .to_owned();
    Ok((!text.is_empty()).then_some(text))
}

/// Writes a file whole or not at all, and so that it outlives a crash of the machine.
fn write_new<T: Serialize>(folder: &Path, name: &str, value: &T) -> io::Result<()> {
    let temporary = folder.join(format!(".{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.sync_all()?;
    std::fs::rename(&temporary, folder.join(name))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_capped_and_harmless() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(WORDS);
        std::fs::write(&path, "\x1b[31mred\u{202e}\n").unwrap();
        assert_eq!(last_words(&path).unwrap().unwrap(), "[31mred");
        std::fs::write(&path, "x".repeat(3 * WORDS_BYTES_MAX)).unwrap();
        assert_eq!(last_words(&path).unwrap().unwrap().len(), WORDS_BYTES_MAX);
        std::fs::write(&path, "").unwrap();
        assert_eq!(last_words(&path).unwrap(), None);
    }
}
