//! The graph, drawn: every item and what it depends on, or, where that would be a thicket, the layers and how many of what
//! stand in each.

use super::document::Section;
use super::layers::{Layers, states};
use super::run::{Item, Run, State};
use super::safe::{Html, Place};
use super::show;

/// Items that are drawn one by one: about what fits on a printed page.
const DRAWN_MAX: usize = 60;
/// Rows of the drawing by layers; of more, neighbours share one.
const ROWS_MAX: usize = 40;
/// The size of an item and the room around it.
const BOX: (usize, usize) = (168, 36);
const GAP: (usize, usize) = (56, 8);
/// The same from top to bottom, where edges need the room below.
const GAP_DOWN: (usize, usize) = (14, 36);
const MARGIN: usize = 4;
/// Characters of an id that fit into a box.
const NAME_CHARS: usize = 22;

/// Writes the section.
pub(super) fn section(html: &mut Html, run: &Run<'_>) {
    Section::new("graph", "Graph").inside(html, |html| {
        if run.items.is_empty() {
            return html.say("p", "No item was added.");
        }
        let layers = Layers::of(run);
        if run.items.len() <= DRAWN_MAX {
            html.open("div").class("wide").inside(|html| Drawing::new(run, &layers).draw(html));
        } else {
            let (items, depth) = (run.items.len() as u64, layers.rows.len() as u64);
            let text = format!(
                "{} are too many to draw one by one. Each row below is a layer: an item stands one behind the last of those \
                 that it depends on. There are {}.",
                show::count(items, "item"),
                show::count(depth, "layer")
            );
            html.say("p", text);
            by_layer(html, run, &layers);
        }
        legend(html, run);
    });
}

struct Drawing<'a> {
    run: &'a Run<'a>,
    layers: &'a Layers,
    /// Whether layers follow each other from top to bottom: better where there are more of them than items side by side.
    down: bool,
    gap: (usize, usize),
}

impl<'a> Drawing<'a> {
    fn new(run: &'a Run<'a>, layers: &'a Layers) -> Self {
        let down = layers.rows.len() > 7 && layers.rows.len() > layers.widest();
        Self { run, layers, down, gap: if down { GAP_DOWN } else { GAP } }
    }

    fn draw(&self, html: &mut Html) {
        let (columns, rows) = match self.down {
            false => (self.layers.rows.len(), self.layers.widest()),
            true => (self.layers.widest(), self.layers.rows.len()),
        };
        let width = columns * (BOX.0 + self.gap.0) - self.gap.0 + 2 * MARGIN;
        let height = rows * (BOX.1 + self.gap.1) - self.gap.1 + 2 * MARGIN;
        let items = show::count(self.run.items.len() as u64, "item");
        let svg = html.open("svg").class("graph").at("role", "img").at("aria-label", format!("graph of {items}"));
        svg.at("viewBox", format!("0 0 {width} {height}")).at("width", width).at("height", height).inside(|html| {
            for (at, item) in self.run.items.iter().enumerate() {
                item.after.iter().for_each(|from| self.edge(html, *from, at));
            }
            for (at, item) in self.run.items.iter().enumerate() {
                html.end_line();
                self.item(html, at, item);
            }
        });
    }

    /// The upper left corner of an item. Layers with fewer items stand in the middle.
    fn corner(&self, at: usize) -> (usize, usize) {
        let (layer, place) = self.layers.places[at];
        let missing = self.layers.widest() - self.layers.rows[layer].len();
        let (along, across) = if self.down { (1, 0) } else { (0, 1) };
        let step = [BOX.0 + self.gap.0, BOX.1 + self.gap.1];
        let mut corner = [MARGIN, MARGIN];
        corner[along] += layer * step[along];
        corner[across] += place * step[across] + missing * step[across] / 2;
        (corner[0], corner[1])
    }

