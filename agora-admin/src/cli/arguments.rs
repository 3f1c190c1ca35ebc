//! The verbs, and what is common to them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    answer, apply, approve, audit, backup, cancel, completions, deploy, diagnose, dispatch, doctor, entries,
    force_resolve, gc, hold, init, key, logs, mcp_config, places, release, restore, result, runs, schedule, serve,
    status, submit, validate, verify, watch,
};
use crate::output::{Field, Format};

const EXAMPLES: &str = "\
Examples:
  agora-admin init                              make the home, its keys and an empty registry
  agora-admin doctor                            see what this machine can do, and what to mend
  agora-admin deploy --from agora.deploy.toml   say who may work, and with what
  agora-admin submit plan.json --watch          run a plan and see it through
  agora-admin apply RUN                         its patches as commits on the branch agora/RUN

Exit codes:
  0 done · 1 the work failed · 2 could not tell · 3 timed out waiting · 4 not found
  5 store or driver not available · 6 wrong arguments or configuration · 7 internal
  8 an answer is needed · 9 a stop could not be verified";

/// Hands a graph of work to agents you need not trust, and brings back patches and evidence.
#[derive(Debug, Parser)]
#[command(name = "agora-admin", version, max_term_width = 100, after_help = EXAMPLES, disable_help_subcommand = true)]
#[command(subcommand_help_heading = "Verbs", subcommand_value_name = "VERB")]
pub(crate) struct Cli {
    /// What is common to all verbs.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What is common to all verbs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// The folder with configuration, registry and runs [default: $AGORA_HOME, else ~/.agora]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// How to answer: text for people, json for programs (one value a line where things are told as they happen)
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) format: Format,
    /// Print this one value of the JSON answer, such as run_id or runs.0.state
    #[arg(long, global = true, value_name = "A.B")]
    pub(crate) field: Option<Field>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make the home: folders, keys, an empty signed registry, a commented agora.toml. Safe to repeat
    Init(init::Args),
    /// Check keys, registry, configuration, isolation, runs and disk, one line each, with the remedy
    Doctor(doctor::Args),
    /// Print what a client needs to start agora-mcp
    McpConfig(mcp_config::Args),
    /// Bring the registry to what a document says, as one signed version
    Deploy(deploy::Args),
    /// Folders of files that are laid over a workspace
    #[command(subcommand)]
    Capability(entries::CapabilityVerb),
    /// Who works: program, prompts, model, and what it may use
    #[command(subcommand)]
    Subagent(entries::SubagentVerb),
    /// Bundles of variables
    #[command(subcommand)]
    Env(entries::EnvVerb),
    /// The blocks of an attempt
    #[command(subcommand)]
    Pipeline(entries::PipelineVerb),
    /// The folders that plans may work on
    #[command(subcommand)]
    Workspace(places::WorkspaceVerb),
    /// Where attempts run, and what is enforced there
    #[command(subcommand)]
    Target(places::TargetVerb),
    /// How many items run at once
    #[command(subcommand)]
    Queue(places::QueueVerb),
    /// Start a run of a plan
    Submit(submit::Args),
    /// Check a plan and show how it would run; nothing is stored
    Validate(validate::Args),
    /// Start a run of one item
    Dispatch(dispatch::Args),
    /// List the runs, newest first
    Runs(runs::Args),
    /// Show where things stand: all runs, a run, an item, or what needs somebody
    Status(status::Args),
    /// Say why nothing happens in a run
    Diagnose(diagnose::Args),
    /// Watch a run to its end; the exit code is the run's
    Watch(watch::Args),
    /// Print what an item's worker and agent logged
    Logs(logs::Args),
    /// Show what came out of a run or an item
    Result(result::Args),
    /// Make commits of a run's patches on a new branch of its workspace
    Apply(apply::Args),
    /// Answer the question that an item asked
    Answer(answer::Args),
    /// Approve what waits for a person's decision; what depends on it starts
    Approve(approve::Args),
    /// Reject what waits for a person's decision; what depends on it is skipped
    Reject(approve::Args),
    /// Stop a run or an item
    Cancel(cancel::Args),
    /// Start nothing new in a run; what runs goes on to its end, or is parked
    Hold(hold::Args),
    /// Let a held run go on
    Release(release::Args),
    /// End an item whose stop could not be verified
    ForceResolve(force_resolve::Args),
    /// Verify the evidence of a run, and hand it out
    Audit(audit::Args),
    /// Verify a bundle, as an auditor elsewhere would
    Verify(verify::Args),
    /// Plans that run again and again
    #[command(subcommand)]
    Schedule(schedule::ScheduleVerb),
    /// The keys that sign evidence and registry
    #[command(subcommand)]
    Key(key::KeyVerb),
    /// Make room: remove the bytes of runs that ended long ago; their evidence stays
    Gc(gc::Args),
    /// Write the home into one file, while programs go on
    Backup(backup::Args),
    /// Make a home of a backup
    Restore(restore::Args),
    /// Drive the runs of this home until asked to end
    Serve(serve::Args),
    /// Print completions for a shell
    Completions(completions::Args),
}
