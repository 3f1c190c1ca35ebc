//! What is open between the client and this server: the protocol's lifecycle, requests without an answer, batches.

use std::collections::HashSet;

use rmcp::model::{ClientRequest, GetMeta as _, ProtocolVersion, RequestId, ServerJsonRpcMessage, ServerResult};
use serde_json::Value;

use super::check::Refusal;
use super::{BATCH_MAX, IN_FLIGHT_MAX};

/// A batch whose answers go out together.
#[derive(Debug, Default)]
struct Batch {
    waiting: HashSet<RequestId>,
    answers: Vec<Value>,
}

/// The open things of one connection.
#[derive(Debug, Default)]
pub(super) struct Desk {
    lifecycle: bool,
    has_batches: bool,
    in_flight: HashSet<RequestId>,
    batches: Vec<Batch>,
}

impl Desk {
    /// Whether notifications mean anything yet. rmcp gives up on one that comes before.
    pub(super) fn has_lifecycle(&self) -> bool {
        self.lifecycle
    }

    /// Notes a request that is handed on. Mirrors rmcp's choice of lifecycle: `initialize`, or the first request that is
    /// neither `ping` nor `server/discover` and says all about itself.
    ///
    /// # Errors
    /// With the answer, for an id that is in use and for one request too many.
    pub(super) fn open(&mut self, id: &RequestId, request: &ClientRequest) -> Result<(), Refusal> {
        if self.in_flight.contains(id) {
            // Answered without the id: with it, the answer would end the other request.
            return Err(Refusal::invalid(None, format!("invalid request: the id {id} is in use")));
        }
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            let message = format!("busy: {IN_FLIGHT_MAX} requests are in flight; wait for an answer");
            return Err(Refusal { id: Some(id.clone()), code: rmcp::model::ErrorCode::INTERNAL_ERROR, message });
        }
        self.in_flight.insert(id.clone());
        self.lifecycle |= match request {
            ClientRequest::InitializeRequest(_) => true,
            ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
            other => {
                let meta = other.get_meta();
                meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
                    && meta.protocol_version().is_some_and(|version| ProtocolVersion::KNOWN_VERSIONS.contains(&version))
            }
        };
        Ok(())
    }

    /// Takes an answer. Returns what is to be written now: the answer, or the batch that it completes.
    pub(super) fn answer(&mut self, message: &ServerJsonRpcMessage) -> Result<Option<Value>, serde_json::Error> {
        let value = serde_json::to_value(message)?;
        let id = match message {
            ServerJsonRpcMessage::Response(response) => {
                if let ServerResult::InitializeResult(result) = &response.result {
                    // Batches came with JSON-RPC and went with 2025-06-18.
                    self.has_batches = result.protocol_version <= ProtocolVersion::V_2025_03_26;
                }
                &response.id
            }
            ServerJsonRpcMessage::Error(error) => match &error.id {
                Some(id) => id,
                None => return Ok(Some(value)),
            },
            ServerJsonRpcMessage::Request(_) | ServerJsonRpcMessage::Notification(_) => return Ok(Some(value)),
        };
        self.in_flight.remove(id);
        Ok(self.settle(id, Some(value)))
    }

    /// Notes that a request was cancelled: no answer comes any more. Returns the batch that was waiting for it alone.
    pub(super) fn cancelled(&mut self, id: &RequestId) -> Option<Value> {
        if self.in_flight.remove(id) { self.settle(id, None) } else { None }
    }

    /// Opens a batch with the requests that were handed on, and the refusals so far. Returns it if nothing is waited for.
    pub(super) fn batch(&mut self, waiting: HashSet<RequestId>, refusals: &[Refusal]) -> Option<Value> {
        let batch = Batch { waiting, answers: refusals.iter().map(Refusal::to_json).collect() };
        if batch.waiting.is_empty() {
            return (!batch.answers.is_empty()).then_some(Value::Array(batch.answers));
        }
        self.batches.push(batch);
        None
    }

    /// Whether a batch of so many messages is one.
    ///
    /// # Errors
    /// With the answer.
    pub(super) fn allow_batch(&self, messages: usize) -> Result<(), Refusal> {
        let why = match messages {
            _ if !self.has_batches => "this protocol revision has no batches: send one message a line",
            0 => "an empty batch",
            _ if messages > BATCH_MAX => "a batch has at most 64 messages",
            _ => return Ok(()),
        };
        Err(Refusal::invalid(None, format!("invalid request: {why}")))
    }

    fn settle(&mut self, id: &RequestId, answer: Option<Value>) -> Option<Value> {
        let Some(at) = self.batches.iter().position(|batch| batch.waiting.contains(id)) else { return answer };
        let batch = &mut self.batches[at];
        batch.waiting.remove(id);
        batch.answers.extend(answer);
        if !batch.waiting.is_empty() {
            return None;
        }
        let batch = self.batches.swap_remove(at);
        (!batch.answers.is_empty()).then_some(Value::Array(batch.answers))
    }
}
