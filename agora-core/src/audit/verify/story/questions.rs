//! Questions: an attempt's, and those that ask a person to approve.

use super::StoryCode;
use super::item::{Question, Standing};
use super::teller::Teller;
use crate::id::{Digest, ItemId};
use crate::record::{AnswerDecision, OutcomeWord, QuestionAnswered, QuestionAsked, QuestionKind, Record};

impl<'a> Teller<'a> {
    pub(super) fn ask(&mut self, body: &'a QuestionAsked) {
        let Some(ix) = self.living(&body.item) else { return };
        if self.items[ix].is_approval() {
            self.ask_a_person(ix, body);
        } else {
            self.ask_for_words(ix, body);
        }
        self.items[ix].question = Some(Question { asked: self.at, open: false, answered: None });
    }

    /// An approval asks once, when it is ready, and shows the accepted patches of what it depends on.
    fn ask_a_person(&mut self, ix: usize, body: &QuestionAsked) {
        let item = &self.items[ix];
        let (id, standing, asked) = (item.id, item.standing, item.question.is_some());
        let plain = body.kind == QuestionKind::Approval && body.finished.is_none() && body.options == 0;
        self.rule(StoryCode::Question, Some(id), standing == Standing::Ready && !asked, || {
            format!("the item {id} is {}, and asks once, when it is ready", standing.as_str())
        });
        self.rule(StoryCode::Question, Some(id), plain, || format!("the item {id} asks a person to approve, no more"));
        if !asked {
            let shown = self.subjects(ix) == body.subjects;
            self.rule(StoryCode::Question, Some(id), shown, || {
                format!("the item {id} shows other than the accepted patches of what it depends on")
            });
        }
    }

    /// The accepted patches of what an item depends on, in its own order.
    fn subjects(&self, ix: usize) -> Vec<Digest> {
        let mut seen = std::collections::BTreeSet::new();
        let ids = self.items[ix].body.depends_on.iter().filter(|on| seen.insert(*on));
        let patch = |on: &ItemId| {
            let made = self.items[*self.index.get(on.as_str())?].result?.made?;
            Some(made.patch.as_ref()?.digest)
        };
        ids.filter_map(patch).collect()
    }

    /// An attempt that ended with a question asks once.
    fn ask_for_words(&mut self, ix: usize, body: &QuestionAsked) {
        let item = &self.items[ix];
        let (id, ended, earlier) = (item.id, item.ended(), item.question.map(|question| question.asked));
        self.rule(StoryCode::Question, Some(id), body.kind == QuestionKind::Input, || {
            format!("an attempt at the item {id} asks for words, not for approval")
        });
        if let Some(finished) = body.finished
            && self.finish_of(id, finished).is_none()
        {
            return;
        }
        let asks = ended.filter(|(at, end)| {
            end.outcome == OutcomeWord::NeedsInput && body.finished == Some(*at as u64) && earlier < Some(*at)
        });
        self.rule(StoryCode::Question, Some(id), asks.is_some(), || {
            format!("the latest attempt at the item {id} does not ask")
        });
    }

    pub(super) fn wait(&mut self, id: &ItemId, asked: u64) {
        let Some(ix) = self.living(id) else { return };
        let named = self
            .earlier(asked)
            .is_some_and(|told| matches!(&told.entry.record, Record::QuestionAsked(body) if body.item == *id));
        self.rule(StoryCode::Reference, Some(id), named, || format!("the item {id} waits for no question of it"));
        let question = self.items[ix].question.filter(|question| question.asked as u64 == asked && !question.open);
        if named {
            self.rule(StoryCode::Question, Some(id), question.is_some(), || {
                format!("the item {id} waits for a question that was asked before")
            });
        }
        if let Some(question) = &mut self.items[ix].question {
            question.open = true;
        }
        self.items[ix].standing = Standing::Waiting;
    }

    pub(super) fn answer(&mut self, body: &'a QuestionAnswered) {
        let asked = self.earlier(body.asked).and_then(|told| match &told.entry.record {
            Record::QuestionAsked(asked) => Some((asked, told.leaf)),
            _ => None,
        });
        self.rule(StoryCode::Reference, None, asked.is_some(), || "the answer is to no question".to_owned());
        let Some((asked, leaf)) = asked else { return };
        let id = &asked.item;
        self.rule(StoryCode::Question, Some(id), body.leaf == leaf, || {
            format!("the answer is to another question of the item {id} than its leaf says")
        });
        let fits = self.may_decide(asked, body.decision);
        self.rule(StoryCode::Question, Some(id), fits, || {
            format!("{} is no decision about that question of the item {id}", body.decision.as_str())
        });
        let ix = self.index.get(id.as_str()).copied();
        let waits = |ix: &usize| self.items[*ix].standing == Standing::Waiting;
        let question = ix
            .filter(waits)
            .and_then(|ix| self.items[ix].question)
            .filter(|question| question.open && question.asked as u64 == body.asked && question.answered.is_none());
        self.rule(StoryCode::Question, Some(id), question.is_some(), || {
            format!("the question of the item {id} is not open")
        });
        let latest = ix.and_then(|ix| self.items[ix].question.as_mut());
        if let Some(question) = latest.filter(|question| question.asked as u64 == body.asked) {
            question.answered.get_or_insert((self.at, body));
        }
    }

    /// Words are answered, approvals decided; what has a time expires, and not before it.
    fn may_decide(&self, asked: &QuestionAsked, decision: AnswerDecision) -> bool {
        match decision {
            AnswerDecision::Answered => asked.kind == QuestionKind::Input,
            AnswerDecision::Approved | AnswerDecision::Rejected => asked.kind == QuestionKind::Approval,
            AnswerDecision::Expired => asked.expires.is_some_and(|expires| expires <= self.now()),
        }
    }
}
