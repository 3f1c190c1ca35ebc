//! `result`: what came out.

use std::collections::BTreeMap;

use agora_core::error::{Class, Problem};
use agora_core::id::{Digest, Enc, ItemId, RunId};
use agora_core::patch::{FilePatch, Patch};
use agora_core::record::OutputArtifact;
use agora_core::state::{ItemState, RunState};
use agora_core::time::Time;
use agora_core::worker::{LeftOut, Outcome, shown};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accept::internal;
use super::call::Call as _;
use super::diagnosis::pattern_failures;
use super::facts::{PatchStat, Text};
use super::find::with_bytes;
use super::rows::{failure_text, merged_text, state_word, text};
use super::status::locate;
use super::{Address, AuditArgs, Caller, OpError, StatusArgs};
use crate::engine::Engine;

/// Which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Part {
    /// Facts, and the agent's last words.
    Summary,
    /// The patch's text.
    Patch,
    /// The files the patch touches: a line `+ADDED -REMOVED PATH` each.
    Files,
    /// An output's bytes as text; `path` names it.
    Output,
    /// The log.
    Log,
    /// The outcome as the worker wrote it.
    Manifest,
}

/// The arguments of `result`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultArgs {
    /// The run: its id or a unique prefix.
    pub run_id: String,
    /// The item. Absent: the run's merged patch.
    #[serde(default)]
    pub item_id: Option<String>,
    /// Which part; `summary` unless said.
    #[serde(default)]
    pub part: Option<Part>,
    /// Which output: its path, percent-encoded or not, or its digest.
    #[serde(default)]
    pub path: Option<String>,
    /// From this byte on.
    #[serde(default)]
    pub offset: Option<u32>,
    /// At most so many bytes; 16384 unless said, 262144 at most.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// A page of a large part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Page {
    /// Its first byte.
    pub offset: u64,
    /// All bytes of the part.
    pub total_bytes: u64,
    /// The offset of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    /// The part as a resource, if it has an address; an output's has its digest, for its name is a worker's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The text.
    pub content: Text,
}

/// The worker's own check, as a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct VerifyRow {
    /// Whether it passed.
    pub passed: bool,
    /// What it printed, cut short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Text>,
}

/// What the agent claims: never a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Claims {
    /// Its last words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Text>,
}

/// The reply of `result`. Everything outside members marked `untrusted` was measured by agora; names inside them are
/// percent-encoded, one line each, so that no name can look like two.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ResultReply {
    /// The run.
    pub run_id: String,
    /// The item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
    /// Where it stands.
    pub state: String,
    /// `class: reason` of a failure; of a run, the patterns that could not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// More of the failure, as it was recorded: it may quote what the worker said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_detail: Option<Text>,
    /// When the bytes of the run's results were removed to make room: what is said here is what was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collected: Option<String>,
    /// The patch: of the item, or of the run with everything merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<PatchStat>,
    /// The files the patch touches: a line `+ADDED -REMOVED PATH` each, or `binary PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Text>,
    /// Patches of the run that do not apply together: a line for each, with items and paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<Text>,
    /// The accepted outputs: a line `BYTES DIGEST PATH` each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Text>,
    /// What the worker did not take into patch or outputs: a line `WHY COUNT PATH…` each, with the first paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<Text>,
    /// The worker's own check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyRow>,
    /// What was enforced: provider and profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
    /// What the agent claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    /// Why parts cannot be shown, `PART: code: …` each: bytes that are missing or damaged. The other parts are as ever.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// The part that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<Page>,
    /// What to call next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Bytes of a page unless said.
const PAGE_DEFAULT: u32 = 16_384;
/// Bytes of a page at most.
const PAGE_MAX: u32 = 262_144;
/// What of a list of names is shown in a summary, in bytes: `part: files` has all of it in pages.
const NAMES_MAX: usize = 16_384;
/// What of the list of outputs is shown, in bytes. There are at most 256, and this is the only place that names them.
const OUTPUTS_SHOWN_MAX: usize = 65_536;
/// What of the agent's last words, a failure's detail and a check's report is shown in a summary, in bytes.
const WORDS_MAX: usize = 4096;

