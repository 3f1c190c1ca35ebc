//! From one version of the registry to the next, as a pure function: which entries it has, and what changed.

use std::collections::BTreeMap;

use agora_core::id::{Digest, Name};
use agora_core::registry::Kind;
use agora_core::registry::snapshot::HISTORY_MAX;

use super::snapshot::{Draft, DraftEntry, Past};

/// What is wished of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// That it has this content.
    Have(Digest),
    /// That it is gone.
    Gone,
}

/// What happened to one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// It is new.
    Added,
    /// It has other content.
    Changed,
    /// It is gone.
    Removed,
    /// It was named and is as it was.
    Same,
}

impl Op {
    /// The sign that a plan is printed with.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Changed => '~',
            Self::Removed => '-',
            Self::Same => '=',
        }
    }
}

/// One row of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub op: Op,
    /// The entry's kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// Its digest before; absent when it is new.
    pub old: Option<Digest>,
    /// Its digest after; absent when it is gone.
    pub new: Option<Digest>,
    /// What in it changed, a line each, for people: field names, shortened digests, never a value of a variable.
    pub details: Vec<String>,
}

/// Applies wishes to a version. Entries that no wish names stay; with `prune` they go.
///
/// Returns the next version's entries, and a row for each wish and each pruned entry, sorted by kind and name. Whether
/// there is a next version at all is [`changes_anything`]'s to say.
#[must_use]
pub fn edit(current: &Draft, wishes: &BTreeMap<(Kind, Name), Wish>, prune: bool) -> (Draft, Vec<Change>) {
    let version = current.version.saturating_add(1);
    let mut all = wishes.clone();
    if prune {
        for (kind, names) in &current.entries {
            for name in names.keys() {
                all.entry((*kind, name.clone())).or_insert(Wish::Gone);
            }
        }
    }
    let mut next = Draft { version, ..current.clone() };
    let mut changes = Vec::new();
    for ((kind, name), wish) in all {
        let old = next.entries.get(&kind).and_then(|names| names.get(&name)).map(|entry| entry.digest);
        let new = match wish {
            Wish::Have(digest) => Some(digest),
            Wish::Gone => None,
        };
        let op = match (old, new) {
            (None, None) => continue,
            (None, Some(_)) => Op::Added,
            (Some(_), None) => Op::Removed,
            (Some(old), Some(new)) if old == new => Op::Same,
            (Some(_), Some(_)) => Op::Changed,
        };
        apply(&mut next, kind, &name, new, version);
        changes.push(Change { op, kind, name, old, new, details: Vec::new() });
    }
    next.entries.retain(|_, names| !names.is_empty());
    (next, changes)
}

fn apply(next: &mut Draft, kind: Kind, name: &Name, new: Option<Digest>, since: u64) {
    let names = next.entries.entry(kind).or_default();
    match (names.get_mut(name), new) {
        (_, None) => {
            names.remove(name);
        }
        (None, Some(digest)) => {
            names.insert(name.clone(), DraftEntry { digest, since, history: Vec::new() });
        }
        (Some(entry), Some(digest)) if entry.digest == digest => {}
        (Some(entry), Some(digest)) => {
            entry.history.insert(0, Past { digest: entry.digest, since: entry.since });
            entry.history.truncate(HISTORY_MAX);
            entry.digest = digest;
            entry.since = since;
        }
    }
}

/// Says whether a plan is worth a new version.
#[must_use]
pub fn changes_anything(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.op != Op::Same)
}

/// The wishes that bring back the entries of an earlier version, and nothing else.
#[must_use]
pub fn wishes_of(earlier: &Draft) -> BTreeMap<(Kind, Name), Wish> {
    let entries = earlier.entries.iter();
    entries
        .flat_map(|(kind, names)| names.iter().map(|(name, entry)| ((*kind, name.clone()), Wish::Have(entry.digest))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agora_core::time::Time;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn wish(text: &str, wish: Wish) -> BTreeMap<(Kind, Name), Wish> {
        BTreeMap::from([((Kind::Env, name(text)), wish)])
    }

    fn first() -> Draft {
        Draft::first("00".repeat(16), "key".to_owned(), Time::default())
    }

    fn after(draft: &Draft, text: &str, content: &str) -> Draft {
        edit(draft, &wish(text, Wish::Have(digest(content))), false).0
    }

    #[test]
    fn each_wish_has_its_row() {
        let draft = after(&after(&first(), "a", "1"), "b", "1");
        let wishes = [
            ((Kind::Env, name("a")), Wish::Have(digest("2"))),
            ((Kind::Env, name("b")), Wish::Have(digest("1"))),
            ((Kind::Env, name("c")), Wish::Have(digest("1"))),
            ((Kind::Env, name("d")), Wish::Gone),
        ];
        let (next, changes) = edit(&draft, &BTreeMap::from(wishes), false);
        let rows: Vec<_> = changes.iter().map(|change| (change.op.sign(), change.name.as_str())).collect();
        assert_eq!(rows, [('~', "a"), ('=', "b"), ('+', "c")]);
        assert_eq!((next.version, next.digest(Kind::Env, &name("a"))), (4, Some(digest("2"))));
        assert_eq!(next.entries[&Kind::Env][&name("a")].since, 4);
        assert_eq!(next.entries[&Kind::Env][&name("b")].since, 3);
    }

    #[test]
    fn the_same_content_changes_nothing_and_old_content_becomes_current_again() {
        let draft = after(&first(), "a", "1");
        let (next, changes) = edit(&draft, &wish("a", Wish::Have(digest("1"))), false);
        assert!(!changes_anything(&changes));
        assert_eq!(next.entries, draft.entries);
        let back = after(&after(&draft, "a", "2"), "a", "1");
        let entry = &back.entries[&Kind::Env][&name("a")];
        assert_eq!((entry.digest, entry.since), (digest("1"), 4));
        let history: Vec<_> = entry.history.iter().map(|past| (past.digest, past.since)).collect();
        assert_eq!(history, [(digest("2"), 3), (digest("1"), 2)]);
    }

    #[test]
    fn pruning_removes_what_no_wish_names() {
        let draft = after(&after(&first(), "a", "1"), "b", "1");
        let (kept, _) = edit(&draft, &wish("a", Wish::Have(digest("1"))), false);
        assert_eq!(kept.entries[&Kind::Env].len(), 2);
        let (pruned, changes) = edit(&draft, &wish("a", Wish::Have(digest("1"))), true);
        assert_eq!(pruned.entries[&Kind::Env].len(), 1);
        assert_eq!(changes.iter().map(|c| c.op.sign()).collect::<String>(), "=-");
        let (empty, _) = edit(&draft, &BTreeMap::new(), true);
        assert!(empty.entries.is_empty());
    }

    #[test]
    fn the_history_keeps_its_bound() {
        let mut draft = first();
        for content in 0..HISTORY_MAX + 2 {
            draft = after(&draft, "a", &content.to_string());
        }
        let history = &draft.entries[&Kind::Env][&name("a")].history;
        assert_eq!(history.len(), HISTORY_MAX);
        assert_eq!(history[0].digest, digest(&HISTORY_MAX.to_string()));
        assert_eq!(wishes_of(&draft).len(), 1);
    }
}
