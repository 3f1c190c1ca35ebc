//! `dispatch`: start a run of one item.

use std::collections::BTreeMap;

use agora_core::error::{Class, Problem};
use agora_core::limits::WORKER_INPUT_BYTES_MAX;
use agora_engine::operations::{DispatchArgs, DispatchReply, WorkspaceArg};
use serde::Serialize;
use serde_json::{Value, json};

use super::follow::{self, Patience};
use super::rows;
use crate::cli::detach::Driving;
use crate::cli::{Context, detach, input};
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Line, Style};

/// The arguments of `dispatch`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  agora-admin dispatch code-edit --prompt \"rename Foo to Bar\" --workspace cwd --watch\n  agora-admin dispatch reviewer --input @review.json --workspace shop --rev main\n  agora-admin dispatch code-edit --input '{\"file\": \"src/lib.rs\"}' --add-capability house-rules"
)]
pub(crate) struct Args {
    /// Who works: a name from `agora-admin subagent list`
    subagent: String,
    /// What the subagent's template sees, as JSON or as @FILE
    #[arg(long, value_name = "JSON", conflicts_with = "prompt")]
    input: Option<String>,
    /// The same as --input '{"prompt": TEXT}'
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// A registered workspace, or cwd for this folder [default: an empty folder]
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// A revision of the workspace's repository [default: HEAD]
    #[arg(long, requires = "workspace", conflicts_with = "dirty")]
    rev: Option<String>,
    /// The working tree instead of a revision
    #[arg(long, requires = "workspace")]
    dirty: bool,
    /// Where it runs, as a plan's executor
    #[arg(long, value_name = "NAME")]
    executor: Option<String>,
    /// Env bundles to add
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// Capabilities instead of the subagent's
    #[arg(long, value_name = "NAME", conflicts_with = "add_capability")]
    capability: Vec<String>,
    /// Capabilities beside the subagent's
    #[arg(long, value_name = "NAME")]
    add_capability: Vec<String>,
    /// Another model that the subagent allows
    #[arg(long)]
    model: Option<String>,
    /// A shorter deadline for the attempt, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    deadline: Option<u32>,
    /// A label, kept in the plan as evidence
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// The same id and arguments give the first answer again
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Watch it to its end; this process drives if no other does
    #[arg(long)]
    watch: bool,
    /// With --watch: wait at most so many seconds
    #[arg(long, value_name = "SECONDS", requires = "watch")]
    timeout: Option<u64>,
}

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "not KEY=VALUE".to_owned())
}

#[derive(Serialize)]
struct Dispatched<'a> {
    #[serde(flatten)]
    reply: &'a DispatchReply,
    driving: Driving,
}

/// Starts a run of one item.
///
/// # Errors
/// As `submit`.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let doing = format!("dispatch {}", args.subagent);
    let (watch, patience) = (args.watch, Patience::seconds(args.timeout));
    let wish = wish(args)?;
    let engine = context.engine().await?;
    let caller = context.caller()?;
    let from = if watch { Some(follow::here(&engine, &caller).await?) } else { None };
    let reply = engine.dispatch(&caller, wish).await.doing(doing)?;
    let line = || {
        Line::of("run")
            .and_style(Style::Bold, &reply.run_id)
            .and(rows::state(&reply.state))
            .and(format!("item {}", reply.item_id))
            .and_style(Style::Warn, if reply.deduplicated { "(already dispatched)" } else { "" })
    };
    if let Some(from) = from {
        context.out.event(&reply, line)?;
        return follow::to_the_end(context, &engine, &reply.run_id, Some(from), patience).await;
    }
    let driving = detach::hand_over(context, &engine).await?;
    context.out.reply(&Dispatched { reply: &reply, driving }, |page| {
        page.line(line());
        page.next(format!("agora-admin watch {}", reply.run_id));
    })?;
    driving.tell(context);
    Ok(Exit::Done)
}

fn wish(args: Args) -> Result<DispatchArgs, Failure> {
    let input: Option<Value> = match (&args.input, &args.prompt) {
        (Some(text), _) => {
            let value = input::json(text, "the input", WORKER_INPUT_BYTES_MAX)?;
            if !value.is_object() {
                let problem = Problem::new(Class::Caller, "json-shape", "the input is not a JSON object");
                let hint = "give an object, such as '{\"prompt\": \"…\"}', or use --prompt";
                return Err(Failure::one(format!("dispatch {}", args.subagent), problem.hint(hint)));
            }
            Some(value)
        }
        (None, Some(prompt)) => Some(json!({ "prompt": prompt })),
        (None, None) => None,
    };
    let (rev, dirty) = (args.rev, args.dirty.then_some(true));
    let workspace = args.workspace.map(|name| WorkspaceArg { name, rev, dirty });
    let list = |names: Vec<String>| (!names.is_empty()).then_some(names);
    let labels: BTreeMap<String, String> = args.label.into_iter().collect();
    Ok(DispatchArgs {
        subagent: args.subagent,
        input,
        workspace,
        executor: args.executor,
        env: list(args.env),
        capabilities: list(args.capability),
        add_capabilities: list(args.add_capability),
        model: args.model,
        timeout_seconds: args.deadline,
        labels: (!labels.is_empty()).then_some(labels),
        request_id: args.request_id,
        wait_seconds: None,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct One {
        #[command(flatten)]
        args: Args,
    }

    fn wished(arguments: &[&str]) -> Result<DispatchArgs, String> {
        let one = One::try_parse_from([&["dispatch"], arguments].concat()).map_err(|error| error.kind().to_string())?;
        wish(one.args).map_err(|failure| failure.problems[0].code.clone())
    }

    #[test]
    fn arguments_become_the_operations() {
        let args = wished(&[
            "s",
            "--prompt",
            "do it",
            "--workspace",
            "cwd",
            "--dirty",
            "--label",
            "a=b=c",
            "--env",
            "x",
            "--env",
            "y",
        ])
        .unwrap();
        assert_eq!(args.input, Some(json!({"prompt": "do it"})));
        assert_eq!(args.workspace.unwrap().dirty, Some(true));
        assert_eq!(args.labels.unwrap()["a"], "b=c");
        assert_eq!(args.env.unwrap(), ["x", "y"]);
        assert!(args.capabilities.is_none());
    }

    #[test]
    fn an_input_is_an_object_and_rev_excludes_dirty() {
        assert!(wished(&["s", "--input", "{}"]).is_ok());
        assert_eq!(wished(&["s", "--input", "[]"]).unwrap_err(), "json-shape");
        assert_eq!(wished(&["s", "--input", "{"]).unwrap_err(), "json-syntax");
        assert!(wished(&["s", "--workspace", "w", "--rev", "main"]).is_ok());
        assert!(wished(&["s", "--workspace", "w", "--rev", "main", "--dirty"]).is_err());
        assert!(wished(&["s", "--rev", "main"]).is_err());
        assert!(wished(&["s", "--label", "ab"]).is_err());
    }
}
