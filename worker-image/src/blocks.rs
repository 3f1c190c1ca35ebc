//! Steps 10 to 13: the blocks of the pipeline, in order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use agora_core::registry::{Block, Capture, Lens};
use agora_core::worker::{Failure, Question, Reason, Task, VerifyReport};

use crate::capture::{self, Captured, Compared};
use crate::failure::{broke, cut, fail};
use crate::left_out::Counts;
use crate::log::Stream;
use crate::outputs::{self, OUTPUT_MIB_MAX};
use crate::patch::{self, Made};
use crate::prepare::{LastWords, Prepared};
use crate::question;
use crate::runtime::{self, Given, SUMMARY_BYTES_MAX};
use crate::supervise::{EndedBy, Finished};
use crate::work::{Command, Ending, Work, cannot_run, check_stop, millis};

/// Characters of a script's report.
const REPORT_CHARS_MAX: usize = 8_000;

impl Work<'_> {
    /// Runs the blocks until one fails, or the agent asks.
    pub(crate) fn blocks(&mut self, task: &Task, prepared: &Prepared) -> Result<Ending, Failure> {
        for block in &task.blocks {
            match block {
                Block::Agent => {
                    if let Some(question) = self.agent(task, prepared)? {
                        return Ok(Ending::Asked(question));
                    }
                }
                Block::Capture { what: Capture::Patch } => self.capture_patch(task, prepared)?,
                Block::Capture { what: Capture::Outputs } => self.capture_outputs(task, prepared)?,
                Block::Script { command, timeout_seconds, lens } => {
                    let timeout = Duration::from_secs(*timeout_seconds);
                    match lens {
                        Lens::Gate => self.gate(task, prepared, command, timeout)?,
                        Lens::Verify => self.verify(task, prepared, command, timeout)?,
                    }
                }
            }
        }
        Ok(Ending::Done)
    }

    fn agent(&mut self, task: &Task, prepared: &Prepared) -> Result<Option<Question>, Failure> {
        self.step("agent", |work| {
            let adapter = runtime::adapter(task.runtime.name)?;
            let start = adapter.start(&Given { runtime: &task.runtime, message: &prepared.message })?;
            let mut env = prepared.env.clone();
            env.extend(start.env);
            let mut reader = adapter.reader();
            let mut words = LastWords::default();
            let command = Command {
                argv: start.argv,
                env: &env,
                stdin: start.stdin,
                timeout: work.wall_left,
                idle: task.limits.idle_seconds.map(Duration::from_secs),
            };
            work.worked = true;
            let began = Instant::now();
            let finished = work
                .command(task, command, &mut |stream, bytes| {
                    words.add_error(stream, bytes);
                    if stream == Stream::Out {
                        reader.stdout(bytes);
                    }
                })
                .map_err(|error| cannot_run(&error))?;
            work.wall_left = work.wall_left.saturating_sub(began.elapsed());
            let said = reader.end();
            if let Some(summary) = said.summary {
                work.report.summary = Some(cut(summary, SUMMARY_BYTES_MAX));
            }
            work.report.usage = said.usage.or_else(|| work.report.usage.take());
            check_deadlines(finished, task)?;
            match question::read(&prepared.workspace) {
                // Who may not ask and asks all the same is not heard; how the program ended counts.
                Ok(Some(_)) | Err(_) if !task.may_ask => work.log.note("a question of an agent that may not ask"),
                Ok(None) => {}
                asked => return asked,
            }
            match said.failure {
                Some(failure) => Err(failure),
                None if finished.well() => Ok(None),
                None => Err(fail(Reason::AgentExit, format!("the agent: {}{}", finished.shown(), words.shown()))),
            }
        })
    }

    fn capture_patch(&mut self, task: &Task, prepared: &Prepared) -> Result<(), Failure> {
        self.step("capture", |work| {
            let captured = captured(task, prepared, None)?;
            let made = patch::make(&prepared.start, &captured, patch::limits(&task.limits))?;
            let digest = captured.result.digest();
            let digest = digest.map_err(|error| fail(Reason::WorkerError, format!("the result tree: {error}")))?;
            work.count_left_out(captured.left_out);
            match made {
                None => {
                    work.out.remove("patch").map_err(|error| broke("remove an earlier patch", &error))?;
                    work.report.patch = None;
                }
                Some(Made { bytes, refused: Some(failure), .. }) => {
                    // Evidence only: no outcome names it, nothing ever applies it.
                    work.out.put("refused.patch", &bytes).map_err(|error| broke("keep the refused patch", &error))?;
                    return Err(failure);
                }
                Some(Made { bytes, report, refused: None }) => {
                    work.out.put("patch", &bytes).map_err(|error| broke("write the patch", &error))?;
                    work.report.patch = Some(report);
                }
            }
            work.report.result_tree = Some(digest);
            Ok(())
        })
    }

    /// A patch that no other item sees, of what there is. That it cannot be had fails nothing.
    pub(crate) fn draft(&mut self, task: &Task, prepared: &Prepared) {
        let deadline = Instant::now() + self.patience.draft;
        let made = captured(task, prepared, Some(deadline))
            .and_then(|captured| patch::make(&prepared.start, &captured, patch::limits(&task.limits)));
        match made {
            Ok(None) => {}
            Ok(Some(Made { refused: Some(failure), .. })) | Err(failure) => {
                self.log.note(&format!("no draft: {}", failure.detail));
            }
            Ok(Some(Made { bytes, report, refused: None })) => match self.out.put("draft", &bytes) {
                Ok(()) => self.report.draft = Some(report),
                Err(error) => self.log.note(&format!("no draft: {error}")),
            },
        }
    }

    fn gate(&mut self, task: &Task, prepared: &Prepared, argv: &[String], timeout: Duration) -> Result<(), Failure> {
        self.step("script", |work| {
            let report = work.script(task, prepared, argv, timeout)?;
            if report.passed {
                return Ok(());
            }
            let detail = format!("the gate {:.200?} is red: {}", argv.join(" "), last_line(&report.text));
            Err(fail(Reason::GateFailed, detail))
        })
    }

    /// Only reported: it fails no attempt. Of several, the first that is red is shown, else the last.
    fn verify(&mut self, task: &Task, prepared: &Prepared, argv: &[String], timeout: Duration) -> Result<(), Failure> {
        self.step("verify", |work| {
            let report = work.script(task, prepared, argv, timeout)?;
            if work.report.verify.as_ref().is_none_or(|earlier| earlier.passed) {
                work.report.verify = Some(report);
            }
            Ok(())
        })
    }

    fn script(
        &mut self,
        task: &Task,
        prepared: &Prepared,
        argv: &[String],
        timeout: Duration,
    ) -> Result<VerifyReport, Failure> {
        let command = Command { argv: argv.to_vec(), env: &prepared.env, stdin: Vec::new(), timeout, idle: None };
        let mut end = End::default();
        let began = Instant::now();
        let ran = self.command(task, command, &mut |_, bytes| end.add(bytes));
        let duration_ms = millis(began.elapsed());
        let finished = match ran {
            Ok(finished) => finished,
            Err(error) => {
                let failure = cannot_run(&error);
                // A script whose program is not there is red; a jail that breaks is nobody's verdict.
                if failure.reason != Reason::RuntimeMissing {
                    return Err(failure);
                }
                return Ok(VerifyReport { passed: false, exit_code: None, duration_ms, text: failure.detail });
            }
        };
        check_stop(finished)?;
        if !finished.well() {
            end.add(format!("\n{}\n", finished.shown()).as_bytes());
        }
        let exit_code = finished.code.filter(|_| finished.by == EndedBy::Itself);
        let exit_code = exit_code.and_then(|code| u64::try_from(code).ok());
        Ok(VerifyReport { passed: finished.well(), exit_code, duration_ms, text: end.text() })
    }

    fn capture_outputs(&mut self, task: &Task, prepared: &Prepared) -> Result<(), Failure> {
        self.step("outputs", |work| {
            let mib = task.limits.output_mib.map_or(OUTPUT_MIB_MAX, |mib| mib.min(OUTPUT_MIB_MAX));
            let mut collected = None;
            work.out
                .write("outputs.pack", |pack| {
                    collected = Some(outputs::collect(&prepared.outputs, mib << 20, pack));
                    Ok(())
                })
                .map_err(|error| broke("write the outputs", &error))?;
            let (outputs, left_out) = collected.unwrap_or_else(|| Ok((Vec::new(), Counts::default())))?;
            work.report.outputs = outputs;
            work.count_left_out(left_out);
            Ok(())
        })
    }

    fn count_left_out(&mut self, counts: Counts) {
        for (why, left_out) in counts.into_report() {
            self.log.note(&format!("{} paths are left out ({why})", left_out.count));
            self.report.left_out.insert(why, left_out);
        }
    }
}

