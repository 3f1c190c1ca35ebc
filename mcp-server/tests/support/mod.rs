//! The real program over real pipes, one JSON line at a time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take before the test fails: far beyond what it takes, on a machine that is busy too.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// An empty environment and a home that does not exist, unless one is given.
pub(crate) fn start(home: &Path) -> Program {
    let mut child = Command::new(env!("CARGO_BIN_EXE_agora-mcp"))
        .arg("--home")
        .arg(home)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    Program { input: child.stdin.take(), child, lines }
}

impl Program {
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).unwrap();
        input.write_all(b"\n").unwrap();
        input.flush().unwrap();
    }

    pub(crate) fn give(&mut self, message: &Value) {
        self.raw(message.to_string().as_bytes());
    }

    pub(crate) fn got(&mut self) -> Value {
        let line = self.lines.recv_timeout(DEADLINE).expect("an answer in time");
        serde_json::from_str(&line).expect("standard output carries JSON alone")
    }

    /// What is not a notification.
    pub(crate) fn answer(&mut self) -> Value {
        loop {
            let message = self.got();
            if message.get("method").is_none() {
                return message;
            }
        }
    }

    pub(crate) fn ask(&mut self, id: i64, method: &str, params: Value) -> Value {
        self.give(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let answer = self.answer();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    pub(crate) fn call(&mut self, id: i64, tool: &str, arguments: Value) -> Value {
        self.ask(id, "tools/call", json!({"name": tool, "arguments": arguments}))
    }

    pub(crate) fn initialize(&mut self, version: &str) -> Value {
        let answer = self.ask(
            0,
            "initialize",
            json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}),
        );
        self.give(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Closes the input and waits for the end; what was on standard error comes with it.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<Value>, String) {
        drop(self.input.take());
        let status = self.wait();
        let rest = self.lines.try_iter().map(|line| serde_json::from_str(&line).unwrap()).collect();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status, rest, log)
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the program did not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has usually ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What every request of the stateless revision says about itself.
pub(crate) fn stateless(mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    params
}
