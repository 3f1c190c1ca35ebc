//! The nine tools, and no tenth. One file each: what a client is told about it, and the operation it calls.

mod answer;
mod audit;
mod cancel;
mod catalog;
mod dispatch;
mod foreign;
mod result;
mod status;
mod submit;
mod watch;

use std::pin::Pin;
use std::sync::Arc;

use agora_core::canon::{self, CanonError};
use agora_core::id::Digest;
use agora_engine::operations::OpError;
use rmcp::model::{JsonObject, MetaObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::arguments;
use crate::call::Call;
use crate::home::internal;
use crate::schema;

pub(crate) use foreign::unknown_tool;

/// The member of `_meta` that keeps a tool in Claude Code's sight before it is searched for.
const ALWAYS_LOAD: &str = "anthropic/alwaysLoad";

/// What a call of the tool does to the world; clients ask people by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hints {
    read_only: bool,
    destructive: bool,
    idempotent: bool,
    /// Agents it starts may reach whatever their target lets them reach.
    open_world: bool,
}

/// Looks and changes nothing.
const READS: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };

/// One tool.
trait Verb: Send + Sync + 'static {
    const NAME: &'static str;
    const TITLE: &'static str;
    const ABOUT: &'static str;
    const HINTS: Hints;
    /// Whether a model should see it from the start.
    const ALWAYS: bool = false;
    /// Whether a call may mostly wait.
    const WAITS: bool = false;
    type Args: DeserializeOwned + JsonSchema + Send;
    type Reply: Serialize + JsonSchema + Send;

    fn run(call: &Call, args: Self::Args) -> impl Future<Output = Result<Self::Reply, OpError>> + Send;
}

type Running = Pin<Box<dyn Future<Output = Result<Value, OpError>> + Send>>;

/// A call whose arguments are right.
pub(crate) type Prepared = Box<dyn FnOnce(Arc<Call>) -> Running + Send>;

/// A tool as the server holds it.
pub(crate) struct Entry {
    /// What clients are told.
    pub(crate) tool: Tool,
    /// Whether a call may mostly wait.
    pub(crate) waits: bool,
    prepare: fn(&JsonObject, JsonObject) -> Result<Prepared, OpError>,
}

impl Entry {
    /// Checks the arguments, before anything else happens, by the schema that the client was given.
    ///
    /// # Errors
    /// With everything that is wrong with them.
    pub(crate) fn prepare(&self, arguments: JsonObject) -> Result<Prepared, OpError> {
        (self.prepare)(&self.tool.input_schema, arguments)
    }
}

fn entry<V: Verb>() -> Entry {
    let hints = V::HINTS;
    let annotations = ToolAnnotations::with_title(V::TITLE)
        .read_only(hints.read_only)
        .destructive(hints.destructive)
        .idempotent(hints.idempotent)
        .open_world(hints.open_world);
    let mut tool = Tool::new(V::NAME, V::ABOUT, schema::input::<V::Args>())
        .with_title(V::TITLE)
        .with_annotations(annotations)
        .with_raw_output_schema(schema::output::<V::Reply>());
    if V::ALWAYS {
        let mut meta = MetaObject::new();
        meta.0.insert(ALWAYS_LOAD.to_owned(), true.into());
        tool.meta = Some(meta);
    }
    Entry {
        tool,
        waits: V::WAITS,
        prepare: |schema, arguments| {
            let args: V::Args = arguments::read(V::NAME, schema, arguments)?;
            Ok(Box::new(move |call| {
                Box::pin(async move {
                    let reply = V::run(&call, args).await?;
                    serde_json::to_value(reply).map_err(|_| internal("the reply has no JSON form"))
                })
            }))
        },
    }
}

/// The nine, in the order in which one uses them.
pub(crate) struct Tools {
    entries: Vec<Entry>,
    digest: Digest,
}

impl Tools {
    /// Builds the list.
    ///
    /// # Errors
    /// When the list has no canonical form.
    pub(crate) fn new() -> Result<Self, CanonError> {
        let entries = vec![
            entry::<catalog::Catalog>(),
            entry::<dispatch::Dispatch>(),
            entry::<submit::Submit>(),
            entry::<status::Status>(),
            entry::<watch::Watch>(),
            entry::<result::ResultOf>(),
            entry::<answer::Answer>(),
            entry::<cancel::Cancel>(),
            entry::<audit::Audit>(),
        ];
        let list: Vec<&Tool> = entries.iter().map(|entry| &entry.tool).collect();
        let digest = Digest::of(&canon::to_bytes(&list)?);
        Ok(Self { entries, digest })
    }

    /// SHA-256 of the canonical JSON of the list, which runs record.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// What clients are told.
    pub(crate) fn list(&self) -> Vec<Tool> {
        self.entries.iter().map(|entry| entry.tool.clone()).collect()
    }

    /// The tool of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tool.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_the_list_and_the_same_every_time() {
        let (one, other) = (Tools::new().unwrap(), Tools::new().unwrap());
        assert_eq!(one.digest(), other.digest());
        assert_eq!(one.digest(), Digest::of(&canon::to_bytes(&one.list()).unwrap()));
    }
}
