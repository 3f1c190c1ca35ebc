//! The log of an attempt: one JSON object a line, gapless numbers, bounded in every direction.
//!
//! Of each stream of each step the first three quarters and the last quarter of the cap are kept; what lies between is
//! counted. Memory holds the last quarters alone.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::time::Instant;

use agora_core::id::Digest;
use agora_core::worker::LogReport;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Kept of each stream of each step, in bytes: some 100,000 lines of a build.
const STREAM_BYTES_MAX: usize = 8 << 20;
/// Kept of its beginning.
const HEAD_BYTES: usize = STREAM_BYTES_MAX / 4 * 3;
/// Kept of its end.
const TAIL_BYTES: usize = STREAM_BYTES_MAX - HEAD_BYTES;
/// The whole log, in bytes: what a reader still opens, and a run of 10,000 items still stores.
const LOG_BYTES_MAX: u64 = 32 << 20;
/// Of that, left for `step` and `note` lines, which are never dropped: a few hundred at most.
const NOTES_BYTES: u64 = 1 << 20;
/// Of that, left for the ends of streams once there is no room for more beginnings.
const ENDS_BYTES: u64 = 4 << 20;
/// Bytes of output in one line. JSON makes at most six of one, so that a line stays below 16 KiB.
const TEXT_BYTES_MAX: usize = 2560;
/// Bytes of output after which the log's size is looked at again.
const PIECE_BYTES: usize = 32 << 10;
/// Longest note, in bytes.
const NOTE_BYTES_MAX: usize = 2048;

/// A stream of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl Stream {
    fn kind(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        }
    }
}

#[derive(Default)]
struct Kept {
    head_bytes: usize,
    /// The beginning of a line whose end has not come.
    pending: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: u64,
}

/// The log, being written.
pub(crate) struct Log {
    file: File,
    echo: Box<dyn Write + Send>,
    started: Instant,
    n: u64,
    size_bytes: u64,
    hash: Sha256,
    dropped: u64,
    step: &'static str,
    streams: [Kept; 2],
    broken: Option<io::Error>,
}

impl Log {
    /// Starts a log in `file`; each line goes to `echo` as well.
    pub(crate) fn new(file: File, echo: Box<dyn Write + Send>) -> Self {
        Self {
            file,
            echo,
            started: Instant::now(),
            n: 0,
            size_bytes: 0,
            hash: Sha256::new(),
            dropped: 0,
            step: "read-task",
            streams: [Kept::default(), Kept::default()],
            broken: None,
        }
    }

    /// A step begins.
    pub(crate) fn begin(&mut self, step: &'static str) {
        self.step = step;
        self.line("step", json!({"status": "begun"}));
    }

    /// The step ended; what is left of its streams is written first.
    pub(crate) fn end(&mut self, ok: bool, duration_ms: u64) {
        self.end_streams();
        let status = if ok { "ok" } else { "failed" };
        self.line("step", json!({"status": status, "duration_ms": duration_ms}));
    }

    /// Something worth a line of the worker's own.
    pub(crate) fn note(&mut self, text: &str) {
        let text = crate::failure::cut(text.to_owned(), NOTE_BYTES_MAX);
        self.line("note", json!({"text": text}));
    }

    /// Bytes that a command wrote.
    pub(crate) fn output(&mut self, stream: Stream, bytes: &[u8]) {
        // Little by little, because a piece may become six times as long in the log before its size is looked at.
        for piece in bytes.chunks(PIECE_BYTES) {
            self.piece(stream, piece);
        }
    }

    fn piece(&mut self, stream: Stream, bytes: &[u8]) {
        let full = self.size_bytes >= LOG_BYTES_MAX - NOTES_BYTES - ENDS_BYTES;
        let kept = &mut self.streams[stream as usize];
        let room = if full { 0 } else { HEAD_BYTES - kept.head_bytes };
        let (head, rest) = bytes.split_at(bytes.len().min(room));
        kept.head_bytes += head.len();
        kept.pending.extend_from_slice(head);
        kept.tail.extend(rest);
        let over = kept.tail.len().saturating_sub(TAIL_BYTES);
        kept.tail.drain(..over);
        kept.dropped += over as u64;
        if !rest.is_empty() {
            // What came first must be written first, and nothing is added to it any more.
            let pending = std::mem::take(&mut kept.pending);
            self.text(stream, &pending);
        } else if let Some(end) = whole_lines(&kept.pending) {
            let rest = kept.pending.split_off(end);
            let lines = std::mem::replace(&mut kept.pending, rest);
            self.text(stream, &lines);
        }
    }

