//! One attempt from its task to its outcome: the steps of `docs/worker.md`, in order.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agora_core::canon;
use agora_core::worker::{FailureClass, LogReport, OUTCOME_FORMAT, Outcome, Reason, Status, WorkerBuild};

use crate::beneath::Root;
use crate::failure::{Fatal, fail};
use crate::log::Log;
use crate::out::Out;
use crate::stop::Stop;
use crate::work::{Ending, Work};
use crate::{VERSION, task};

/// How long an attempt that has to end is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From TERM to KILL.
    pub grace: Duration,
    /// For the draft.
    pub draft: Duration,
}

impl Default for Patience {
    /// 10 s and 20 s: providers end the box after 35.
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), draft: Duration::from_secs(20) }
    }
}

/// What an attempt is run with, beside its folder.
pub struct Options {
    /// Ends it early.
    pub stop: Stop,
    /// Gets each line of the log as well.
    pub echo: Box<dyn Write + Send>,
    /// How long it is waited for when it has to end.
    pub patience: Patience,
}

impl Default for Options {
    /// Nobody stops it, nobody listens.
    fn default() -> Self {
        Self { stop: Stop::default(), echo: Box::new(io::sink()), patience: Patience::default() }
    }
}

/// With less room than this left, in bytes or in files, `work/` goes before the outcome is written.
const ROOM_BYTES_MIN: u64 = 32 << 20;
const ROOM_FILES_MIN: u64 = 256;

/// The folders of an attempt.
pub(crate) struct Places {
    pub(crate) inbox: PathBuf,
    pub(crate) workspace: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) tmp: PathBuf,
    pub(crate) inputs: PathBuf,
    pub(crate) outputs: PathBuf,
    pub(crate) setup: PathBuf,
    pub(crate) notes: PathBuf,
}

impl Places {
    fn of(folder: &Path) -> Self {
        let work = folder.join("work");
        Self {
            inbox: folder.join("in"),
            workspace: work.join("workspace"),
            home: work.join("home"),
            tmp: work.join("tmp"),
            inputs: work.join("inputs"),
            outputs: work.join("outputs"),
            setup: work.join("setup"),
            notes: work.join("workspace/.agora/notes.md"),
        }
    }
}

/// Runs the attempt whose folder this is and returns the outcome, which also lies in `out/outcome.json`.
///
/// Whatever goes wrong inside is an outcome. The folder must hold `task.json`, `in/` and an empty `out/`; `work/` is made
/// and must not exist.
///
/// # Errors
/// [`Fatal`] when no outcome could be written.
///
/// # Durability
/// `outcome.json` is written last, whole; once it is there, everything it names is.
pub fn run_attempt(folder: &Path, options: Options) -> Result<Outcome, Fatal> {
    let unusable = |source: io::Error| Fatal::Folder { folder: folder.display().to_string(), source };
    let folder = folder.canonicalize().map_err(unusable)?;
    let root = Root::open(&folder).map_err(unusable)?;
    let out = Out::open(&folder.join("out")).map_err(unusable)?;
    let read = task::read(&root)?;
    let mut outcome = blank(&read);
    let log = Log::new(out.create("log.jsonl").map_err(unusable)?, options.echo);
    let places = Places::of(&folder);
    let mut work = Work::new(places, &out, log, options.stop, options.patience, &mut outcome);
    let ending = match work.read_task(read.task) {
        Ok(task) => work.run(&task),
        Err(failure) => Ending::Failed(failure),
    };
    let log = work.end();
    // Closed, so that a log that gives way to the outcome gives its room.
    drop(work);
    finish(&mut outcome, ending, log);
    let work = folder.join("work");
    make_room(&work);
    write(&out, &mut outcome, &work)?;
    Ok(outcome)
}

/// Removes what the agent filled the disk with: outcome, blobs and journal need room too, and nothing can end, be cancelled
/// or be freed without them. Nothing of the agent runs any more, and all that is handed out lies in `out/`.
fn make_room(work: &Path) {
    let Ok(disk) = rustix::fs::statvfs(work) else { return };
    // Some file systems do not count files, and say so with a zero.
    let few_files = disk.f_files > 0 && disk.f_favail < ROOM_FILES_MIN;
    if few_files || disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM_BYTES_MIN {
        clear_work(work);
    }
}

