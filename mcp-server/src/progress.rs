//! Signs of life of a call that waits: progress notifications, strictly increasing, all sent before the answer.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::waits::PROGRESS_EVERY;

/// Characters of one notification's message: one line of any client.
const MESSAGE_CHARS_MAX: usize = 200;

/// Lines that wait to be sent; when the client reads too slowly, later ones are left out.
const LINES_MAX: usize = 32;

/// How long the last notification may hold up the answer.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

/// Where a call sends its signs of life; nowhere, if the client did not ask for them.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Option<(Peer<RoleServer>, ProgressToken)>);

/// Says what happens in a call that waits.
#[derive(Debug)]
pub(crate) struct Say(Option<mpsc::Sender<String>>);

impl Say {
    /// Says one line. When the client is behind, it is left out.
    pub(crate) fn line(&self, line: String) {
        if let Some(lines) = &self.0 {
            let _ = lines.try_send(line);
        }
    }
}

/// What is said, on its way to the client.
#[derive(Debug)]
pub(crate) struct Said(Option<(Lines, Peer<RoleServer>, ProgressToken)>);

impl Progress {
    /// As the request asks for.
    pub(crate) fn of(context: &RequestContext<RoleServer>) -> Self {
        Self(context.meta.get_progress_token().map(|token| (context.peer.clone(), token)))
    }

    /// Opens the way from who says something to the client.
    pub(crate) fn open(&self) -> (Say, Said) {
        match &self.0 {
            Some((peer, token)) => {
                let (say, lines) = mpsc::channel(LINES_MAX);
                (Say(Some(say)), Said(Some((Lines::new(lines), peer.clone(), token.clone()))))
            }
            None => (Say(None), Said(None)),
        }
    }
}

impl Said {
    /// Runs what waits, and tells the client meanwhile. The work holds the [`Say`].
    ///
    /// # Cancellation
    /// Dropping it drops the work.
    pub(crate) async fn during<T>(self, work: impl Future<Output = T>) -> T {
        let Some((lines, peer, token)) = self.0 else { return work.await };
        let mut pump = std::pin::pin!(pump(lines, peer, token));
        let mut pumped = false;
        let mut work = std::pin::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                () = &mut pump, if !pumped => pumped = true,
            }
        };
        if !pumped {
            // What was said is sent before the answer, never after it.
            let _ = timeout(FLUSH_TIME_MAX, pump).await;
        }
        done
    }
}

async fn pump(mut lines: Lines, peer: Peer<RoleServer>, token: ProgressToken) {
    while let Some((count, message)) = lines.next().await {
        let param = ProgressNotificationParam::new(token.clone(), count).with_message(message);
        // A client that cannot be told is gone, and the call ends by that.
        let _ = peer.notify_progress(param).await;
    }
}

/// Numbered lines, with a heart-beat in every pause.
#[derive(Debug)]
struct Lines {
    lines: mpsc::Receiver<String>,
    started: Instant,
    last: Instant,
    count: f64,
}

impl Lines {
    fn new(lines: mpsc::Receiver<String>) -> Self {
        let now = Instant::now();
        Self { lines, started: now, last: now, count: 0.0 }
    }

    /// The next line to send; `None` once nobody can say any more.
    async fn next(&mut self) -> Option<(f64, String)> {
        let line = match timeout_at(self.last + PROGRESS_EVERY, self.lines.recv()).await {
            Ok(line) => line?,
            Err(_) => format!("waiting for {} s", self.started.elapsed().as_secs()),
        };
        self.count += 1.0;
        self.last = Instant::now();
        Some((self.count, short(&line)))
    }
}

fn short(line: &str) -> String {
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_CHARS_MAX + 1).collect();
    match line.char_indices().nth(MESSAGE_CHARS_MAX - 1) {
        Some((end, _)) if line.chars().count() > MESSAGE_CHARS_MAX => format!("{}…", &line[..end]),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_come_in_order_with_a_heart_beat_in_every_pause() {
        let (say, lines) = mpsc::channel(LINES_MAX);
        let speaker = async move {
            say.send("one".to_owned()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(25)).await;
            say.send("two\nx".to_owned()).await.unwrap();
        };
        let listener = async {
            let mut lines = Lines::new(lines);
            let mut seen = Vec::new();
            while let Some(line) = lines.next().await {
                seen.push(line);
            }
            seen
        };
        let ((), seen) = tokio::join!(speaker, listener);
        let messages: Vec<&str> = seen.iter().map(|(_, message)| message.as_str()).collect();
        assert_eq!(messages, ["one", "waiting for 10 s", "waiting for 20 s", "two x"]);
        assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_message_has_at_most_200_characters() {
        assert_eq!(short(&"é".repeat(200)), "é".repeat(200));
        let cut = short(&"é".repeat(201));
        assert_eq!((cut.chars().count(), cut.chars().last()), (200, Some('…')));
    }
}
