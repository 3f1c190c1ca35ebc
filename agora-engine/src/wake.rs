//! Wakes whoever waits when another process has committed something, without asking the database over and over.
//!
//! SQLite's write-ahead log is a file of the home: a commit writes to it, and the kernel says so (inotify). As that is
//! said before the commit can be read, its writer touches `store.db` once it can. Where the kernel does not tell, a look at
//! `data_version` every 100 ms takes its place.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How often the store is looked at where the kernel does not tell.
const FALLBACK: Duration = Duration::from_millis(100);

/// Tells of commits. On this machine a thread waits for the kernel's word; it ends with this value.
pub struct Wake {
    signal: broadcast::Sender<()>,
    end: Option<Arc<OwnedFd>>,
}

impl Wake {
    /// Tells of what is sent here.
    #[must_use]
    pub fn of(signal: broadcast::Sender<()>) -> Self {
        Self { signal, end: None }
    }

    /// Starts to listen on a home.
    pub(crate) fn start(home: &Path) -> Self {
        // One place: whoever comes late has only to know that there was something.
        let (signal, _) = broadcast::channel(1);
        let end = spawn(home, signal.clone()).map_err(|error| {
            tracing::error!(%error, "nobody tells of other processes' commits; only this one's are seen at once");
        });
        Self { signal, end: end.ok() }
    }

    /// Hears of each commit from now on, by whatever process.
    pub(crate) fn subscribe(&self) -> Commits {
        Commits(self.signal.subscribe())
    }
}

/// Hears of commits.
pub(crate) struct Commits(broadcast::Receiver<()>);

impl Clone for Commits {
    fn clone(&self) -> Self {
        Self(self.0.resubscribe())
    }
}

impl Commits {
    /// Forgets what was committed until now.
    pub(crate) fn catch_up(&mut self) {
        self.0 = self.0.resubscribe();
    }

    /// Returns once something was committed since the last time; never, once nobody tells any more.
    pub(crate) async fn changed(&mut self) {
        if let Err(RecvError::Closed) = self.0.recv().await {
            std::future::pending::<()>().await;
        }
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

fn spawn(home: &Path, signal: broadcast::Sender<()>) -> std::io::Result<Arc<OwnedFd>> {
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
        inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::ATTRIB
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::MOVE_SELF,
    )?;
    Ok(events)
}

fn pass_on(events: &OwnedFd, end: &OwnedFd, signal: &broadcast::Sender<()>) {
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
            // Nobody may listen.
            let _ = signal.send(());
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
        // The kernel may have lost some: better one look too many. A home that is moved has another name.
        let other = inotify::ReadFlags::QUEUE_OVERFLOW | inotify::ReadFlags::MOVE_SELF;
        touched |= store || event.events().intersects(other);
    }
    touched
}

fn tick(end: &OwnedFd, signal: &broadcast::Sender<()>) {
    let pause = Timespec { tv_sec: 0, tv_nsec: i64::from(FALLBACK.subsec_nanos()) };
    loop {
        let mut fds = [PollFd::new(end, PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&pause)), Ok(0) | Err(rustix::io::Errno::INTR)) {
            return;
        }
        // Nobody may listen.
        let _ = signal.send(());
    }
}

/// Says to whoever listens on the home that a commit is there to be read. What the write-ahead log itself tells comes
/// before the commit is visible: a reader that hears that alone may look too early, and then sleep. By name and not
/// through a file: closing another descriptor of the store would end SQLite's locks on it.
pub(crate) fn tell(store: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
    let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let now = Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
    if let Err(error) = utimensat(CWD, store, &now, AtFlags::SYMLINK_NOFOLLOW) {
        tracing::debug!(%error, "nobody is told of a commit; who listens hears of the write-ahead log");
    }
}
