//! The longest files and functions: printed for whoever looks, a failure for nobody.

use crate::files::{is_product, texts};
use crate::source::{closing, product};

/// How many of each are printed.
const SHOWN: usize = 8;

#[test]
fn the_longest_files_and_functions_are_printed() {
    let (mut files, mut functions) = (Vec::new(), Vec::new());
    for file in texts(is_product) {
        let tokens = product(&file.text);
        // Without its tests: what is left ends with its last token.
        files.push((tokens.last().map_or(0, |token| token.line), file.path.clone()));
        for at in (0..tokens.len()).filter(|at| tokens[*at].is("fn")) {
            let Some(open) = (at..tokens.len()).find(|ix| tokens[*ix].is("{") || tokens[*ix].is(";")) else { continue };
            if tokens[open].is("{") {
                let lines = tokens[closing(&tokens, open) - 1].line - tokens[at].line + 1;
                functions.push((lines, format!("{}:{} {}", file.path, tokens[at].line, tokens[at + 1].text)));
            }
        }
    }
    assert!(functions.len() > files.len(), "{} functions in {} files", functions.len(), files.len());
    for (what, mut rows) in [("files", files), ("functions", functions)] {
        rows.sort_by(|a, b| b.cmp(a));
        println!("longest {what}, in lines without tests:");
        rows.iter().take(SHOWN).for_each(|(lines, place)| println!("{lines:>6}  {place}"));
    }
}