fn clear_work(work: &Path) {
    // What cannot be removed now is removed with the attempt.
    let _ = agora_jail::clear(work);
}

fn blank(read: &task::Read) -> Outcome {
    Outcome {
        format: OUTCOME_FORMAT.to_owned(),
        attempt: read.attempt.clone(),
        task: read.digest,
        status: Status::Failed,
        failure: None,
        steps: Vec::new(),
        isolation: None,
        start_tree: None,
        result_tree: None,
        patch: None,
        draft: None,
        left_out: std::collections::BTreeMap::new(),
        outputs: Vec::new(),
        verify: None,
        summary: None,
        usage: None,
        question: None,
        overlaid: Vec::new(),
        log: LogReport { digest: agora_core::id::Digest::of(b""), size_bytes: 0, dropped_bytes: 0 },
        worker: WorkerBuild { version: VERSION.to_owned() },
    }
}

fn finish(outcome: &mut Outcome, ending: Ending, (log, whole): (LogReport, io::Result<()>)) {
    outcome.log = log;
    // Without its whole log an attempt is no evidence, however it ended.
    let ending = match whole {
        Ok(()) => ending,
        Err(error) => Ending::Failed(crate::failure::broke("write the log", &error)),
    };
    match ending {
        Ending::Done => outcome.status = Status::Done,
        Ending::Asked(question) => {
            outcome.status = Status::NeedsInput;
            outcome.question = Some(question);
        }
        Ending::Failed(failure) => {
            let cancelled = failure.class == FailureClass::Cancelled;
            outcome.status = if cancelled { Status::Cancelled } else { Status::Failed };
            outcome.failure = Some(failure);
        }
    }
}

/// Writes the outcome. Where there is no room, which no file system says of a quota beforehand, first `work/` gives way to
/// it, then what the attempt leaves.
fn write(out: &Out, outcome: &mut Outcome, work: &Path) -> Result<(), Fatal> {
    let full = |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let mut written = put(out, outcome)?;
    if written.as_ref().is_err_and(full) {
        clear_work(work);
        written = put(out, outcome)?;
    }
    if let Err(error) = written.as_ref()
        && full(error)
    {
        give_up(out, outcome, error);
        written = put(out, outcome)?;
    }
    written.map_err(|error| Fatal::Outcome(error.to_string()))
}

/// What the attempt leaves gives way to an outcome that says so: without any, its room would stay taken.
fn give_up(out: &Out, outcome: &mut Outcome, why: &io::Error) {
    // What cannot be removed stays in the way, and the outcome is not written either.
    for name in ["patch", "refused.patch", "draft", "outputs.pack", "log.jsonl"] {
        let _ = out.remove(name);
    }
    let _ = out.create("log.jsonl");
    let dropped_bytes = outcome.log.dropped_bytes.saturating_add(outcome.log.size_bytes);
    outcome.log = LogReport { digest: agora_core::id::Digest::of(b""), size_bytes: 0, dropped_bytes };
    (outcome.patch, outcome.draft, outcome.question) = (None, None, None);
    outcome.outputs.clear();
    if outcome.failure.is_none() {
        outcome.status = Status::Failed;
        outcome.failure = Some(crate::failure::broke("write the outcome", why));
    }
}

fn put(out: &Out, outcome: &mut Outcome) -> Result<io::Result<()>, Fatal> {
    let bytes = match canon::to_bytes(outcome) {
        Ok(bytes) => bytes,
        Err(error) => {
            // Only what the agent wrote can be in the way; without it the outcome says why.
            outcome.status = Status::Failed;
            outcome.question = None;
            outcome.summary = None;
            outcome.failure = Some(fail(Reason::WorkerError, format!("the outcome cannot be encoded: {error}")));
            canon::to_bytes(outcome).map_err(|error| Fatal::Outcome(error.to_string()))?
        }
    };
    Ok(out.put("outcome.json", &bytes))
}
