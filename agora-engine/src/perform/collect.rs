//! What an attempt left in `out/`, checked. What does not hold ends the attempt as `outcome-invalid`; nothing of it becomes
//! a result.

use std::path::{Path, PathBuf};

use agora_core::canon;
use agora_core::decide::Finish;
use agora_core::id::{Digest, Enc, Word};
use agora_core::limits::OUTPUTS_MAX;
use agora_core::patch::{Context, Patch, PatchLimits, policy};
use agora_core::path::{Scope, check_set};
use agora_core::record::{OutcomeWord, OutputArtifact, PatchArtifact, TruncatedArtifact, UsageCount, VerifyFact};
use agora_core::tree::Tree;
use agora_core::worker::{
    Artifact, Base, Change, Outcome, OutputReport, PatchReport, Question, Reason, Status, Usage, VerifyReport,
};

use agora_tree::{Content, ContentError, Overlay, Pack, apply, start_tree};

use super::assignment::Assignment;
use super::attempt::{World, blank};
use super::context::blob_failure;
use super::left::{self, Refused, aside, invalid, read};

/// The longest patch or draft, in bytes: the most that a target may allow.
const PATCH_BYTES_MAX: u64 = 64 << 20;
/// The longest log, in bytes: what the worker keeps, with room for its own lines.
const LOG_BYTES_MAX: u64 = 64 << 20;
/// The most models an outcome may name.
const MODELS_MAX: usize = 16;
/// The longest question in all, in bytes.
const QUESTION_BYTES_MAX: usize = 1_100_000;

/// Reads and checks what the attempt left, keeps its blobs, and says how it ended.
pub(crate) async fn collect(world: &World, folder: &Path, assignment: &Assignment) -> Finish {
    match checked(world, folder, assignment).await {
        Ok(finish) => finish,
        Err(Refused::Absent) => {
            let mut finish = blank(world, assignment, OutcomeWord::Lost);
            finish.finished.class = Some(Reason::WorkerLost.class());
            finish.finished.reason = Some(Reason::WorkerLost);
            finish.detail = Some(Refused::Absent.to_string());
            finish
        }
        Err(refused) => {
            let reason = match &refused {
                Refused::Store(error) => blob_failure(error).reason,
                Refused::Absent | Refused::Invalid(_) => Reason::OutcomeInvalid,
            };
            tracing::warn!(item = %assignment.attempt.item, run = %assignment.attempt.run, why = %refused, "an outcome is refused");
            let mut finish = blank(world, assignment, OutcomeWord::Failed);
            finish.finished.class = Some(reason.class());
            finish.finished.reason = Some(reason);
            finish.detail = Some(refused.to_string());
            finish
        }
    }
}

async fn checked(world: &World, folder: &Path, assignment: &Assignment) -> Result<Finish, Refused> {
    let out = folder.join("out");
    let (bytes, outcome) = left::outcome(folder.to_owned(), assignment.attempt.clone()).await?;
    let word = match outcome.status {
        Status::Done => OutcomeWord::Done,
        Status::Failed => OutcomeWord::Failed,
        Status::NeedsInput => OutcomeWord::NeedsInput,
        Status::Cancelled => OutcomeWord::Cancelled,
    };
    if assignment.splits
        && word == OutcomeWord::Done
        && let Some(left) = outcome.left_out.get("outputs")
    {
        return Err(invalid(format!(
            "each output becomes an item, and outputs were left out, which take regular files, {OUTPUTS_MAX} at most: {}",
            left.count
        )));
    }
    let mut finish = blank(world, assignment, word);
    let finished = &mut finish.finished;
    match (&outcome.failure, outcome.status) {
        (Some(failure), Status::Failed | Status::Cancelled) if failure.class == failure.reason.class() => {
            finished.class = Some(failure.class);
            finished.reason = Some(failure.reason);
            finish.hint_ms = failure.not_before_ms;
        }
        (None, Status::Done | Status::NeedsInput) => {}
        _ => return Err(invalid("the failure does not fit the status")),
    }
    let agent = outcome.steps.iter().rev().find(|step| step.step == "agent");
    finished.exit_code = agent.and_then(|step| step.exit_code);
    finished.signal = agent.and_then(|step| step.signal);
    finished.start_tree = outcome.start_tree;
    finished.result_tree = outcome.result_tree;
    finished.report = Some(world.blobs.put(&bytes).await?);
    if let Some(patch) = &outcome.patch {
        let trees = (outcome.start_tree, outcome.result_tree);
        let flags = take_patch(world, folder, "patch", patch, trees, assignment).await?;
        let Artifact { digest, size_bytes } = Artifact { digest: patch.digest, size_bytes: patch.size_bytes };
        finished.patch = Some(PatchArtifact { digest, size_bytes, files: patch.files, flags });
    } else if word == OutcomeWord::Done && outcome.start_tree != outcome.result_tree {
        return Err(invalid("the trees differ and there is no patch"));
    }
    if let Some(draft) = &outcome.draft {
        take_patch(world, folder, "draft", draft, (outcome.start_tree, None), assignment).await?;
        finished.draft = Some(Artifact { digest: draft.digest, size_bytes: draft.size_bytes });
    }
    finished.outputs = take_outputs(world, &out.join("outputs.pack"), &outcome).await?;
    finished.verify = take_verify(world, outcome.verify.as_ref()).await?;
    finished.log = take_log(world, &out.join("log.jsonl"), &outcome).await?;
    if let Some(usage) = &outcome.usage {
        finished.models = usage.models.iter().take(MODELS_MAX).map(|model| Enc::encode(model)).collect();
        finished.usage = Some(count(usage));
    }
    finish.question = take_question(world, &outcome).await?;
    Ok(finish)
}

