//! When what ran: a bar for each attempt, or, of very many, how many ran at once.

use agora_core::record::OutcomeWord;
use agora_core::time::Time;

use super::document::Section;
use super::run::{Attempt, Item, Run};
use super::safe::{Html, Place};
use super::show;

/// Items that have a row each: about two printed pages.
const ROWS_MAX: usize = 80;
/// Attempts that have a bar each: some patterns try often.
const BARS_MAX: usize = 1_000;
/// The parts that the time is cut into where bars would be too many.
const SLICES: usize = 80;
/// Columns: for names, for the bars, and for what the last bar says.
const NAMES: usize = 190;
const BARS: usize = 700;
const AFTER: usize = 90;
const ROW: usize = 24;
const HEAD: usize = 26;
const NAME_CHARS: usize = 24;
const TICKS: u64 = 4;

/// Writes the section.
pub(super) fn section(html: &mut Html, run: &Run<'_>) {
    Section::new("timeline", "Timeline").inside(html, |html| {
        let (Some(first), Some(last)) = (run.first, run.last) else { return html.say("p", "There are no entries.") };
        let scale = Scale { from: first.at, ms: last.at.ms_since(first.at).max(1) };
        let text = format!("{} from the first entry, {}, to the last.", show::span(scale.ms), show::when(first.at));
        html.say("p", text);
        let ran: Vec<(usize, &Item<'_>)> = run.items.iter().enumerate().filter(|(_, i)| !i.attempts.is_empty()).collect();
        if ran.is_empty() {
            html.say("p", "No attempt was leased.");
        } else if ran.len() <= ROWS_MAX && run.attempts().count() <= BARS_MAX {
            html.open("div").class("wide").inside(|html| bars(html, &ran, &scale));
            html.open("p").class("legend").text(
                "A bar is an attempt, from its lease to its end; the pale part is before its box was there. What it says is how it ended; the number is the attempt's.",
            );
        } else {
            html.open("div").class("wide").inside(|html| at_once(html, run, &scale));
        }
    });
}

struct Scale {
    from: Time,
    ms: u64,
}

impl Scale {
    /// A time as a distance from the left.
    fn x(&self, at: Time) -> usize {
        let ms = at.ms_since(self.from).min(self.ms);
        let x = u128::from(ms) * BARS as u128 / u128::from(self.ms);
        NAMES + usize::try_from(x).unwrap_or(BARS)
    }

    fn ticks(&self, html: &mut Html, height: usize) {
        for tick in 0..=TICKS {
            let x = NAMES + BARS / TICKS as usize * usize::try_from(tick).unwrap_or(0);
            let line = html.open("line").class("tick").at("x1", x).at("x2", x);
            line.at("y1", HEAD - 6).at("y2", height).text("");
            let label = html.open("text").class("small").at("x", x).at("y", 14).at("text-anchor", "middle");
            label.text(format!("+{}", show::span(self.ms / TICKS * tick)));
        }
    }
}

fn bars(html: &mut Html, ran: &[(usize, &Item<'_>)], scale: &Scale) {
    let (width, height) = (NAMES + BARS + AFTER, HEAD + ran.len() * ROW + 4);
    let svg = html.open("svg").class("timeline").at("role", "img").at("aria-label", "timeline of attempts");
    svg.at("viewBox", format!("0 0 {width} {height}")).at("width", width).at("height", height).inside(|html| {
        scale.ticks(html, height);
        for (row, (at, item)) in ran.iter().enumerate() {
            let y = HEAD + row * ROW;
            html.end_line();
            html.open("a").to(Place("item", *at)).inside(|html| {
                let id = item.added.id.as_str();
                html.say("title", id);
                let name = html.open("text").class("name").at("x", 0).at("y", y + 15);
                name.text(show::short(id, NAME_CHARS));
            });
            item.attempts.iter().for_each(|attempt| bar(html, attempt, scale, y));
        }
    });
}

fn bar(html: &mut Html, attempt: &Attempt<'_>, scale: &Scale, y: usize) {
    let end = attempt.finished.map_or(scale.from.plus_ms(scale.ms), |finished| finished.at);
    let began = attempt.started.map_or(end, |(_, at)| at);
    let (word, class) = ending(attempt);
    let number = attempt.leased.attempt;
    // Of a run that does not verify, an end may come before its beginning.
    let from = scale.x(attempt.leased_at);
    let to = scale.x(end).max(from);
    let middle = scale.x(began).clamp(from, to);
    html.open("g").inside(|html| {
        let took = show::span(end.ms_since(attempt.leased_at));
        html.say("title", format!("attempt {number}: {word}, {took}"));
        let rect = |html: &mut Html, class: &str, from: usize, width: usize| {
            let rect = html.open("rect").at("class", class).at("x", from).at("y", y + 3).at("width", width);
            rect.at("height", ROW - 8).text("");
        };
        rect(html, "node early", from, middle - from);
        rect(html, &format!("node {class}"), middle, (to - middle).max(2));
        let label = format!("{number} {word}");
        // Beside the bar where it is too narrow; a later attempt may stand there, and then covers it: its table has both.
        let room = label.chars().count() * 7 + 6;
        let x = if to - middle >= room { middle + 4 } else { to.max(middle + 2) + 4 };
        html.open("text").class("small").at("x", x).at("y", y + 15).text(label);
    });
}

/// How an attempt ended, and its class in the style sheet.
pub(super) fn ending(attempt: &Attempt<'_>) -> (&'static str, &'static str) {
    match attempt.finished.map(|finished| finished.body.outcome) {
        Some(OutcomeWord::Done) => ("done", "done"),
        Some(OutcomeWord::Failed) => ("failed", "failed"),
        Some(OutcomeWord::NeedsInput) => ("asked", "waiting"),
        Some(OutcomeWord::Cancelled) => ("cancelled", "cancelled"),
        Some(OutcomeWord::Lost) => ("lost", "failed"),
        None => ("running", "running"),
    }
}

/// How many attempts were open at once, at most, in each slice of the time.
fn heights(run: &Run<'_>, scale: &Scale) -> Vec<usize> {
    let mut changes: Vec<(Time, bool)> = Vec::new();
    for (_, attempt) in run.attempts() {
        changes.push((attempt.leased_at, true));
        changes.extend(attempt.finished.map(|finished| (finished.at, false)));
    }
    // An end before a beginning of the same moment: they were not open at once.
    changes.sort_unstable();
    let mut heights = vec![0; SLICES];
    let (mut open, mut last) = (0_usize, 0);
    for (at, begins) in changes {
        let slice = (scale.x(at) - NAMES) * SLICES / (BARS + 1);
        // What is open goes on through the slices in which nothing changes.
        heights[last..=slice].iter_mut().for_each(|height| *height = open.max(*height));
        open = if begins { open + 1 } else { open.saturating_sub(1) };
        heights[slice] = open.max(heights[slice]);
        last = slice;
    }
    heights[last..].iter_mut().for_each(|height| *height = open.max(*height));
    heights
}

fn at_once(html: &mut Html, run: &Run<'_>, scale: &Scale) {
    let heights = heights(run, scale);
    let most = heights.iter().copied().max().unwrap_or(1).max(1);
    let attempts = show::count(run.attempts().count() as u64, "attempt");
    html.say(
        "p",
        format!("{attempts} in all, at most {most} at once. Below, the most at once in each of {SLICES} parts."),
    );
    let (width, height) = (NAMES + BARS + AFTER, HEAD + 124);
    let svg = html.open("svg").class("timeline").at("role", "img").at("aria-label", "attempts that were open at once");
    svg.at("viewBox", format!("0 0 {width} {height}")).at("width", width).at("height", height).inside(|html| {
        scale.ticks(html, height);
        html.open("text").class("name").at("x", 0).at("y", HEAD + 15).text("attempts at once");
        for (at, count) in heights.iter().enumerate() {
            let tall = count * 120 / most;
            let (left, right) = (at * BARS / SLICES, (at + 1) * BARS / SLICES);
            let rect = html.open("rect").class("node running").at("x", NAMES + left).at("y", HEAD + 120 - tall);
            rect.at("width", right - left).at("height", tall).text("");
        }
    });
}
