//! `apply`: a run's accepted patches as commits on a new branch of its workspace, or in its working tree.
//!
//! The engine merges ([`agora_engine::operations::RunTrees`]); the policy is asked again here, over the whole difference and
//! the two trees, because this is where a patch meets a host. Every kind of flag must be acknowledged by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use agora_core::error::{Class, Coded, Problem};
use agora_core::id::Enc;
use agora_core::patch::{
    Context as PolicyContext, FLAG_KINDS, PATCH_BYTES_MAX, PATCH_FILES_MAX, Patch, PatchLimits, policy,
};
use agora_engine::operations::{OpError, RunTrees, TreeStep};
use agora_tree::{BranchCommit, Merged, apply_to_worktree, diff, write_branch};
use clap::builder::PossibleValuesParser;
use serde::Serialize;

use super::rows;
use crate::cli::Context;
use crate::error::{Doing as _, Exit, Failure};
use crate::output::{Cell, Line, Page, Style};

/// Author and committer of the commits: the trailers say whose work it is. Fixed, so that a repeated call finds its branch.
const AUTHOR: (&str, &str) = ("agora", "agora@localhost");
/// Paths of one kind of flag that a message names.
const PATHS_SHOWN_MAX: usize = 5;

/// The arguments of `apply`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Files that a host may later run or obey are flagged; each kind of flag must be accepted by name.\nWith ITEM: its patch and those of all it depends on.\n\nExamples:\n  agora-admin apply RUN --dry-run                          what would come, and its flags\n  agora-admin apply RUN                                    commits on the branch agora/RUN\n  agora-admin apply RUN --accept-flag ci-config --branch review/ci\n  agora-admin apply RUN ITEM --worktree                    into the files of the working tree"
)]
pub(crate) struct Args {
    /// The run: its id or a unique prefix
    run: String,
    /// Only this item, and all it depends on
    item: Option<String>,
    /// The branch [default: agora/RUN, or agora/RUN-ITEM]
    #[arg(long, conflicts_with = "worktree")]
    branch: Option<String>,
    /// Write into the working tree instead of a branch; files that differ from the base are not touched
    #[arg(long)]
    worktree: bool,
    /// Accept the files flagged as this kind
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(FLAG_KINDS))]
    accept_flag: Vec<String>,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Serialize)]
struct Reply {
    run_id: String,
    run_state: String,
    workspace: String,
    place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    dry_run: bool,
    files: u64,
    added: u64,
    removed: u64,
    /// Kind to paths.
    flags: BTreeMap<String, Vec<Enc>>,
    items: Vec<ItemReply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<WrittenReply>,
}

#[derive(Debug, Serialize)]
struct ItemReply {
    item_id: String,
    subagent: String,
    patch: String,
    files: u64,
    flags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
}

/// What became of the working tree.
#[derive(Debug, Serialize)]
struct WrittenReply {
    written: u64,
    removed: u64,
    unchanged: u64,
}

/// What the whole difference is, and what the policy says of it.
struct Judged {
    files: u64,
    added: u64,
    removed: u64,
    flags: BTreeMap<String, Vec<Enc>>,
}

/// Applies a run.
///
/// # Errors
/// `patch-conflict`, `flags-unacknowledged`, and what stands in the way of the branch or the files.
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let doing = format!("apply {}", args.item.as_ref().unwrap_or(&args.run));
    let engine = context.engine().await?;
    let trees = engine.run_trees(&context.caller()?, &args.run, args.item.as_deref()).await.doing(&doing)?;
    // Trees, diffs and objects are the processor's and the disk's work.
    let done = tokio::task::spawn_blocking(move || apply(&trees, &args));
    let reply = match done.await {
        Ok(done) => done.doing(&doing)?,
        Err(error) => return Err(Failure::one(doing, Problem::new(Class::Bug, "internal", error.to_string()))),
    };
    context.out.reply(&reply, |page| show(page, &reply))?;
    Ok(Exit::Done)
}

