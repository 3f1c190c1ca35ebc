//! The frame of the page: what a browser is told, the order of the sections, and the style sheet.

use agora_core::audit::bundle::{Bundle, RunBundle};
use agora_core::audit::verify::Report;
use agora_core::id::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::isolation::Kinds;
use super::items::Shown;
use super::run::Run;
use super::safe::Html;
use super::texts::Texts;
use super::{acts, checks, graph, head, isolation, items, timeline, unchecked};

/// The look. No file beside the page, so that it can be mailed and kept.
const STYLE: &str = include_str!("style.css");

/// All that a page is made of.
pub(crate) struct Page<'a> {
    /// The verdict on the bundle.
    pub(crate) report: &'a Report,
    /// The bundle, where it could be read.
    pub(crate) bundle: Option<&'a Bundle>,
    /// What its entries tell.
    pub(crate) run: &'a Run<'a>,
    /// How many of its entries could not be read.
    pub(crate) unread: usize,
    /// The bytes behind digests.
    pub(crate) texts: &'a Texts,
    /// How to have it all again.
    pub(crate) recheck: &'a Recheck,
}

/// What the page was made with: how to make the same bundle, and how to have a patch whole.
pub(crate) struct Recheck {
    /// The digest of the trust policy that was given.
    pub(crate) policy: Option<Digest>,
    /// The command that writes the bundle; absent where the page was made of a file.
    pub(crate) export: Option<String>,
}

/// A section.
pub(super) struct Section {
    id: &'static str,
    title: &'static str,
}

impl Section {
    pub(super) fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title }
    }

    pub(super) fn inside(&self, html: &mut Html, fill: impl FnOnce(&mut Html)) {
        html.open("section").at("id", self.id).inside(|html| {
            html.say("h2", self.title);
            fill(html);
        });
        html.end_line();
    }
}

/// Names and what they are, as many side by side as there is room for.
pub(super) fn facts(html: &mut Html, class: &'static str, facts: Vec<(&str, String)>) {
    html.open("dl").class(class).inside(|html| {
        for (name, value) in facts {
            html.open("div").inside(|html| {
                html.say("dt", name);
                html.say("dd", value);
            });
        }
    });
}

impl<'a> Page<'a> {
    /// The bundle of a run.
    pub(super) fn of_run(&self) -> Option<&'a RunBundle> {
        match self.bundle? {
            Bundle::Run(bundle) => Some(bundle),
            Bundle::Log(_) => None,
        }
    }

    /// Writes the page.
    pub(crate) fn write(&self) -> String {
        let mut html = Html::default();
        html.doctype();
        html.open("html").at("lang", "en").inside(|html| {
            html.open("head").inside(|html| self.told(html));
            html.open("body").inside(|html| self.body(html));
        });
        html.end_line();
        html.into_string()
    }

    /// What a browser is told: to load nothing, run nothing and send nothing, whatever a mistake of this program let through.
    fn told(&self, html: &mut Html) {
        html.open("meta").at("charset", "utf-8").void();
        let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
        let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
        html.open("meta").at("http-equiv", "Content-Security-Policy").at("content", policy).void();
        html.open("meta").at("name", "referrer").at("content", "no-referrer").void();
        html.open("meta").at("name", "viewport").at("content", "width=device-width, initial-scale=1").void();
        html.open("meta").at("name", "color-scheme").at("content", "light dark").void();
        let name = self.report.run.as_ref().map_or_else(|| "a bundle".to_owned(), |run| format!("run {run}"));
        html.say("title", format!("{name}: {}", self.report.verdict.as_str()));
        html.end_line();
        html.style(STYLE);
    }

    fn body(&self, html: &mut Html) {
        let has_run = self.of_run().is_some();
        head::write(html, self);
        html.open("nav").inside(|html| {
            let of_run = ["graph", "timeline", "items", "decisions", "isolation"];
            for id in of_run.into_iter().filter(|_| has_run).chain(["checks", "not-checked"]) {
                html.open("a").at("href", format_args!("#{id}")).text(id.replace('-', " "));
                html.text(" ");
            }
        });
        html.open("main").inside(|html| {
            if has_run {
                let kinds = Kinds::of(self.run);
                let shown = Shown::of(self.run);
                graph::section(html, self.run);
                timeline::section(html, self.run);
                items::section(html, self, &shown, &kinds);
                acts::section(html, self.run);
                isolation::section(html, self.run, &kinds);
            }
            checks::section(html, self.report);
            unchecked::section(html, self);
        });
    }
}
