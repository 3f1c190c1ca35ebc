//! What a reader wants first: which run, how it ended, whether the evidence holds, and what that shows.

use agora_core::audit::bundle::RunBundle;
use agora_core::audit::verify::{Axis, Status};
use agora_core::record::{LogEntry, RunOpened};

use super::document::{Page, facts};
use super::graph::words;
use super::layers::states;
use super::safe::Html;
use super::{meaning, show};

/// Writes verdict, axes and facts.
pub(super) fn write(html: &mut Html, page: &Page<'_>) {
    html.open("header").inside(|html| {
        let name = page.report.run.as_ref().map_or("a bundle", |run| run.as_str());
        html.open("p").class("kicker").text("agora: a page about the evidence of a run");
        html.open("h1").inside(|html| {
            html.text(name);
            if page.of_run().is_some() {
                html.text(" ");
                let (text, class) = meaning::outcome(page.run.completed.map(|completed| completed.outcome));
                html.open("span").at("class", format_args!("pill {class}")).text(text);
            }
        });
        verdict(html, page);
        if page.of_run().is_some() {
            facts(html, "facts", of_run(page));
        }
        axes(html, page);
        facts(html, "facts bound", of_bundle(page));
    });
    html.end_line();
}

fn verdict(html: &mut Html, page: &Page<'_>) {
    let (word, class, says) = meaning::verdict(page.report.verdict);
    html.open("div").at("class", format_args!("verdict {class}")).inside(|html| {
        html.say("strong", word);
        html.text(" ");
        html.say("span", says);
        let failed: Vec<_> = page.report.checks.iter().filter(|row| row.status == Status::Fail).collect();
        if !failed.is_empty() {
            html.open("ul").inside(|html| {
                for row in failed.iter().take(5) {
                    html.open("li").inside(|html| {
                        html.say("code", row.code);
                        let place = row.r#where.iter().map(|place| format!(" {place}")).collect::<String>();
                        html.text(format!("{place}: {}", row.detail.as_deref().unwrap_or("it does not hold")));
                    });
                }
                if failed.len() > 5 {
                    html.say("li", format!("and {} more, below", failed.len() - 5));
                }
            });
        }
        if page.of_run().is_some_and(|bundle| bundle.log.sealed.is_none()) {
            html.say("p", "Open: the run is not sealed. This is how it stood; more may follow.");
        }
        if page.recheck.policy.is_none() {
            html.open("p").text(
                "Self-asserted: no trust policy was given, so signatures were checked with the keys that the bundle itself \
                 names. That can show that it is whole, never whose it is.",
            );
        }
        if page.unread > 0 {
            let text = format!("Entries that could not be read, and are missing below: {}.", page.unread);
            html.open("p").text(text);
        }
    });
    html.open("p").class("what").text("This page is a rendering. The bundle is the evidence: verify that, not this.");
}

fn axes(html: &mut Html, page: &Page<'_>) {
    let is_broken = page.report.axes.get(Axis::Integrity.as_str()).is_none_or(|value| *value == "broken");
    html.open("table").class("axes").inside(|html| {
        html.open("tr").inside(|html| {
            ["axis", "value", "what it means"].iter().for_each(|name| html.say("th", name));
        });
        for axis in Axis::ALL.map(Axis::as_str) {
            let Some(value) = page.report.axes.get(axis).copied() else { continue };
            html.open("tr").inside(|html| {
                html.say("th", axis);
                html.open("td").inside(|html| {
                    html.open("span").at("class", format_args!("pill {}", meaning::class(value))).text(value)
                });
                html.open("td").inside(|html| {
                    html.open("span").class("question").text(meaning::question(axis));
                    html.text(" ");
                    html.text(match (value, is_broken) {
                        ("none", true) => "Not told: the evidence is broken.",
                        (value, _) => meaning::answer(value),
                    });
                });
            });
            html.end_line();
        }
    });
}

fn of_run(page: &Page<'_>) -> Vec<(&'static str, String)> {
    let run = page.run;
    let mut facts = Vec::new();
    if let Some(first) = run.first {
        facts.push(("opened", format!("{} by {}", show::when(first.at), first.actor)));
    }
    if let Some(at) = page.of_run().and_then(sealed) {
        facts.push(("sealed", at));
    }
    let items = show::count(run.items.len() as u64, "item");
    facts.push(("items", format!("{items}: {}", words(&states(run, 0..run.items.len())))));
    facts.push(("attempts", run.attempts().count().to_string()));
    if let Some(completed) = run.completed.filter(|completed| completed.cost_microusd > 0) {
        facts.push(("cost, as reported", show::dollars(completed.cost_microusd)));
    }
    if let Some(opened) = run.opened {
        facts.push(("queue", opened.queue.to_string()));
        facts.push(("agora", opened.agora.to_string()));
    }
    facts.extend(page.of_run().map(|bundle| ("entries", bundle.entries.len().to_string())));
    facts.extend(page.report.origin.as_ref().map(|origin| ("log", origin.clone())));
    facts
}

fn sealed(bundle: &RunBundle) -> Option<String> {
    let entry = LogEntry::from_bytes(bundle.log.sealed.as_ref()?.entry.as_bytes()).ok()?;
    Some(format!("{}, entry {} of the log", show::when(entry.at), entry.seq))
}

/// What the run was bound to when it was opened.
fn bound(opened: &RunOpened) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("plan", opened.plan.to_string()),
        ("registry", format!("version {}, {}", opened.registry.version, opened.registry.digest)),
    ];
    if let Some(base) = &opened.base {
        let dirty = if base.dirty { ", with changes that were in no commit" } else { "" };
        let commit = base.commit.as_ref().map(|commit| format!(", commit {commit}")).unwrap_or_default();
        facts.push(("base", format!("workspace {}{commit}{dirty}, tree {}", base.workspace, base.tree)));
    }
    facts
}

/// What it is made of, and bound to.
fn of_bundle(page: &Page<'_>) -> Vec<(&'static str, String)> {
    let report = page.report;
    let mut facts = Vec::new();
    facts.extend(report.bundle.map(|digest| ("bundle", digest.to_string())));
    facts.extend(page.recheck.policy.map(|digest| ("trust policy", digest.to_string())));
    facts.extend(page.run.opened.into_iter().flat_map(bound));
    if !report.required.is_empty() {
        facts.push(("required", report.required.join(", ")));
    }
    facts
}
