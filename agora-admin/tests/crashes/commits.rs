//! Hears of the commits to a store, as any process of its home does.

use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::inotify;

use crate::program::DEADLINE;

/// The moments of the commits to a store that nobody asked about yet.
pub(crate) struct Commits(Receiver<Instant>);

impl Commits {
    /// Listens from now on, until the test's process ends. Who commits touches `store.db` once others can see it.
    pub(crate) fn listen(home: &Path) -> Self {
        let events = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&events, home, inotify::WatchFlags::MODIFY).unwrap();
        let (send, moments) = channel();
        std::thread::spawn(move || {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = inotify::Reader::new(&events, &mut buffer);
            while let Ok(event) = reader.next() {
                let is_store = event.file_name().is_some_and(|name| name.to_bytes() == b"store.db");
                if is_store && send.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
        Self(moments)
    }

    /// Forgets those until now.
    pub(crate) fn forget(&self) {
        while self.0.try_recv().is_ok() {}
    }

    /// The moment of the next one, if it comes within this time.
    pub(crate) fn within(&self, time: Duration) -> Option<Instant> {
        match self.0.recv_timeout(time) {
            Ok(moment) => Some(moment),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("nobody tells of commits any more"),
        }
    }

    /// The moment of the next one, which must come.
    #[track_caller]
    pub(crate) fn next(&self) -> Instant {
        self.within(DEADLINE).expect("a commit in time")
    }
}
