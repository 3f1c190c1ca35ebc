//! What the verifier judged: what failed first, then what it could not judge, then what holds.

use agora_core::audit::verify::{CheckRow, Report, Status};

use super::document::Section;
use super::safe::Html;
use super::show;

/// Writes the section.
pub(super) fn section(html: &mut Html, report: &Report) {
    Section::new("checks", "Checks").inside(html, |html| {
        let of = |status: Status| report.checks.iter().filter(move |row| row.status == status).collect::<Vec<_>>();
        for (status, title) in [(Status::Fail, "Failed"), (Status::Unchecked, "Could not be checked")] {
            let rows = of(status);
            if !rows.is_empty() {
                html.say("h3", title);
                table(html, &rows);
            }
        }
        let passed = of(Status::Pass);
        html.say("h3", format!("Hold: {}", show::count(passed.len() as u64, "check")));
        if !passed.is_empty() {
            html.open("ul").class("held").inside(|html| passed.iter().for_each(|row| held(html, row)));
        }
        let nothing: Vec<&str> = of(Status::None).iter().map(|row| row.code).collect();
        if !nothing.is_empty() {
            html.say("h3", "Had nothing to judge");
            html.open("p").class("codes").text(nothing.join(", "));
        }
        if !report.notes.is_empty() {
            html.say("h3", "Notes");
            html.open("ul").inside(|html| report.notes.iter().for_each(|note| html.say("li", note)));
        }
    });
}

fn held(html: &mut Html, row: &CheckRow) {
    html.open("li").inside(|html| {
        html.open("span").class("pill good").text("ok");
        html.text(" ");
        html.say("code", row.code);
        if let Some(detail) = &row.detail {
            html.open("span").class("note").text(format!(" {detail}"));
        }
    });
    html.end_line();
}

fn table(html: &mut Html, rows: &[&CheckRow]) {
    html.open("div").class("wide").inside(|html| {
        html.open("table").class("checks").inside(|html| {
            for row in rows {
                let (word, class) = match row.status {
                    Status::Fail => ("FAILED", "bad"),
                    Status::Unchecked => ("unchecked", "warn"),
                    Status::Pass | Status::None => (row.status.as_str(), "plain"),
                };
                html.open("tr").inside(|html| {
                    html.open("td")
                        .inside(|html| html.open("span").at("class", format_args!("pill {class}")).text(word));
                    html.open("td").inside(|html| html.say("code", row.code));
                    html.say("td", row.r#where.as_deref().unwrap_or_default());
                    html.say("td", row.detail.as_deref().unwrap_or_default());
                });
                html.end_line();
            }
        });
    });
}
