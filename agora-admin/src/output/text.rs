//! Text for people. Every cell is cleaned when it is made, so nothing that a worker, a plan or a path says can act on a
//! terminal (I16); colour is added after that.

use agora_core::text::{SHOWN_BYTES_DEFAULT, Untrusted};

/// The longest cell in characters: names and one-line messages are shorter.
const CELL_CHARS_MAX: usize = 1_000;
/// What stands before each line of text that a worker or agent wrote.
const QUOTE: &str = "  │ ";

/// How a cell looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Style {
    /// As it is.
    #[default]
    Plain,
    /// A heading.
    Bold,
    /// Beside the point.
    Dim,
    /// Good news.
    Good,
    /// Worth a look.
    Warn,
    /// Bad news.
    Bad,
}

impl Style {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Good => Some("32"),
            Self::Warn => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

/// A piece of one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Makes one of any text, cleaned, on one line.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: Untrusted::from(text.as_ref()).one_line(CELL_CHARS_MAX), style: Style::Plain }
    }

    /// The same with a look.
    pub(crate) fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn cut(&mut self, width: usize) {
        if self.width() > width {
            self.text = Untrusted::from(self.text.as_str()).one_line(width);
        }
    }

    fn write(&self, out: &mut String, colour: bool) {
        match self.style.code().filter(|_| colour && !self.text.is_empty()) {
            Some(code) => {
                out.push_str("\u{1b}[");
                out.push_str(code);
                out.push('m');
                out.push_str(&self.text);
                out.push_str("\u{1b}[0m");
            }
            None => out.push_str(&self.text),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

/// One line: cells with a space between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line {
    indent: usize,
    cells: Vec<Cell>,
}

impl Line {
    /// Makes a line that starts with this.
    pub(crate) fn of(cell: impl Into<Cell>) -> Self {
        Self { indent: 0, cells: vec![cell.into()] }
    }

    /// Adds a cell after a space.
    pub(crate) fn and(mut self, cell: impl Into<Cell>) -> Self {
        self.cells.push(cell.into());
        self
    }

    /// Adds a cell with a look.
    pub(crate) fn and_style(self, style: Style, cell: impl Into<Cell>) -> Self {
        self.and(cell.into().style(style))
    }

    /// Starts so many spaces further right.
    pub(crate) fn indent(mut self, spaces: usize) -> Self {
        self.indent = spaces;
        self
    }

    /// The line as text.
    pub(crate) fn render(&self, colour: bool) -> String {
        let mut out = " ".repeat(self.indent);
        for (at, cell) in self.cells.iter().filter(|cell| !cell.text.is_empty()).enumerate() {
            if at > 0 {
                out.push(' ');
            }
            cell.write(&mut out, colour);
        }
        out
    }
}

enum Block {
    Line(Line),
    Table(Vec<Vec<Cell>>),
}

/// What a verb answers people with.
#[derive(Default)]
pub(crate) struct Page {
    blocks: Vec<Block>,
}

impl Page {
    /// Adds a line.
    pub(crate) fn line(&mut self, line: impl Into<Line>) {
        self.blocks.push(Block::Line(line.into()));
    }

    /// Adds an empty line.
    pub(crate) fn blank(&mut self) {
        self.line(Line::default());
    }

    /// Adds a heading.
    pub(crate) fn heading(&mut self, text: impl Into<Cell>) {
        self.line(Line::of(text.into().style(Style::Bold)));
    }

    /// Adds rows below a heading each; the columns are aligned, the last one takes what is left.
    pub(crate) fn table(&mut self, heads: &[&str], rows: Vec<Vec<Cell>>) {
        let heads = heads.iter().map(|head| Cell::new(head).style(Style::Dim)).collect();
        self.blocks.push(Block::Table(std::iter::once(heads).chain(rows).collect()));
    }

    /// Adds names with their values, aligned.
    pub(crate) fn facts<'a>(&mut self, facts: impl IntoIterator<Item = (&'a str, Cell)>) {
        let rows = facts.into_iter().map(|(name, value)| vec![Cell::new(name).style(Style::Dim), value]);
        self.blocks.push(Block::Table(rows.collect()));
    }

    /// Adds text that others wrote, each line behind a bar, so that nobody takes it for agora's own.
    pub(crate) fn quote(&mut self, text: &str) {
        for line in Untrusted::from(text).shown(SHOWN_BYTES_DEFAULT).text.lines() {
            // Spaces are part of such text, and a cell has none to lose here: the cleaning was done above.
            let cell = Cell { text: format!("{QUOTE}{line}"), style: Style::Plain };
            self.line(Line { indent: 0, cells: vec![cell] });
        }
    }

    /// Adds the next step.
    pub(crate) fn next(&mut self, command: impl Into<Cell>) {
        self.line(Line::of(Cell::new("next:").style(Style::Dim)).and(command));
    }

    /// All of it as text. With a width, lines of tables are cut to it.
    pub(crate) fn render(&self, colour: bool, width: Option<usize>) -> String {
        let mut out = String::new();
        for block in &self.blocks {
            match block {
                Block::Line(line) => {
                    out.push_str(&line.render(colour));
                    out.push('\n');
                }
                Block::Table(rows) => write_table(&mut out, rows, colour, width),
            }
        }
        out
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::of(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::of(text)
    }
}

fn write_table(out: &mut String, rows: &[Vec<Cell>], colour: bool, width: Option<usize>) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> =
        (0..columns).map(|at| rows.iter().filter_map(|row| row.get(at)).map(Cell::width).max().unwrap_or(0)).collect();
    for row in rows {
        let mut used = 0;
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let last = at + 1 == row.len();
            let mut cell = cell.clone();
            if let (true, Some(width)) = (last, width) {
                cell.cut(width.saturating_sub(used).max(8));
            }
            cell.write(&mut line, colour);
            if !last {
                let pad = widths[at] - cell.width() + 2;
                line.push_str(&" ".repeat(pad));
                used += widths[at] + 2;
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_cell_acts_on_a_terminal() {
        let line = Line::of("a\u{1b}[31mb\nc").and_style(Style::Bad, "d\u{202e}");
        assert_eq!(line.render(false), "ab c d");
        assert_eq!(line.render(true), "ab c \u{1b}[31md\u{1b}[0m");
        let mut page = Page::default();
        page.quote("one\u{1b}]0;x\u{7}\n  two");
        assert_eq!(page.render(true, None), "  │ one\n  │   two\n");
    }

    #[test]
    fn columns_are_aligned_and_the_last_is_cut_to_the_width() {
        let mut page = Page::default();
        page.table(&["id", "why"], vec![vec!["long-name".into(), "x".repeat(40).into()], vec!["b".into(), "".into()]]);
        let text = page.render(false, Some(30));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "id         why");
        assert_eq!(lines[1].chars().count(), 30);
        assert!(lines[1].ends_with('…'));
        assert_eq!(lines[2], "b");
        let whole = page.render(false, None);
        assert!(whole.contains(&"x".repeat(40)));
    }

    #[test]
    fn empty_cells_leave_no_gap_in_a_line() {
        assert_eq!(Line::of("a").and("").and("b").indent(2).render(false), "  a b");
    }
}
