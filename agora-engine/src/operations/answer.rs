//! `answer`: reply to a question an agent asked, or release a hold.

use agora_core::decide;
use agora_core::error::{Class, Problem};
use agora_core::id::{Digest, ItemId, RunId};
use agora_core::limits::ANSWER_BYTES_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accept::{internal, request_conflict};
use super::call::Call as _;
use super::rows::open_question;
use super::status::locate;
use super::{Caller, OpError, StatusArgs, View, WatchArgs};
use crate::engine::Engine;

/// The arguments of `answer`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerArgs {
    /// The run's whole id.
    pub run_id: String,
    /// The item that asked.
    #[serde(default)]
    pub item_id: Option<String>,
    /// The question's number, as `status` shows it. Absent: the hold is released.
    #[serde(default)]
    pub question_id: Option<u32>,
    /// The answer in words; not empty.
    #[serde(default)]
    pub text: Option<String>,
    /// The answer as one of the options, from 1.
    #[serde(default)]
    pub choice: Option<u32>,
    /// The same id and arguments give the first answer again.
    #[serde(default)]
    pub request_id: Option<String>,
}

/// The reply of `answer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerReply {
    /// The run.
    pub run_id: String,
    /// The item that goes on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub item_id: Option<String>,
    /// `answered`, `released`.
    pub state: String,
    /// Whether this is the answer to an earlier, equal call.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub deduplicated: bool,
    /// What to call next.
    pub next: String,
}

impl Engine {
    /// Replies to a question, or releases a hold.
    ///
    /// # Errors
    /// For questions that are not open, and holds that are not set.
    pub async fn answer(&self, caller: &Caller, args: AnswerArgs) -> Result<AnswerReply, OpError> {
        let digest = digest_of(&args);
        self.answer_once(caller, args, digest).await
    }

    /// Replies to the one question of an item that is open, for who does not know its number.
    ///
    /// With a `request_id` a repeated call gives the first answer again, whatever the item asks by then. Without one it may
    /// answer a question that came after the one that was seen: it is for people, not for a tool.
    ///
    /// # Errors
    /// `question-missing` where no question is open; else as [`Engine::answer`].
    pub async fn answer_open(&self, caller: &Caller, mut args: AnswerArgs) -> Result<AnswerReply, OpError> {
        // Of what was given: the same call has the same digest when the question is answered, too.
        let digest = digest_of(&args);
        if let Some(reply) = self.earlier::<AnswerReply>(caller, "answer", args.request_id.as_deref(), &digest).await? {
            return Ok(AnswerReply { deduplicated: true, ..reply });
        }
        let (run, item) =
            (self.find_run(caller, &args.run_id, true).await?.id, args.item_id.clone().unwrap_or_default());
        let shown = item.clone();
        let open = self.with_run(&run, move |ledger, id| {
            let (state, ix) = locate(ledger, id, &item)?;
            Ok(open_question(&state.items[ix]))
        });
        let open = open.await?.and_then(|number| u32::try_from(number).ok());
        args.question_id = Some(open.ok_or_else(|| {
            let problem = Problem::new(Class::Missing, "question-missing", format!("{shown} has no open question"));
            OpError::one(problem.hint(see_inbox()))
        })?);
        self.answer_once(caller, args, digest).await
    }