/// What the state says of an item.
struct Facts {
    reply: ResultReply,
    attempt: u64,
    patch: Option<Digest>,
    outputs: Vec<OutputArtifact>,
    detail: Option<String>,
    log: Option<Digest>,
    report: Option<Digest>,
    verify: Option<(bool, Digest)>,
}

impl Engine {
    /// What came out.
    ///
    /// # Errors
    /// For runs, items and parts that are not there.
    pub async fn result(&self, caller: &Caller, args: ResultArgs) -> Result<ResultReply, OpError> {
        let row = self.find_run(caller, &args.run_id, false).await?;
        let (run, collected) = (row.id.clone(), row.collected);
        let part = args.part.unwrap_or(Part::Summary);
        let Some(item) = args.item_id.clone() else {
            return self.result_of_run(caller, &run, with_bytes(row)?.state, &args, part).await;
        };
        let id = ItemId::new(item.clone()).map_err(|error| wrong("item_id", error.to_string()))?;
        let now = self.host.now();
        let facts = self.with_run(&run, move |ledger, id| {
            let (state, ix) = locate(ledger, id, &item)?;
            Ok(facts(id, &state.items[ix], now))
        });
        let facts = facts.await?;
        let mut reply = facts.reply.clone();
        match part {
            Part::Summary if collected.is_some() => {
                reply.collected = collected.map(|at| at.to_string());
                add_recorded(&run, &id, &facts, &mut reply);
            }
            Part::Summary => self.add_words(&run, &id, &facts, &mut reply).await,
            Part::Files | Part::Patch | Part::Output | Part::Log | Part::Manifest => {
                with_bytes(row)?;
                let bytes = self.part_of_item(&facts, part, args.path.as_deref()).await?;
                let name = Address::of(&run, Some(&id), part, &bytes);
                reply.page =
                    Some(page(&bytes, &args, name, |bytes, limit| text(bytes, &run, &id, facts.attempt, limit)));
            }
        }
        reply.next = match collected {
            Some(_) => Some(AuditArgs { run_id: run.to_string(), full: None }.call()),
            None => next_call(&run, &id, &facts, &reply, &args),
        };
        Ok(reply)
    }

    async fn result_of_run(
        &self,
        caller: &Caller,
        run: &RunId,
        state: String,
        args: &ResultArgs,
        part: Part,
    ) -> Result<ResultReply, OpError> {
        let mut reply = ResultReply::blank(run, None, state);
        reply.failure = self.with_run(run, |ledger, id| Ok(pattern_failure(ledger.board_ref().run(id)))).await?;
        let status = || StatusArgs { run_id: Some(run.to_string()), ..StatusArgs::default() }.call();
        let made = match self.merged_patch(caller, run).await {
            Ok(made) => made,
            Err(error) if error.problems.iter().all(|problem| problem.code == "patch-conflict") => {
                let lines: Vec<&str> = error.problems.iter().map(|problem| problem.message.as_str()).collect();
                reply.conflicts = Some(merged_text(lines.join("\n").as_bytes(), run, NAMES_MAX));
                reply.next = Some(format!("{}, then the patch of each item", status()));
                return Ok(reply);
            }
            Err(error) => return Err(error),
        };
        let Some(made) = made else {
            reply.next = Some(status());
            return Ok(reply);
        };
        reply.patch = Some(PatchStat {
            digest: Digest::of(&made.bytes).to_string(),
            size_bytes: made.bytes.len() as u64,
            files: made.files,
            flags: Vec::new(),
        });
        match part {
            Part::Summary => reply.files = Some(merged_text(&files(&made.bytes)?, run, NAMES_MAX)),
            Part::Files => {
                let names = files(&made.bytes)?;
                reply.page = Some(page(&names, args, None, |bytes, limit| merged_text(&bytes, run, limit)));
            }
            Part::Patch => {
                let name = Address::of(run, None, part, &made.bytes);
                reply.page = Some(page(&made.bytes, args, name, |bytes, limit| merged_text(&bytes, run, limit)));
            }
            Part::Output | Part::Log | Part::Manifest => {
                return Err(wrong("part", "this part is of one item: give its item_id".to_owned()));
            }
        }
        let apply = || Some(format!("`agora-admin apply {run}` makes a branch of it"));
        reply.next = next_page(run, None, &reply, args).or_else(apply);
        Ok(reply)
    }