fn apply(trees: &RunTrees, args: &Args) -> Result<Reply, OpError> {
    if trees.place.as_os_str().is_empty() {
        let problem =
            Problem::new(Class::Caller, "no-workspace", "the run works on no workspace, so there is no place for it");
        return Err(OpError::one(
            problem.hint("take its patches with `agora-admin result RUN ITEM --part patch --out FILE`"),
        ));
    }
    if args.worktree && is_bare(&trees.place) {
        let message = format!("{} is a bare repository: it has no working tree", trees.place.display());
        let problem = Problem::new(Class::Operator, "workspace-path", message);
        return Err(OpError::one(problem.hint("leave --worktree out: the patches become a branch")));
    }
    let judged = judge(trees)?;
    let branch =
        (!args.worktree).then(|| args.branch.clone().unwrap_or_else(|| branch_name(trees, args.item.as_deref())));
    let mut reply = reply_of(trees, &judged, branch.clone(), args.dry_run);
    if args.dry_run {
        return Ok(reply);
    }
    acknowledge(&judged.flags, &args.accept_flag)?;
    match branch {
        Some(branch) => {
            let commits = write_commits(trees, &branch)?;
            for (item, commit) in reply.items.iter_mut().zip(commits) {
                item.commit = Some(commit);
            }
        }
        None => {
            let tree = trees.steps.last().map(|step| step.tree.clone()).unwrap_or_default();
            let result = Merged { tree, added: BTreeMap::new() };
            let applied = apply_to_worktree(&trees.place, &trees.base, &result, trees.content.as_ref())?;
            let (written, removed, unchanged) = (applied.written, applied.removed, applied.unchanged);
            reply.written = Some(WrittenReply { written, removed, unchanged });
        }
    }
    Ok(reply)
}

/// Whether a folder is a repository's own. A path of the patch written there would be git's: a hook, its configuration.
fn is_bare(place: &Path) -> bool {
    let there = |name: &str| place.join(name).exists();
    !there(".git") && there("HEAD") && ((there("objects") && there("refs")) || there("commondir"))
}

/// Makes the whole difference and asks the policy about it: flags that were recorded with the patches are kept, whatever
/// later patches did.
fn judge(trees: &RunTrees) -> Result<Judged, OpError> {
    let mut judged = Judged { files: 0, added: 0, removed: 0, flags: BTreeMap::new() };
    for step in &trees.steps {
        for kind in &step.flags {
            judged.flags.entry(kind.clone()).or_default();
        }
    }
    let Some(last) = trees.steps.last() else { return Ok(judged) };
    let Some(made) = diff(&trees.base, &last.tree, trees.content.as_ref())? else { return Ok(judged) };
    let patch = Patch::parse(&made.bytes)?;
    let content = |digest: &agora_core::id::Digest| trees.content.read(digest).ok();
    let limits = PatchLimits { bytes_max: PATCH_BYTES_MAX, files_max: PATCH_FILES_MAX as u64 };
    let context = PolicyContext { start: &trees.base, result: &last.tree, content: &content, limits, secret: None };
    let verdict = policy(&patch, &context);
    if verdict.is_refused() {
        return Err(OpError { problems: verdict.refused.iter().map(Coded::problem).collect() });
    }
    for (kind, paths) in verdict.flags {
        judged.flags.entry(kind.to_owned()).or_default().extend(paths);
    }
    (judged.files, judged.added, judged.removed) = (made.files, made.added, made.removed);
    Ok(judged)
}

