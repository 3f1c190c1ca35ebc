//! Ending an item whose stop nothing proves, on an operator's word. No tool: who asks for the stop is not who says that it
//! happened.

use agora_core::decide;
use agora_core::error::{Class, Problem};
use agora_core::id::{ItemId, Word};
use agora_core::record::CancelVia;
use schemars::JsonSchema;
use serde::Serialize;

use super::accept::internal;
use super::cancel::check_reason;
use super::status::locate;
use super::{Caller, OpError};
use crate::engine::Engine;
use crate::journal::StoreError;

/// What an operator says.
#[derive(Debug, Clone)]
pub struct ForceArgs {
    /// The run's whole id.
    pub run_id: String,
    /// The item.
    pub item_id: String,
    /// Why; at most 1,000 characters, kept as evidence.
    pub reason: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ForceReply {
    /// The run.
    pub run_id: String,
    /// The item.
    pub item_id: String,
    /// `cancelled`.
    pub state: String,
    /// `forced`: somebody said so, and nothing shows it.
    pub proof: String,
    /// Why the reason could not be kept as evidence; it was done all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_not_kept: Option<String>,
}

impl Engine {
    /// Ends an item that is `stopping_unverified`: it is cancelled, its locks are free, and the evidence says that an
    /// operator said so. Its box, should it still run, is ended by the driver as any that no lease covers.
    ///
    /// # Errors
    /// `operator-only` for tools, `stop-not-unverified` for any other item that is not over, `item-over`, `run-over`, and
    /// for what is not there.
    pub async fn force_resolve(&self, caller: &Caller, args: ForceArgs) -> Result<ForceReply, OpError> {
        if caller.via != CancelVia::Cli {
            let problem = Problem::new(Class::Operator, "operator-only", "only an operator can force an end");
            return Err(OpError::one(problem.hint("an operator runs `agora-admin force-resolve`")));
        }
        check_reason(&args.reason)?;
        let item = ItemId::new(&args.item_id)
            .map_err(|error| OpError::one(Problem::new(Class::Caller, "id-syntax", error.to_string()).at("item_id")))?;
        let run = self.find_run(caller, &args.run_id, true).await?.id;
        let reason = Word::new("forced").map_err(|error| internal(&error))?;
        let wish = decide::Force { item: item.clone(), via: caller.via, reason, note: None };
        // Looked at before the reason is kept: what is refused leaves nothing behind.
        let (asked, now) = (wish.clone(), self.host.now());
        self.with_run(&run, move |ledger, id| {
            let (state, _) = locate(ledger, id, asked.item.as_str())?;
            Ok(decide::force(state, asked, now).map(drop)?)
        })
        .await?;
        let (note, reason_not_kept) = self.keep_reason(&args.reason).await;
        let (stamp, id) = (self.stamp(caller), run.clone());
        self.journal
            .call(move |ledger| {
                ledger.transact(|tx| {
                    let now = tx.now();
                    let decision = decide::force(tx.run(&id)?, decide::Force { note, ..wish }, now)?;
                    tx.append(&stamp, &id, decision.records)?;
                    tx.ledger().touch([id.clone()]);
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(ForceReply {
            run_id: run.to_string(),
            item_id: item.to_string(),
            state: "cancelled".to_owned(),
            proof: "forced".to_owned(),
            reason_not_kept,
        })
    }
}
