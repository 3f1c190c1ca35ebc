//! The items: a table of all, and each with what it was given, what came of it and what a reviewer is to look at.

use agora_core::id::Digest;

use super::attempts;
use super::document::{self, Page, Section};
use super::isolation::Kinds;
use super::patch;
use super::run::{Item, Question, Run};
use super::safe::{Html, Place};
use super::show;
use super::texts::Text;

/// Items that are shown one by one: more than anybody reads, less than a browser stumbles over.
const SHOWN_MAX: usize = 2_000;
/// Items of a table that is seen at a glance.
const LONG: usize = 20;
/// Items that one item names as what it depends on.
const NAMED_MAX: usize = 50;
/// Items that are named before a long table.
const FIRST_MAX: usize = 100;

/// Which items are shown. Of very many, those that somebody has to look at come before those that are simply done.
pub(super) struct Shown {
    has: Vec<bool>,
    left_out: usize,
}

impl Shown {
    pub(super) fn of(run: &Run<'_>) -> Self {
        let mut has = vec![false; run.items.len()];
        let remarkable = |wanted: bool| move |(_, item): &(usize, &Item<'_>)| item.is_remarkable() == wanted;
        let items = || run.items.iter().enumerate();
        let first = items().filter(remarkable(true)).chain(items().filter(remarkable(false)));
        first.take(SHOWN_MAX).for_each(|(at, _)| has[at] = true);
        Self { has, left_out: run.items.len().saturating_sub(SHOWN_MAX) }
    }

    pub(super) fn has(&self, at: usize) -> bool {
        self.has.get(at).copied().unwrap_or(false)
    }
}

/// Writes the section.
pub(super) fn section(html: &mut Html, page: &Page<'_>, shown: &Shown, kinds: &Kinds<'_>) {
    let run = page.run;
    Section::new("items", "Items").inside(html, |html| {
        if shown.left_out > 0 {
            let text = format!(
                "{SHOWN_MAX} of {} are shown: first those that did not simply end as done, or have flags, questions or more \
                 than one attempt. The bundle has all.",
                run.items.len()
            );
            html.say("p", text);
        }
        first(html, run, shown);
        let items = || run.items.iter().enumerate().filter(|(at, _)| shown.has(*at));
        html.open("div").class("wide").inside(|html| {
            html.open("table").inside(|html| {
                html.open("tr").inside(|html| {
                    let names = ["item", "state", "attempts", "patch", "flags", "ran under"];
                    names.iter().for_each(|name| html.say("th", name));
                });
                items().for_each(|(at, item)| row(html, at, item, kinds));
            });
        });
        items().for_each(|(at, item)| whole(html, page, shown, (at, item), kinds));
    });
}

/// Of a long table, what is to be looked at first.
fn first(html: &mut Html, run: &Run<'_>, shown: &Shown) {
    let items = || run.items.iter().enumerate().filter(|(at, item)| shown.has(*at) && item.is_remarkable());
    if run.items.len() <= LONG || items().next().is_none() {
        return;
    }
    html.open("p").inside(|html| {
        html.text(
            "To look at first, as they did not simply end as done at the first attempt, or have flags or questions: ",
        );
        for (at, item) in items().take(FIRST_MAX) {
            html.open("a").to(Place("item", at)).text(item.added.id.as_str());
            html.text(format!(" {} ", item.state.sign()));
        }
        let more = items().count().saturating_sub(FIRST_MAX);
        html.text(if more > 0 { format!("and {more} more.") } else { String::new() });
    });
}

fn row(html: &mut Html, at: usize, item: &Item<'_>, kinds: &Kinds<'_>) {
    html.open("tr").inside(|html| {
        html.open("td").class("name").inside(|html| html.open("a").to(Place("item", at)).text(item.added.id.as_str()));
        html.open("td").inside(|html| state(html, item));
        html.open("td").class("number").text(item.attempts.len().to_string());
        let patch = item.accepted().and_then(|attempt| attempt.finished?.body.patch.as_ref());
        let files = patch.map(|patch| show::count(patch.files, "file")).unwrap_or_default();
        html.open("td").class("short").text(files);
        html.open("td").inside(|html| flags(html, &item.flags()));
        let started = item.accepted().or(item.attempts.last()).and_then(|attempt| attempt.started);
        html.open("td").inside(|html| {
            if let Some((started, _)) = started {
                kinds.link(html, &started.isolation);
            }
        });
    });
    html.end_line();
}

fn state(html: &mut Html, item: &Item<'_>) {
    let text = format!("{} {}", item.state.sign(), item.state.as_str());
    html.open("span").at("class", format_args!("pill {}", item.state.as_str())).text(text);
}

/// Kinds of flag, each marked: they are what a reviewer is to look at.
fn flags(html: &mut Html, flags: &[&str]) {
    for flag in flags {
        html.open("span").class("pill flag").text(format!("⚑ {flag}"));
        html.text(" ");
    }
}

fn whole(html: &mut Html, page: &Page<'_>, shown: &Shown, (at, item): (usize, &Item<'_>), kinds: &Kinds<'_>) {
    html.open("article").class("item").id(Place("item", at)).inside(|html| {
        html.open("h3").inside(|html| {
            html.text(item.added.id.as_str());
            html.text(" ");
            state(html, item);
        });
        depends_on(html, page.run, shown, item);
        facts(html, item);
        attempts::table(html, item, kinds);
        item.questions.iter().for_each(|question| asked(html, page, question));
        told(html, page, item);
        patch::write(html, page, item);
    });
    html.end_line();
}

