//! `submit` with `extend`: an open-ended run is given more items, or is closed.

use std::collections::BTreeMap;
use std::sync::Arc;

use agora_core::decide;
use agora_core::error::{Class, Problem};
use agora_core::id::{Digest, RunId};
use agora_core::plan::{self, Item, Plan, overview};
use agora_core::record::{Added, GrowthCause, RegistryRef};

use super::accept::{added_items, dry, internal, next, put_questions, request_conflict};
use super::submit::SubmitReply;
use super::{Caller, OpError};
use crate::engine::Engine;
use crate::journal::{RunSummary, StoreError};

/// How often an extension is checked again because others extended the run meanwhile; each time one of them was done.
const TRIES_MAX: usize = 100;

/// What is asked of a run that is there already.
pub struct Extension<'a> {
    /// The run's whole id.
    pub run_id: &'a str,
    /// `{"items": […]}` as the caller wrote it; absent: nothing is added.
    pub items: Option<&'a [u8]>,
    /// Whether the run takes nothing more afterwards.
    pub close: bool,
    /// Only check: nothing is stored.
    pub dry_run: bool,
    /// The same id and arguments give the first answer again.
    pub request_id: Option<&'a str>,
}

/// What a run is, as far as an extension is checked against it.
struct Seen {
    plan: Arc<Plan>,
    registry: RegistryRef,
    /// How many items it had.
    items: usize,
}

/// What was there when an extension was to be recorded.
enum Raced {
    /// Recorded, with the answer.
    Done(Box<SubmitReply>),
    /// The answer to an equal request, as JSON.
    Request(Digest, String),
    /// The run has grown since it was looked at.
    Grown,
}

impl Engine {
    /// Gives an open-ended run more items, closes it, or both. Items that the run has already, just as they are given, are
    /// skipped; the rest is checked whole, together with what is there, against the registry version of the run.
    ///
    /// # Errors
    /// Every problem of the items at once; `run-over`, `run-not-open-ended`, `run-closed`, `run-stopping`.
    pub async fn extend(&self, caller: &Caller, asked: Extension<'_>) -> Result<SubmitReply, OpError> {
        let digest = digest_of(&asked);
        if let Some(reply) = self.earlier::<SubmitReply>(caller, "submit", asked.request_id, &digest).await? {
            return Ok(SubmitReply { deduplicated: true, ..reply });
        }
        if asked.items.is_none() && !asked.close {
            let what = "an extension has neither items nor close";
            let problem = Problem::new(Class::Caller, "submit-shape", what).at("/extend");
            return Err(OpError::one(problem.hint("give items to add them, close to take no more, or both")));
        }
        let run = self.find_run(caller, asked.run_id, true).await?;
        for _ in 0..TRIES_MAX {
            match self.extend_once(caller, &run, &asked, digest).await? {
                Raced::Done(reply) => return Ok(*reply),
                Raced::Request(earlier, answer) if earlier == digest => {
                    let first: SubmitReply = serde_json::from_str(&answer).map_err(|error| internal(&error))?;
                    return Ok(SubmitReply { deduplicated: true, ..first });
                }
                Raced::Request(..) => return Err(request_conflict()),
                Raced::Grown => {}
            }
        }
        let problem = Problem::new(Class::Later, "extend-raced", format!("the run {} grows all the time", run.id));
        Err(OpError::one(problem.hint("nothing was added; try again")))
    }

