//! The attempts at an item, a row each.

use agora_core::id::Digest;
use agora_core::record::{AttemptFinished, AttemptLeased};
use agora_core::worker::Artifact;

use super::isolation::Kinds;
use super::run::{Attempt, Item};
use super::safe::Html;
use super::show;
use super::timeline::ending;

/// Outputs and inputs of one attempt that are named.
const NAMED_MAX: usize = 50;
/// Attempts of one item that are shown: a plan may ask for ten, and people park and release.
const SHOWN_MAX: usize = 50;

/// Writes the table.
pub(super) fn table(html: &mut Html, item: &Item<'_>, kinds: &Kinds<'_>) {
    if item.attempts.is_empty() {
        return html.open("p").class("note").text("No attempt was leased.");
    }
    html.open("div").class("wide").inside(|html| {
        html.open("table").inside(|html| {
            html.open("tr").inside(|html| {
                let names = ["attempt", "ended", "leased", "took", "target", "ran under", "came of it"];
                names.iter().for_each(|name| html.say("th", name));
            });
            let earlier = item.attempts.len().saturating_sub(SHOWN_MAX);
            item.attempts.iter().skip(earlier).for_each(|attempt| row(html, attempt, kinds));
        });
    });
    if item.attempts.len() > SHOWN_MAX {
        html.open("p").class("note").text(format!("The last {SHOWN_MAX} of {}.", item.attempts.len()));
    }
}

fn row(html: &mut Html, attempt: &Attempt<'_>, kinds: &Kinds<'_>) {
    let (word, class) = ending(attempt);
    html.open("tr").inside(|html| {
        html.open("td").class("number").text(attempt.leased.attempt.to_string());
        html.open("td").inside(|html| {
            html.open("span").at("class", format_args!("pill {class}")).text(word);
            if attempt.accepted.is_some() {
                html.text(" accepted");
            }
            if let Some(finished) = attempt.finished {
                html.text(why(finished.body));
            }
        });
        html.open("td").class("short").text(show::when(attempt.leased_at));
        let took = attempt.finished.map(|finished| show::span(finished.at.ms_since(attempt.leased_at)));
        html.open("td").class("short").text(took.unwrap_or_default());
        html.say("td", attempt.leased.target.as_str());
        html.open("td").inside(|html| match attempt.started {
            Some((started, _)) => kinds.link(html, &started.isolation),
            None => html.text("never started"),
        });
        html.open("td").inside(|html| {
            html.open("ul").class("plain").inside(|html| {
                let finished = attempt.finished.map(|finished| came_of_it(finished.body)).unwrap_or_default();
                given(attempt.leased).into_iter().chain(finished).for_each(|line| line.write(html));
            });
        });
    });
}

fn why(body: &AttemptFinished) -> String {
    let mut text = String::new();
    if let (Some(class), Some(reason)) = (body.class, body.reason) {
        text += &format!(" {}: {}", show::word(&class), reason.as_str());
    }
    text.extend(body.exit_code.map(|code| format!(", exit code {code}")));
    text.extend(body.signal.map(|signal| format!(", signal {signal}")));
    text
}

fn given(leased: &AttemptLeased) -> Vec<Line> {
    let mut lines = Vec::new();
    for input in leased.inputs.iter().take(NAMED_MAX) {
        let of = input.item.iter().map(|item| format!(" of {item}")).collect::<String>();
        let path = input.path.iter().map(|path| format!(", {path}")).collect::<String>();
        lines.push(Line::of(format!("in: {}{of}{path}", input.usage.as_str()), input.digest));
    }
    more(&mut lines, leased.inputs.len(), "inputs");
    lines.extend(leased.model.iter().map(|model| Line::plain(format!("model asked for: {model}"))));
    lines
}

fn came_of_it(body: &AttemptFinished) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(patch) = &body.patch {
        let (files, size) = (show::count(patch.files, "file"), show::size(patch.size_bytes));
        lines.push(Line::of(format!("patch: {files}, {size}"), patch.digest));
    }
    let draft = |draft: &Artifact| Line::of(format!("draft: {}", show::size(draft.size_bytes)), draft.digest);
    lines.extend(body.draft.iter().map(draft));
    for output in body.outputs.iter().take(NAMED_MAX) {
        lines.push(Line::of(format!("output {}: {}", output.path, show::size(output.size_bytes)), output.digest));
    }
    more(&mut lines, body.outputs.len(), "outputs");
    lines.extend(body.verify.iter().map(|verify| {
        let ended = if verify.passed { "passed" } else { "did NOT pass" };
        Line::of(format!("the worker's own verify {ended}"), verify.report)
    }));
    lines.extend(body.models.iter().map(|model| Line::plain(format!("model reported: {model}"))));
    let cost = body.usage.iter().filter_map(|usage| usage.cost_microusd);
    lines.extend(cost.map(|cost| Line::plain(format!("cost: {}", show::dollars(cost)))));
    lines.extend(body.log.iter().map(|log| {
        let cut = if log.truncated { ", truncated" } else { "" };
        Line::of(format!("log: {}{cut}", show::size(log.size_bytes)), log.digest)
    }));
    lines
}

fn more(lines: &mut Vec<Line>, all: usize, what: &str) {
    if all > NAMED_MAX {
        lines.push(Line::plain(format!("and {} more {what}", all - NAMED_MAX)));
    }
}

/// Something that went in or came out, and the digest of its bytes.
struct Line {
    text: String,
    digest: Option<Digest>,
}

impl Line {
    fn of(text: String, digest: Digest) -> Self {
        Self { text, digest: Some(digest) }
    }

    fn plain(text: String) -> Self {
        Self { text, digest: None }
    }

    fn write(&self, html: &mut Html) {
        html.open("li").inside(|html| {
            html.text(&self.text);
            if let Some(digest) = &self.digest {
                html.text(" ");
                html.open("code").class("digest").text(digest.to_string());
            }
        });
    }
}