fn depends_on(html: &mut Html, run: &Run<'_>, shown: &Shown, item: &Item<'_>) {
    if item.after.is_empty() {
        return;
    }
    html.open("p").inside(|html| {
        html.open("span").class("note").text("depends on ");
        for at in item.after.iter().take(NAMED_MAX) {
            let id = run.items[*at].added.id.as_str();
            match shown.has(*at) {
                true => html.open("a").to(Place("item", *at)).text(id),
                false => html.text(id),
            }
            html.text(" ");
        }
        if item.after.len() > NAMED_MAX {
            html.text(format!("and {} more", item.after.len() - NAMED_MAX));
        }
    });
}

fn facts(html: &mut Html, item: &Item<'_>) {
    let mut facts: Vec<(&str, String)> = Vec::new();
    facts.extend(item.why.as_ref().map(|why| ("why", format!("{why} (entry {})", item.seq))));
    facts.push(("executor", item.added.executor.to_string()));
    if !item.uses.is_empty() {
        let uses = item.uses.iter().map(|used| format!("{} {} ({})", used.kind, used.name, brief(&used.digest)));
        facts.push(("uses", uses.collect::<Vec<_>>().join(", ")));
    }
    let locks: Vec<&str> = item.added.locks.iter().map(agora_core::id::Enc::as_str).collect();
    if !locks.is_empty() {
        facts.push(("locks", locks.join(", ")));
    }
    if let Some(source) = item.source {
        facts.push(("added by", format!("{}, {source}", item.cause.as_str())));
    }
    document::facts(html, "facts", facts);
}

/// The first digits of a digest that the bundle has whole.
fn brief(digest: &Digest) -> String {
    let text = digest.to_string();
    format!("{}…", text.get(..19).unwrap_or_default())
}

fn asked(html: &mut Html, page: &Page<'_>, question: &Question<'_>) {
    let kind = question.asked.kind.as_str();
    quote(html, page, &format!("Question for {kind}, entry {}", question.seq), &question.asked.text);
    match question.answered {
        Some((body, entry)) => {
            let decision = body.decision.as_str();
            let title = format!("{decision} by {} at {}, entry {}", entry.actor, show::when(entry.at), entry.seq);
            match &body.answer {
                Some(answer) => quote(html, page, &title, answer),
                None => html.open("p").class("note").text(title),
            }
        }
        None => html.open("p").class("note").text("Not answered."),
    }
}

/// What the agent was told, at its last attempt.
fn told(html: &mut Html, page: &Page<'_>, item: &Item<'_>) {
    let last = item.accepted().or(item.attempts.last());
    if let Some((number, message)) = last.and_then(|last| Some((last.leased.attempt, last.leased.message.as_ref()?))) {
        quote(html, page, &format!("What the agent was told, attempt {number}"), message);
    }
}

fn quote(html: &mut Html, page: &Page<'_>, title: &str, digest: &Digest) {
    html.open("figure").inside(|html| {
        html.open("figcaption").inside(|html| {
            html.text(title);
            html.open("code").class("digest").text(digest.to_string());
        });
        match page.texts.of(digest) {
            Text::Found { head, bytes } => {
                html.open("pre").inside(|html| {
                    for (at, line) in head.strip_suffix(b"\n").unwrap_or(head).split(|byte| *byte == b'\n').enumerate()
                    {
                        if at > 0 {
                            html.end_line();
                        }
                        html.line(line);
                    }
                });
                left_out(html, head.len() as u64, *bytes);
            }
            other => absent(html, other),
        }
    });
}

/// Says how much of a text is not shown.
pub(super) fn left_out(html: &mut Html, shown: u64, bytes: u64) {
    if shown < bytes {
        let text = format!("Cut here: {} of {bytes} bytes are left out.", bytes - shown);
        html.open("p").class("note").text(text);
    }
}

/// Says why a text is not shown at all.
pub(super) fn absent(html: &mut Html, text: &Text) {
    let (class, says) = match text {
        Text::Found { .. } => return,
        Text::Gone => ("note", "Not shown: the bytes are not here. The digest stays what the entries say."),
        Text::Damaged => {
            ("note bad", "DAMAGED: the bytes that are here are not those of the digest, and are not shown.")
        }
        Text::Unread => ("note bad", "Not shown: the bytes could not be read."),
        Text::Full => ("note", "Not shown: the page has as many texts as it can take."),
    };
    html.open("p").class(class).text(says);
}
