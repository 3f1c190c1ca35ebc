//! The wish to stop, from a signal to whoever waits: counted, because the second one skips all patience.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use crate::supervise::Event;

/// A wish to stop that any thread may utter and every step looks at.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    requests: u32,
    listener: Option<SyncSender<Event>>,
}

impl Stop {
    /// Asks the attempt to end: the first time with grace and a draft, the second time at once.
    pub fn request(&self) {
        let listener = self.with(|state| {
            state.requests = state.requests.saturating_add(1);
            state.listener.clone()
        });
        // Sent without the lock: the listener may be busy, and must be able to ask how often it was wished meanwhile.
        if let Some(listener) = listener {
            // A listener that is gone has nothing left to stop.
            let _ = listener.send(Event::Stop);
        }
    }

    /// How often it was asked.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.with(|state| state.requests)
    }

    /// Says who is woken by the next request.
    pub(crate) fn listen(&self, listener: Option<SyncSender<Event>>) {
        self.with(|state| state.listener = listener);
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
