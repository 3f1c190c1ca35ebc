//! Lines of bounded length from a byte stream, safe to cancel between any two bytes.

use std::io;

use rmcp::model::RequestId;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use super::LINE_BYTES_MAX;
use super::line_id::LineId;

/// One line, or the end.
#[derive(Debug)]
pub(super) enum Read {
    /// A line without its end.
    Line(Vec<u8>),
    /// A line that was longer than allowed: gone, but for its id.
    TooLong(Option<RequestId>),
    /// The client closed its end. What it had begun is no message.
    End,
}

/// Reads lines.
#[derive(Debug)]
pub(super) struct LineReader<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// Of a line that is too long already. Kept here because a read may be cancelled in the middle of one.
    skipping: Option<LineId>,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::new(input), line: Vec::new(), skipping: None }
    }

    /// Reads the next line.
    ///
    /// # Errors
    /// As the stream.
    ///
    /// # Cancellation
    /// Safe: bytes are taken from the stream and kept here in one step.
    pub(super) async fn next(&mut self) -> io::Result<Read> {
        loop {
            let bytes = self.input.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(Read::End);
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (part, taken) = end.map_or((bytes, bytes.len()), |end| (&bytes[..end], end + 1));
            match &mut self.skipping {
                Some(scan) => scan.feed(part),
                None if self.line.len() + part.len() > LINE_BYTES_MAX => {
                    let mut scan = LineId::new();
                    scan.feed(&self.line);
                    scan.feed(part);
                    self.line = Vec::new();
                    self.skipping = Some(scan);
                }
                None => self.line.extend_from_slice(part),
            }
            self.input.consume(taken);
            if end.is_some() {
                return Ok(match self.skipping.take() {
                    Some(scan) => Read::TooLong(scan.end()),
                    None => Read::Line(std::mem::take(&mut self.line)),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(input: &[u8]) -> Vec<String> {
        let mut reader = LineReader::new(input);
        let mut seen = Vec::new();
        loop {
            match reader.next().await.unwrap() {
                Read::Line(line) => seen.push(format!("{} bytes", line.len())),
                Read::TooLong(id) => seen.push(format!("too long, id {id:?}")),
                Read::End => return seen,
            }
        }
    }

    #[tokio::test]
    async fn a_line_at_its_bound_is_read_and_one_beyond_is_skipped_with_its_id() {
        let message = |bytes: usize| {
            let frame = r#"{"pad":"","id":5}"#.len();
            format!("{{\"pad\":\"{}\",\"id\":5}}\n", "x".repeat(bytes - frame))
        };
        let mut input = message(LINE_BYTES_MAX);
        input.push_str(&message(LINE_BYTES_MAX + 1));
        input.push_str("next\nunfinished");
        let seen = read_all(input.as_bytes()).await;
        assert_eq!(seen, ["1048576 bytes", "too long, id Some(Number(5))", "4 bytes"]);
    }
}
