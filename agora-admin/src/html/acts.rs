//! Who decided what: every entry that somebody else than the engine wrote, and how it was known who that was.

use agora_core::record::{Entry, Record};

use super::document::Section;
use super::run::Run;
use super::safe::Html;
use super::show;

/// Acts that are shown: a run of very many is one that a program drives.
const SHOWN_MAX: usize = 500;

/// Writes the section.
pub(super) fn section(html: &mut Html, run: &Run<'_>) {
    Section::new("decisions", "Decisions").inside(html, |html| {
        html.say("p", "What people, agents, schedules and patterns did; all else the engine decided by its rules.");
        html.open("div").class("wide").inside(|html| {
            html.open("table").inside(|html| {
                html.open("tr").inside(|html| {
                    let names = ["entry", "when", "who", "known by", "what"];
                    names.iter().for_each(|name| html.say("th", name));
                });
                run.acts.iter().take(SHOWN_MAX).for_each(|entry| row(html, entry));
            });
        });
        if run.acts.len() > SHOWN_MAX {
            html.open("p").class("note").text(format!("And {} more, in the bundle.", run.acts.len() - SHOWN_MAX));
        }
    });
}

fn row(html: &mut Html, entry: &Entry) {
    html.open("tr").inside(|html| {
        html.open("td").class("number").text(entry.seq.to_string());
        html.say("td", show::when(entry.at));
        html.say("td", entry.actor.as_str());
        let auth = entry.auth.as_ref().map(|auth| format!("{}, rule {}", auth.how, auth.rule));
        html.say("td", auth.unwrap_or_else(|| "not recorded".to_owned()));
        html.say("td", what(&entry.record));
    });
    html.end_line();
}

fn what(record: &Record) -> String {
    let kind = record.kind();
    match record {
        Record::ItemsAdded(body) => format!("{kind}: {}", show::count(body.items.len() as u64, "item")),
        Record::QuestionAnswered(body) => format!("{kind}: {}, asked in entry {}", body.decision.as_str(), body.asked),
        Record::HoldSet { mode, reason, .. } => format!("{kind}: {}, {reason}", mode.as_str()),
        Record::HoldReleased { hold } => format!("{kind}: that of entry {hold}"),
        Record::CancelRequested(body) => {
            let item = body.item.iter().map(|item| format!(" {item}")).collect::<String>();
            format!("{kind}: {}{item}, via {}, {}", body.scope.as_str(), body.via.as_str(), body.reason)
        }
        Record::PatternFailed { pattern, reason } => format!("{kind}: {pattern}, {reason}"),
        other => match other.item() {
            Some(item) => format!("{kind}: {item}"),
            None => kind.to_owned(),
        },
    }
}
