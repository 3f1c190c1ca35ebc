//! The name somebody probably meant, found without letting a hostile plan buy unbounded comparing.

use std::cmp::Reverse;

/// Comparisons of names for one plan: a hundred slips against a registry of 10,000 entries.
const COMPARISONS_MAX: usize = 1_000_000;
/// Characters of a name worth comparing; no valid one that people type is longer.
const COMPARED_CHARS_MAX: usize = 64;
/// Names listed where none is near.
const LISTED_MAX: usize = 10;

/// Finds near names, within a budget for one plan.
#[derive(Debug, Clone)]
pub(super) struct Suggest {
    left: usize,
}

impl Default for Suggest {
    fn default() -> Self {
        Self { left: COMPARISONS_MAX }
    }
}

/// The name without what camelCase, snake_case and kebab-case differ in.
pub(super) fn squash(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

impl Suggest {
    /// The known name that differs in case and joints alone, else the nearest that is near enough.
    pub(super) fn near<'a>(
        &mut self,
        given: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Option<&'a str> {
        if given.is_empty() || given.len() > 4 * COMPARED_CHARS_MAX || given.chars().count() > COMPARED_CHARS_MAX {
            return None;
        }
        let squashed = squash(given);
        let mut near = Vec::new();
        for name in known {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            if name.len().abs_diff(given.len()) <= 1 + name.len().min(given.len()) / 2 && name != given {
                if squash(name) == squashed {
                    return Some(name);
                }
                near.push(name);
            }
        }
        crate::error::nearest(given, near)
    }

    /// What to do about an unknown name: the near one, else the ones there are.
    pub(super) fn hint<'a>(
        &mut self,
        given: &str,
        kind: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> String {
        match self.near(given, known.clone()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if known.clone().into_iter().next().is_none() => {
                format!("there are no {kind}; an operator adds them, and `catalog` shows what may be used")
            }
            None => listed(&format!("known {kind}"), known),
        }
    }
}

/// Lists names after an introduction, the first ten of them.
pub(super) fn listed<'a>(intro: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut more = 0_usize;
    for name in known {
        if names.len() < LISTED_MAX {
            names.push(name);
        } else {
            more += 1;
        }
    }
    match more {
        0 => format!("{intro}: {}", names.join(", ")),
        more => format!("{intro}: {} and {more} more; `catalog` lists all", names.join(", ")),
    }
}

/// Text of a caller as a message may show it: quoted, escaped, at most 60 characters.
pub(super) fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(60).collect();
    if chars.next().is_none() { format!("{head:?}") } else { format!("{head:?}…") }
}

/// The nearest of a closed list of keys when they differ by little: one slip in a word of five letters or more.
pub(super) fn slip<'a>(given: &str, keys: &[&'a str]) -> Option<&'a str> {
    let squashed = squash(given);
    let close = |key: &&&str| given.len() >= 5 && strsim::damerau_levenshtein(&squashed, &squash(key)) <= 1;
    if given.len() > COMPARED_CHARS_MAX {
        return None;
    }
    keys.iter()
        .find(|key| squash(key) == squashed)
        .or_else(|| keys.iter().filter(close).min_by_key(|key| Reverse(key.len())))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_joints_come_before_distance() {
        let mut suggest = Suggest::default();
        assert_eq!(suggest.near("dependsOn", ["depend_on", "depends_on"]), Some("depends_on"));
        assert_eq!(suggest.near("Code_Edit", ["code-edits", "code-edit"]), Some("code-edit"));
        assert_eq!(suggest.near("code-edti", ["verify", "code-edit"]), Some("code-edit"));
        assert_eq!(suggest.near("zzz", ["verify", "code-edit"]), None);
        assert_eq!(suggest.near(&"z".repeat(65), [&*"z".repeat(64)]), None);
        assert_eq!(suggest.near(&"z".repeat(64), [&*"z".repeat(63)]).map(str::len), Some(63));
    }

    #[test]
    fn the_budget_ends_the_comparing() {
        let mut suggest = Suggest { left: 1 };
        assert_eq!(suggest.near("bb", ["aa", "bb_"]), None);
        let mut suggest = Suggest { left: 2 };
        assert_eq!(suggest.near("bb", ["aa", "bb_"]), Some("bb_"));
    }

    #[test]
    fn few_names_are_listed_whole_and_many_are_counted() {
        assert_eq!(listed("known queues", ["a", "b"]), "known queues: a, b");
        let names: Vec<String> = (0..12).map(|i| format!("n{i}")).collect();
        assert!(listed("queues", names.iter().map(String::as_str)).ends_with("n9 and 2 more; `catalog` lists all"));
        assert!(Suggest::default().hint("a", "queues", []).starts_with("there are no queues"));
    }

    #[test]
    fn a_caller_s_text_is_shown_quoted_and_short() {
        assert_eq!(shown("a\n\u{202e}b"), "\"a\\n\\u{202e}b\"");
        assert_eq!(shown(&"x".repeat(61)).chars().filter(|c| *c == 'x').count(), 60);
    }

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let keys = ["model", "env", "gate", "workerInput"];
        assert_eq!(slip("worker_input", &keys), Some("workerInput"));
        assert_eq!(slip("modle", &keys), Some("model"));
        assert_eq!(slip("date", &keys), None);
        assert_eq!(slip("Env", &keys), Some("env"));
    }
}
