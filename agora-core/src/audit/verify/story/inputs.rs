//! What an attempt consumes: the accepted patches of what its item depends on, the products its item asks for, the answer to
//! its item's question. Content that the plan pinned (`ref`) is the plan's to say, and not judged.

use std::collections::BTreeSet;

use super::StoryCode;
use super::item::Item;
use super::teller::Teller;
use crate::id::Digest;
use crate::record::{AnswerDecision, AttemptLeased, InputUse, UsedInput};

/// What an input turned out to be.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Given<'a> {
    /// The patch of this dependency, for the tree that the attempt starts from.
    Patch(usize),
    /// What the item asks for under this name.
    Need(&'a str),
    Answer,
}

impl<'a> Teller<'a> {
    /// Each input is what it says, none is given twice, and none is left out.
    pub(super) fn inputs(&mut self, ix: usize, body: &'a AttemptLeased) {
        let id = self.items[ix].id;
        let mut given = BTreeSet::new();
        let mut sound = true;
        for input in body.inputs.iter().filter(|input| input.usage != InputUse::Ref) {
            let found = self.input(ix, input);
            let what = found.as_ref().err().copied();
            let fits = found.is_ok_and(|found| given.insert(found));
            sound &= self.rule(StoryCode::Input, Some(id), fits, || {
                format!("an input of the item {id} ({}) {}", input.usage.as_str(), what.unwrap_or("is given twice"))
            });
        }
        let item = &self.items[ix];
        let wanted = item.patches + item.needs.len() + usize::from(answer(item).is_some());
        // What is wrong with one, or with their order, is not said again of their number.
        if sound && item.undone == 0 && given.len() < wanted {
            self.rule(StoryCode::Input, Some(id), false, || {
                format!("{} of the {wanted} inputs of the item {id} are given", given.len())
            });
        }
    }

    fn input(&self, ix: usize, input: &'a UsedInput) -> Result<Given<'a>, &'static str> {
        let item = &self.items[ix];
        if input.usage == InputUse::Answer {
            let own = input.item.as_ref() == Some(item.id) && answer(item) == Some(input.digest);
            return if own { Ok(Given::Answer) } else { Err("is not the answer to its question") };
        }
        let from = input.item.as_ref().and_then(|from| self.index.get(from.as_str()).copied());
        let from = from.filter(|from| item.depends_on.binary_search(from).is_ok());
        let from = from.ok_or("is of an item that it does not depend on")?;
        let result = self.items[from].result.ok_or("is of an item that is not done")?;
        if input.done != Some(result.done as u64) {
            return Err("names another position than that of item.done");
        }
        let made = result.made.ok_or("is of an item that made nothing")?;
        let digest = match input.usage {
            InputUse::Patch => made.patch.as_ref().map(|patch| patch.digest),
            InputUse::Output | InputUse::Answer | InputUse::Ref => input.path.as_ref().and_then(|path| {
                let at = made.outputs.binary_search_by(|output| output.path.cmp(path)).ok()?;
                Some(made.outputs[at].digest)
            }),
        };
        if digest != Some(input.digest) {
            return Err("is not what was accepted");
        }
        match (&input.key, input.usage) {
            (None, InputUse::Patch) => Ok(Given::Patch(from)),
            (None, _) => Err("has no name"),
            (Some(key), usage) => {
                let need = item.needs.get(key).filter(|need| {
                    let of = self.index.get(need.item.as_str()) == Some(&from);
                    of && need.usage == usage && need.path == input.path
                });
                need.map(|need| Given::Need(need.key.as_str())).ok_or("is not what it asks for under this name")
            }
        }
    }
}

/// The answer that the item's next attempt takes up.
fn answer(item: &Item<'_>) -> Option<Digest> {
    let (_, answered) = item.question?.answered?;
    (answered.decision == AnswerDecision::Answered).then_some(answered.answer)?
}