    fn end_streams(&mut self) {
        for stream in [Stream::Out, Stream::Err] {
            let mut kept = std::mem::take(&mut self.streams[stream as usize]);
            self.text(stream, &kept.pending);
            // Half of what is left, so that however much one stream brings, the next one's end has room too.
            let room = (LOG_BYTES_MAX - NOTES_BYTES).saturating_sub(self.size_bytes) / 2;
            let tail: Vec<u8> = kept.tail.drain(..).collect();
            let start = start_that_fits(&tail, room);
            kept.dropped += start as u64;
            if kept.dropped > 0 {
                self.dropped += kept.dropped;
                let text = format!("{} bytes of {} are left out here", kept.dropped, stream.kind());
                self.line("note", json!({"text": text, "dropped_bytes": kept.dropped}));
            }
            self.text(stream, tail.get(start..).unwrap_or_default());
        }
    }

    fn text(&mut self, stream: Stream, bytes: &[u8]) {
        for piece in pieces(bytes) {
            self.line(stream.kind(), json!({"text": String::from_utf8_lossy(piece)}));
        }
    }

    fn line(&mut self, kind: &str, fields: Value) {
        let t_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut line = json!({"n": self.n, "t_ms": t_ms, "step": self.step, "kind": kind});
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
        }
        let line = format!("{line}\n");
        if self.broken.is_some() {
            return;
        }
        // One write a line: a reader that follows the file never sees half of one for long.
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // Half a line may be there; the log ends with the last whole one, so that digest and bytes agree.
            self.broken = Some(self.file.set_len(self.size_bytes).err().unwrap_or(error));
            return;
        }
        self.n += 1;
        self.size_bytes += line.len() as u64;
        self.hash.update(line.as_bytes());
        // Nobody may be reading the standard output; the file is the record.
        let _ = self.echo.write_all(line.as_bytes()).and_then(|()| self.echo.flush());
    }

    /// Ends the log and says what it holds, and whether that is all it should. Digest and size are of the bytes in the
    /// file even where it ended too early.
    pub(crate) fn finish(&mut self) -> (LogReport, io::Result<()>) {
        self.end_streams();
        let whole = self.broken.take().map_or(Ok(()), Err).and_then(|()| self.file.sync_all());
        let digest = Digest(self.hash.clone().finalize().into());
        (LogReport { digest, size_bytes: self.size_bytes, dropped_bytes: self.dropped }, whole)
    }
}

/// Where the last whole line ends; all of it when it is longer than a line of the log may be.
fn whole_lines(bytes: &[u8]) -> Option<usize> {
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => Some(at + 1),
        None => (bytes.len() >= TEXT_BYTES_MAX).then(|| character_edge(bytes, bytes.len())),
    }
}

/// Cuts output into texts of at most [`TEXT_BYTES_MAX`], at the ends of lines, or of characters, where that can be.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let window = &bytes[..bytes.len().min(TEXT_BYTES_MAX)];
        let end = if window.len() == bytes.len() {
            bytes.len()
        } else {
            match window.iter().rposition(|byte| *byte == b'\n') {
                Some(at) => at + 1,
                None => character_edge(bytes, window.len()),
            }
        };
        let (piece, rest) = bytes.split_at(end);
        bytes = rest;
        Some(piece)
    })
}

/// The last edge between UTF-8 characters at or before `end`; `end` itself where the bytes are no UTF-8.
fn character_edge(bytes: &[u8], end: usize) -> usize {
    for back in 1..=4.min(end) {
        let byte = bytes[end - back];
        if byte & 0xC0 != 0x80 {
            let length = match byte {
                0xC0..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xF7 => 4,
                _ => 1,
            };
            return if length > back && end > back { end - back } else { end };
        }
    }
    end
}