/// Checks a patch's bytes again: its digest, that it applies to the start tree and gives the tree it should, and the patch
/// policy. Keeps it, and returns its flags as found here.
async fn take_patch(
    world: &World,
    folder: &Path,
    name: &str,
    report: &PatchReport,
    trees: (Option<Digest>, Option<Digest>),
    assignment: &Assignment,
) -> Result<Vec<Word>, Refused> {
    let content = assignment.content.as_ref().map_err(|failure| invalid(failure.detail.clone()))?;
    let bytes_max = (content.limits.patch_mib.unwrap_or(8) << 20).min(PATCH_BYTES_MAX);
    let (path, digest, size_bytes) = (folder.join("out").join(name), report.digest, report.size_bytes);
    let bytes = left::whole(path, bytes_max, digest, size_bytes).await?;
    let job = Judged {
        inputs: folder.join("in"),
        base: content.base.clone(),
        changes: content.changes.clone(),
        trees,
        bytes,
        bytes_max,
    };
    let (bytes, flags) = aside(move || job.judge().map(|flags| (job.bytes, flags))).await?;
    world.blobs.put(&bytes).await?;
    Ok(flags)
}

/// A patch to judge, apart from the runtime.
struct Judged {
    inputs: PathBuf,
    base: Option<Base>,
    changes: Vec<Change>,
    trees: (Option<Digest>, Option<Digest>),
    bytes: Vec<u8>,
    bytes_max: u64,
}

impl Judged {
    fn judge(&self) -> Result<Vec<Word>, Refused> {
        let blobs = InFolder(self.inputs.clone());
        let (tree, pack): (Tree, Option<Pack>) = match &self.base {
            None => (Tree::default(), None),
            Some(base) => {
                let manifest = blobs.read(&base.manifest).map_err(|error| invalid(error.to_string()))?;
                let tree = Tree::from_manifest(&manifest).map_err(|error| invalid(error.to_string()))?;
                let pack = Pack::open(&self.inputs.join(base.pack.hex()), &tree);
                (tree, Some(pack.map_err(|error| invalid(error.to_string()))?))
            }
        };
        let content: &dyn Content = pack.as_ref().map_or(&blobs as &dyn Content, |pack| pack as &dyn Content);
        let start = start_tree(&tree, &self.changes, content, &blobs).map_err(|error| invalid(error.to_string()))?;
        let under = Overlay::new(&start.added, content);
        let result = apply(&self.bytes, &start.tree, &under).map_err(|error| invalid(error.to_string()))?;
        let same = |tree: &Tree, digest: Option<Digest>| digest.is_none_or(|digest| tree.digest().ok() == Some(digest));
        if !same(&start.tree, self.trees.0) || !same(&result.tree, self.trees.1) {
            return Err(invalid("the patch does not lead from the start tree to the result tree"));
        }
        let patch = Patch::parse(&self.bytes).map_err(|error| invalid(format!("the patch: {error}")))?;
        let over = Overlay::new(&result.added, &under);
        let read = |digest: &Digest| over.read(digest).ok();
        let limits = PatchLimits { bytes_max: self.bytes_max, ..PatchLimits::default() };
        let verdict =
            policy(&patch, &Context { start: &start.tree, result: &result.tree, content: &read, limits, secret: None });
        if let Some(refused) = verdict.refused.first() {
            return Err(invalid(refused.to_string()));
        }
        Ok(verdict.flags.keys().filter_map(|kind| Word::new(*kind).ok()).collect())
    }
}