    /// The whole bytes of a part, exactly as they are kept: for files, never for an agent.
    ///
    /// # Errors
    /// As [`Engine::result`]; `result-shape` for the parts that are not bytes.
    pub async fn part_bytes(
        &self,
        caller: &Caller,
        run_id: &str,
        item_id: Option<&str>,
        part: Part,
        path: Option<&str>,
    ) -> Result<Vec<u8>, OpError> {
        let run = with_bytes(self.find_run(caller, run_id, false).await?)?.id;
        let Some(item) = item_id.map(str::to_owned) else {
            return match part {
                Part::Patch => Ok(self.merged_patch(caller, &run).await?.ok_or_else(|| absent("a patch"))?.bytes),
                _ => Err(wrong("part", "of a whole run there is the patch alone".to_owned())),
            };
        };
        let now = self.host.now();
        let facts = self.with_run(&run, move |ledger, id| {
            let (state, ix) = locate(ledger, id, &item)?;
            Ok(facts(id, &state.items[ix], now))
        });
        self.part_of_item(&facts.await?, part, path).await
    }

    async fn part_of_item(&self, facts: &Facts, part: Part, path: Option<&str>) -> Result<Vec<u8>, OpError> {
        let digest = match part {
            Part::Files => return files(&self.blobs.get(&facts.patch.ok_or_else(|| absent("a patch"))?).await?),
            Part::Patch => facts.patch.ok_or_else(|| absent("a patch"))?,
            Part::Log => facts.log.ok_or_else(|| absent("a log"))?,
            Part::Manifest => facts.report.ok_or_else(|| absent("an outcome"))?,
            Part::Output => {
                let path = path.ok_or_else(|| wrong("path", "name the output".to_owned()))?;
                let encoded = Enc::encode(path);
                let digest =
                    path.parse::<Digest>().ok().filter(|digest| facts.outputs.iter().any(|o| o.digest == *digest));
                let same = |output: &&OutputArtifact| match digest {
                    Some(digest) => output.digest == digest,
                    None => output.path == encoded || output.path.as_str() == path,
                };
                // The names of those there are were chosen by a worker: a hint has no envelope to hold them.
                let found = facts.outputs.iter().find(same).ok_or_else(|| {
                    let made = facts.outputs.len();
                    let problem = Problem::new(Class::Missing, "part-missing", "there is no such output").at("path");
                    OpError::one(problem.hint(format!("it made {made}; the summary of `result` names them")))
                })?;
                found.digest
            }
            Part::Summary => return Err(wrong("part", "this part is not bytes".to_owned())),
        };
        Ok(self.blobs.get(&digest).await?)
    }

    /// Adds what the worker and the agent said. What cannot be read hides no other part.
    async fn add_words(&self, run: &RunId, id: &ItemId, facts: &Facts, reply: &mut ResultReply) {
        let shown = |bytes: Vec<u8>, limit: usize| text(bytes, run, id, facts.attempt, limit);
        let words = |words: String| shown(words.into_bytes(), WORDS_MAX);
        if let Some(report) = facts.report {
            match self.outcome_at(&report).await {
                Ok(outcome) => {
                    reply.claims = outcome.summary.map(|summary| Claims { summary: Some(words(summary)) });
                    let detail = outcome.failure.map(|failure| failure.detail).filter(|detail| !detail.is_empty());
                    reply.failure_detail = detail.map(words);
                    let left = &outcome.left_out;
                    reply.left_out = (!left.is_empty()).then(|| shown(left_out(left), NAMES_MAX));
                }
                Err(error) => reply.cannot_show("manifest", &error),
            }
        }
        add_recorded(run, id, facts, reply);
        if let Some((passed, report)) = facts.verify {
            let report = match self.blobs.get(&report).await {
                Ok(bytes) => Some(text(bytes, run, id, facts.attempt, WORDS_MAX)),
                Err(error) => {
                    reply.cannot_show("verify", &error.into());
                    None
                }
            };
            reply.verify = Some(VerifyRow { passed, report });
        }
        if facts.patch.is_some() {
            match self.part_of_item(facts, Part::Files, None).await {
                Ok(names) => reply.files = Some(shown(names, NAMES_MAX)),
                Err(error) => reply.cannot_show("patch", &error),
            }
        }
    }