/// Where the end of a stream has to start so that its lines fit into `room` bytes of log.
fn start_that_fits(tail: &[u8], room: u64) -> usize {
    /// `{"kind":"stdout","n":…,"step":"…","t_ms":…,"text":""}` and the line's end, with the longest numbers.
    const FRAME_BYTES: u64 = 110;
    let sizes: Vec<(usize, u64)> = pieces(tail)
        .scan(0, |at, piece| {
            let start = *at;
            *at += piece.len();
            let text = Value::from(String::from_utf8_lossy(piece)).to_string();
            Some((start, text.len() as u64 + FRAME_BYTES))
        })
        .collect();
    let mut left = room;
    let mut start = tail.len();
    for (at, size) in sizes.into_iter().rev() {
        match left.checked_sub(size) {
            Some(rest) => (left, start) = (rest, at),
            None => break,
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(act: impl FnOnce(&mut Log)) -> (Vec<Value>, LogReport, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::new(File::create(&path).unwrap(), Box::new(io::sink()));
        act(&mut log);
        let (report, whole) = log.finish();
        whole.unwrap();
        let bytes = std::fs::read(path).unwrap();
        let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty());
        (lines.map(|l| serde_json::from_slice(l).unwrap()).collect(), report, bytes)
    }

    fn text_of(lines: &[Value], kind: &str) -> String {
        lines.iter().filter(|l| l["kind"] == kind).map(|l| l["text"].as_str().unwrap()).collect()
    }

    #[test]
    fn numbers_have_no_gaps_and_the_digest_is_of_the_bytes() {
        let (lines, report, bytes) = written(|log| {
            log.begin("setup");
            log.output(Stream::Out, b"one\ntw");
            log.output(Stream::Err, b"oops\n");
            log.output(Stream::Out, b"o\n");
            log.end(true, 3);
            log.note("fine");
        });
        let numbers: Vec<u64> = lines.iter().map(|l| l["n"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..lines.len() as u64).collect::<Vec<_>>());
        assert_eq!(report.digest, Digest::of(&bytes));
        assert_eq!(report.size_bytes, bytes.len() as u64);
        assert_eq!(text_of(&lines, "stdout"), "one\ntwo\n");
        assert_eq!(text_of(&lines, "stderr"), "oops\n");
        assert!(lines.iter().all(|l| l["step"] == "setup"));
    }

    #[test]
    fn of_a_stream_over_its_cap_the_first_three_quarters_and_the_last_quarter_are_kept() {
        for (extra, dropped) in [(0, 0), (1000, 1000)] {
            let (lines, report, _) = written(|log| {
                log.output(Stream::Out, b"first\n");
                log.output(Stream::Out, &vec![b'x'; STREAM_BYTES_MAX + extra - 11]);
                log.output(Stream::Out, b"last\n");
            });
            let text = text_of(&lines, "stdout");
            assert_eq!(report.dropped_bytes, dropped);
            assert_eq!(text.len(), STREAM_BYTES_MAX);
            assert!(text.starts_with("first\n") && text.ends_with("last\n"));
            assert_eq!(lines.iter().any(|l| l["dropped_bytes"] == dropped), extra > 0);
        }
    }

    #[test]
    fn the_whole_log_stays_within_its_limit_whatever_is_written() {
        let (lines, report, bytes) = written(|log| {
            for _ in 0..3 {
                log.begin("agent");
                // Control characters grow sixfold.
                log.output(Stream::Out, &vec![1; STREAM_BYTES_MAX]);
                log.output(Stream::Err, b"the end");
                log.end(true, 0);
            }
        });
        assert!(bytes.len() as u64 <= LOG_BYTES_MAX, "{}", bytes.len());
        assert!(report.dropped_bytes > 0);
        assert_eq!(text_of(&lines, "stderr"), "the endthe endthe end", "the ends always have room");
        assert!(bytes.split(|b| *b == b'\n').all(|l| l.len() < 16 << 10));
    }

    #[test]
    fn characters_are_not_cut_and_bytes_that_are_none_are_replaced() {
        let long = "é".repeat(5000);
        let (lines, ..) = written(|log| {
            log.output(Stream::Out, &long.as_bytes()[..2561]);
            log.output(Stream::Out, &long.as_bytes()[2561..]);
        });
        assert_eq!(text_of(&lines, "stdout"), long);
        let (lines, ..) = written(|log| log.output(Stream::Out, b"a\xFFb"));
        assert_eq!(text_of(&lines, "stdout"), "a\u{FFFD}b");
    }
}