    fn edge(&self, html: &mut Html, from: usize, to: usize) {
        let ((ax, ay), (bx, by)) = (self.corner(from), self.corner(to));
        let path = match self.down {
            false => {
                let (ax, ay, by) = (ax + BOX.0, ay + BOX.1 / 2, by + BOX.1 / 2);
                let half = self.gap.0 / 2;
                format!("M{ax} {ay}C{} {ay} {} {by} {bx} {by}", ax + half, bx - half)
            }
            true => {
                let (ax, ay, bx) = (ax + BOX.0 / 2, ay + BOX.1, bx + BOX.0 / 2);
                let half = self.gap.1 / 2;
                format!("M{ax} {ay}C{ax} {} {bx} {} {bx} {by}", ay + half, by - half)
            }
        };
        html.open("path").class("edge").at("d", path).text("");
    }

    fn item(&self, html: &mut Html, at: usize, item: &Item<'_>) {
        let (x, y) = self.corner(at);
        html.open("a").to(Place("item", at)).inside(|html| {
            let id = item.added.id.as_str();
            html.say("title", format!("{id}: {}", item.state.as_str()));
            let frame = html.open("rect").at("class", format_args!("node {}", item.state.as_str()));
            frame.at("x", x).at("y", y).at("width", BOX.0).at("height", BOX.1).at("rx", 5).text("");
            html.open("text").class("name").at("x", x + 8).at("y", y + 15).text(show::short(id, NAME_CHARS));
            let attempts = item.attempts.len() as u64;
            let more = if attempts > 1 { format!(", {}", show::count(attempts, "attempt")) } else { String::new() };
            let flagged = if item.flags().is_empty() { "" } else { ", flags" };
            let text = format!("{} {}{more}{flagged}", item.state.sign(), item.state.as_str());
            html.open("text").class("small").at("x", x + 8).at("y", y + 30).text(text);
        });
    }
}

/// A bar for each layer, cut by state.
fn by_layer(html: &mut Html, run: &Run<'_>, layers: &Layers) {
    let share = layers.rows.len().div_ceil(ROWS_MAX);
    let rows: Vec<Vec<usize>> = layers.rows.chunks(share).map(<[Vec<usize>]>::concat).collect();
    let most = rows.iter().map(Vec::len).max().unwrap_or(1);
    html.open("table").class("layers").inside(|html| {
        html.open("tr").inside(|html| ["layer", "items", "", "states"].iter().for_each(|name| html.say("th", name)));
        for (at, row) in rows.iter().enumerate() {
            let (first, last) = (at * share + 1, layers.rows.len().min((at + 1) * share));
            html.open("tr").inside(|html| {
                html.say("td", if first == last { first.to_string() } else { format!("{first}–{last}") });
                html.open("td").class("number").text(row.len().to_string());
                let states = states(run, row.iter().copied());
                html.open("td").class("bar").inside(|html| bar(html, &states, most));
                html.say("td", words(&states));
            });
            html.end_line();
        }
    });
}

fn bar(html: &mut Html, states: &[(State, usize)], most: usize) {
    let svg = html.open("svg").class("layer").at("role", "presentation").at("viewBox", "0 0 400 14");
    svg.at("width", 400).at("height", 14).inside(|html| {
        let mut x = 0;
        for (state, count) in states {
            // A single one among thousands is still seen.
            let width = (count * 400 / most).max(2);
            let part = html.open("rect").at("class", format_args!("node {}", state.as_str()));
            part.at("x", x).at("y", 1).at("width", width).at("height", 12).text("");
            x += width;
        }
    });
}

/// Counts of states, in words.
pub(super) fn words(states: &[(State, usize)]) -> String {
    let parts = states.iter().map(|(state, count)| format!("{} {count} {}", state.sign(), state.as_str()));
    parts.collect::<Vec<_>>().join(", ")
}

fn legend(html: &mut Html, run: &Run<'_>) {
    let all = states(run, 0..run.items.len());
    html.open("p").class("legend").text(format!("In all: {}.", words(&all)));
}
