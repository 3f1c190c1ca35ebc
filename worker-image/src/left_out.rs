//! What was not captured, by why: counted, with the first paths.

use std::collections::BTreeMap;

use agora_core::tree::TreePath;
use agora_core::worker::{LeftOut, shown};

/// Paths kept of each kind; the rest is only counted.
const PATHS_MAX: usize = 20;

/// Why something was not captured: the keys of the outcome's `left_out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// `.git` in any disguise.
    Git,
    /// `.agora/`, with files that are not agora's.
    Agora,
    /// What stands in the place of the links to inputs and outputs.
    Links,
    /// Sockets, pipes and devices.
    Special,
    /// Brought by a capability.
    Capability,
    /// Matched by `.gitignore`.
    Ignored,
    /// In the outputs: no regular file, a path that is refused, or one too many.
    Outputs,
}

impl Why {
    fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Agora => "agora",
            Self::Links => "links",
            Self::Special => "special",
            Self::Capability => "capability",
            Self::Ignored => "ignored",
            Self::Outputs => "outputs",
        }
    }
}

/// The counts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts(BTreeMap<String, LeftOut>);

impl Counts {
    /// Counts a path.
    pub(crate) fn add(&mut self, why: Why, path: &TreePath) {
        let kind = self.0.entry(why.as_str().to_owned()).or_insert(LeftOut { count: 0, first: Vec::new() });
        kind.count += 1;
        if kind.first.len() < PATHS_MAX {
            kind.first.push(shown(path));
        }
    }

    /// As the outcome has them.
    pub(crate) fn into_report(self) -> BTreeMap<String, LeftOut> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_paths_are_kept_and_all_are_counted() {
        let mut counts = Counts::default();
        for n in 0..25 {
            counts.add(Why::Ignored, &format!("{n:02} x").as_str().into());
        }
        let report = counts.into_report();
        assert_eq!((report["ignored"].count, report["ignored"].first.len()), (25, 20));
        assert_eq!(report["ignored"].first[19].as_str(), "19%20x");
    }
}