    async fn extend_once(
        &self,
        caller: &Caller,
        run: &RunSummary,
        asked: &Extension<'_>,
        digest: Digest,
    ) -> Result<Raced, OpError> {
        let seen = self.seen(&run.id, asked).await?;
        let mut reply = SubmitReply {
            run_id: Some(run.id.to_string()),
            state: "valid".to_owned(),
            deduplicated: false,
            items: seen.items as u64,
            layers: 0,
            added: Some(0),
            closed: false,
            warnings: Vec::new(),
            registry_version: seen.registry.version,
            dry_run: None,
            next: "submit the same extension without dry_run".to_owned(),
        };
        let (mut items, mut added) = (Vec::new(), Vec::new());
        if let Some(bytes) = asked.items {
            let mut growth = plan::parse_growth(bytes, &seen.plan);
            // Runs that patterns add to are not open-ended: nothing that is added here has a pattern.
            growth.parsed = plan::arrange(growth.parsed, &BTreeMap::new());
            let (registry, blobs) = (&seen.registry, self.blobs.as_ref());
            let bound = self.hub.current().await?.bound(registry.digest, registry.note, blobs).await?;
            let surroundings =
                bound.surroundings(&growth.parsed.to_look_up(), &self.config, blobs).await?.of_run(&seen.plan);
            let resolved = plan::check(&growth.parsed, &surroundings).map_err(|problems| OpError { problems })?;
            reply.warnings = growth.parsed.warnings.iter().map(Into::into).collect();
            reply.warnings.extend(self.target_warnings(&resolved).await);
            let shape = overview(&growth.parsed.plan);
            reply.layers = shape.layers.len() as u64;
            reply.added = Some(growth.parsed.plan.items.len() as u64);
            reply.items += growth.parsed.plan.items.len() as u64;
            if asked.dry_run {
                reply.dry_run = Some(dry(&growth.parsed.plan, &resolved, shape)?);
            }
            added = decide::added(GrowthCause::Extend, None, added_items(&growth.parsed.plan, &resolved)?);
            items = growth.parsed.plan.items;
        }
        reply.closed = asked.close;
        if asked.dry_run {
            return Ok(Raced::Done(Box::new(reply)));
        }
        put_questions(&items, self.blobs.as_ref()).await?;
        reply.next = next(&run.id);
        let request = asked.request_id.map(str::to_owned);
        self.record_extension(
            caller,
            &run.id,
            Ready { seen: seen.items, items, added, close: asked.close },
            reply,
            (request, digest),
        )
        .await
    }

    /// The run as it is now. One that takes no extension is refused before anything of it is checked.
    async fn seen(&self, run: &RunId, asked: &Extension<'_>) -> Result<Seen, OpError> {
        let adds = asked.items.is_some();
        self.with_run(run, move |ledger, id| {
            let (Some(state), Some(meta)) = (ledger.board_ref().run(id), ledger.meta(id)) else {
                return Err(StoreError::NoRun(id.to_string()));
            };
            decide::may_extend(state, adds)?;
            let (plan, registry) = (Arc::clone(&meta.plan), state.opened.registry.clone());
            Ok(Seen { plan, registry, items: state.items.len() })
        })
        .await
    }

    async fn record_extension(
        &self,
        caller: &Caller,
        run: &RunId,
        ready: Ready,
        mut reply: SubmitReply,
        (request, digest): (Option<String>, Digest),
    ) -> Result<Raced, OpError> {
        let (stamp, actor, run) = (self.stamp(caller), caller.actor.clone(), run.clone());
        let recorded = self
            .journal
            .call(move |ledger| {
                let result = ledger.transact(|tx| {
                    // Looked up again where nobody can come between: an equal call may have been faster.
                    if let Some(request) = &request
                        && let Some(earlier) = tx.ledger().earlier(&actor, "submit", request)?
                    {
                        return Ok(Raced::Request(earlier.digest, earlier.answer));
                    }
                    let state = tx.run(&run)?;
                    if state.items.len() != ready.seen {
                        return Ok(Raced::Grown);
                    }
                    let decision = decide::extend(state, ready.added, ready.close)?;
                    tx.append_grown(&stamp, &run, decision.records, &ready.items)?;
                    reply.state = tx.run(&run)?.word().to_owned();
                    tx.ledger().touch([run.clone()]);
                    if let Some(request) = &request {
                        let answer =
                            serde_json::to_string(&reply).map_err(|error| StoreError::Corrupt(error.to_string()))?;
                        tx.remember(&actor, "submit", request, &digest, &answer)?;
                    }
                    Ok(Raced::Done(Box::new(reply)))
                });
                // Where nobody drives, nobody needs it in memory any more.
                ledger.release(&run);
                result
            })
            .await?;
        Ok(recorded)
    }
}

/// An extension that was checked.
struct Ready {
    /// How many items the run had then.
    seen: usize,
    items: Vec<Item>,
    added: Vec<Added>,
    close: bool,
}

fn digest_of(asked: &Extension<'_>) -> Digest {
    let items = asked.items.map(|items| Digest::of(items).to_string());
    Digest::of(serde_json::json!(["extend", asked.run_id, items, asked.close]).to_string().as_bytes())
}
