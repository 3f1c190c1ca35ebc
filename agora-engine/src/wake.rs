//! Wakes whoever waits when another process has committed something, without asking the database over and over.
//!
//! SQLite's write-ahead log is a file of the home: a commit writes to it, and the kernel says so (inotify). As that is
//! said before the commit can be read, its writer touches `store.db` once it can. Where the kernel does not tell, a look at `data_version` every 100 ms takes its place.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify;
use tokio::sync::watch;

/// How often the store is looked at where the kernel does not tell.
const FALLBACK: Duration = Duration::from_millis(100);

/// Tells of commits. A thread of its own waits for the kernel's word; it ends with this value.
pub(crate) struct Wake {
    signal: Arc<watch::Sender<u64>>,
    end: Option<Arc<OwnedFd>>,
}

impl Wake {
    /// Starts to listen on a home.
    pub(crate) fn start(home: &Path) -> Self {
        let signal = Arc::new(watch::Sender::new(0));
        let end = spawn(home, Arc::clone(&signal)).map_err(|error| {
            tracing::error!(%error, "nobody tells of other processes' commits; only this one's are seen at once");
        });
        Self { signal, end: end.ok() }
    }

    /// A receiver that changes after each commit, by whatever process.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.signal.subscribe()
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        if let Some(end) = &self.end {
            // The thread sees it, or is gone already.
            let _ = rustix::io::write(end, &1_u64.to_ne_bytes());
        }
    }
}

fn spawn(home: &Path, signal: Arc<watch::Sender<u64>>) -> std::io::Result<Arc<OwnedFd>> {
    let end = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
    let events = listen(home).map_err(|error| {
        tracing::warn!(%error, "the kernel does not tell of changes; looking every 100 ms");
    });
    let ended = Arc::clone(&end);
    std::thread::Builder::new().name("agora-wake".to_owned()).spawn(move || match events {
        Ok(events) => pass_on(&events, &ended, &signal),
        Err(()) => tick(&ended, &signal),
    })?;
    Ok(end)
}

fn listen(home: &Path) -> std::io::Result<OwnedFd> {
    let events = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(
        &events,
        home,
        inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::ATTRIB,
    )?;
    Ok(events)
}

fn pass_on(events: &OwnedFd, end: &OwnedFd, signal: &watch::Sender<u64>) {
    loop {
        let mut fds = [PollFd::new(events, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return tick(end, signal),
        }
        if !fds[1].revents().is_empty() {
            return;
        }
        if touched(events) {
            signal.send_modify(|count| *count += 1);
        }
    }
}

/// Reads all that is there, and says whether the store is among it.
fn touched(events: &OwnedFd) -> bool {
    let mut touched = false;
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(events, &mut buffer);
    // Ends when there is nothing left to read.
    while let Ok(event) = reader.next() {
        let store = event.file_name().is_some_and(|name| name.to_bytes().starts_with(b"store.db"));
        // The kernel may have lost some: better one look too many.
        touched |= store || event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW);
    }
    touched
}

fn tick(end: &OwnedFd, signal: &watch::Sender<u64>) {
    let pause = Timespec { tv_sec: 0, tv_nsec: i64::from(FALLBACK.subsec_nanos()) };
    loop {
        let mut fds = [PollFd::new(end, PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&pause)), Ok(0) | Err(rustix::io::Errno::INTR)) {
            return;
        }
        signal.send_modify(|count| *count += 1);
    }
}
