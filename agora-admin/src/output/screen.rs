//! Standard output and standard error: nothing else in this program prints.

use std::io::{self, IsTerminal as _, Write as _};

use agora_core::error::{Class, Problem};
use agora_core::text::{SHOWN_BYTES_MAX, Untrusted};
use clap::ValueEnum;
use rustix::termios::tcgetwinsize;
use serde::Serialize;

use super::field::Field;
use super::text::{Cell, Line, Page, Style};
use crate::error::Failure;

/// Columns of a terminal that does not say.
const WIDTH_DEFAULT: usize = 100;
/// Rows of a terminal that does not say.
const HEIGHT_DEFAULT: usize = 24;
/// The code of what ends a program quietly: whoever read the answer has seen enough, as `head` does.
pub(crate) const OUTPUT_CLOSED: &str = "output-closed";
/// Problems that text lists; JSON has them all.
const PROBLEMS_SHOWN_MAX: usize = 50;

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON value; one a line where things are told as they happen.
    Json,
}

/// Where answers go.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    format: Format,
    field: Option<Field>,
    terminal: bool,
    colour: bool,
    colour_errors: bool,
}

impl Output {
    /// Looks at what standard output is.
    pub(crate) fn new(format: Format, field: Option<Field>) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = io::stdout().is_terminal() && !dumb;
        let errors = io::stderr().is_terminal() && !dumb;
        Self { format, field, terminal, colour: terminal && !no_colour, colour_errors: errors && !no_colour }
    }

    /// Whether a table may be drawn again and again.
    pub(crate) fn is_live(&self) -> bool {
        self.terminal && self.for_people()
    }

    /// Whether text for people is wanted.
    pub(crate) fn for_people(&self) -> bool {
        self.format == Format::Text && self.field.is_none()
    }

    /// Columns and rows of the terminal.
    pub(crate) fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(io::stdout()).ok();
        let or = |value: Option<u16>, default| value.map(usize::from).filter(|value| *value > 0).unwrap_or(default);
        (or(size.map(|size| size.ws_col), WIDTH_DEFAULT), or(size.map(|size| size.ws_row), HEIGHT_DEFAULT))
    }

    /// A page as text, as wide as the terminal is.
    pub(crate) fn render(&self, page: &Page) -> String {
        page.render(self.colour, self.terminal.then(|| self.size().0))
    }

    /// Answers: as JSON, as the one field that was asked for, or as the page that `text` writes.
    ///
    /// # Errors
    /// `field-unknown`, or that standard output is gone.
    pub(crate) fn reply<T: Serialize>(&self, value: &T, text: impl FnOnce(&mut Page)) -> Result<(), Failure> {
        if self.for_people() {
            let mut page = Page::default();
            text(&mut page);
            return self.write(self.render(&page).as_bytes());
        }
        let value = to_value(value)?;
        let mut line = match &self.field {
            Some(field) => field.of(&value).map_err(|problem| Failure::one("show the field", problem))?,
            None => serde_json::to_string_pretty(&value).map_err(|error| broken(&error))?,
        };
        line.push('\n');
        self.write(line.as_bytes())
    }

    /// Tells of something as it happens, in one line.
    ///
    /// # Errors
    /// As [`Output::reply`].
    pub(crate) fn event<T: Serialize>(&self, value: &T, line: impl FnOnce() -> Line) -> Result<(), Failure> {
        let mut line = if self.for_people() {
            line().render(self.colour)
        } else {
            let value = to_value(value)?;
            match &self.field {
                Some(field) => match field.of(&value) {
                    Ok(text) => text,
                    // Not every event has every member.
                    Err(_) => return Ok(()),
                },
                None => value.to_string(),
            }
        };
        line.push('\n');
        self.write(line.as_bytes())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// When standard output is gone.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::one(
                "write the answer",
                Problem::new(Class::Caller, OUTPUT_CLOSED, "nobody reads any more"),
            )),
            Err(error) => {
                let problem = Problem::new(Class::Operator, "output-failed", format!("standard output: {error}"));
                Err(Failure::one("write the answer", problem.hint("check where standard output leads")))
            }
        }
    }

    /// Writes text that a worker or agent made, without what could act on a terminal.
    ///
    /// # Errors
    /// When standard output is gone.
    pub(crate) fn write_untrusted(&self, text: &str) -> Result<(), Failure> {
        self.write(Untrusted::from(text).shown(SHOWN_BYTES_MAX).text.as_bytes())
    }

    /// Says something beside the answer, to people alone.
    pub(crate) fn note(&self, line: impl Into<Line>) {
        if self.for_people() {
            self.error_text(&format!("{}\n", line.into().render(self.colour_errors)));
        }
    }

    /// Says why nothing was done: what failed, why, and what to do about it; for several problems a block each.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.format == Format::Json {
            let text = serde_json::to_string(&failure.reply()).unwrap_or_default();
            return self.error_text(&format!("{text}\n"));
        }
        self.error_text(&failure_page(failure).render(self.colour_errors, None));
    }

    fn error_text(&self, text: &str) {
        // There is nobody else to tell.
        let _gone = io::stderr().lock().write_all(text.as_bytes());
    }
}

