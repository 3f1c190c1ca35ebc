//! The socket pair between a caller and a helper: one JSON message a line, bounded, with a deadline.
//!
//! One socket, not a pipe and a signal, because its end is also how either side learns that the other is gone: the kernel
//! closes it however a process ends, and no process id can be mistaken for another.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::spec::MESSAGE_BYTES_MAX;

/// One end.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
    /// Read and not yet used.
    ahead: Vec<u8>,
}

impl Channel {
    /// Makes a pair. Both ends are closed when a process starts another program, unless it is told to keep one.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self { stream: ours, ahead: Vec::new() }, theirs.into()))
    }

    /// Takes over the end that this helper was started with.
    pub(crate) fn adopt(fd: OwnedFd) -> Self {
        Self { stream: fd.into(), ahead: Vec::new() }
    }

    /// Another hold of the same end, to write from another thread.
    pub(crate) fn writer(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }

    /// Sends a message.
    pub(crate) fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stream.write_all(&line)
    }

    /// Says that nothing more is sent.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write)
    }

    /// Receives a message; `None` when the other side is gone.
    ///
    /// # Errors
    /// `TimedOut` past `within`, `InvalidData` for what is no such message or longer than [`MESSAGE_BYTES_MAX`].
    pub(crate) fn receive<T: DeserializeOwned>(&mut self, within: Option<Duration>) -> io::Result<Option<T>> {
        let deadline = within.map(|within| Instant::now() + within);
        let mut chunk = [0; 16 * 1024];
        let mut searched = 0;
        loop {
            if let Some(found) = self.ahead[searched..].iter().position(|byte| *byte == b'\n') {
                let end = searched + found;
                let message = serde_json::from_slice(&self.ahead[..end])?;
                self.ahead.drain(..=end);
                return Ok(Some(message));
            }
            searched = self.ahead.len();
            if searched > MESSAGE_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
            }
            let left = match deadline {
                None => None,
                Some(deadline) => Some(
                    deadline
                        .checked_duration_since(Instant::now())
                        .filter(|left| !left.is_zero())
                        .ok_or(io::ErrorKind::TimedOut)?,
                ),
            };
            self.stream.set_read_timeout(left)?;
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => self.ahead.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
                // The other side ended with something of ours unread: it is gone all the same.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// The single bytes that came since the last call, without waiting; `None` when the other side is gone.
    pub(crate) fn bytes(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.stream.set_nonblocking(true)?;
        let mut bytes = std::mem::take(&mut self.ahead);
        let mut chunk = [0; 64];
        let open = loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => break false,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break false,
                Err(error) => return Err(error),
            }
        };
        self.stream.set_nonblocking(false)?;
        Ok(open.then_some(bytes))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
