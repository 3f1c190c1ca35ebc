//! From the arguments of `register` to a document of one entry.

use std::path::{Path, PathBuf};

use agora_admin::registry::{Document, Syntax, Table};
use agora_core::canon;
use agora_core::error::{Class, Problem};
use agora_core::id::Name;
use agora_core::registry::Kind;
use serde_json::Value;

use crate::cli::input;
use crate::error::Failure;

/// The largest file of one entry in bytes: its prompts may be in it.
const ENTRY_BYTES_MAX: usize = 4 << 20;
/// The deepest nesting of an entry in JSON: the deepest thing in it is a route's list.
const ENTRY_DEPTH_MAX: usize = 32;

/// `capability register`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  agora-admin capability register house-rules --from ./rules --about \"how we write code\""
)]
pub(crate) struct CapabilityArgs {
    /// Its name
    name: Name,
    /// The folder with its files
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// One line about it
    #[arg(long, value_name = "TEXT")]
    about: Option<String>,
    /// Let this pattern of the credential scan pass
    #[arg(long, value_name = "PATTERN")]
    allow_pattern: Vec<String>,
    /// Only show what would change
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `subagent register`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file has the fields of one [subagent.NAME] of a deploy document, at its top:\n  runtime = \"claude-code\"\n  targets = [\"*\"]\n  capabilities = [\"house-rules\"]\n  system_prompt_file = \"reviewer.md\"\n\nExample:\n  agora-admin subagent register reviewer --from reviewer.toml"
)]
pub(crate) struct SubagentArgs {
    /// Its name
    name: Name,
    /// The file with its fields, TOML or JSON; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Only show what would change
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `env register`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Values are readable by whoever reads the registry: no secrets here.\n\nExamples:\n  agora-admin env register ci --set RUST_BACKTRACE=1 --from-env CARGO_HOME\n  agora-admin env register nightly --extends ci --from nightly.toml"
)]
#[command(group = clap::ArgGroup::new("content").required(true).multiple(true))]
pub(crate) struct EnvArgs {
    /// Its name
    name: Name,
    /// A file with the fields of one [env.NAME] of a deploy document; - reads it from standard input
    #[arg(long, value_name = "FILE", group = "content")]
    from: Option<PathBuf>,
    /// A variable
    #[arg(long, value_name = "NAME=VALUE", group = "content")]
    set: Vec<String>,
    /// A variable whose value is the one it has here
    #[arg(long, value_name = "NAME", group = "content")]
    from_env: Vec<String>,
    /// A bundle that this one goes on from
    #[arg(long, value_name = "NAME", group = "content")]
    extends: Vec<Name>,
    /// One line about it
    #[arg(long, value_name = "TEXT")]
    about: Option<String>,
    /// Only show what would change
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl CapabilityArgs {
    /// The document of this entry.
    ///
    /// # Errors
    /// When the working directory is gone.
    pub(super) fn document(&self) -> Result<Document, Failure> {
        let from = std::path::absolute(&self.from).ok().and_then(|path| path.to_str().map(str::to_owned));
        let from = from.ok_or_else(|| {
            let problem =
                Problem::new(Class::Caller, "path-not-utf-8", format!("{} is not UTF-8", self.from.display()));
            Failure::one(format!("register {}", self.name), problem.hint("rename the folder, or deploy from beside it"))
        })?;
        let mut table = Table::from_iter([("from".to_owned(), Value::String(from))]);
        add(&mut table, "about", self.about.clone());
        list(&mut table, "allowed_patterns", &self.allow_pattern);
        Ok(Document::of_one(Kind::Capability, self.name.clone(), table, PathBuf::from(".")))
    }
}

impl SubagentArgs {
    /// The document of this entry.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn document(&self) -> Result<Document, Failure> {
        let (table, folder) = table(Kind::Subagent, &self.name, &self.from)?;
        Ok(Document::of_one(Kind::Subagent, self.name.clone(), table, folder))
    }
}

impl EnvArgs {
    /// The document of this entry: the file, and what the flags add to it.
    ///
    /// # Errors
    /// What is wrong with the file or a flag.
    pub(super) fn document(&self) -> Result<Document, Failure> {
        let (mut table, folder) = match &self.from {
            Some(from) => table(Kind::Env, &self.name, from)?,
            None => (Table::new(), PathBuf::from(".")),
        };
        add(&mut table, "about", self.about.clone());
        let extends: Vec<String> = self.extends.iter().map(ToString::to_string).collect();
        for (key, more) in [("extends", &extends), ("from_env", &self.from_env)] {
            list(&mut table, key, more);
        }
        for pair in &self.set {
            let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
                let problem = Problem::new(Class::Caller, "usage", format!("{pair:?} is not NAME=VALUE"));
                return Err(Failure::one(format!("register {}", self.name), problem.hint("give --set NAME=VALUE")));
            };
            let values = table.entry("values").or_insert_with(|| Value::Object(Table::new()));
            // A `values` that is no table is told of when the document is read.
            if let Value::Object(values) = values {
                values.insert(name.to_owned(), Value::String(value.to_owned()));
            }
        }
        Ok(Document::of_one(Kind::Env, self.name.clone(), table, folder))
    }
}

