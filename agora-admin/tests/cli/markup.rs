//! Reads the pages that agora writes, and nothing else: it takes only the elements and attributes that a page has a use for,
//! quoted and nested as they should be, and only the five escapes. What it refuses, a browser might take for something else.
#![expect(clippy::expect_used, reason = "a page that cannot be read fails the test, with what was expected")]

/// An element, in the order of their beginnings.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    /// All text in it.
    pub(crate) text: String,
}

impl Node {
    /// The value of an attribute.
    pub(crate) fn of(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Its classes, and the empty one that everything has.
    pub(crate) fn classes(&self) -> impl Iterator<Item = &str> {
        self.of("class").unwrap_or_default().split(' ').chain([""])
    }
}

const VOID: &[&str] = &["meta"];
const NAMES: &[&str] = &[
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "nav",
    "main",
    "section",
    "article",
    "figure",
    "figcaption",
    "div",
    "span",
    "p",
    "b",
    "strong",
    "code",
    "pre",
    "a",
    "h1",
    "h2",
    "h3",
    "ul",
    "ol",
    "li",
    "dl",
    "dt",
    "dd",
    "table",
    "tr",
    "th",
    "td",
    "svg",
    "g",
    "path",
    "rect",
    "line",
    "text",
];
const ATTRIBUTES: &[&str] = &[
    "lang",
    "charset",
    "http-equiv",
    "content",
    "name",
    "id",
    "class",
    "href",
    "role",
    "aria-label",
    "viewBox",
    "width",
    "height",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "rx",
    "d",
    "text-anchor",
];

/// Reads a page.
#[track_caller]
pub(crate) fn read(page: &str) -> Vec<Node> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").expect("a doctype");
    let (mut nodes, mut open): (Vec<Node>, Vec<usize>) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let at = rest.find('<').unwrap_or(rest.len());
        let is_style = open.last().is_some_and(|at| nodes[*at].name == "style");
        let text = if is_style { String::new() } else { unescape(&rest[..at]) };
        open.iter().for_each(|at| nodes[*at].text.push_str(&text));
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("</") {
            let (name, after) = after.split_once('>').expect("an end tag that ends");
            let at = open.pop().expect("an end tag of something");
            assert_eq!(nodes[at].name, name, "nested as it should be");
            rest = after;
        } else if let Some(after) = rest.strip_prefix('<') {
            let (node, after) = element(after);
            if !VOID.contains(&node.name.as_str()) {
                open.push(nodes.len());
            }
            nodes.push(node);
            rest = after;
        }
    }
    assert!(open.is_empty(), "everything ends");
    nodes
}

#[track_caller]
fn element(text: &str) -> (Node, &str) {
    let end = text.find([' ', '>']).expect("a start tag that ends");
    let (name, mut rest) = text.split_at(end);
    assert!(NAMES.contains(&name), "<{name}>");
    let mut attributes = Vec::new();
    while let Some(after) = rest.strip_prefix(' ') {
        let (name, after) = after.split_once("=\"").expect("a quoted value");
        let (value, after) = after.split_once('"').expect("a value that ends");
        assert!(ATTRIBUTES.contains(&name), "{name}=");
        assert!(name != "href" || value.starts_with('#'), "a link to {value}");
        attributes.push((name.to_owned(), unescape(value)));
        rest = after;
    }
    let rest = rest.strip_prefix('>').expect("a start tag that ends");
    (Node { name: name.to_owned(), attributes, text: String::new() }, rest)
}

#[track_caller]
fn unescape(text: &str) -> String {
    let visible = |c: char| c == '\n' || c == '\t' || !c.is_control();
    assert!(text.chars().all(|c| visible(c) && !matches!(c, '<' | '>' | '"' | '\'')), "unescaped: {text:?}");
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, after) = part.split_once(';').expect("an escape that ends");
        out.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "#39" => '\'',
            _ => panic!("&{name};"),
        });
        out.push_str(after);
    }
    out
}