    async fn outcome_at(&self, report: &Digest) -> Result<Outcome, OpError> {
        let bytes = self.blobs.get(report).await?;
        agora_core::canon::from_bytes_with_floats(&bytes).map_err(|error| internal(&error))
    }
}

/// Of a run, what its patterns could not do.
fn pattern_failure(run: Option<&RunState>) -> Option<String> {
    let lines = run.map(pattern_failures).unwrap_or_default();
    (!lines.is_empty()).then(|| format!("pattern: {}", lines.join("; ")))
}

impl ResultReply {
    fn cannot_show(&mut self, part: &str, error: &OpError) {
        self.unreadable.push(format!("{part}: {error}"));
    }

    fn blank(run: &RunId, item: Option<&ItemId>, state: String) -> Self {
        Self {
            run_id: run.to_string(),
            item_id: item.map(ToString::to_string),
            state,
            failure: None,
            failure_detail: None,
            collected: None,
            patch: None,
            files: None,
            conflicts: None,
            outputs: None,
            left_out: None,
            verify: None,
            isolation: None,
            claims: None,
            unreadable: Vec::new(),
            page: None,
            next: None,
        }
    }
}

fn facts(run: &RunId, item: &ItemState, now: Time) -> Facts {
    let last = item.last();
    let mut reply = ResultReply::blank(run, Some(&item.id), state_word(item, now).to_owned());
    reply.failure = item.failure.map(|(class, reason)| failure_text(class, reason));
    let accepted = item.accepted.as_ref();
    reply.patch = accepted.and_then(|accepted| accepted.patch.as_ref()).map(|patch| PatchStat {
        digest: patch.digest.to_string(),
        size_bytes: patch.size_bytes,
        files: patch.files,
        flags: patch.flags.iter().map(ToString::to_string).collect(),
    });
    let outputs = accepted.map(|accepted| accepted.outputs.clone()).unwrap_or_default();
    let isolation = item.ended.last().and_then(|ended| ended.isolation.as_ref());
    reply.isolation = isolation.map(|isolation| format!("{}/{}", isolation.provider, isolation.profile));
    let verify = last.and_then(|last| last.verify.as_ref()).map(|verify| (verify.passed, verify.report));
    reply.verify = verify.map(|(passed, _)| VerifyRow { passed, report: None });
    Facts {
        reply,
        attempt: last.map_or(item.attempts, |last| last.attempt),
        patch: accepted.and_then(|accepted| accepted.patch.as_ref()).map(|patch| patch.digest),
        outputs,
        detail: item.detail.clone(),
        log: last.and_then(|last| last.log.as_ref()).map(|log| log.digest),
        report: last.and_then(|last| last.report),
        verify,
    }
}

fn wrong(at: &str, what: String) -> OpError {
    OpError::one(Problem::new(Class::Caller, "result-shape", what).at(at))
}

fn absent(what: &str) -> OpError {
    let problem = Problem::new(Class::Missing, "part-missing", format!("there is not {what}, or not yet"));
    OpError::one(problem.hint("see where the item stands with `status`"))
}