fn add(table: &mut Table, key: &str, value: Option<String>) {
    if let Some(value) = value {
        table.insert(key.to_owned(), Value::String(value));
    }
}

/// Adds to a list, which the file may have begun; anything else it has there is told of when the document is read.
fn list(table: &mut Table, key: &str, more: &[String]) {
    if more.is_empty() {
        return;
    }
    let values = table.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::String(one) = values {
        *values = Value::Array(vec![Value::String(std::mem::take(one))]);
    }
    if let Value::Array(values) = values {
        values.extend(more.iter().cloned().map(Value::String));
    }
}

/// Reads the fields of one entry, as they stand at the top of a file.
fn table(kind: Kind, name: &Name, from: &Path) -> Result<(Table, PathBuf), Failure> {
    let doing = format!("register {kind} {name}");
    let bytes = input::read(from, "the entry", ENTRY_BYTES_MAX)?;
    let stdin = from.as_os_str() == "-";
    let syntax = if stdin { Syntax::of_bytes(&bytes) } else { Syntax::of_path(from) };
    let refused = |why: String| {
        let problem = Problem::new(Class::Caller, "document-syntax", why).at(from.display().to_string());
        Failure::one(&doing, problem.hint("give the fields of one entry at the top of the file; `--help` shows some"))
    };
    let value = match syntax {
        Syntax::Json => {
            canon::parse(&bytes, ENTRY_DEPTH_MAX, ENTRY_BYTES_MAX).map_err(|error| refused(error.to_string()))?
        }
        Syntax::Toml => {
            let text = std::str::from_utf8(&bytes).map_err(|_| refused("it is not UTF-8".to_owned()))?;
            toml::from_str::<Value>(text).map_err(|error| {
                let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
                refused(format!("line {}: {}", 1 + before.matches('\n').count(), error.message()))
            })?
        }
    };
    let Value::Object(table) = value else { return Err(refused("it is not a table".to_owned())) };
    if let Some(kind) = table.iter().find(|(key, value)| key.parse::<Kind>().is_ok() && value.is_object()) {
        return Err(refused(format!("it is a whole document, with the table {}: deploy it", kind.0)));
    }
    let folder = from.parent().filter(|parent| !stdin && !parent.as_os_str().is_empty());
    Ok((table, folder.unwrap_or(Path::new(".")).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(arguments: &[&str]) -> Result<Table, String> {
        #[derive(clap::Parser)]
        struct One {
            #[command(flatten)]
            args: EnvArgs,
        }
        let one = <One as clap::Parser>::try_parse_from([&["env", "ci"], arguments].concat())
            .map_err(|e| e.kind().to_string())?;
        let mut document = one.args.document().map_err(|failure| failure.problems[0].code.clone())?;
        Ok(document.tables.remove(&Kind::Env).unwrap().into_values().next().unwrap())
    }

    #[test]
    fn flags_add_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ci.toml");
        std::fs::write(&file, "extends = \"base\"\n[values]\nA = \"1\"\n").unwrap();
        let file = file.to_str().unwrap();
        let table = env(&["--from", file, "--set", "B=2=3", "--extends", "more", "--about", "x"]).unwrap();
        let want = serde_json::json!({"about": "x", "extends": ["base", "more"], "values": {"A": "1", "B": "2=3"}});
        assert_eq!(Value::Object(table), want);
        assert_eq!(env(&["--set", "B"]).unwrap_err(), "usage");
        assert!(env(&[]).is_err());
    }

    #[test]
    fn a_whole_document_is_not_an_entry() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ci.toml");
        std::fs::write(&file, "[env.ci.values]\nA = \"1\"\n").unwrap();
        assert_eq!(env(&["--from", file.to_str().unwrap()]).unwrap_err(), "document-syntax");
        let json = folder.path().join("ci.json");
        std::fs::write(&json, r#"{"values": {"A": "1"}}"#).unwrap();
        assert!(env(&["--from", json.to_str().unwrap()]).is_ok());
        std::fs::write(&json, r#"{"values": {}, "values": {}}"#).unwrap();
        assert_eq!(env(&["--from", json.to_str().unwrap()]).unwrap_err(), "document-syntax");
    }
}