fn to_value<T: Serialize>(value: &T) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(value).map_err(|error| broken(&error))
}

fn broken(error: &serde_json::Error) -> Failure {
    Failure::one("write the answer", Problem::new(Class::Bug, "internal", error.to_string()))
}

fn failure_page(failure: &Failure) -> Page {
    let mut page = Page::default();
    let what = |text: String| Line::of(Cell::new("error:").style(Style::Bad)).and(text);
    match failure.problems.as_slice() {
        [problem] => {
            page.line(what(format!("failed to {} [{}]", failure.doing, problem.code)));
            why_and_next(&mut page, problem, 2);
        }
        problems => {
            let all = problems.len();
            page.line(what(format!("failed to {}: {all} problems, and nothing was done", failure.doing)));
            for (at, problem) in problems.iter().take(PROBLEMS_SHOWN_MAX).enumerate() {
                page.line(Line::of(format!("{}.", at + 1)).and_style(Style::Bold, problem.code.as_str()).indent(2));
                why_and_next(&mut page, problem, 5);
            }
            if all > PROBLEMS_SHOWN_MAX {
                page.line(
                    Line::of(format!("… and {} more: --format json shows all", all - PROBLEMS_SHOWN_MAX)).indent(2),
                );
            }
        }
    }
    page
}

fn why_and_next(page: &mut Page, problem: &Problem, indent: usize) {
    let mut why = problem.message.clone();
    // The empty pointer is the whole document.
    if let Some(at) = problem.at.as_ref().filter(|at| !at.is_empty()) {
        why.push_str(&format!(" (at {at})"));
    }
    page.line(Line::of(Cell::new("why: ").style(Style::Dim)).and(why).indent(indent));
    let next = problem.hint.as_deref().unwrap_or(match problem.class {
        Class::Caller => "change what was asked for; `--help` after the verb shows examples",
        Class::Missing => "look with `agora-admin runs` or the `list` verbs for what there is",
        Class::Operator => "run `agora-admin doctor`",
        Class::Later => "try again: nothing is wrong with what was asked for",
        Class::Bug => "run `agora-admin doctor`, and report it with what it says",
    });
    page.line(Line::of(Cell::new("next:").style(Style::Dim)).and(next).indent(indent));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: &'static str) -> Problem {
        Problem::new(Class::Caller, code, "there is no subagent \"code-edti\"").at("/items/0/inputs/subagent")
    }

    #[test]
    fn an_error_is_three_lines_what_why_next() {
        let failure = Failure::one("submit plan.json", problem("name-unknown").hint("did you mean \"code-edit\"?"));
        assert_eq!(
            failure_page(&failure).render(false, None),
            "error: failed to submit plan.json [name-unknown]\n  \
             why: there is no subagent \"code-edti\" (at /items/0/inputs/subagent)\n  \
             next: did you mean \"code-edit\"?\n"
        );
    }

    #[test]
    fn every_problem_has_its_block_and_its_next_step() {
        let text = |count| failure_page(&Failure::all("submit", vec![problem("a"); count])).render(false, None);
        assert_eq!(text(2).lines().count(), 1 + 2 * 3);
        assert!(text(2).contains("2 problems, and nothing was done"));
        assert!(text(2).contains("  2. a\n     why: there"));
        assert!(text(53).ends_with("… and 3 more: --format json shows all\n"));
    }

    #[test]
    fn a_message_cannot_add_a_line_or_a_colour() {
        let failure = Failure::one("x", Problem::new(Class::Bug, "internal", "a\nerror: b\u{1b}[31m"));
        let text = failure_page(&failure).render(false, None);
        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains('\u{1b}'));
    }
}
