//! `quorum`: reviewers judge an item's work; enough green ones, and it is committed.

use serde_json::json;

use super::answer::{Case, StuckReason, id, red_report, with_input};
use crate::id::ItemId;
use crate::plan::{Item, OnReject, Quorum};
use crate::state::{ItemState, ItemStatus};

/// What follows work that is done, or a round of reviews that has ended.
pub(super) fn answer(case: &Case<'_>, of: &Quorum) -> Result<Vec<Item>, StuckReason> {
    let base = &case.item.id;
    let round = last_round(case)?;
    if round == 0 {
        return reviews(base, of, base, 1);
    }
    let subject = if round == 1 { base.clone() } else { id(format!("{base}-fix-{}", round - 1))? };
    let voters = voters(case, of, round)?;
    let green: Vec<ItemId> = voters.iter().filter(|voter| voter.is_green()).map(|voter| voter.id.clone()).collect();
    if green.len() as u64 >= of.threshold {
        let mut on = vec![subject.clone()];
        on.extend(green);
        let commit = of.commit.item(id(format!("{base}-commit"))?, on);
        return Ok(vec![commit.told(json!({ "subject": subject, "round": round }))]);
    }
    let OnReject::SpawnFix { fix, rounds_max } = &of.on_reject else { return Err(StuckReason::QuorumRejected) };
    if case.state(&subject).is_none_or(|subject| subject.status != ItemStatus::Done) {
        return Err(StuckReason::FixFailed);
    }
    if round > *rounds_max {
        return Err(StuckReason::QuorumRejected);
    }
    let fix_id = id(format!("{base}-fix-{round}"))?;
    let mut mend = fix.item(fix_id.clone(), vec![subject.clone()]).told(json!({ "subject": subject, "round": round }));
    for (number, voter) in (1..).zip(voters) {
        mend = with_input(mend, format!("report-{number}"), red_report(voter));
    }
    let mut items = vec![mend];
    items.extend(reviews(base, of, &fix_id, round + 1)?);
    Ok(items)
}

/// The reviewers of a round, who look at this item's work.
fn reviews(base: &ItemId, of: &Quorum, subject: &ItemId, round: u64) -> Result<Vec<Item>, StuckReason> {
    (1_u64..)
        .zip(&of.reviewers)
        .map(|(number, template)| {
            let told = json!({ "subject": subject, "round": round, "reviewer": number });
            Ok(template.item(review(base, round, number)?, vec![subject.clone()]).told(told))
        })
        .collect()
}

fn review(base: &ItemId, round: u64, number: u64) -> Result<ItemId, StuckReason> {
    id(format!("{base}-review-{round}-{number}"))
}

/// The last round there are reviewers of; 0 before the first.
fn last_round(case: &Case<'_>) -> Result<u64, StuckReason> {
    let mut round = 0;
    while case.state(&review(&case.item.id, round + 1, 1)?).is_some() {
        round += 1;
    }
    Ok(round)
}

fn voters<'a>(case: &Case<'a>, of: &Quorum, round: u64) -> Result<Vec<&'a ItemState>, StuckReason> {
    let voter = |number| case.state(&review(&case.item.id, round, number)?).ok_or(StuckReason::PlanUnfit);
    (1..=of.reviewers.len() as u64).map(voter).collect()
}
