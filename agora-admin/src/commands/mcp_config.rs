//! `mcp-config`: the exact snippet that a client needs to start agora-mcp.

use std::path::Path;

use agora_core::error::{Class, Problem};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use crate::cli::Context;
use crate::error::{Exit, Failure};
use crate::output::{Cell, Line, Style};

/// Seconds that Codex waits for a tool: as long as `watch` waits for it, and some.
const CODEX_TIMEOUT_SECONDS: u32 = 300;

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Client {
    ClaudeCode,
    Codex,
    Cursor,
    Vscode,
}

/// The arguments of `mcp-config`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The snippet goes to standard output alone, so it can be kept in a file.\n\nExamples:\n  agora-admin mcp-config claude-code > .mcp.json\n  agora-admin mcp-config codex >> ~/.codex/config.toml"
)]
pub(crate) struct Args {
    /// The client
    #[arg(value_enum)]
    client: Client,
}

#[derive(Serialize)]
struct Reply {
    client: String,
    /// Where the snippet goes.
    file: &'static str,
    snippet: String,
}

/// Prints the snippet.
///
/// # Errors
/// `helper-missing` when there is no agora-mcp beside this program.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let doing = "print the client's configuration";
    let server = std::env::current_exe().ok().and_then(|path| path.parent().map(|folder| folder.join("agora-mcp")));
    let Some(server) = server.filter(|path| path.is_file()) else {
        let problem = Problem::new(Class::Operator, "helper-missing", "there is no agora-mcp beside this program");
        return Err(Failure::one(doing, problem.hint("install agora-mcp into the same folder as agora-admin")));
    };
    let (server, home) = (text(&server, doing)?, text(&context.home, doing)?);
    let name = args.client.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let reply = Reply { client: name, file: file(args.client), snippet: snippet(args.client, &server, &home) };
    if context.out.for_people() {
        context.out.write(reply.snippet.as_bytes())?;
        context.out.note(Line::of(Cell::new("goes into").style(Style::Dim)).and(reply.file));
    } else {
        context.out.reply(&reply, |_| {})?;
    }
    Ok(Exit::Done)
}

fn text(path: &Path, doing: &str) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let problem = Problem::new(Class::Operator, "path-not-utf-8", format!("{} is not UTF-8", path.display()));
        Failure::one(doing, problem.hint("clients take paths as text: use a folder with a plain name"))
    })
}

fn file(client: Client) -> &'static str {
    match client {
        Client::ClaudeCode => {
            ".mcp.json of the project, or: claude mcp add-json agora '…' with what stands under \"agora\""
        }
        Client::Codex => "~/.codex/config.toml",
        Client::Cursor => ".cursor/mcp.json of the project, or ~/.cursor/mcp.json",
        Client::Vscode => ".vscode/mcp.json of the project",
    }
}

/// The home is named in each, because clients do not pass their environment on.
fn snippet(client: Client, server: &str, home: &str) -> String {
    let server_json = || json!({ "type": "stdio", "command": server, "args": ["--home", home] });
    let pretty = |value: serde_json::Value| format!("{value:#}\n");
    match client {
        Client::ClaudeCode => pretty(json!({ "mcpServers": { "agora": server_json() } })),
        Client::Cursor => pretty(json!({ "mcpServers": { "agora": { "command": server, "args": ["--home", home] } } })),
        Client::Vscode => pretty(json!({ "servers": { "agora": server_json() } })),
        Client::Codex => {
            // A JSON string is a TOML basic string: the escapes are the same.
            let (command, home) = (json!(server), json!(home));
            format!(
                "[mcp_servers.agora]\ncommand = {command}\nargs = [\"--home\", {home}]\n\
                 supports_parallel_tool_calls = true\ntool_timeout_sec = {CODEX_TIMEOUT_SECONDS}\n"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "/opt/a \"b\"\\c/agora-mcp";

    #[test]
    fn every_snippet_parses_and_names_server_and_home() {
        let (home, args) = ("/home/ada/.agora", json!(["--home", "/home/ada/.agora"]));
        for (client, pointer) in [
            (Client::ClaudeCode, "/mcpServers/agora"),
            (Client::Cursor, "/mcpServers/agora"),
            (Client::Vscode, "/servers/agora"),
        ] {
            let value: serde_json::Value = serde_json::from_str(&snippet(client, SERVER, home)).unwrap();
            let server = value.pointer(pointer).unwrap();
            assert_eq!((&server["command"], &server["args"]), (&json!(SERVER), &args), "{client:?}");
        }
        let value: toml::Table = toml::from_str(&snippet(Client::Codex, SERVER, home)).unwrap();
        let server = &value["mcp_servers"]["agora"];
        assert_eq!(server["command"].as_str(), Some(SERVER));
        assert_eq!(server["args"][1].as_str(), Some(home));
        assert_eq!(server["supports_parallel_tool_calls"].as_bool(), Some(true));
        assert_eq!(server["tool_timeout_sec"].as_integer(), Some(300));
    }
}
