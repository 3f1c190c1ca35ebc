//! A person decides an approval. No tool leads here: what an agent could approve would be no approval.

use agora_core::decide::{self, Verdict};
use agora_core::error::{Class, Problem};
use agora_core::id::{Digest, ItemId};
use agora_core::limits::ANSWER_BYTES_MAX;
use agora_core::record::CancelVia;

use super::accept::{internal, request_conflict};
use super::call::Call as _;
use super::status::locate;
use super::{AnswerReply, Caller, OpError, WatchArgs};
use crate::engine::Engine;

/// A person's decision about an approval.
#[derive(Debug, Clone)]
pub struct ApproveArgs {
    /// The run's whole id.
    pub run_id: String,
    /// The approval.
    pub item_id: String,
    /// Approved or rejected.
    pub verdict: Verdict,
    /// Why, in the person's words.
    pub note: Option<String>,
    /// The same id and arguments give the first answer again.
    pub request_id: Option<String>,
}

impl Engine {
    /// Approves or rejects.
    ///
    /// # Errors
    /// `approval-for-people` for any caller but a person at the command line; `approval-unknown` where none is open.
    pub async fn approve(&self, caller: &Caller, args: ApproveArgs) -> Result<AnswerReply, OpError> {
        if !caller.actor.as_str().starts_with("human:") || caller.via != CancelVia::Cli {
            let what = "an approval is a person's to give, at the command line";
            let problem = Problem::new(Class::Caller, "approval-for-people", what);
            return Err(OpError::one(problem.hint("a person runs `agora-admin approve RUN ITEM`, or reject")));
        }
        let state = match args.verdict {
            Verdict::Approved => "approved",
            Verdict::Rejected => "rejected",
        };
        let shown = serde_json::json!([args.run_id, args.item_id, state, args.note]);
        let digest = Digest::of(shown.to_string().as_bytes());
        let request = args.request_id.clone();
        if let Some(reply) = self.earlier::<AnswerReply>(caller, "approve", request.as_deref(), &digest).await? {
            return Ok(AnswerReply { deduplicated: true, ..reply });
        }
        let run = self.find_run(caller, &args.run_id, true).await?.id;
        let item = ItemId::new(args.item_id.as_str())
            .map_err(|error| OpError::one(Problem::new(Class::Caller, "id-syntax", error.to_string()).at("item_id")))?;
        if args.note.as_ref().is_some_and(|note| note.len() > ANSWER_BYTES_MAX) {
            let what = format!("a note has at most {ANSWER_BYTES_MAX} bytes");
            return Err(OpError::one(Problem::new(Class::Caller, "answer-shape", what).at("note")));
        }
        let wish = decide::Approve { item: item.clone(), question: None, verdict: args.verdict, note: None };
        // Looked at before the note is kept: what is refused leaves nothing behind.
        let asked = wish.clone();
        let looked = self.with_run(&run, move |ledger, id| {
            let (state, _) = locate(ledger, id, asked.item.as_str())?;
            Ok(decide::approve(state, asked).map(drop)?)
        });
        if let Err(error) = looked.await {
            // An equal call may have been faster; then its answer is this one's.
            let earlier = self.earlier::<AnswerReply>(caller, "approve", request.as_deref(), &digest).await?;
            return earlier.map(|reply| AnswerReply { deduplicated: true, ..reply }).ok_or(error);
        }
        let note = match &args.note {
            None => None,
            Some(note) => Some(self.blobs.put(note.as_bytes()).await?),
        };
        let reply = AnswerReply {
            run_id: run.to_string(),
            item_id: Some(item.to_string()),
            state: state.to_owned(),
            deduplicated: false,
            next: WatchArgs { run_ids: Some(vec![run.to_string()]), ..WatchArgs::default() }.call(),
        };
        let answer = serde_json::to_string(&reply).map_err(|error| internal(&error))?;
        let (stamp, actor) = (self.stamp(caller), caller.actor.clone());
        let raced = self
            .journal
            .call(move |ledger| {
                ledger.transact(|tx| {
                    // Looked up again where nobody can come between: an equal call may have been faster.
                    if let Some(request) = &request
                        && let Some(earlier) = tx.ledger().earlier(&actor, "approve", request)?
                    {
                        return Ok(Some(earlier));
                    }
                    let decision = decide::approve(tx.run(&run)?, decide::Approve { note, ..wish })?;
                    tx.append(&stamp, &run, decision.records)?;
                    tx.ledger().touch([run.clone()]);
                    if let Some(request) = &request {
                        tx.remember(&actor, "approve", request, &digest, &answer)?;
                    }
                    Ok(None)
                })
            })
            .await?;
        match raced {
            None => Ok(reply),
            Some(earlier) if earlier.digest == digest => {
                let first: AnswerReply = serde_json::from_str(&earlier.answer).map_err(|error| internal(&error))?;
                Ok(AnswerReply { deduplicated: true, ..first })
            }
            Some(_) => Err(request_conflict()),
        }
    }
}
