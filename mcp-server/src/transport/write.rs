//! The one writer of standard output: whole lines, in the order in which they were handed over.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::stop::Stop;

/// Lines that wait to be written: beyond, whoever answers waits for the client to read.
const QUEUE_MAX: usize = 64;

/// How long a client that has gone or stopped reading may hold up the end.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);

/// Hands lines to the writer's task.
#[derive(Debug)]
pub(super) struct Writer {
    lines: mpsc::Sender<Vec<u8>>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Starts the task. When standard output breaks, nobody is there any more: `stop` is set.
    pub(super) fn start(output: impl AsyncWrite + Unpin + Send + 'static, stop: Stop) -> Self {
        let (lines, queue) = mpsc::channel(QUEUE_MAX);
        let task = tokio::spawn(async move {
            if let Err(error) = write_all(output, queue).await {
                tracing::debug!(%error, "standard output is gone");
                stop.now();
            }
        });
        Self { lines, task }
    }

    /// A handle for those who write.
    pub(super) fn lines(&self) -> mpsc::Sender<Vec<u8>> {
        self.lines.clone()
    }

    /// Waits until everything that was handed over is written, but not for long.
    pub(super) async fn close(self) {
        drop(self.lines);
        // A client that does not read loses what it did not read.
        let _ = tokio::time::timeout(CLOSE_TIME_MAX, self.task).await;
    }
}

async fn write_all(mut output: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(mut bytes) = queue.recv().await {
        bytes.push(b'\n');
        output.write_all(&bytes).await?;
        if queue.is_empty() {
            output.flush().await?;
        }
    }
    output.flush().await
}