/// A line for each file of a patch: `+ADDED -REMOVED PATH`, or `binary PATH`.
fn files(patch: &[u8]) -> Result<Vec<u8>, OpError> {
    let patch = Patch::parse(patch).map_err(|error| internal(&error))?;
    let line = |file: &FilePatch| {
        let path = shown(&file.path);
        if file.is_binary() {
            format!("binary {path}\n")
        } else {
            format!("+{} -{} {path}\n", file.added, file.removed)
        }
    };
    Ok(patch.files.iter().map(line).collect::<String>().into_bytes())
}

/// Adds what the records themselves say: the names of the outputs, and where no outcome was taken, why not.
fn add_recorded(run: &RunId, id: &ItemId, facts: &Facts, reply: &mut ResultReply) {
    let shown = |bytes: Vec<u8>, limit: usize| text(bytes, run, id, facts.attempt, limit);
    if reply.failure_detail.is_none() && reply.failure.is_some() {
        reply.failure_detail = facts.detail.clone().map(|words| shown(words.into_bytes(), WORDS_MAX));
    }
    if !facts.outputs.is_empty() {
        reply.outputs = Some(shown(outputs(&facts.outputs), OUTPUTS_SHOWN_MAX));
    }
}

/// A line for each output: `BYTES DIGEST PATH`.
fn outputs(outputs: &[OutputArtifact]) -> Vec<u8> {
    let line = |output: &OutputArtifact| format!("{} {} {}\n", output.size_bytes, output.digest, output.path);
    outputs.iter().map(line).collect::<String>().into_bytes()
}

/// A line for each reason: `WHY COUNT PATH…`.
fn left_out(kinds: &BTreeMap<String, LeftOut>) -> Vec<u8> {
    let line = |(why, left): (&String, &LeftOut)| {
        let paths: String = left.first.iter().map(|path| format!(" {path}")).collect();
        format!("{} {}{paths}\n", Enc::encode(why), left.count)
    };
    kinds.iter().map(line).collect::<String>().into_bytes()
}

fn page(
    bytes: &[u8],
    args: &ResultArgs,
    resource: Option<Address>,
    shown: impl FnOnce(Vec<u8>, usize) -> Text,
) -> Page {
    let limit = args.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX) as usize;
    let from = (args.offset.unwrap_or(0) as usize).min(bytes.len());
    let to = from.saturating_add(limit).min(bytes.len());
    Page {
        offset: from as u64,
        total_bytes: bytes.len() as u64,
        next_offset: (to < bytes.len()).then_some(to as u64),
        resource: resource.map(|address| address.to_string()),
        content: shown(bytes[from..to].to_vec(), limit),
    }
}

/// The call that has the page after this one.
fn next_page(run: &RunId, item: Option<&ItemId>, reply: &ResultReply, args: &ResultArgs) -> Option<String> {
    let page = reply.page.as_ref()?;
    // An output goes by its digest, which its address ends with: a hint has no envelope for its name.
    let digest = || page.resource.as_ref()?.rsplit_once('/').map(|(_, digest)| digest.to_owned());
    let next = ResultArgs {
        run_id: run.to_string(),
        item_id: item.map(ToString::to_string),
        part: args.part,
        path: if args.part == Some(Part::Output) { Some(digest()?) } else { None },
        offset: Some(u32::try_from(page.next_offset?).ok()?),
        limit: args.limit,
    };
    Some(next.call())
}

fn next_call(run: &RunId, item: &ItemId, facts: &Facts, reply: &ResultReply, args: &ResultArgs) -> Option<String> {
    let (run_id, item_id) = (run.to_string(), Some(item.to_string()));
    let part = |part: Part| {
        let (run_id, item_id) = (run_id.clone(), item_id.clone());
        Some(ResultArgs { run_id, item_id, part: Some(part), ..ResultArgs::default() }.call())
    };
    match reply.page.as_ref() {
        Some(_) => next_page(run, Some(item), reply, args),
        None if reply.patch.is_some() => part(Part::Patch),
        None if reply.failure.is_some() && facts.log.is_some() => part(Part::Log),
        None if reply.failure.is_some() => {
            Some(StatusArgs { run_id: Some(run_id), item_id, ..StatusArgs::default() }.call())
        }
        None => None,
    }
}
