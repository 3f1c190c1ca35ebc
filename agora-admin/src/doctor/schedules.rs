//! Schedules whose slots open no runs, and slots that nobody fires.

use agora_engine::Engine;
use agora_engine::operations::{ProblemRow, ScheduleRow};

use super::check::Check;

/// The name of the check.
const SCHEDULES: &str = "schedules";

/// Looks at each schedule. A home without any has no line.
pub(super) async fn schedules(engine: &Engine) -> Vec<Check> {
    let rows = match engine.schedules().await {
        Ok(reply) => reply.schedules,
        Err(error) => return error.problems.iter().map(|problem| Check::problem(SCHEDULES, problem)).collect(),
    };
    let checks: Vec<Check> = rows.iter().filter_map(|row| check(row, engine.driven())).collect();
    match rows.len() {
        0 => Vec::new(),
        count if checks.is_empty() => vec![Check::ok(SCHEDULES, format!("{count} that go on by themselves"))],
        _ => checks,
    }
}

/// What is wrong with a schedule.
fn check(row: &ScheduleRow, driven: bool) -> Option<Check> {
    let told = |problem: &ProblemRow, what: String| {
        Some(Check::warn_of(
            SCHEDULES,
            &problem.code,
            format!("{}: {what}{}", row.name, problem.message),
            problem.hint.clone(),
        ))
    };
    if let Some(problem) = &row.problem {
        return told(problem, String::new());
    }
    if let Some((last, problem)) = row.last.as_ref().and_then(|last| Some((last, last.problems.first()?))) {
        return told(problem, format!("its slot {} opened no run: ", last.slot));
    }
    // One that is driven may be firing it.
    let due = row.due.as_ref().filter(|_| !driven)?;
    let what = format!("{}: its slot {due} is due, and nobody serves this home", row.name);
    Some(Check::warn(SCHEDULES, what, "run `agora-admin serve`: it alone waits for slots"))
}