/// Refuses what was not accepted by name, each kind with its paths.
fn acknowledge(flags: &BTreeMap<String, Vec<Enc>>, accepted: &[String]) -> Result<(), OpError> {
    let accepted: BTreeSet<&str> = accepted.iter().map(String::as_str).collect();
    let problems: Vec<Problem> = flags
        .iter()
        .filter(|(kind, _)| !accepted.contains(kind.as_str()))
        .map(|(kind, paths)| {
            let shown = some(paths);
            let of = if shown.is_empty() { String::new() } else { format!(": {shown}") };
            let problem =
                Problem::new(Class::Caller, "flags-unacknowledged", format!("the patch has the flag {kind}{of}"));
            let problem = problem.hint(format!("look at them; then repeat with --accept-flag {kind}"));
            if let Some(first) = paths.first() { problem.at(first.to_string()) } else { problem }
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(OpError { problems }) }
}

fn some(paths: &[Enc]) -> String {
    let shown = paths.iter().take(PATHS_SHOWN_MAX).map(Enc::as_str).collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(PATHS_SHOWN_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `agora/RUN`, or `agora/RUN-ITEM` beside it; what a branch's name may not hold becomes `-`.
fn branch_name(trees: &RunTrees, item: Option<&str>) -> String {
    let part =
        |text: &str| text.chars().map(|c| if matches!(c, '@' | ':' | '~') { '-' } else { c }).collect::<String>();
    match item {
        None => format!("agora/{}", part(trees.run_id.as_str())),
        // A branch cannot lie below another: the item's own stands beside the run's.
        Some(item) => format!("agora/{}-{}", part(trees.run_id.as_str()), part(item)),
    }
}

fn write_commits(trees: &RunTrees, branch: &str) -> Result<Vec<String>, OpError> {
    let author = || (AUTHOR.0.to_owned(), AUTHOR.1.to_owned());
    let seconds = |step: &TreeStep| step.accepted_at.micros() / 1_000_000;
    let mut commits = Vec::new();
    if trees.dirty
        && let Some(first) = trees.steps.first()
    {
        // What the run started from was in no commit; without this one the first item would seem to have made it.
        let message = format!("agora: the working tree that the run started from\n\nAgora-Run: {}\n", trees.run_id);
        commits.push(BranchCommit { tree: &trees.base, message, author: author(), time_seconds: seconds(first) });
    }
    let before = commits.len();
    commits.extend(trees.steps.iter().map(|step| BranchCommit {
        tree: &step.tree,
        message: message(trees, step),
        author: author(),
        time_seconds: seconds(step),
    }));
    let mut ids = write_branch(&trees.place, branch, trees.commit.as_deref(), &commits, trees.content.as_ref())?;
    Ok(ids.split_off(before.min(ids.len())))
}

/// Facts alone: what an agent says of its work has no place in a repository's history.
fn message(trees: &RunTrees, step: &TreeStep) -> String {
    let by = if step.subagent.is_empty() { String::new() } else { format!(" by {}", step.subagent) };
    let flags = if step.flags.is_empty() { String::new() } else { format!("Flags: {}.\n", step.flags.join(", ")) };
    format!(
        "{}{by}\n\n{}, attempt {}.\n{flags}\nAgora-Run: {}\nAgora-Item: {}\nAgora-Patch: {}\n",
        step.item,
        rows::count(step.files, "file"),
        step.attempt,
        trees.run_id,
        step.item,
        step.patch
    )
}

fn reply_of(trees: &RunTrees, judged: &Judged, branch: Option<String>, dry_run: bool) -> Reply {
    let items = trees.steps.iter().map(|step| ItemReply {
        item_id: step.item.to_string(),
        subagent: step.subagent.clone(),
        patch: step.patch.to_string(),
        files: step.files,
        flags: step.flags.clone(),
        commit: None,
    });
    Reply {
        run_id: trees.run_id.to_string(),
        run_state: trees.state.clone(),
        workspace: trees.workspace.clone(),
        place: trees.place.display().to_string(),
        branch,
        dry_run,
        files: judged.files,
        added: judged.added,
        removed: judged.removed,
        flags: judged.flags.clone(),
        items: items.collect(),
        written: None,
    }
}

fn show(page: &mut Page, reply: &Reply) {
    for (kind, paths) in &reply.flags {
        page.line(Line::of(Cell::new("flag").style(Style::Warn)).and_style(Style::Bold, kind).and(some(paths)));
    }
    let rows = reply.items.iter().map(|item| {
        vec![
            Cell::new(item.commit.as_deref().map(|id| id.chars().take(10).collect::<String>()).unwrap_or_default()),
            Cell::new(&item.item_id),
            Cell::new(&item.subagent),
            Cell::new(rows::count(item.files, "file")),
            Cell::new(rows::short(&item.patch)).style(Style::Dim),
        ]
    });
    page.table(&["commit", "item", "by", "changes", "patch"], rows.collect());
    let lines = format!("{}, +{} -{}", rows::count(reply.files, "file"), reply.added, reply.removed);
    if reply.run_state == "open" {
        page.line(Line::of(Cell::new("the run is still open: more may come").style(Style::Warn)));
    }
    match (&reply.branch, &reply.written, reply.dry_run) {
        (Some(branch), _, true) => {
            page.line(Line::of("would go to the branch").and_style(Style::Bold, branch).and(lines))
        }
        (None, _, true) => page.line(Line::of("would be written into").and(&reply.place).and(lines)),
        (Some(branch), _, false) => {
            page.line(Line::of("branch").and_style(Style::Bold, branch).and("of").and(&reply.place).and(lines));
            page.next(format!("git -C {} log --stat -p HEAD..{branch}", shell_word(&reply.place)));
        }
        (None, written, false) => {
            page.line(Line::of("written into").and(&reply.place).and(lines));
            if let Some(written) = written.as_ref().filter(|written| written.unchanged > 0) {
                page.line(Line::of(format!("{} paths were as wanted already", written.unchanged)).indent(2));
            }
        }
    }
}

/// A path as one word of a shell's command line.
fn shell_word(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,=".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use agora_core::id::Digest;
    use agora_core::time::Time;
    use agora_core::tree::{Mode, Node, Tree};

    use super::*;

    type Files<'a> = &'a [(&'a str, &'a str)];

    fn tree(files: Files<'_>, content: &mut BTreeMap<Digest, Vec<u8>>) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            let digest = Digest::of(text.as_bytes());
            content.insert(digest, text.as_bytes().to_vec());
            tree.files.insert((*path).into(), Node { mode: Mode::File, digest, size_bytes: text.len() as u64 });
        }
        tree
    }

    fn trees(place: PathBuf, base: Files<'_>, steps: &[(&str, Files<'_>)]) -> RunTrees {
        let mut content = BTreeMap::new();
        let base = tree(base, &mut content);
        let steps = steps.iter().map(|(item, files)| TreeStep {
            item: item.parse().unwrap(),
            attempt: 1,
            subagent: "code-edit".into(),
            patch: Digest::of(item.as_bytes()),
            files: 1,
            size_bytes: 10,
            flags: Vec::new(),
            accepted_at: Time::from_micros(1_700_000_000_000_000),
            tree: tree(files, &mut content),
        });
        let steps = steps.collect();
        RunTrees {
            run_id: "r@1".parse().unwrap(),
            state: "done".into(),
            workspace: "w".into(),
            place,
            commit: None,
            dirty: false,
            base,
            content: Arc::new(content),
            steps,
        }
    }

    fn args(arguments: &[&str]) -> Args {
        #[derive(clap::Parser)]
        struct One {
            #[command(flatten)]
            args: Args,
        }
        <One as clap::Parser>::try_parse_from([&["apply", "r"], arguments].concat()).unwrap().args
    }

    fn codes(result: Result<Reply, OpError>) -> Vec<String> {
        result.unwrap_err().problems.into_iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn each_flagged_kind_must_be_accepted_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let steps: &[(&str, Files<'_>)] = &[("a", &[("build.rs", "1"), (".github/x.yml", "2")])];
        let trees = trees(folder.path().to_owned(), &[], steps);
        assert_eq!(codes(apply(&trees, &args(&["--worktree"]))), ["flags-unacknowledged"; 2]);
        assert_eq!(
            codes(apply(&trees, &args(&["--worktree", "--accept-flag", "ci-config"]))),
            ["flags-unacknowledged"]
        );
        assert!(!folder.path().join("build.rs").exists());
        let shown = apply(&trees, &args(&["--worktree", "--dry-run"])).unwrap();
        assert_eq!(shown.flags.keys().collect::<Vec<_>>(), ["build-script", "ci-config"]);
        let both = ["--worktree", "--accept-flag", "ci-config", "--accept-flag", "build-script"];
        let reply = apply(&trees, &args(&both)).unwrap();
        assert_eq!(reply.written.unwrap().written, 2);
        assert_eq!(std::fs::read(folder.path().join("build.rs")).unwrap(), b"1");
    }

    #[test]
    fn a_flag_that_was_recorded_counts_whatever_the_trees_say_now() {
        let folder = tempfile::tempdir().unwrap();
        let mut trees = trees(folder.path().to_owned(), &[], &[("a", &[("x", "1")])]);
        trees.steps[0].flags.push("exec-bit".into());
        assert_eq!(codes(apply(&trees, &args(&["--worktree"]))), ["flags-unacknowledged"]);
        assert!(apply(&trees, &args(&["--worktree", "--accept-flag", "exec-bit"])).is_ok());
    }

    #[test]
    fn nothing_is_written_into_a_repositorys_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["objects", "refs"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("HEAD"), "ref: refs/heads/main\n").unwrap();
        let bare = trees(folder.path().to_owned(), &[], &[("a", &[("config", "1")])]);
        assert_eq!(codes(apply(&bare, &args(&["--worktree"]))), ["workspace-path"]);
        assert!(!folder.path().join("config").exists());
        let folder = tempfile::tempdir().unwrap();
        let plain = trees(folder.path().to_owned(), &[], &[("a", &[("config", "1")])]);
        assert!(apply(&plain, &args(&["--worktree"])).is_ok());
    }

    #[test]
    fn a_path_is_one_word_of_the_command_that_is_shown() {
        assert_eq!(shell_word("/srv/shop-1.0"), "/srv/shop-1.0");
        assert_eq!(shell_word("/a b/it's"), r"'/a b/it'\''s'");
    }

    #[test]
    fn a_run_without_a_workspace_has_no_place() {
        let trees = trees(PathBuf::new(), &[], &[("a", &[("x", "1")])]);
        assert_eq!(codes(apply(&trees, &args(&[]))), ["no-workspace"]);
    }

    #[test]
    fn a_commit_says_facts_and_names_its_item_in_trailers() {
        let trees = trees(PathBuf::from("/w"), &[], &[("edit-1", &[("x", "1")])]);
        let text = message(&trees, &trees.steps[0]);
        let digest = Digest::of(b"edit-1");
        assert_eq!(
            text,
            format!(
                "edit-1 by code-edit\n\n1 file, attempt 1.\n\nAgora-Run: r@1\nAgora-Item: edit-1\nAgora-Patch: {digest}\n"
            )
        );
        assert_eq!(branch_name(&trees, None), "agora/r-1");
        assert_eq!(branch_name(&trees, Some("edit~1")), "agora/r-1-edit-1");
    }
}
