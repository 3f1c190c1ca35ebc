//! From a verb to its file.

use super::{
    answer, apply, approve, audit, backup, cancel, completions, deploy, diagnose, dispatch, doctor, entries,
    force_resolve, gc, hold, init, key, logs, mcp_config, places, release, restore, result, runs, schedule, serve,
    status, submit, validate, verify, watch,
};
use agora_core::decide::Verdict;

use crate::cli::logs::Reader;
use crate::cli::{Context, Verb};
use crate::error::{Exit, Failure};

/// Who reads what a verb logs.
pub(crate) fn reader(verb: &Verb) -> Reader {
    match verb {
        Verb::Serve(args) if args.is_detached() => Reader::Detached,
        Verb::Serve(_) => Reader::Service,
        _ => Reader::Verb,
    }
}

/// Does a verb.
///
/// # Errors
/// Why it was not done.
pub(crate) async fn run(context: &Context, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(args) => init::run(context, args).await,
        Verb::Doctor(args) => doctor::run(context, args).await,
        Verb::McpConfig(args) => mcp_config::run(context, &args),
        Verb::Deploy(args) => deploy::run(context, args).await,
        Verb::Capability(verb) => entries::capability(context, verb).await,
        Verb::Subagent(verb) => entries::subagent(context, verb).await,
        Verb::Env(verb) => entries::env(context, verb).await,
        Verb::Pipeline(verb) => entries::pipeline(context, verb).await,
        Verb::Workspace(places::WorkspaceVerb::List) => places::workspaces(context).await,
        Verb::Target(places::TargetVerb::List) => places::targets(context).await,
        Verb::Queue(places::QueueVerb::List) => places::queues(context).await,
        Verb::Submit(args) => submit::run(context, args).await,
        Verb::Validate(args) => validate::run(context, args).await,
        Verb::Dispatch(args) => dispatch::run(context, args).await,
        Verb::Runs(args) => runs::run(context, args).await,
        Verb::Status(args) => status::run(context, args).await,
        Verb::Diagnose(args) => diagnose::run(context, args).await,
        Verb::Watch(args) => watch::run(context, args).await,
        Verb::Logs(args) => logs::run(context, args).await,
        Verb::Result(args) => result::run(context, args).await,
        Verb::Apply(args) => apply::run(context, args).await,
        Verb::Answer(args) => answer::run(context, args).await,
        Verb::Cancel(args) => cancel::run(context, args).await,
        Verb::Hold(args) => hold::run(context, args).await,
        Verb::Approve(args) => approve::run(context, args, Verdict::Approved).await,
        Verb::Reject(args) => approve::run(context, args, Verdict::Rejected).await,
        Verb::Release(args) => release::run(context, args).await,
        Verb::ForceResolve(args) => force_resolve::run(context, args).await,
        Verb::Audit(args) => audit::run(context, args).await,
        Verb::Verify(args) => verify::run(context, &args),
        Verb::Schedule(verb) => schedule::run(context, verb).await,
        Verb::Key(verb) => key::run(context, verb).await,
        Verb::Gc(args) => gc::run(context, args).await,
        Verb::Backup(args) => backup::run(context, args).await,
        Verb::Restore(args) => restore::run(context, &args),
        Verb::Serve(args) => serve::run(context, args).await,
        Verb::Completions(args) => completions::run(context, &args),
    }
}
