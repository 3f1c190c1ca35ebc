//! The transport that rmcp is given.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, RequestId, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::check::{self, Document, Message, Refusal};
use super::desk::Desk;
use super::read::{LineReader, Read};
use super::write::Writer;
use crate::stop::Stop;

/// Lines of JSON-RPC, checked.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: LineReader<R>,
    writer: Option<Writer>,
    lines: mpsc::Sender<Vec<u8>>,
    desk: Arc<Mutex<Desk>>,
    /// Messages of a line that rmcp has not taken yet.
    ready: VecDeque<ClientJsonRpcMessage>,
    /// Answers of our own that are not handed to the writer yet.
    replies: VecDeque<Value>,
    stop: Stop,
}

impl<R: AsyncRead + Unpin + Send> Lines<R> {
    /// Takes over both ends. At the end of the input `stop` is set.
    pub(crate) fn new(read: R, write: impl AsyncWrite + Unpin + Send + 'static, stop: Stop) -> Self {
        let writer = Writer::start(write, stop.clone());
        Self {
            reader: LineReader::new(read),
            lines: writer.lines(),
            writer: Some(writer),
            desk: Arc::default(),
            ready: VecDeque::new(),
            replies: VecDeque::new(),
            stop,
        }
    }

    /// The next message for rmcp; `None` at the end.
    ///
    /// # Cancellation
    /// Safe: a line is taken and sorted in one step, and what it leads to is kept here.
    async fn next(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            while let Some(reply) = self.replies.front() {
                let bytes = reply.to_string().into_bytes();
                let room = self.lines.reserve().await.ok()?;
                room.send(bytes);
                self.replies.pop_front();
            }
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            match self.reader.next().await {
                Ok(Read::Line(line)) => self.sort(line.trim_ascii()),
                Ok(Read::TooLong(id)) => {
                    let why = format!("invalid request: a line has at most {} bytes", super::LINE_BYTES_MAX);
                    self.replies.push_back(Refusal::invalid(id, why).to_json());
                }
                Ok(Read::End) => return None,
                Err(error) => {
                    tracing::debug!(%error, "standard input is gone");
                    return None;
                }
            }
        }
    }

    fn sort(&mut self, line: &[u8]) {
        // Some tools begin a stream with a byte order mark.
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        if line.is_empty() {
            return;
        }
        let sorted = check::document(line).and_then(|document| match document {
            Document::One(value) => self.accept(value).map(drop),
            Document::Batch(values) => self.accept_batch(values),
        });
        if let Err(refusal) = sorted {
            self.replies.push_back(refusal.to_json());
        }
    }

    fn accept_batch(&mut self, values: Vec<Value>) -> Result<(), Refusal> {
        with(&self.desk, |desk| desk.allow_batch(values.len()))?;
        let (mut waiting, mut refusals) = (HashSet::new(), Vec::new());
        for value in values {
            match self.accept(value) {
                Ok(id) => waiting.extend(id),
                Err(refusal) => refusals.push(refusal),
            }
        }
        // rmcp takes the messages only after this, so no answer comes too early.
        let complete = with(&self.desk, |desk| desk.batch(waiting, &refusals));
        self.replies.extend(complete);
        Ok(())
    }

    /// Takes one message; returns its id if an answer will come.
    fn accept(&mut self, value: Value) -> Result<Option<RequestId>, Refusal> {
        match check::message(value)? {
            Message::Request(id, message) => {
                let ClientJsonRpcMessage::Request(request) = &*message else {
                    return Err(Refusal::invalid(Some(id), "invalid request"));
                };
                with(&self.desk, |desk| desk.open(&id, &request.request))?;
                self.ready.push_back(*message);
                Ok(Some(id))
            }
            Message::Notification(message) => {
                if with(&self.desk, |desk| desk.has_lifecycle()) {
                    self.note_cancelled(&message);
                    self.ready.push_back(*message);
                }
                Ok(None)
            }
            Message::Ignored => Ok(None),
        }
    }

    fn note_cancelled(&mut self, message: &ClientJsonRpcMessage) {
        if let ClientJsonRpcMessage::Notification(notification) = message
            && let ClientNotification::CancelledNotification(cancelled) = &notification.notification
            && let Some(id) = &cancelled.params.request_id
        {
            let complete = with(&self.desk, |desk| desk.cancelled(id));
            self.replies.extend(complete);
        }
    }
}

/// The desk is never left half changed, so one that a panic poisoned is as good as any.
fn with<T>(desk: &Mutex<Desk>, act: impl FnOnce(&mut Desk) -> T) -> T {
    act(&mut desk.lock().unwrap_or_else(PoisonError::into_inner))
}

impl<R: AsyncRead + Unpin + Send> Transport<RoleServer> for Lines<R> {
    type Error = io::Error;

