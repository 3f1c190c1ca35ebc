//! The one way into a page. Names of elements and attributes are fixed text of this program; everything else comes in through
//! [`Html::text`] or as the value of an attribute, and is escaped there. There is no way to put markup in as text.

use std::fmt::{Display, Write as _};

use super::visible::{Piece, escape, pieces};

/// Markup in the making.
#[derive(Debug, Default)]
pub(super) struct Html {
    out: String,
}

/// Something that can be pointed at: numbered by position, so that no name of anybody's is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(pub(super) &'static str, pub(super) usize);

impl Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.0, self.1)
    }
}

/// An element whose start tag is not ended yet.
#[must_use = "an element has to be ended: `inside`, `text` or `void`"]
pub(super) struct Element<'a> {
    html: &'a mut Html,
    name: &'static str,
}

impl Html {
    /// The page so far.
    pub(super) fn into_string(self) -> String {
        self.out
    }

    /// The declaration that a document begins with.
    pub(super) fn doctype(&mut self) {
        self.out.push_str("<!DOCTYPE html>\n");
    }

    /// The style sheet of this program, as it is: a browser unescapes nothing in it.
    pub(super) fn style(&mut self, sheet: &'static str) {
        self.out.push_str("<style>");
        self.out.push_str(sheet);
        self.out.push_str("</style>\n");
    }

    /// Begins an element.
    pub(super) fn open(&mut self, name: &'static str) -> Element<'_> {
        self.out.push('<');
        self.out.push_str(name);
        Element { html: self, name }
    }

    /// An element with nothing but a text.
    pub(super) fn say(&mut self, name: &'static str, text: impl AsRef<[u8]>) {
        self.open(name).text(text);
    }

    /// Text of anybody's. What is hidden in it stands in an element of its own, so that it is not taken for what it stands for.
    pub(super) fn text(&mut self, text: impl AsRef<[u8]>) {
        self.put(text.as_ref(), false);
    }

    /// A line of a text whose white space is kept.
    pub(super) fn line(&mut self, line: &[u8]) {
        self.put(line, true);
    }

    /// Ends a line of the markup, for whoever reads it.
    pub(super) fn end_line(&mut self) {
        self.out.push('\n');
    }

    fn put(&mut self, bytes: &[u8], keeps_tabs: bool) {
        let mut hides = false;
        for piece in pieces(bytes) {
            let piece = if keeps_tabs && piece == Piece::Hidden('\t') { Piece::Plain('\t') } else { piece };
            let plain = matches!(piece, Piece::Plain(_));
            if hides && plain {
                self.out.push_str("</b>");
            } else if !hides && !plain {
                self.out.push_str("<b class=\"esc\">");
            }
            hides = !plain;
            match piece {
                Piece::Plain(c) => self.plain(c),
                Piece::Hidden(_) | Piece::Byte(_) => escape(piece, &mut self.out),
            }
        }
        if hides {
            self.out.push_str("</b>");
        }
    }

    fn plain(&mut self, c: char) {
        match c {
            '<' => self.out.push_str("&lt;"),
            '>' => self.out.push_str("&gt;"),
            '&' => self.out.push_str("&amp;"),
            '"' => self.out.push_str("&quot;"),
            '\'' => self.out.push_str("&#39;"),
            c => self.out.push(c),
        }
    }

    fn value(&mut self, text: &str) {
        for piece in pieces(text.as_bytes()) {
            match piece {
                Piece::Plain(c) => self.plain(c),
                Piece::Hidden(_) | Piece::Byte(_) => escape(piece, &mut self.out),
            }
        }
    }
}

impl Element<'_> {
    /// Gives it an attribute.
    pub(super) fn at(self, name: &'static str, value: impl Display) -> Self {
        let mut text = String::new();
        // Writing to a text fails where the value's own Display does, and then there is nothing to show.
        let _written = write!(text, "{value}");
        self.html.out.push(' ');
        self.html.out.push_str(name);
        self.html.out.push_str("=\"");
        self.html.value(&text);
        self.html.out.push('"');
        self
    }

    /// Gives it a class.
    pub(super) fn class(self, class: &'static str) -> Self {
        self.at("class", class)
    }

    /// Makes it a place of the page.
    pub(super) fn id(self, place: Place) -> Self {
        self.at("id", place)
    }

    /// Lets it lead to a place of the page, which is all that anything leads to.
    pub(super) fn to(self, place: Place) -> Self {
        self.at("href", format_args!("#{place}"))
    }

    /// Fills and ends it.
    pub(super) fn inside(self, fill: impl FnOnce(&mut Html)) {
        self.html.out.push('>');
        fill(self.html);
        self.html.out.push_str("</");
        self.html.out.push_str(self.name);
        self.html.out.push('>');
    }

    /// Ends it with a text in it.
    pub(super) fn text(self, text: impl AsRef<[u8]>) {
        self.inside(|html| html.text(text));
    }

    /// Ends it where HTML knows no end tag.
    pub(super) fn void(self) {
        self.html.out.push_str(">\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(write: impl FnOnce(&mut Html)) -> String {
        let mut html = Html::default();
        write(&mut html);
        html.into_string()
    }

    #[test]
    fn text_stays_text_and_a_value_stays_a_value() {
        let attack = "\"'><script>x</script>&amp;";
        assert_eq!(
            page(|html| html.open("p").at("title", attack).text(attack)),
            "<p title=\"&quot;&#39;&gt;&lt;script&gt;x&lt;/script&gt;&amp;amp;\">\
             &quot;&#39;&gt;&lt;script&gt;x&lt;/script&gt;&amp;amp;</p>"
        );
        assert_eq!(page(|html| html.say("p", "plain — text")), "<p>plain — text</p>");
    }

    #[test]
    fn what_hides_stands_in_an_element_of_its_own() {
        assert_eq!(
            page(|html| html.text("a\u{202e}\0b\t")),
            r#"a<b class="esc">\u{202e}\u{0}</b>b<b class="esc">\t</b>"#
        );
        assert_eq!(page(|html| html.line(b"a\tb\xff")), "a\tb<b class=\"esc\">\\xff</b>");
        assert_eq!(page(|html| html.open("i").at("title", "a\u{202e}\n").text("")), "<i title=\"a\\u{202e}\\n\"></i>");
    }

    #[test]
    fn links_lead_to_places_of_the_page() {
        assert_eq!(page(|html| html.open("a").to(Place("item", 3)).text("x")), "<a href=\"#item3\">x</a>");
    }
}
