//! An item for the executor `approval`: a question to a person, and nothing that an attempt would take.

use serde_json::{Map, Value};

use super::code::Code;
use super::cursor::{Place, Report};
use super::keys;
use super::model::Approval;
use crate::limits::QUESTION_BYTES_MAX;

/// Keys of an item that only an attempt has a use for.
const OF_ATTEMPTS: &[&str] = &["resourceLocks", "needs", "timeoutSeconds", "retry", "priority"];

/// Reads the approval of the item at `place`.
pub(super) fn read(map: &Map<String, Value>, place: &Place<'_>, report: &mut Report) -> Option<Approval> {
    for key in OF_ATTEMPTS.iter().filter(|key| map.contains_key(**key)) {
        let message = format!("an approval takes no `{key}`");
        report.shape(
            &place.key(key),
            message,
            "leave it out: nothing runs, a person decides; `depends_on` says after what",
        );
    }
    let Some(value) = map.get("inputs") else {
        report.shape(place, "an item lacks `inputs`", r#"add "inputs": {"question": "…"}"#);
        return None;
    };
    let place = place.key("inputs");
    let map = report.object(&place, value)?;
    keys::refuse_others(map, &place, keys::APPROVAL, "`inputs` of an approval", report);
    let Some(value) = map.get("question") else {
        report.shape(&place, "`inputs` lacks `question`", "say in `question` what is to be approved");
        return None;
    };
    let place = place.key("question");
    let question = report.text(&place, value)?;
    if question.trim().is_empty() {
        report.shape(&place, "the question is empty", "say what is to be approved");
        return None;
    }
    if question.len() > QUESTION_BYTES_MAX {
        let message = format!("the question has {} bytes, {QUESTION_BYTES_MAX} at most", question.len());
        report.refuse(Code::PlanTooLarge.problem(place.to_string(), message).hint("say it in fewer words"));
        return None;
    }
    Some(Approval { question: question.to_owned() })
}