    async fn answer_once(&self, caller: &Caller, args: AnswerArgs, digest: Digest) -> Result<AnswerReply, OpError> {
        let request = args.request_id.clone();
        if let Some(reply) = self.earlier::<AnswerReply>(caller, "answer", request.as_deref(), &digest).await? {
            return Ok(AnswerReply { deduplicated: true, ..reply });
        }
        let run = self.find_run(caller, &args.run_id, true).await?.id;
        let next = WatchArgs { run_ids: Some(vec![run.to_string()]), ..WatchArgs::default() }.call();
        let (decided, item_id, state) = match args.question_id {
            None if args.text.is_some() || args.choice.is_some() || args.item_id.is_some() => {
                let problem = Problem::new(Class::Caller, "answer-shape", "an answer needs the question's number");
                return Err(OpError::one(problem.at("question_id").hint(see_inbox())));
            }
            None => (Decided::Release, None, "released"),
            Some(question) => {
                let item = args.item_id.as_deref().map(ItemId::new).transpose().map_err(|error| {
                    OpError::one(Problem::new(Class::Caller, "id-syntax", error.to_string()).at("item_id"))
                })?;
                let found = match self.answer_text(&run, item, u64::from(question), &args).await {
                    Ok(found) => found,
                    // An equal call may have been faster; then its answer is this one's.
                    Err(error) => {
                        let earlier = self.earlier::<AnswerReply>(caller, "answer", request.as_deref(), &digest);
                        return match earlier.await? {
                            Some(reply) => Ok(AnswerReply { deduplicated: true, ..reply }),
                            None => Err(error),
                        };
                    }
                };
                let (item, text) = found;
                let answer = self.blobs.put(text.as_bytes()).await?;
                let answer = decide::Answer { item: Some(item.clone()), question: u64::from(question), answer };
                (Decided::Answer(answer), Some(item.to_string()), "answered")
            }
        };
        let reply =
            AnswerReply { run_id: run.to_string(), item_id, state: state.to_owned(), deduplicated: false, next };
        let answer = serde_json::to_string(&reply).map_err(|error| internal(&error))?;
        let (stamp, actor) = (self.stamp(caller), caller.actor.clone());
        let raced = self
            .journal
            .call(move |ledger| {
                ledger.transact(|tx| {
                    // Looked up again where nobody can come between: an equal call may have been faster.
                    if let Some(request) = &request
                        && let Some(earlier) = tx.ledger().earlier(&actor, "answer", request)?
                    {
                        return Ok(Some(earlier));
                    }
                    let state = tx.run(&run)?;
                    let decision = match decided {
                        Decided::Release => decide::release(state),
                        Decided::Answer(answer) => decide::answer(state, answer),
                    }?;
                    tx.append(&stamp, &run, decision.records)?;
                    tx.ledger().touch([run.clone()]);
                    if let Some(request) = &request {
                        tx.remember(&actor, "answer", request, &digest, &answer)?;
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

    /// Whose question it is, and what the answer says: the words, or the option that was chosen.
    async fn answer_text(
        &self,
        run: &RunId,
        item: Option<ItemId>,
        question: u64,
        args: &AnswerArgs,
    ) -> Result<(ItemId, String), OpError> {
        let found = self
            .with_run(run, move |ledger, id| {
                let state = ledger.board_ref().run(id);
                let asks = |candidate: &&agora_core::state::ItemState| {
                    open_question(candidate) == Some(question) && item.as_ref().is_none_or(|item| candidate.id == *item)
                };
                let found = state.and_then(|state| state.items.iter().find(asks));
                if let Some(item) = found.filter(|item| item.is_approval()) {
                    return Err(decide::Refusal::WantsApproval { item: item.id.to_string() }.into());
                }
                Ok(found.and_then(|item| Some((item.id.clone(), item.question.as_ref()?.text))))
            })
            .await?;
        let (item, text) = found.ok_or_else(|| {
            let problem = Problem::new(Class::Missing, "question-unknown", format!("no question {question} is open"));
            OpError::one(problem.at("question_id").hint(see_inbox()))
        })?;
        let wrong = |what: String| {
            let at = if args.choice.is_some() { "choice" } else { "text" };
            OpError::one(Problem::new(Class::Caller, "answer-shape", what).at(at))
        };
        let answer = match (&args.text, args.choice) {
            (Some(text), None) if text.trim().is_empty() => {
                return Err(wrong("the answer is empty, and it cannot be taken back".to_owned()));
            }
            (Some(text), None) => text.clone(),
            (None, Some(choice)) => {
                let asked = self.asked(&text).await?;
                let option = usize::try_from(choice).ok().and_then(|at| asked.options.get(at.checked_sub(1)?).cloned());
                option.ok_or_else(|| wrong(format!("the question has options 1 to {}", asked.options.len())))?
            }
            _ => return Err(wrong("give exactly one of text and choice".to_owned())),
        };
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(wrong(format!("an answer has at most {ANSWER_BYTES_MAX} bytes")));
        }
        Ok((item, answer))
    }
}

fn digest_of(args: &AnswerArgs) -> Digest {
    let shown = serde_json::json!([args.run_id, args.item_id, args.question_id, args.text, args.choice]);
    Digest::of(shown.to_string().as_bytes())
}

fn see_inbox() -> String {
    format!("see `{}`", StatusArgs { view: Some(View::Inbox), ..StatusArgs::default() }.call())
}

enum Decided {
    Release,
    Answer(decide::Answer),
}