    fn send(&mut self, item: ServerJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let line = with(&self.desk, |desk| desk.answer(&item));
        let lines = self.lines.clone();
        async move {
            let Some(value) = line? else { return Ok(()) };
            lines.send(value.to_string().into_bytes()).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        let stop = self.stop.clone();
        let message = tokio::select! {
            message = self.next() => message,
            () = stop.stopped() => None,
        };
        if message.is_none() {
            // Calls that wait learn it here; rmcp would let them go on for seconds.
            self.stop.now();
        }
        message
    }

    async fn close(&mut self) -> io::Result<()> {
        // The writer ends when nobody holds its queue: this handle is replaced by one that leads nowhere.
        self.lines = mpsc::channel(1).0;
        if let Some(writer) = self.writer.take() {
            writer.close().await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines as TestLines};

    use super::*;

    struct Peer {
        lines: Lines<DuplexStream>,
        to: DuplexStream,
        from: TestLines<BufReader<DuplexStream>>,
    }

    impl Peer {
        fn new() -> Self {
            let ((to, read), (write, from)) = (tokio::io::duplex(1 << 16), tokio::io::duplex(1 << 16));
            Self { lines: Lines::new(read, write, Stop::new()), to, from: BufReader::new(from).lines() }
        }

        async fn give(&mut self, value: Value) {
            self.to.write_all(format!("{value}\n").as_bytes()).await.unwrap();
        }

        async fn got(&mut self) -> Value {
            serde_json::from_str(&self.from.next_line().await.unwrap().unwrap()).unwrap()
        }

        /// Passes `initialize` through, answered with this revision.
        async fn begin(&mut self, version: &ProtocolVersionName) {
            self.give(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
                "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}))
                .await;
            assert!(matches!(self.lines.receive().await, Some(ClientJsonRpcMessage::Request(_))));
            self.answer(
                0,
                json!({"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}),
            )
            .await;
            self.got().await;
        }

        async fn answer(&mut self, id: i64, result: Value) {
            let message = serde_json::from_value(json!({"jsonrpc": "2.0", "id": id, "result": result})).unwrap();
            self.lines.send(message).await.unwrap();
        }
    }

    type ProtocolVersionName = str;

    fn ping(id: i64) -> Value {
        json!({"jsonrpc": "2.0", "id": id, "method": "ping"})
    }

    #[tokio::test]
    async fn a_batch_is_answered_as_one_where_the_revision_has_batches() {
        let mut peer = Peer::new();
        peer.begin("2025-03-26").await;
        peer.give(json!([ping(1), {"bad": true}, ping(2), {"jsonrpc": "2.0", "method": "notifications/initialized"}]))
            .await;
        for _ in 0..3 {
            assert!(peer.lines.receive().await.is_some());
        }
        peer.answer(2, json!({})).await;
        peer.answer(1, json!({})).await;
        let got = peer.got().await;
        let ids: Vec<_> = got.as_array().unwrap().iter().map(|answer| answer["id"].clone()).collect();
        assert_eq!(ids, [Value::Null, json!(2), json!(1)]);
    }

    #[tokio::test]
    async fn a_batch_is_refused_once_where_it_has_none() {
        let mut peer = Peer::new();
        peer.begin("2025-06-18").await;
        peer.give(json!([ping(1), ping(2)])).await;
        peer.give(ping(3)).await;
        assert!(peer.lines.receive().await.is_some());
        let got = peer.got().await;
        assert_eq!((&got["id"], &got["error"]["code"]), (&Value::Null, &json!(-32600)));
    }

    #[tokio::test]
    async fn a_cancelled_request_does_not_hold_up_its_batch() {
        let mut peer = Peer::new();
        peer.begin("2024-11-05").await;
        peer.give(json!([ping(1), ping(2)])).await;
        peer.give(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})).await;
        for _ in 0..3 {
            assert!(peer.lines.receive().await.is_some());
        }
        peer.answer(2, json!({})).await;
        assert_eq!(peer.got().await.as_array().map(Vec::len), Some(1));
    }

    #[tokio::test]
    async fn an_id_in_use_and_one_request_too_many_are_refused_and_a_free_one_passes() {
        let mut peer = Peer::new();
        peer.begin("2025-11-25").await;
        for id in 1..=super::super::IN_FLIGHT_MAX as i64 {
            peer.give(ping(id)).await;
            assert!(peer.lines.receive().await.is_some());
        }
        peer.give(ping(1)).await;
        peer.give(ping(1000)).await;
        peer.give(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        assert!(matches!(peer.lines.receive().await, Some(ClientJsonRpcMessage::Notification(_))));
        let (in_use, busy) = (peer.got().await, peer.got().await);
        assert_eq!((&in_use["id"], &busy["id"]), (&Value::Null, &json!(1000)));
        assert!(busy["error"]["message"].as_str().unwrap().starts_with("busy"));
        peer.answer(1, json!({})).await;
        assert_eq!(peer.got().await["id"], 1);
        peer.give(ping(1)).await;
        assert!(matches!(peer.lines.receive().await, Some(ClientJsonRpcMessage::Request(_))));
        let stop = peer.lines.stop.clone();
        stop.now();
        assert!(peer.lines.receive().await.is_none());
    }

    #[tokio::test]
    async fn notifications_before_any_lifecycle_are_dropped_and_the_end_sets_the_stop() {
        let mut peer = Peer::new();
        peer.give(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        peer.give(json!({"jsonrpc": "2.0", "id": 1, "result": {}})).await;
        peer.begin("2025-11-25").await;
        let stop = peer.lines.stop.clone();
        drop(peer.to);
        assert!(peer.lines.receive().await.is_none());
        stop.stopped().await;
    }
}
