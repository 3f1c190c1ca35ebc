//! The page of a run: one HTML file for whoever reviews or audits it, without scripts and without anything from elsewhere.
//!
//! It renders a bundle that was verified, and the verdict on it: the bundle is the evidence, the page is not. Every row is
//! derived from the bundle's entries, and texts that entries name only by digest are shown where their bytes are those of the
//! digest. The same bundle, verdict and texts give the same bytes: no time, no host and no name of a file is in it.
//!
//! | module | owns |
//! |---|---|
//! | `safe`, `visible` | the one way into a page: markup is fixed text of this program, everything else is escaped |
//! | `run` | what the entries tell of items and attempts, without judging it: the verifier did |
//! | `texts` | the bytes behind digests, as far as they may be shown |
//! | `document` | the frame and the order of the sections |
//! | `head`, `meaning` | verdict, axes and what they mean, facts |
//! | `layers`, `graph`, `timeline` | the drawings |
//! | `items`, `attempts`, `patch` | each item with its attempts, texts and patch |
//! | `acts`, `isolation`, `checks`, `unchecked` | who decided, what confined, what was judged and what was not |

mod acts;
mod attempts;
mod checks;
mod document;
mod graph;
mod head;
mod isolation;
mod items;
mod layers;
mod meaning;
mod patch;
mod run;
mod safe;
mod show;
#[cfg(test)]
mod tests;
mod texts;
mod timeline;
mod unchecked;
mod visible;

pub(crate) use document::{Page, Recheck};
pub(crate) use run::Run;
pub(crate) use texts::Texts;