/// The blobs that lie in an attempt's `in/`, checked against their digests as they are read.
struct InFolder(PathBuf);

impl Content for InFolder {
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        let bytes = read(&self.0.join(digest.hex()), u64::MAX - 1).map_err(|_| ContentError::Missing(*digest))?;
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(ContentError::Missing(*digest)) }
    }
}

async fn take_outputs(world: &World, path: &Path, outcome: &Outcome) -> Result<Vec<OutputArtifact>, Refused> {
    if outcome.outputs.is_empty() {
        return Ok(Vec::new());
    }
    if outcome.outputs.len() > OUTPUTS_MAX {
        return Err(invalid(format!("{} outputs, the limit is {OUTPUTS_MAX}", outcome.outputs.len())));
    }
    let paths = outcome.outputs.iter().map(|output| output.path.as_bytes());
    if let Err(refusals) = check_set(paths, Scope::Output) {
        let first = refusals.first().map_or_else(String::new, ToString::to_string);
        return Err(invalid(format!("an output: {first}")));
    }
    let (pack, slices) = left::outputs(path.to_owned(), outcome.outputs.clone()).await?;
    for slice in slices {
        world.blobs.put(&pack[slice]).await?;
    }
    let artifact = |output: &OutputReport| OutputArtifact {
        digest: output.digest,
        size_bytes: output.size_bytes,
        path: Enc::encode(&output.path),
    };
    let mut taken: Vec<OutputArtifact> = outcome.outputs.iter().map(artifact).collect();
    taken.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(taken)
}

async fn take_verify(world: &World, verify: Option<&VerifyReport>) -> Result<Option<VerifyFact>, Refused> {
    let Some(verify) = verify else { return Ok(None) };
    let report = world.blobs.put(verify.text.as_bytes()).await?;
    Ok(Some(VerifyFact { passed: verify.passed, report }))
}

async fn take_log(world: &World, path: &Path, outcome: &Outcome) -> Result<Option<TruncatedArtifact>, Refused> {
    let bytes = left::whole(path.to_owned(), LOG_BYTES_MAX, outcome.log.digest, outcome.log.size_bytes).await?;
    let digest = world.blobs.put(&bytes).await?;
    let truncated = outcome.log.dropped_bytes > 0;
    Ok(Some(TruncatedArtifact { digest, size_bytes: bytes.len() as u64, truncated }))
}

async fn take_question(world: &World, outcome: &Outcome) -> Result<Option<(Digest, u64)>, Refused> {
    match (&outcome.question, outcome.status) {
        (None, Status::Done | Status::Failed | Status::Cancelled) => Ok(None),
        (Some(question), Status::NeedsInput) => {
            check_question(question)?;
            let bytes = canon::to_bytes_with_floats(question).map_err(|error| invalid(error.to_string()))?;
            if bytes.len() > QUESTION_BYTES_MAX {
                return Err(invalid("the question is too long"));
            }
            Ok(Some((world.blobs.put(&bytes).await?, question.options.len() as u64)))
        }
        _ => Err(invalid("the question does not fit the status")),
    }
}

fn check_question(question: &Question) -> Result<(), Refused> {
    let fits = question.question.len() <= 4096
        && question.options.len() <= 16
        && question.options.iter().all(|option| option.len() <= 256)
        && question.context.as_ref().is_none_or(|context| context.len() <= 16 << 10);
    if fits { Ok(()) } else { Err(invalid("the question is over a limit")) }
}

fn count(usage: &Usage) -> UsageCount {
    // Numbers beyond what entries hold are an agent's nonsense: clamped, as they are its claim anyway.
    let clamp = |value: Option<u64>| value.map(|value| value.min((1 << 53) - 1));
    UsageCount {
        input_tokens: clamp(usage.input_tokens),
        cached_tokens: clamp(usage.cached_tokens),
        output_tokens: clamp(usage.output_tokens),
        cost_microusd: clamp(usage.cost_microusd),
        turns: clamp(usage.turns),
    }
}
