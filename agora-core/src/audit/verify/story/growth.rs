//! What a run consists of: the plan's items, what extends it, and what patterns add or cannot add.

use std::collections::BTreeSet;

use super::StoryCode;
use super::item::{End, Item, Standing};
use super::teller::Teller;
use crate::id::Enc;
use crate::record::{Added, AddedItem, GrowthCause};

impl<'a> Teller<'a> {
    /// `growing` is the item whose end the entry before answers: items come in several entries when there are many.
    pub(super) fn added(&mut self, body: &'a Added, growing: Option<usize>) {
        let source = match body.cause {
            GrowthCause::Plan => {
                let begins = self.begins;
                self.rule(StoryCode::End, None, begins, || "items of the plan come after the run began".to_owned());
                None
            }
            GrowthCause::Extend => {
                let takes = self.may_grow() && !self.run_cancelled;
                self.rule(StoryCode::End, None, takes, || "the run takes no extension".to_owned());
                None
            }
            GrowthCause::Pattern => self.answered(body, growing),
        };
        for (index, item) in body.items.iter().enumerate() {
            self.add(item, (self.at as u64, index), source);
        }
    }

    /// Whether an extension is still taken. Of a run whose opening is not there, nobody knows.
    pub(super) fn may_grow(&self) -> bool {
        self.opened.is_none_or(|opened| opened.open_ended) && !self.closed
    }

    fn add(&mut self, body: &'a AddedItem, added: (u64, usize), source: Option<usize>) {
        let id = &body.id;
        let is_new = !self.index.contains_key(id.as_str());
        if !self.rule(StoryCode::Item, Some(id), is_new, || format!("the item {id} is there already")) {
            return;
        }
        let mut depends_on = BTreeSet::new();
        for on in &body.depends_on {
            let found = self.index.get(on.as_str()).copied();
            self.rule(StoryCode::Item, Some(id), found.is_some(), || {
                format!("the item {id} depends on {on}, which does not come before it")
            });
            depends_on.extend(found);
        }
        let ix = self.items.len();
        let mut item = Item::new(body, added, depends_on.into_iter().collect(), source);
        for on in &item.depends_on {
            let on = &mut self.items[*on];
            on.dependents.push(ix);
            match on.standing {
                Standing::Over(End::Done) => item.patches += usize::from(on.has_patch()),
                _ => item.undone += 1,
            }
        }
        if let Some(source) = source {
            self.items[source].members_open += 1;
        }
        self.index.insert(id.as_str(), ix);
        self.items.push(item);
    }

    /// A pattern answers the end of an item: what had failed of it is made good. Returns the item.
    fn answered(&mut self, body: &Added, growing: Option<usize>) -> Option<usize> {
        let named = body.source.as_ref();
        let found = named.and_then(|source| self.index.get(source.as_str()).copied());
        self.rule(StoryCode::Item, None, found.is_some(), || "a pattern adds items for no item of the run".to_owned());
        let source = found?;
        self.growing = found;
        if growing != found {
            let item = &self.items[source];
            let (id, answers) = (item.id, has_an_end(item) && item.members_open == 0 && !self.run_cancelled);
            self.rule(StoryCode::End, Some(id), answers, || {
                format!("a pattern answers the item {id}, which has no end to be answered")
            });
        }
        self.owing.remove(&source);
        self.items[source].answered = true;
        let mut made_good = std::mem::take(&mut self.items[source].members_failed);
        made_good.push(source);
        for ix in made_good {
            let item = &mut self.items[ix];
            if item.standing == Standing::Over(End::Failed) && !item.made_good {
                item.made_good = true;
                self.by_design += 1;
            }
        }
        found
    }

    /// `pattern` is `NAME:ITEM`; of one without an item nothing more is known.
    pub(super) fn pattern_failed(&mut self, pattern: &Enc) {
        self.erred = true;
        let Some((_, id)) = pattern.as_str().split_once(':') else { return };
        let found = self.index.get(id).copied();
        self.rule(StoryCode::Item, None, found.is_some(), || "a pattern fails at no item of the run".to_owned());
        let Some(ix) = found else { return };
        let (id, fails) = (self.items[ix].id, has_an_end(&self.items[ix]));
        self.rule(StoryCode::End, Some(id), fails, || {
            format!("a pattern fails at the item {id}, which has no end to be answered")
        });
        self.items[ix].stuck = true;
        self.owing.remove(&ix);
    }
}

/// Whether a pattern may have something to say of an item: it is done or failed, and its pattern did not give up.
fn has_an_end(item: &Item<'_>) -> bool {
    matches!(item.standing, Standing::Over(End::Done | End::Failed)) && !item.stuck
}
