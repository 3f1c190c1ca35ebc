//! What the other checks and the report take from a story.

use super::good::{empty, mended, stops, stuck, whole};
use super::tale::Tale;
use crate::audit::verify::story::{Accepted, OtherModel, StoryCode};
use crate::decide::testing::enc;
use crate::record::{Record, RunOutcome};

#[test]
fn an_accepted_result_says_where_each_part_of_it_stands() {
    let tale = whole();
    let story = tale.tell();
    let items: Vec<_> = story.accepted.iter().map(|accepted| accepted.item.as_str()).collect();
    assert_eq!(items, ["make", "use", "lone", "ship"], "by position, and no approval");
    let place = |item: usize, first: &str, number: &str| Accepted {
        item: story.accepted[item].item.clone(),
        done: tale.seq(&format!("{first} done")),
        added: (1, [0, 3, 1, 5][item]),
        leased: tale.seq(&format!("{first} leased{number}")),
        started: tale.seq(&format!("{first} started{number}")),
        finished: tale.seq(&format!("{first} finished{number}")),
    };
    let wanted = [place(0, "make", " 2"), place(1, "use", ""), place(2, "lone", " 2"), place(3, "ship", "")];
    assert_eq!(story.accepted, wanted);
    let tale = mended();
    let grown = tale.tell().accepted.into_iter().find(|accepted| accepted.item.as_str() == "ship~2").unwrap();
    assert_eq!(grown.added, (tale.seq("grown further"), 1));
}

#[test]
fn what_may_not_have_been_accepted_is_not_among_the_accepted() {
    let mut tale = whole();
    tale.remove("ship started");
    assert_eq!(tale.tell().accepted.len(), 3);
}

#[test]
fn the_log_and_the_report_find_their_places() {
    let tale = whole();
    let story = tale.tell();
    assert_eq!(story.logged, [tale.seq("logged")]);
    assert_eq!(story.first_lease, Some(tale.seq("make leased")));
    assert_eq!((story.outcome, story.opened), (Some(RunOutcome::Failed), Some(0)));
    assert_eq!((story.forced.len(), story.unverified.len(), story.other_models.len()), (0, 0, 0));
    let tale = stops();
    assert_eq!(tale.tell().forced, [tale.seq("a cancelled")]);
    let tale = stuck();
    assert_eq!(tale.tell().unverified, [tale.seq("test finished")]);
    let story = empty().tell();
    assert_eq!((story.logged, story.first_lease, story.entries), (vec![], None, 3));
}

#[test]
fn another_model_than_the_requested_one_is_noted() {
    let told = |requested: Option<&str>, reported: &[&str]| {
        let mut tale = whole();
        if let Record::AttemptLeased(body) = tale.record("ship leased") {
            body.model = requested.map(enc);
        }
        if let Record::AttemptFinished(body) = tale.record("ship finished") {
            body.models = reported.iter().map(|model| enc(model)).collect();
        }
        tale.is_good();
        let noted = OtherModel { leased: tale.seq("ship leased"), finished: tale.seq("ship finished") };
        let story = tale.tell();
        assert!(story.other_models.iter().all(|other| *other == noted));
        story.other_models.len()
    };
    assert_eq!(told(Some("one"), &["one", "two"]), 1);
    assert_eq!(told(Some("one"), &["two"]), 1);
    assert_eq!(told(Some("one"), &["one"]), 0);
    assert_eq!(told(Some("one"), &[]), 0);
    assert_eq!(told(None, &["two"]), 0);
}

/// A check of nothing is no tick.
#[test]
fn what_judged_nothing_says_so() {
    let judged = |tale: &Tale, code| tale.tell().judged.get(&code).copied();
    let tale = whole();
    for code in StoryCode::ALL {
        assert!(judged(&tale, code).is_some_and(|count| count > 0), "{}", code.as_str());
    }
    assert_eq!(judged(&tale, StoryCode::Input), Some(4), "two for use, one for ship, one answer");
    let mut tale = whole();
    tale.keep_to("logged");
    let none = [StoryCode::Attempt, StoryCode::Fence, StoryCode::Input, StoryCode::Result, StoryCode::Question];
    for code in none.into_iter().chain([StoryCode::Reference, StoryCode::Count]) {
        assert_eq!(judged(&tale, code), None, "{}", code.as_str());
    }
    assert_eq!(judged(&stops(), StoryCode::Input), None, "nothing was handed on");
}

#[test]
fn every_code_is_spelt_once() {
    let words: Vec<_> = StoryCode::ALL.iter().map(|code| code.as_str()).collect();
    let wanted = "start end item attempt fence order input result question reference count";
    assert_eq!(words, wanted.split(' ').map(|word| format!("story-{word}")).collect::<Vec<_>>());
}