fn captured(task: &Task, prepared: &Prepared, deadline: Option<Instant>) -> Result<Captured, Failure> {
    capture::capture(&Compared {
        root: &prepared.workspace,
        start: &prepared.start.tree,
        baseline: &prepared.baseline,
        brought: &prepared.brought,
        passed_over: prepared.passed_over,
        files_max: patch::limits(&task.limits).files_max,
        deadline,
    })
}

fn check_deadlines(finished: Finished, task: &Task) -> Result<(), Failure> {
    let seconds = |seconds: Option<u64>| seconds.map_or("the default".to_owned(), |seconds| format!("{seconds} s"));
    match finished.by {
        EndedBy::Itself => Ok(()),
        EndedBy::Stop => check_stop(finished),
        EndedBy::Timeout => {
            let what = format!("the agent worked longer than wall_seconds ({})", seconds(task.limits.wall_seconds));
            Err(fail(Reason::Wall, what))
        }
        EndedBy::Idle => {
            let limit = seconds(task.limits.idle_seconds);
            Err(fail(Reason::NoOutput, format!("the agent wrote nothing for idle_seconds ({limit})")))
        }
    }
}

fn last_line(text: &str) -> String {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it wrote nothing").chars().take(1000).collect()
}

/// The end of a script's output, at most [`REPORT_CHARS_MAX`] characters.
#[derive(Default)]
struct End(VecDeque<u8>);

impl End {
    fn add(&mut self, bytes: &[u8]) {
        // Four bytes are the longest character.
        let max = REPORT_CHARS_MAX * 4;
        self.0.extend(&bytes[bytes.len().saturating_sub(max)..]);
        let over = self.0.len().saturating_sub(max);
        self.0.drain(..over);
    }

    fn text(self) -> String {
        let bytes: Vec<u8> = self.0.into();
        let text = String::from_utf8_lossy(&bytes);
        let skip = text.chars().count().saturating_sub(REPORT_CHARS_MAX);
        text.chars().skip(skip).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_the_last_8000_characters() {
        for (written, start, length) in [(8_000, '0', 8_000), (8_001, '1', 8_000), (10, '0', 10)] {
            let mut end = End::default();
            let text: String = "0".chars().chain("1é".chars().cycle()).take(written).collect();
            text.as_bytes().chunks(7).for_each(|chunk| end.add(chunk));
            let report = end.text();
            assert_eq!((report.chars().next(), report.chars().count()), (Some(start), length));
        }
    }
}
