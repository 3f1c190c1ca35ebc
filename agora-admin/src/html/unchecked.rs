//! What this page and the verdict on it do not show, and how to see more.

use agora_core::audit::verify::{Axis, Status};

use super::document::{Page, Section};
use super::safe::Html;

/// Writes the section.
pub(super) fn section(html: &mut Html, page: &Page<'_>) {
    Section::new("not-checked", "What was not checked, and how to check it").inside(html, |html| {
        html.open("ul").inside(|html| open_ends(page).iter().for_each(|line| html.say("li", line)));
        html.say("h3", "How to check it yourself");
        html.open("ol").inside(|html| steps(html, page));
        html.say("h3", "What no bundle shows");
        html.open("ul").inside(|html| page.report.not_shown.iter().for_each(|line| html.say("li", line)));
    });
}

fn open_ends(page: &Page<'_>) -> Vec<String> {
    let value = |axis: Axis| page.report.axes.get(axis.as_str()).copied().unwrap_or_default();
    let mut lines = vec![
        "This page itself: nothing signs it, and whoever made it could have written anything. What it shows counts \
         as far as the bundle with its digest verifies where you are."
            .to_owned(),
    ];
    let rows = page.report.checks.iter().filter(|row| row.status == Status::Unchecked);
    lines
        .extend(rows.map(|row| format!("{}: {}", row.code, row.detail.as_deref().unwrap_or("it could not be judged"))));
    if value(Axis::Authenticity) != "key-pinned" {
        lines.push(
            "Whose keys these are: that takes a trust policy that you have by another way than the bundle.".to_owned(),
        );
    }
    if value(Axis::Tamper) != "tamper-evident" {
        lines.push("That the holder of the keys did not write it all anew: that takes a copy of a checkpoint where they cannot \
             change it."
            .to_owned());
    }
    if !matches!(value(Axis::Completeness), "whole-log" | "all-sealed") {
        lines.push("That no other run is missing: that takes the whole log, --log.".to_owned());
    }
    lines.push("Outputs, logs and reports: their digests and sizes are here, their bytes are not.".to_owned());
    lines
}

fn steps(html: &mut Html, page: &Page<'_>) {
    let command = |html: &mut Html, what: &str, command: &str| {
        html.open("li").inside(|html| {
            html.text(what);
            html.open("pre").class("command").text(command);
        });
    };
    match &page.recheck.export {
        Some(export) => {
            command(html, "Whoever has the home writes the bundle; of a sealed run always the same bytes:", export)
        }
        None => html.say("li", "Take the bundle that this page was made of."),
    }
    if let Some(digest) = page.report.bundle {
        let text = format!("sha256sum bundle.json    # {}", digest.hex());
        command(html, "See that it is the one that this page was made of:", &text);
    }
    let verify = "agora-verify bundle.json --policy trust.toml --require key-pinned --require whole-run";
    command(html, "Verify it, with a trust policy of your own; VERIFY.md says how, and what the answer means:", verify);
    let text = "agora-admin verify bundle.json --policy trust.toml --html page.html";
    command(html, "Make this page again from the bundle; with audit --artifacts it has the texts, too:", text);
}
