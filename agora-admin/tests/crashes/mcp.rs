//! A client of the real `agora-mcp`.

use std::io::Write as _;
use std::process::{ChildStdin, Stdio};

use serde_json::{Value, json};

use crate::place::Place;
use crate::program::Program;

pub(crate) struct Client {
    pub(crate) program: Program,
    input: Option<ChildStdin>,
    /// All that it said.
    pub(crate) heard: Vec<Value>,
}

impl Client {
    /// Starts one and shakes hands.
    pub(crate) fn start(place: &Place) -> Self {
        let mut command = place.env.command("agora-mcp");
        command.stdin(Stdio::piped());
        let mut program = Program::start(command);
        let input = program.input();
        let mut client = Self { program, input, heard: Vec::new() };
        let hello =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        client.ask(0, "initialize", hello);
        client.give(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    pub(crate) fn give(&mut self, message: &Value) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{message}\n").as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Asks for a tool, and for its progress under the same number, and does not wait for what it says.
    pub(crate) fn begin(&mut self, id: u64, tool: &str, arguments: &Value) {
        let params = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": id}});
        self.give(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
    }

    /// The next message that answers something.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Value {
        loop {
            let message: Value = serde_json::from_str(&self.program.line()).unwrap();
            self.heard.push(message.clone());
            if message.get("method").is_none() {
                return message;
            }
        }
    }

    #[track_caller]
    fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.give(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let answer = self.answer();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Calls a tool, which must do it, and gives what it says.
    #[track_caller]
    pub(crate) fn call(&mut self, id: u64, tool: &str, arguments: &Value) -> Value {
        self.begin(id, tool, arguments);
        let answer = self.answer();
        assert_eq!((&answer["id"], &answer["result"]["isError"]), (&json!(id), &json!(false)), "{answer}");
        answer["result"]["structuredContent"].clone()
    }

    /// Submits a run of these items.
    #[track_caller]
    pub(crate) fn submit(&mut self, id: u64, run: &str, items: &[Value]) {
        let reply = self.call(id, "submit", &json!({"plan": Place::plan_of(run, items)}));
        assert_eq!(reply["run_id"], run, "{reply}");
    }

    /// Goes away as a client does: by closing its end.
    pub(crate) fn leave(mut self) -> Program {
        drop(self.input.take());
        self.program
    }
}
