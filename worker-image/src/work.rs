//! The work on one attempt: what every step shares, and how a step is reported.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use agora_core::worker::{Failure, FailureClass, LogReport, Outcome, Question, Reason, StepReport, Task};

use crate::attempt::{Patience, Places};
use crate::failure::{broke, fail};
use crate::log::{Log, Stream};
use crate::out::Out;
use crate::stop::Stop;
use crate::supervise::{self, CannotRun, EndedBy, Finished, Order};

/// How an attempt ended.
pub(crate) enum Ending {
    Done,
    Asked(Question),
    Failed(Failure),
}

/// An attempt at work.
pub(crate) struct Work<'a> {
    pub(crate) places: Places,
    pub(crate) out: &'a Out,
    pub(crate) log: Log,
    pub(crate) stop: Stop,
    pub(crate) patience: Patience,
    pub(crate) report: &'a mut Outcome,
    /// Whether an agent was started: then there may be something worth a draft.
    pub(crate) worked: bool,
    /// What is left of the wall clock, over all agent blocks.
    pub(crate) wall_left: Duration,
    /// How the step's command ended.
    last: Option<Finished>,
}

/// A command of a step.
pub(crate) struct Command<'a> {
    pub(crate) argv: Vec<String>,
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) stdin: Vec<u8>,
    pub(crate) timeout: Duration,
    pub(crate) idle: Option<Duration>,
}

impl<'a> Work<'a> {
    pub(crate) fn new(
        places: Places,
        out: &'a Out,
        log: Log,
        stop: Stop,
        patience: Patience,
        report: &'a mut Outcome,
    ) -> Self {
        Self { places, out, log, stop, patience, report, worked: false, wall_left: Duration::ZERO, last: None }
    }

    /// Step 1: the task this worker can do, on a machine that gives what it asks for.
    pub(crate) fn read_task(&mut self, task: Result<Task, Failure>) -> Result<Task, Failure> {
        self.step("read-task", |work| {
            let task = task?;
            let isolation = agora_jail::probe("process", task.jail.profile, &task.limits)
                .map_err(|error| fail(error.reason(), error.to_string()))?;
            work.report.isolation = Some(isolation);
            Ok(task)
        })
    }

    /// Everything after that.
    pub(crate) fn run(&mut self, task: &Task) -> Ending {
        let prepared = match self.prepare(task) {
            Ok(prepared) => prepared,
            Err(failure) => return Ending::Failed(failure),
        };
        match self.blocks(task, &prepared) {
            Ok(Ending::Asked(question)) => {
                self.draft(task, &prepared);
                Ending::Asked(question)
            }
            Ok(ending) => ending,
            Err(failure) => {
                if self.worth_a_draft(&failure) {
                    self.draft(task, &prepared);
                }
                Ending::Failed(failure)
            }
        }
    }

    /// Whoever was stopped on the way leaves a draft, unless there is a patch already, or no patience left.
    fn worth_a_draft(&self, failure: &Failure) -> bool {
        let stopped = matches!(failure.class, FailureClass::Timeout | FailureClass::Idle | FailureClass::Cancelled);
        stopped && self.worked && self.report.patch.is_none() && self.stop.requests() < 2
    }

    /// Does a step, times it, and reports it. A wish to stop is heard before it begins.
    pub(crate) fn step<T>(
        &mut self,
        name: &'static str,
        act: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.stop.requests() > 0 {
            return Err(stopped());
        }
        self.log.begin(name);
        let began = Instant::now();
        let done = act(self);
        let duration_ms = millis(began.elapsed());
        let last = self.last.take();
        let code = |code: Option<i32>| code.and_then(|code| u64::try_from(code).ok());
        self.report.steps.push(StepReport {
            step: name.to_owned(),
            ok: done.is_ok(),
            exit_code: code(last.and_then(|last| last.code)),
            signal: code(last.and_then(|last| last.signal)),
            duration_ms,
        });
        if let Err(failure) = &done {
            self.log.note(&format!("{}: {}", failure.reason.as_str(), failure.detail));
        }
        self.log.end(done.is_ok(), duration_ms);
        done
    }

    /// Runs a confined command in the workspace; what it writes goes to the log and to `on_output`.
    pub(crate) fn command(
        &mut self,
        task: &Task,
        command: Command<'_>,
        on_output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Finished, CannotRun> {
        let order = Order {
            profile: task.jail.profile,
            argv: command.argv,
            env: command.env.clone(),
            cwd: self.places.workspace.clone(),
            limits: task.limits,
            stdin: command.stdin,
            timeout: command.timeout,
            idle: command.idle,
            grace: self.patience.grace,
        };
        let log = &mut self.log;
        let finished = supervise::run(order, &self.stop, &mut |stream, bytes| {
            log.output(stream, bytes);
            on_output(stream, bytes);
        })?;
        self.last = Some(finished);
        Ok(finished)
    }

    /// Ends the log.
    pub(crate) fn end(&mut self) -> (LogReport, io::Result<()>) {
        self.log.finish()
    }
}

/// The failure of an attempt that was told to stop.
pub(crate) fn stopped() -> Failure {
    fail(Reason::Caller, "the attempt was told to stop")
}

/// What a command that could not run means, unless the step knows better.
pub(crate) fn cannot_run(error: &CannotRun) -> Failure {
    match error {
        CannotRun::Jail(error) => fail(error.reason(), error.to_string()),
        CannotRun::Lost(what) => fail(Reason::JailFailed, *what),
        CannotRun::Thread(source) => broke("start a thread", source),
    }
}

/// Whether the command was ended because the attempt is to stop.
pub(crate) fn check_stop(finished: Finished) -> Result<(), Failure> {
    if finished.by == EndedBy::Stop { Err(stopped()) } else { Ok(()) }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
