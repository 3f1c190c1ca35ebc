//! The records of attempts: leased, started, finished.

use super::StoryCode;
use super::item::{Attempt, Standing};
use super::tell::OtherModel;
use super::teller::Teller;
use crate::canon::INTEGER_MAX;
use crate::record::{AttemptFinished, AttemptLeased, AttemptStarted, OutcomeWord};

impl<'a> Teller<'a> {
    pub(super) fn lease(&mut self, body: &'a AttemptLeased) {
        self.story.first_lease.get_or_insert(self.at as u64);
        let Some(ix) = self.living(&body.item) else { return };
        self.may_lease(ix, body);
        self.may_take(ix, body);
        self.inputs(ix, body);
        let item = &mut self.items[ix];
        item.attempts = body.attempt;
        item.fence = item.fence.max(body.fence);
        item.standing = Standing::Running;
        item.latest = Some(Attempt { leased: self.at, lease: body, started: None, finished: None, expired: false });
    }

    fn may_lease(&mut self, ix: usize, body: &AttemptLeased) {
        let item = &self.items[ix];
        let (id, standing, undone) = (item.id, item.standing, item.undone);
        let (attempts, fence, is_approval) = (item.attempts, item.fence, item.is_approval());
        let (is_open, is_cancelled) = (standing == Standing::Running, self.is_cancelled(ix));
        let (held, attempt) = (self.hold.is_some(), body.attempt);
        self.rule(StoryCode::Attempt, Some(id), !is_open, || format!("an attempt at the item {id} is open"));
        self.rule(StoryCode::Attempt, Some(id), attempts.checked_add(1) == Some(attempt), || {
            format!("attempt {attempt} at the item {id} comes after {attempts}")
        });
        self.rule(StoryCode::Attempt, Some(id), !is_approval, || format!("a person decides the item {id}"));
        self.rule(StoryCode::Attempt, Some(id), !is_cancelled, || format!("the item {id} was asked to stop"));
        self.rule(StoryCode::Fence, Some(id), body.fence > fence, || {
            format!("the fence {} of the item {id} is not above {fence}", body.fence)
        });
        self.rule(StoryCode::Order, Some(id), standing == Standing::Ready || is_open, || {
            format!("the item {id} is {}, not ready", standing.as_str())
        });
        self.rule(StoryCode::Order, Some(id), undone == 0, || {
            format!("{undone} of the items that {id} depends on are not done")
        });
        self.rule(StoryCode::Order, Some(id), !held, || format!("the item {id} is leased while the run is held"));
    }

    /// The locks are the item's, and nobody else holds them.
    fn may_take(&mut self, ix: usize, body: &'a AttemptLeased) {
        let id = self.items[ix].id;
        let own = self.items[ix].body.locks == body.locks;
        self.rule(StoryCode::Attempt, Some(id), own, || format!("its locks are not those of the item {id}"));
        for key in &body.locks {
            let holder = self.locks.get(key).copied().filter(|holder| *holder != ix);
            let holder = holder.map(|holder| self.items[holder].id);
            self.rule(StoryCode::Attempt, Some(id), holder.is_none(), || {
                let other = holder.map_or("another item", |other| other.as_str());
                format!("a lock of the item {id} is held by an attempt at {other}")
            });
            self.locks.insert(key, ix);
        }
    }

    pub(super) fn start(&mut self, body: &'a AttemptStarted) {
        let Some(ix) = self.living(&body.item) else { return };
        let Some(attempt) = self.open_attempt(ix, body.attempt, body.fence, "started") else { return };
        let id = self.items[ix].id;
        let (provider, lease) = (body.isolation.provider.as_str(), attempt.lease);
        self.rule(StoryCode::Attempt, Some(id), attempt.started.is_none(), || {
            format!("attempt {} at the item {id} is started already", body.attempt)
        });
        self.rule(StoryCode::Attempt, Some(id), provider == lease.provider.as_str(), || {
            format!("the item {id} is started by {provider:.64}, and was leased to {}", lease.provider)
        });
        if let Some(attempt) = &mut self.items[ix].latest {
            attempt.started = Some(self.at);
        }
    }

    pub(super) fn finish(&mut self, body: &'a AttemptFinished) {
        self.note(body);
        let cost = body.usage.as_ref().and_then(|usage| usage.cost_microusd).unwrap_or(0);
        // As the engine sums it: an entry cannot hold more.
        self.cost_microusd = self.cost_microusd.saturating_add(cost).min(INTEGER_MAX);
        let Some(ix) = self.living(&body.item) else { return };
        let Some(attempt) = self.open_attempt(ix, body.attempt, body.fence, "finished") else { return };
        let id = self.items[ix].id;
        let worked = matches!(body.outcome, OutcomeWord::Done | OutcomeWord::NeedsInput);
        self.rule(StoryCode::Attempt, Some(id), attempt.started.is_some() || !worked, || {
            format!("attempt {} at the item {id} never started, and ended {}", body.attempt, body.outcome.as_str())
        });
        // What was recorded first fences the attempt: whatever it brings is evidence, and no result.
        let wanted = match (self.is_cancelled(ix), attempt.expired) {
            (true, _) => Some(OutcomeWord::Cancelled),
            (false, true) => Some(OutcomeWord::Failed),
            (false, false) => None,
        };
        if let Some(wanted) = wanted {
            self.rule(StoryCode::Result, Some(id), body.outcome == wanted, || {
                let (outcome, wanted) = (body.outcome.as_str(), wanted.as_str());
                format!("an attempt at the item {id} was stopped and ended {outcome}, not {wanted}")
            });
        }
        if attempt.lease.model.as_ref().is_some_and(|wanted| body.models.iter().any(|model| model != wanted)) {
            let (leased, finished) = (attempt.leased as u64, self.at as u64);
            self.story.other_models.push(OtherModel { leased, finished });
        }
        self.free(ix);
        let item = &mut self.items[ix];
        item.standing = Standing::Ended;
        if let Some(attempt) = &mut item.latest {
            attempt.finished = Some((self.at, body));
        }
    }

    fn note(&mut self, body: &AttemptFinished) {
        if body.verify.as_ref().is_some_and(|verify| !verify.passed) {
            self.story.unverified.push(self.at as u64);
        }
    }

    /// The item's open attempt, if there is one. It is judged to be the one that these numbers say.
    fn open_attempt(&mut self, ix: usize, attempt: u64, fence: u64, what: &str) -> Option<Attempt<'a>> {
        let (id, open) = (self.items[ix].id, self.items[ix].open());
        self.rule(StoryCode::Attempt, Some(id), open.is_some(), || {
            format!("attempt {attempt} at the item {id} is {what}, and none is open")
        });
        let open = open?;
        let lease = open.lease;
        self.rule(StoryCode::Fence, Some(id), (lease.attempt, lease.fence) == (attempt, fence), || {
            let (leased, under) = (lease.attempt, lease.fence);
            format!("attempt {attempt} under fence {fence} is {what}, attempt {leased} under fence {under} is open")
        });
        Some(open)
    }

    /// Whether the run was parked after this attempt was leased, and before it is judged what becomes of it.
    pub(super) fn was_parked(&self, attempt: &Attempt<'_>) -> bool {
        let end = attempt.finished.map_or(self.at, |(at, _)| at);
        self.park.is_some_and(|park| park > attempt.leased && park < end)
    }
}
