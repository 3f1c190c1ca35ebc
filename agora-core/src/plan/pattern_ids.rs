//! The ids that patterns give to their items: made of an id of the plan, so that the same end of an item always leads to
//! the same ids.

use super::pattern::QueuePattern;

/// The id of the plan's item that this is a copy of, and which copy: `gate~3` is the third `gate`, which is the first.
#[must_use]
pub fn generation(id: &str) -> (&str, u64) {
    match id.rsplit_once('~').map(|(base, number)| (base, counted(number))) {
        Some((base, Some(number))) if number >= 2 && !base.is_empty() => (base, number),
        _ => (id, 1),
    }
}

/// A number as patterns write it.
fn counted(text: &str) -> Option<u64> {
    let is_counted = text.len() <= 9 && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    is_counted.then(|| text.parse().ok()).flatten()
}

/// In whose plan an id would be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken<'a> {
    /// In every plan.
    Always,
    /// In one that has this item with a pattern.
    By(&'a str),
}

/// Whether the pattern may give this id to an item of its own.
pub(super) fn taken(pattern: QueuePattern, id: &str) -> Option<Taken<'_>> {
    let numbered = |marker: &str| {
        let (carrier, number) = id.rsplit_once(marker)?;
        counted(number).map(|_| Taken::By(carrier))
    };
    match pattern {
        QueuePattern::StaticDag => None,
        QueuePattern::Pipeline if generation(id).1 > 1 => Some(Taken::Always),
        QueuePattern::Pipeline => numbered("-fix-"),
        QueuePattern::MapReduce => (id == "reduce" || id.starts_with("map-")).then_some(Taken::Always),
        QueuePattern::Quorum => {
            let review = || {
                let (carrier, numbers) = id.rsplit_once("-review-")?;
                let (round, reviewer) = numbers.split_once('-')?;
                counted(round).and(counted(reviewer)).map(|_| Taken::By(carrier))
            };
            id.strip_suffix("-commit").map(Taken::By).or_else(|| numbered("-fix-")).or_else(review)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_told_by_its_id() {
        for (id, wanted) in [
            ("gate", ("gate", 1)),
            ("gate~2", ("gate", 2)),
            ("gate~10", ("gate", 10)),
            ("gate~1", ("gate~1", 1)),
            ("gate~02", ("gate~02", 1)),
            ("gate~", ("gate~", 1)),
            ("gate~two", ("gate~two", 1)),
            ("a~2~3", ("a~2", 3)),
            ("gate~9999999999", ("gate~9999999999", 1)),
        ] {
            assert_eq!(generation(id), wanted, "{id}");
        }
    }

    #[test]
    fn the_ids_of_patterns_are_known() {
        use QueuePattern::{MapReduce, Pipeline, Quorum, StaticDag};
        for (pattern, id, wanted) in [
            (StaticDag, "gate~2", None),
            (Pipeline, "gate~2", Some(Taken::Always)),
            (Pipeline, "gate-fix-1", Some(Taken::By("gate"))),
            (Pipeline, "gate-fix-a", None),
            (Pipeline, "reduce", None),
            (MapReduce, "reduce", Some(Taken::Always)),
            (MapReduce, "map-a", Some(Taken::Always)),
            (MapReduce, "mapped", None),
            (Quorum, "draft-review-1-2", Some(Taken::By("draft"))),
            (Quorum, "draft-review-1", None),
            (Quorum, "draft-fix-2", Some(Taken::By("draft"))),
            (Quorum, "draft-commit", Some(Taken::By("draft"))),
            (Quorum, "draft", None),
        ] {
            assert_eq!(taken(pattern, id), wanted, "{} {id}", pattern.as_str());
        }
    }
}
