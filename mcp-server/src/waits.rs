//! How long a call may wait: what the client survives, by the name it gives itself. The name decides nothing else.

use std::time::Duration;

use agora_engine::operations::WatchReply;

/// Seconds a wait takes when the caller names none: short enough for every client.
pub(crate) const WAIT_SECONDS_DEFAULT: u32 = 25;

/// The longest time between two signs of life of a call that waits; clients that reset their time-out on progress expect
/// one well within half a minute.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// How long one client lets a call wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits {
    /// The longest wait, in seconds, whatever is asked.
    pub(crate) longest: u32,
    /// The longest wait to suggest, in seconds: beyond it a client treats the call differently.
    pub(crate) suggested: u32,
}

/// Clients by their names in small letters, the first match counts. Whoever is not here gives up after a minute.
const CLIENTS: [(&str, Waits); 8] = [
    // One minute, like the reference SDKs; Cursor calls itself `cursor-vscode`, so it stands before its relative.
    ("cursor", Waits { longest: 50, suggested: 50 }),
    ("claude-ai", Waits { longest: 50, suggested: 50 }),
    ("claude-desktop", Waits { longest: 50, suggested: 50 }),
    // No time-out of its own for half an hour; a call of two minutes becomes a background task.
    ("claude-code", Waits { longest: 1500, suggested: 110 }),
    // Five minutes, progress or not.
    ("codex", Waits { longest: 240, suggested: 240 }),
    ("visual studio code", Waits { longest: 240, suggested: 240 }),
    ("visual-studio-code", Waits { longest: 240, suggested: 240 }),
    ("vscode", Waits { longest: 240, suggested: 240 }),
];

const UNKNOWN: Waits = Waits { longest: 50, suggested: 50 };

impl Waits {
    /// Returns what the client of this name survives.
    pub(crate) fn of(client: Option<&str>) -> Self {
        let Some(client) = client else { return UNKNOWN };
        let client = client.to_ascii_lowercase();
        CLIENTS.iter().find(|(name, _)| client.contains(name)).map_or(UNKNOWN, |(_, waits)| *waits)
    }

    /// Returns how long to wait when this was asked for.
    pub(crate) fn within(self, asked: Option<u32>) -> u32 {
        asked.unwrap_or(WAIT_SECONDS_DEFAULT).min(self.longest)
    }

    /// Corrects what a reply suggests, and says so when less was waited than asked.
    pub(crate) fn correct(self, reply: &mut WatchReply, asked: Option<u32>) {
        if let Some(seconds) = &mut reply.suggest_wait_seconds {
            *seconds = (*seconds).min(self.suggested);
        }
        if reply.timed_out && asked.is_some_and(|seconds| seconds > self.longest) {
            reply.suggest_wait_seconds = Some(self.suggested);
            reply.next.push_str(&format!(" (one call waits at most {} s for this client)", self.longest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_waits_as_long_as_it_survives() {
        let cases = [
            (None, 50),
            (Some("inspector"), 50),
            (Some("cursor-vscode"), 50),
            (Some("claude-ai"), 50),
            (Some("claude-code"), 1500),
            (Some("codex-mcp-client"), 240),
            (Some("Visual Studio Code"), 240),
            (Some("Visual Studio Code - Insiders"), 240),
        ];
        for (client, longest) in cases {
            assert_eq!(Waits::of(client).longest, longest, "{client:?}");
        }
    }

    #[test]
    fn a_wait_is_what_was_asked_within_the_bound() {
        let waits = Waits::of(Some("codex"));
        assert_eq!(waits.within(None), WAIT_SECONDS_DEFAULT);
        assert_eq!(waits.within(Some(0)), 0);
        assert_eq!(waits.within(Some(240)), 240);
        assert_eq!(waits.within(Some(241)), 240);
    }

    fn reply(timed_out: bool) -> WatchReply {
        WatchReply {
            events: Vec::new(),
            cursor: "c".to_owned(),
            timed_out,
            more: false,
            waited_ms: 1,
            runs: Vec::new(),
            suggest_wait_seconds: Some(600),
            next: "watch".to_owned(),
        }
    }

    #[test]
    fn a_reply_suggests_no_more_than_the_client_likes_and_owns_up_to_a_shorter_wait() {
        let waits = Waits::of(Some("claude-code"));
        let (mut asked_much, mut asked_little) = (reply(true), reply(true));
        waits.correct(&mut asked_much, Some(3600));
        waits.correct(&mut asked_little, Some(60));
        assert_eq!(asked_much.suggest_wait_seconds, Some(110));
        assert!(asked_much.next.contains("1500 s"));
        assert_eq!((asked_little.suggest_wait_seconds, asked_little.next.as_str()), (Some(110), "watch"));
    }
}
