//! `cancel`: stop a run or an item, or hold it.

use agora_core::decide::{self, Refusal};
use agora_core::error::{Class, Coded as _, Problem};
use agora_core::id::{Digest, ItemId, RunId, Word};
use agora_core::record::{CancelVia, HoldMode, Record};
use agora_core::state::RunState;
use agora_core::time::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accept::internal;
use super::call::Call as _;
use super::rows::state_word;
use super::status::locate;
use super::{AnswerArgs, Caller, OpError, StatusArgs};
use crate::engine::Engine;
use crate::journal::{Ledger, StoreError};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CancelMode {
    /// End it.
    Stop,
    /// Start nothing new in this run, until `answer` releases it. What runs goes on to its end, unless `drain` is false.
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
    /// With `hold`: whether what runs goes on to its end; true unless said. False parks the run: what runs is stopped too,
    /// and starts anew after the release, without having used up an attempt.
    #[serde(default)]
    pub drain: Option<bool>,
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
    /// `stopping`, `stopping_unverified`, `cancelled`, `held`; or how it had ended before.
    pub state: String,
    /// Why the reason could not be kept as evidence; it was done all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_not_kept: Option<String>,
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
        check_reason(&args.reason)?;
        let mode = args.mode.unwrap_or(CancelMode::Stop);
        if mode == CancelMode::Hold && args.item_id.is_some() {
            return Err(wrong("item_id", "a hold is of a whole run: leave the item out".to_owned()));
        }
        let hold = match (mode, args.drain) {
            (CancelMode::Stop, None) => None,
            (CancelMode::Stop, Some(_)) => return Err(wrong("drain", "only a hold drains or parks".to_owned())),
            (CancelMode::Hold, None | Some(true)) => Some(HoldMode::Drain),
            (CancelMode::Hold, Some(false)) => Some(HoldMode::Park),
        };
        let item = args.item_id.as_deref().map(ItemId::new).transpose();
        let item = item.map_err(|error| wrong("item_id", error.to_string()))?;
        let run = self.find_run(caller, &args.run_id, true).await?.id;
        let reason = Word::new("requested").map_err(|error| internal(&error))?;
        let wish = Wish { hold, item: item.clone(), via: caller.via, reason };
        // Looked at before the reason is kept: what is refused, or is over, leaves nothing behind.
        let asked = wish.clone();
        let records = self.with_run(&run, move |ledger, id| asked.decide(ledger, id, None)).await?;
        let (note, reason_not_kept) = match records.is_empty() {
            true => (None, None),
            false => self.keep_reason(&args.reason).await,
        };
        let (stamp, id) = (self.stamp(caller), run.clone());
        let state = self
            .journal
            .call(move |ledger| {
                ledger.transact(|tx| {
                    tx.run(&id)?;
                    let records = wish.decide(tx.ledger(), &id, note)?;
                    tx.append(&stamp, &id, records)?;
                    tx.ledger().touch([id.clone()]);
                    let now = tx.now();
                    Ok(wish.state(tx.run(&id)?, now).to_owned())
                })
            })
            .await?;
        let next = match mode {
            CancelMode::Hold => {
                format!("{} releases it", AnswerArgs { run_id: run.to_string(), ..AnswerArgs::default() }.call())
            }
            CancelMode::Stop => StatusArgs { run_id: Some(run.to_string()), ..StatusArgs::default() }.call(),
        };
        let item_id = item.map(|item| item.to_string());
        Ok(CancelReply { run_id: run.to_string(), item_id, state, reason_not_kept, next })
    }

    /// Keeps the caller's words, or says why they are not kept. Whoever cancels a run because it fills the disk has no room
    /// for words: what they asked for is done without them.
    pub(super) async fn keep_reason(&self, reason: &str) -> (Option<Digest>, Option<String>) {
        match self.blobs.put(reason.as_bytes()).await {
            Ok(note) => (Some(note), None),
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "the reason of a cancel is not kept");
                (None, Some(error.problem().to_string()))
            }
        }
    }
}

/// Refuses a reason that nobody could read, or that says nothing.
pub(super) fn check_reason(reason: &str) -> Result<(), OpError> {
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        let what = format!("a reason has 1 to {REASON_CHARS_MAX} characters");
        let problem = Problem::new(Class::Caller, "cancel-shape", what).at("reason");
        return Err(OpError::one(problem.hint("say in a sentence why; it is kept as evidence")));
    }
    Ok(())
}

/// What a cancel asks for, but for the caller's words.
#[derive(Clone)]
struct Wish {
    /// How to hold the run; absent: it, or its item, is to stop.
    hold: Option<HoldMode>,
    item: Option<ItemId>,
    via: CancelVia,
    reason: Word,
}

impl Wish {
    /// What it records about a loaded run; nothing where it ended before, or was asked to stop already.
    fn decide(&self, ledger: &Ledger, id: &RunId, note: Option<Digest>) -> Result<Vec<Record>, StoreError> {
        if let Some(item) = &self.item {
            // An item that is not there is refused, also in a run that is over.
            locate(ledger, id, item.as_str())?;
        }
        let state = ledger.board_ref().run(id).ok_or_else(|| StoreError::NoRun(id.to_string()))?;
        let reason = self.reason.clone();
        let decision = match self.hold {
            None => decide::cancel(state, decide::Cancel { item: self.item.clone(), via: self.via, reason, note }),
            Some(mode) => decide::hold(state, mode, reason, note),
        };
        match decision {
            Ok(decision) => Ok(decision.records),
            // Cancelling what is over says how it ended, and records nothing.
            Err(Refusal::Over { .. } | Refusal::ItemOver { .. }) if self.hold.is_none() => Ok(Vec::new()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// The word for where run or item stand afterwards.
    fn state(&self, run: &RunState, now: Time) -> &'static str {
        match (&self.item, self.hold) {
            (_, Some(_)) => "held",
            (Some(item), None) => run.item(item).map_or("cancelled", |item| state_word(item, now)),
            (None, None) if run.is_over() => run.word(),
            (None, None) => "stopping",
        }
    }
}
