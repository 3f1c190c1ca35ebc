//! `cancel`: stop a run or an item, or hold it.

use agora_core::decide;
use agora_core::error::{Class, Problem};
use agora_core::id::{ItemId, Word};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accept::internal;
use super::call::Call as _;
use super::rows::state_word;
use super::status::locate;
use super::{AnswerArgs, Caller, OpError, StatusArgs};
use crate::engine::Engine;
use crate::journal::StoreError;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CancelMode {
    /// End it.
    Stop,
    /// Start nothing new in this run; what runs goes on to its end. `answer` releases it.
    Hold,
}

/// The arguments of `cancel`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelArgs {
    /// The run's whole id.
    pub run_id: String,
    /// Only this item.
    #[serde(default)]
    pub item_id: Option<String>,
    /// `stop` unless said.
    #[serde(default)]
    pub mode: Option<CancelMode>,
    /// Why; at most 1,000 characters, kept as evidence.
    pub reason: String,
}

/// The reply of `cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CancelReply {
    /// The run.
    pub run_id: String,
    /// The item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
    /// `stopping`, `cancelled`, `held`; or how it had ended before.
    pub state: String,
    /// What to call next.
    pub next: String,
}

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 1000;

impl Engine {
    /// Stops a run or an item, or holds a run. Stopping what is over says how it ended.
    ///
    /// # Errors
    /// For runs and items that are not there, and a hold of what is held or over.
    pub async fn cancel(&self, caller: &Caller, args: CancelArgs) -> Result<CancelReply, OpError> {
        let wrong = |at: &str, what: String| OpError::one(Problem::new(Class::Caller, "cancel-shape", what).at(at));
        if args.reason.is_empty() || args.reason.chars().count() > REASON_CHARS_MAX {
            return Err(wrong("reason", format!("a reason has 1 to {REASON_CHARS_MAX} characters")));
        }
        let mode = args.mode.unwrap_or(CancelMode::Stop);
        if mode == CancelMode::Hold && args.item_id.is_some() {
            return Err(wrong("item_id", "a hold is of a whole run".to_owned()));
        }
        let item = args.item_id.as_deref().map(ItemId::new).transpose();
        let item = item.map_err(|error| wrong("item_id", error.to_string()))?;
        let run = self.find_run(caller, &args.run_id, true).await?.id;
        let note = Some(self.blobs.put(args.reason.as_bytes()).await?);
        let reason = Word::new("requested").map_err(|error| internal(&error))?;
        let (stamp, via, wanted, id) = (self.stamp(caller), caller.via, item.clone(), run.clone());
        let state = self
            .journal
            .call(move |ledger| {
                let result = ledger.transact(|tx| {
                    tx.run(&id)?;
                    if let Some(item) = &wanted {
                        // A run that is over refuses before it looks at the item.
                        locate(tx.ledger(), &id, item.as_str())?;
                    }
                    let state = tx.run(&id)?;
                    let decision = match mode {
                        CancelMode::Stop => {
                            decide::cancel(state, decide::Cancel { item: wanted.clone(), via, reason, note })
                        }
                        CancelMode::Hold => decide::hold(state, reason, note),
                    };
                    match decision {
                        Ok(decision) => tx.append(&stamp, &id, decision.records)?,
                        // Cancelling what is over says how it ended, and records nothing.
                        Err(decide::Refusal::Over { .. } | decide::Refusal::ItemOver { .. })
                            if mode == CancelMode::Stop => {}
                        Err(refusal) => return Err(refusal.into()),
                    }
                    tx.ledger().touch([id.clone()]);
                    let state = tx.run(&id)?;
                    Ok(match (&wanted, mode) {
                        (_, CancelMode::Hold) => "held",
                        (Some(item), _) => state
                            .item(item)
                            .map_or("cancelled", |item| if item.is_stopping() { "stopping" } else { state_word(item) }),
                        (None, _) if state.is_over() => state.word(),
                        (None, _) => "stopping",
                    }
                    .to_owned())
                })?;
                Ok::<_, StoreError>(result)
            })
            .await?;
        let next = match mode {
            CancelMode::Hold => {
                format!("{} releases it", AnswerArgs { run_id: run.to_string(), ..AnswerArgs::default() }.call())
            }
            CancelMode::Stop => StatusArgs { run_id: Some(run.to_string()), ..StatusArgs::default() }.call(),
        };
        Ok(CancelReply { run_id: run.to_string(), item_id: item.map(|item| item.to_string()), state, next })
    }
}
