//! From the bytes of a line to messages, or to what JSON-RPC says about them.

use agora_core::canon::{self, CanonError};
use rmcp::model::{ClientJsonRpcMessage, ErrorCode, RequestId};
use serde_json::{Map, Value, json};

use super::line_id::{LineId, request_id};
use super::{LINE_BYTES_MAX, MESSAGE_DEPTH_MAX};

/// A message that is answered here, because it is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) id: Option<RequestId>,
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn invalid(id: Option<RequestId>, message: impl Into<String>) -> Self {
        Self { id, code: ErrorCode::INVALID_REQUEST, message: message.into() }
    }

    /// As it is sent. JSON-RPC 2.0 §5 wants an `id` that is null where none could be read.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "jsonrpc": "2.0",
            "id": self.id.clone().map_or(Value::Null, RequestId::into_json_value),
            "error": { "code": self.code.0, "message": self.message },
        })
    }
}

/// What a line is.
#[derive(Debug)]
pub(super) enum Document {
    /// One message.
    One(Value),
    /// A batch.
    Batch(Vec<Value>),
}

/// Reads a line. Blank ones are for the caller to skip.
///
/// # Errors
/// For what is no JSON, and for what two readers could understand differently.
pub(super) fn document(line: &[u8]) -> Result<Document, Refusal> {
    match canon::parse(line, MESSAGE_DEPTH_MAX, LINE_BYTES_MAX) {
        Ok(Value::Array(messages)) => Ok(Document::Batch(messages)),
        Ok(message) => Ok(Document::One(message)),
        Err(error) => Err(unreadable(line, &error)),
    }
}

fn unreadable(line: &[u8], error: &CanonError) -> Refusal {
    match error {
        // JSON, but not a request that can be trusted to mean one thing: the id can be told all the same.
        CanonError::Depth { .. } | CanonError::Duplicate { .. } | CanonError::Number { .. } => {
            let mut scan = LineId::new();
            scan.feed(line);
            Refusal::invalid(scan.end(), format!("invalid request: {error}"))
        }
        _ => Refusal { id: None, code: ErrorCode::PARSE_ERROR, message: format!("parse error: {error}") },
    }
}

/// A message that has the form of one.
#[derive(Debug)]
pub(super) enum Message {
    /// Wants an answer.
    Request(RequestId, Box<ClientJsonRpcMessage>),
    /// Wants none.
    Notification(Box<ClientJsonRpcMessage>),
    /// Nothing to act on: an answer to a request that was never made, a notification nobody knows.
    Ignored,
}

/// Checks the form of one message.
///
/// # Errors
/// With the answer, for what is no JSON-RPC message.
pub(super) fn message(value: Value) -> Result<Message, Refusal> {
    let Value::Object(members) = &value else {
        return Err(Refusal::invalid(None, "invalid request: a message is an object"));
    };
    let id = members.get("id").and_then(request_id);
    if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(Refusal::invalid(id, "invalid request: `jsonrpc` has to be \"2.0\""));
    }
    if is_answer(members) {
        return Ok(Message::Ignored);
    }
    if !members.get("method").is_some_and(Value::is_string) {
        return Err(Refusal::invalid(id, "invalid request: `method` has to be a text"));
    }
    if !members.contains_key("id") {
        // One that does not parse is one nobody here knows, and notifications are never answered.
        return Ok(
            serde_json::from_value(value).map_or(Message::Ignored, |message| Message::Notification(Box::new(message)))
        );
    }
    let Some(id) = id else {
        return Err(Refusal::invalid(
            None,
            "invalid request: `id` has to be an integer or a text of at most 256 bytes",
        ));
    };
    match serde_json::from_value::<ClientJsonRpcMessage>(value) {
        Ok(message @ ClientJsonRpcMessage::Request(_)) => Ok(Message::Request(id, Box::new(message))),
        _ => Err(Refusal::invalid(Some(id), "invalid request: the members do not fit together")),
    }
}

/// Whether it answers something. This server asks nothing, and to answer an answer could go on for ever.
fn is_answer(members: &Map<String, Value>) -> bool {
    !members.contains_key("method") && (members.contains_key("result") || members.contains_key("error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Message, Refusal> {
        match document(line.as_bytes())? {
            Document::One(value) => message(value),
            Document::Batch(_) => panic!("a batch"),
        }
    }

    #[test]
    fn what_is_no_message_is_refused_with_the_code_and_id_of_the_protocol() {
        let deep = |levels: usize| {
            format!(
                r#"{{"jsonrpc":"2.0","method":"ping","params":{}{},"id":9}}"#,
                "[".repeat(levels),
                "]".repeat(levels)
            )
        };
        let cases: [(&str, i32, Option<i64>); 13] = [
            ("{", -32700, None),
            ("nonsense", -32700, None),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} {}"#, -32700, None),
            ("{\"a\":\"\u{1}\"}", -32700, None),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}"#, -32600, Some(1)),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600, None),
            (&deep(MESSAGE_DEPTH_MAX), -32600, Some(9)),
            ("7", -32600, None),
            (r#"{"id":1,"method":"ping"}"#, -32600, Some(1)),
            (r#"{"jsonrpc":"2.0","id":1}"#, -32600, Some(1)),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, None),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, None),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, -32600, Some(1)),
        ];
        for (line, code, id) in cases {
            let refusal = read(line).expect_err(line);
            assert_eq!((refusal.code.0, refusal.id), (code, id.map(RequestId::Number)), "{line}");
        }
    }

    #[test]
    fn what_is_a_message_passes() {
        let fits = format!(
            r#"{{"jsonrpc":"2.0","method":"x/y","params":{{"a":{}{}}},"id":"9"}}"#,
            "[".repeat(MESSAGE_DEPTH_MAX - 2),
            "]".repeat(MESSAGE_DEPTH_MAX - 2)
        );
        assert!(matches!(read(&fits), Ok(Message::Request(..))));
        let request = read(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        assert!(matches!(request, Ok(Message::Request(RequestId::Number(1), _))));
        let notification = read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert!(matches!(notification, Ok(Message::Notification(_))));
        for ignored in [
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#,
        ] {
            assert!(matches!(read(ignored), Ok(Message::Ignored)), "{ignored}");
        }
    }
}
