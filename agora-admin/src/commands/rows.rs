//! Runs, items, attempts and problems as rows for people.

use std::time::Duration;

use agora_engine::operations::{AttemptRow, ItemRow, PatchStat, ProblemRow, RunRow, StateCounts, Text};

use crate::output::{Cell, Line, Page, Style};

/// States that an item or run does not leave.
const ENDED: [&str; 5] = ["done", "failed", "skipped", "cancelled", "denied"];
/// The order in which counts are shown: what happens now first.
const ORDER: [&str; 11] = [
    "running",
    "stopping",
    "stopping_unverified",
    "waiting",
    "failed",
    "denied",
    "ready",
    "pending",
    "done",
    "skipped",
    "cancelled",
];

/// Whether a state is an end.
pub(crate) fn is_end(state: &str) -> bool {
    ENDED.contains(&state)
}

/// A state with its colour.
pub(crate) fn state(state: &str) -> Cell {
    Cell::new(state).style(match state {
        "done" => Style::Good,
        "failed" | "denied" => Style::Bad,
        "waiting" | "stopping" | "stopping_unverified" | "cancelled" | "held" => Style::Warn,
        "running" | "open" => Style::Bold,
        _ => Style::Dim,
    })
}

/// `3.2s`, `4m07s`, `2h05m`, `3d04h`.
pub(crate) fn duration(ms: u64) -> String {
    let whole = Duration::from_millis(ms);
    let seconds = whole.as_secs();
    match seconds {
        0..=59 => format!("{seconds}.{}s", whole.subsec_millis() / 100),
        60..=3_599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// `2026-11-20 18:07:00Z`: to the second, which is what people read.
pub(crate) fn when(time: &str) -> String {
    match (time.get(..10), time.get(11..19)) {
        (Some(day), Some(clock)) => format!("{day} {clock}Z"),
        _ => time.to_owned(),
    }
}

/// `18:07:00`: for lines that follow one another.
pub(crate) fn clock(time: &str) -> String {
    time.get(11..19).unwrap_or(time).to_owned()
}

/// `512 B`, `4.0 KiB`, `1.2 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `sha256:1a2b3c4d5e6f`: enough to tell two apart.
pub(crate) fn short(digest: &str) -> String {
    digest.chars().take(7 + 12).collect()
}

/// `3 running, 2 done`.
pub(crate) fn counts(counts: &StateCounts) -> String {
    let known = ORDER.iter().filter_map(|state| counts.0.get_key_value(*state));
    let other = counts.0.iter().filter(|(state, _)| !ORDER.contains(&state.as_str()));
    known.chain(other).map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

/// `1 item`, `2 items`.
pub(crate) fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// The state of a run as it is shown: a held one says so.
fn run_state(run: &RunRow) -> Cell {
    if run.held && run.state == "open" { state("held") } else { state(&run.state) }
}

/// Adds a table of runs.
pub(crate) fn runs(page: &mut Page, runs: &[RunRow]) {
    let rows = runs.iter().map(|run| {
        vec![
            Cell::new(&run.run_id),
            run_state(run),
            Cell::new(when(&run.opened)),
            Cell::new(duration(run.duration_ms)),
            Cell::new(&run.actor),
            Cell::new(counts(&run.items)),
        ]
    });
    page.table(&["run", "state", "opened", "took", "by", "items"], rows.collect());
}

/// The line that says where a run stands.
pub(crate) fn run_line(run: &RunRow) -> Line {
    let seal = match (&run.collected, run.sealed) {
        (Some(at), _) => format!("sealed, collected {}", when(at)),
        (None, true) => "sealed".to_owned(),
        (None, false) => String::new(),
    };
    Line::of("run")
        .and_style(Style::Bold, &run.run_id)
        .and(run_state(run))
        .and(duration(run.duration_ms))
        .and(counts(&run.items))
        .and_style(Style::Dim, run.cost_usd.as_ref().map(|cost| format!("US$ {cost}")).unwrap_or_default())
        .and_style(Style::Dim, seal)
}

/// `3 files, 4.0 KiB`, and its flags.
pub(crate) fn patch(patch: &PatchStat) -> String {
    let flags = if patch.flags.is_empty() { String::new() } else { format!(" flags: {}", patch.flags.join(" ")) };
    format!("{}, {}{flags}", count(patch.files, "file"), size(patch.size_bytes))
}

/// Why an item is where it is, in one cell: what blocks it, what failed, or what it gave.
fn item_note(item: &ItemRow) -> Cell {
    if !item.blocked_by.is_empty() {
        return Cell::new(item.blocked_by.join("; ")).style(Style::Dim);
    }
    if let Some(failure) = &item.failure {
        let detail = item.detail.as_ref().map(|detail| format!(": {}", detail.text)).unwrap_or_default();
        let style = if is_end(&item.state) && item.state != "done" { Style::Bad } else { Style::Warn };
        return Cell::new(format!("{failure}{detail}")).style(style);
    }
    if let Some(due_to) = &item.due_to {
        return Cell::new(format!("because of {due_to}")).style(Style::Dim);
    }
    if let Some(question) = item.question_id {
        return Cell::new(format!("question {question} is open")).style(Style::Warn);
    }
    let mut parts: Vec<String> = item.patch.iter().map(patch).collect();
    parts.extend(item.outputs.map(|outputs| count(outputs, "output")));
    if let Some(verified) = item.verified {
        parts.push(if verified { "verify passed" } else { "verify failed" }.to_owned());
    }
    Cell::new(parts.join(", "))
}

/// A row of an item.
pub(crate) fn item(item: &ItemRow) -> Vec<Cell> {
    vec![
        Cell::new(&item.item_id),
        state(&item.state),
        Cell::new(item.duration_ms.map(duration).unwrap_or_default()),
        Cell::new(if item.attempts > 0 { item.attempts.to_string() } else { String::new() }),
        item_note(item),
    ]
}

/// The heads over rows of items.
pub(crate) const ITEM_HEADS: [&str; 5] = ["item", "state", "took", "attempts", ""];

/// Adds a table of items.
pub(crate) fn items<'a>(page: &mut Page, items: impl IntoIterator<Item = &'a ItemRow>) {
    page.table(&ITEM_HEADS, items.into_iter().map(item).collect());
}

/// Adds a table of attempts.
pub(crate) fn attempts(page: &mut Page, attempts: &[AttemptRow]) {
    let rows = attempts.iter().map(|attempt| {
        vec![
            Cell::new(attempt.attempt.to_string()),
            state(&attempt.state),
            Cell::new(when(&attempt.leased)),
            Cell::new(duration(attempt.duration_ms)),
            Cell::new(&attempt.target),
            Cell::new(attempt.profile.as_deref().unwrap_or_default()),
            Cell::new(attempt.exit_code.map(|code| format!("exit {code}")).unwrap_or_default()),
            Cell::new(attempt.failure.as_deref().unwrap_or_default()),
        ]
    });
    page.table(&["attempt", "state", "leased", "took", "target", "profile", "agent", "failure"], rows.collect());
}

/// Adds problems that did not stop anything.
pub(crate) fn warnings(page: &mut Page, problems: &[ProblemRow]) {
    for problem in problems {
        let at = problem.at.as_ref().filter(|at| !at.is_empty()).map(|at| format!("(at {at})")).unwrap_or_default();
        let line = Line::of(Cell::new("warning:").style(Style::Warn)).and(&problem.message).and_style(Style::Dim, at);
        page.line(line);
        if let Some(hint) = &problem.hint {
            page.line(Line::of(hint).indent(2));
        }
    }
}

/// Adds text that a worker or agent wrote.
pub(crate) fn untrusted(page: &mut Page, what: &str, text: &Text) {
    let cut = if text.truncated { format!("(cut; {} in all)", size(text.bytes)) } else { String::new() };
    page.line(Line::of(Cell::new(what).style(Style::Dim)).and_style(Style::Dim, cut));
    page.quote(&text.text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (ms, want) in [
            (0, "0.0s"),
            (3_250, "3.2s"),
            (59_999, "59.9s"),
            (60_000, "1m00s"),
            (3_600_000, "1h00m"),
            (100_800_000, "1d04h"),
        ] {
            assert_eq!(duration(ms), want);
        }
        for (bytes, want) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_572_864, "1.5 MiB"), (u64::MAX, "1677721.5 TiB")]
        {
            assert_eq!(size(bytes), want);
        }
        assert_eq!(when("2026-11-20T18:07:00.123456Z"), "2026-11-20 18:07:00Z");
        assert_eq!(when("soon"), "soon");
        assert_eq!((count(1, "item"), count(0, "item")), ("1 item".to_owned(), "0 items".to_owned()));
    }

    #[test]
    fn counts_start_with_what_happens_now() {
        let counts = StateCounts([("done", 2), ("running", 3), ("odd", 1)].map(|(k, v)| (k.to_owned(), v)).into());
        assert_eq!(super::counts(&counts), "3 running, 2 done, 1 odd");
    }
}
