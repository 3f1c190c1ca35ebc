//! `status`: where things stand.

use agora_core::choose::Capacity;
use agora_core::decide::Refusal;
use agora_core::error::{Class, Problem, nearest};
use agora_core::id::{Digest, ItemId, RunId};
use agora_core::record::QuestionKind;
use agora_core::state::{ItemState, ItemStatus, OpenQuestion, RunState};
use agora_core::worker::Question;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accept::internal;
use super::call::Call as _;
use super::facts::{AttemptRow, ItemRow, RunRow, Text};
use super::find::seen_as;
use super::rows::{attempt_rows, item_row, open_question, run_row, state_word, text};
use super::{AnswerArgs, Caller, OpError, diagnosis};
use crate::engine::Engine;
use crate::journal::{Ledger, RunSummary, StoreError};

/// What to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum View {
    /// What needs somebody, oldest first.
    Inbox,
    /// All runs, newest first.
    Runs,
    /// One run and its items.
    Run,
    /// One item and its attempts.
    Item,
    /// Why nothing happens.
    Diagnose,
}

/// The arguments of `status`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusArgs {
    /// What to look at. Absent: the item or run that is named, else the runs.
    #[serde(default)]
    pub view: Option<View>,
    /// The run: its id or a unique prefix.
    #[serde(default)]
    pub run_id: Option<String>,
    /// The item.
    #[serde(default)]
    pub item_id: Option<String>,
    /// Only runs or items in this state.
    #[serde(default)]
    pub state: Option<String>,
    /// At most so many rows; 20 unless said, 200 at most.
    #[serde(default)]
    pub limit: Option<u32>,
    /// Goes on where an earlier answer ended.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Something that needs somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InboxRow {
    /// The run.
    pub run_id: String,
    /// The item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
    /// `question`, `approval`, `held`, `stopping_unverified` for an item whose stop nothing proves, and `damaged` for a run
    /// whose journal cannot be read.
    pub kind: String,
    /// Since when.
    pub since: String,
    /// The question's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question_id: Option<u64>,
    /// The question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<Text>,
    /// The choices it offers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Text>,
    /// Why the question or the run cannot be shown: bytes that are missing or damaged. An answer in words is taken all the
    /// same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// The call that resolves it.
    pub next: String,
}

/// Why nothing happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Diagnosis {
    /// A stable code: `nothing-wrong`, `all-done`, `cancelled`, `question-open`, `held`, `no-driver`, `target-down`, `queue-gone`, `lock-held`,
    /// `back-off`, `open-ended`, `slots-full`, `stopping`, `stop-unverified`, `pattern-failed`, `failed`.
    pub likely_issue: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// What it is not.
    pub ruled_out: Vec<String>,
    /// What to do.
    pub next: String,
}

/// The reply of `status`; only the members of its view are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StatusReply {
    /// What it shows.
    pub view: View,
    /// How many rows there are in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunRow>,
    /// Runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunRow>,
    /// Items, in plan order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemRow>,
    /// The attempts of one item.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptRow>,
    /// What needs somebody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inbox: Vec<InboxRow>,
    /// Why nothing happens; of a run, that a pattern could not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
    /// Give this to have the next rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Rows unless said.
const LIMIT_DEFAULT: u32 = 20;
/// Rows at most.
const LIMIT_MAX: u32 = 200;
/// How many open runs the inbox looks at.
const INBOX_RUNS_MAX: u64 = 1000;

impl Engine {
    /// Where things stand.
    ///
    /// # Errors
    /// For runs and items that are not there.
    pub async fn status(&self, caller: &Caller, args: StatusArgs) -> Result<StatusReply, OpError> {
        let view = args.view.unwrap_or(match (&args.run_id, &args.item_id) {
            (Some(_), Some(_)) => View::Item,
            (Some(_), None) => View::Run,
            (None, _) => View::Runs,
        });
        match view {
            View::Runs => self.runs(caller, &args).await,
            View::Run => self.one_run(caller, &args).await,
            View::Item => self.one_item(caller, &args).await,
            View::Inbox => self.inbox(caller, &args).await,
            View::Diagnose => self.diagnose(caller, &args).await,
        }
    }

    async fn runs(&self, caller: &Caller, args: &StatusArgs) -> Result<StatusReply, OpError> {
        check_state(args.state.as_deref(), &["open", "done", "failed", "cancelled"])?;
        let limit = u64::from(args.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX));
        let before = args.cursor.as_deref().map(cursor).transpose()?;
        let (actor, state, now) = (seen_as(caller), args.state.clone(), self.host.now());
        let (total, rows, last) = self
            .journal
            .call(move |ledger| {
                let total = ledger.count(actor.as_deref(), state.as_deref())?;
                let found = ledger.list(actor.as_deref(), state.as_deref(), before, limit)?;
                let mut rows = Vec::new();
                for run in &found {
                    rows.push(run_row(run, ledger.item_counts(run.key, now)?, now));
                }
                Ok((total, rows, found.last().map(|run| run.key)))
            })
            .await?;
        let more = rows.len() as u64 == limit;
        let cursor = last.filter(|_| more).map(|key| key.to_string());
        Ok(StatusReply { total: Some(total), runs: rows, cursor, ..StatusReply::of(View::Runs) })
    }

    fn needs(args: &StatusArgs, member: &'static str) -> OpError {
        let problem = Problem::new(Class::Caller, "argument-missing", format!("this view needs {member}")).at(member);
        let hint = args.run_id.as_ref().map_or("list the runs with `status`", |_| "list the items with `status`");
        OpError::one(problem.hint(hint))
    }

    async fn one_run(&self, caller: &Caller, args: &StatusArgs) -> Result<StatusReply, OpError> {
        let known: Vec<&str> =
            ItemStatus::ALL.iter().map(|status| status.as_str()).chain(["stopping", "stopping_unverified"]).collect();
        check_state(args.state.as_deref(), &known)?;
        let given = args.run_id.as_deref().ok_or_else(|| Self::needs(args, "run_id"))?;
        let run = self.find_run(caller, given, false).await?;
        let limit = usize::try_from(args.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)).unwrap_or(1);
        let from = args.cursor.as_deref().map(cursor).transpose()?.and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
        let (state, now, capacity) = (args.state.clone(), self.host.now(), self.capacity().await);
        let key = run.key;
        let (rows, total, next, counts, diagnosis) = self
            .with_run(&run.id, move |ledger, id| {
                let counts = ledger.item_counts(key, now)?;
                let Some(found) = ledger.board_ref().run(id) else { return Ok((Vec::new(), 0, None, counts, None)) };
                let wanted =
                    |ix: &usize| state.as_deref().is_none_or(|state| state_word(&found.items[*ix], now) == state);
                let matching: Vec<usize> = (0..found.items.len()).filter(wanted).collect();
                let page: Vec<usize> = matching.iter().copied().skip(from).take(limit).collect();
                let next = (from + page.len() < matching.len()).then(|| (from + page.len()).to_string());
                let row = |ix: usize| item_row(ledger.board_ref(), found, ix, now, &capacity);
                let diagnosis = diagnosis::of_patterns(found);
                Ok((page.into_iter().map(row).collect(), matching.len() as u64, next, counts, diagnosis))
            })
            .await?;
        let run = Some(run_row(&run, counts, now));
        Ok(StatusReply { total: Some(total), run, items: rows, diagnosis, cursor: next, ..StatusReply::of(View::Run) })
    }

    async fn one_item(&self, caller: &Caller, args: &StatusArgs) -> Result<StatusReply, OpError> {
        let given = args.run_id.as_deref().ok_or_else(|| Self::needs(args, "run_id"))?;
        let wanted = args.item_id.clone().ok_or_else(|| Self::needs(args, "item_id"))?;
        let run = self.find_run(caller, given, false).await?;
        let (now, capacity) = (self.host.now(), self.capacity().await);
        let (row, attempts) = self
            .with_run(&run.id, move |ledger, id| {
                let (found, ix) = locate(ledger, id, &wanted)?;
                let row = item_row(ledger.board_ref(), found, ix, now, &capacity);
                Ok((row, attempt_rows(&found.items[ix], now)))
            })
            .await?;
        Ok(StatusReply { items: vec![row], attempts, ..StatusReply::of(View::Item) })
    }

    async fn inbox(&self, caller: &Caller, args: &StatusArgs) -> Result<StatusReply, OpError> {
        let limit = usize::try_from(args.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)).unwrap_or(1);
        let actor = seen_as(caller);
        let runs =
            self.journal.call(move |ledger| ledger.list(actor.as_deref(), Some("open"), None, INBOX_RUNS_MAX)).await?;
        let mut waiting = Vec::new();
        for run in runs {
            if run.held {
                let next = AnswerArgs { run_id: run.id.to_string(), ..AnswerArgs::default() }.call();
                waiting.push((run.opened_at, InboxRow::of("held", &run, next), None));
            }
            let now = self.host.now();
            let asked = self
                .with_run(&run.id, move |ledger, id| {
                    let found = ledger.board_ref().run(id);
                    let items = found.map(|run| run.items.as_slice()).unwrap_or_default();
                    let question = |item: &ItemState| {
                        let asked = item.question.as_ref().filter(|_| open_question(item).is_some())?;
                        Some((item.id.clone(), item.attempts, asked.clone()))
                    };
                    let unverified = items.iter().filter(|item| item.is_stop_unverified(now));
                    let unverified: Vec<_> =
                        unverified.filter_map(|item| Some((item.id.clone(), item.stop()?.at))).collect();
                    Ok((items.iter().filter_map(question).collect::<Vec<_>>(), unverified))
                })
                .await;
            let (asked, unverified) = match asked {
                Ok(found) => found,
                // One damaged run hides no other one's questions.
                Err(error) if error.first().code == "store-damaged" => {
                    let next = "the operator runs `agora-admin doctor`".to_owned();
                    let row = InboxRow { unreadable: Some(error.to_string()), ..InboxRow::of("damaged", &run, next) };
                    waiting.push((run.opened_at, row, None));
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (item, since) in unverified {
                let next = format!(
                    "an operator sees to it that nothing of it runs, then runs `agora-admin force-resolve {} {item} \
                     --reason WHY`",
                    run.id
                );
                let (item_id, at) = (Some(item.to_string()), since.to_string());
                let row = InboxRow { item_id, since: at, ..InboxRow::of("stopping_unverified", &run, next) };
                waiting.push((since, row, None));
            }
            for (item, attempt, question) in asked {
                let row = self.question_row(&run, &item, attempt, &question).await;
                waiting.push((question.at, row, Some(question.asked)));
            }
        }
        waiting.sort_by_key(|(at, _, asked)| (*at, *asked));
        let total = Some(waiting.len() as u64);
        let inbox = waiting.into_iter().take(limit).map(|(_, row, _)| row).collect();
        Ok(StatusReply { total, inbox, ..StatusReply::of(View::Inbox) })
    }

    /// An open question, with its words if they can be had: one that cannot be read can still be answered.
    async fn question_row(&self, run: &RunSummary, item: &ItemId, attempt: u64, question: &OpenQuestion) -> InboxRow {
        let answer = AnswerArgs {
            run_id: run.id.to_string(),
            item_id: Some(item.to_string()),
            question_id: u32::try_from(question.asked).ok(),
            ..AnswerArgs::default()
        };
        let (kind, next) = match question.kind {
            // Without an answer in it: sent as it stands, it is refused, and nothing is answered that nobody meant.
            QuestionKind::Input => ("question", format!("{} with text or choice", answer.call())),
            QuestionKind::Approval => {
                ("approval", format!("a person runs `agora-admin approve {} {item}`, or reject", run.id))
            }
        };
        let row = InboxRow {
            item_id: Some(item.to_string()),
            since: question.at.to_string(),
            question_id: Some(question.asked),
            ..InboxRow::of(kind, run, next)
        };
        let asked = match self.asked(&question.text).await {
            Ok(asked) => asked,
            Err(error) => return InboxRow { unreadable: Some(error.to_string()), ..row },
        };
        let shown = |words: String| text(words.into_bytes(), &run.id, item, attempt, 4096);
        let words = match asked.context {
            Some(context) => format!("{}\n\n{context}", asked.question),
            None => asked.question,
        };
        InboxRow { question: Some(shown(words)), options: asked.options.into_iter().map(shown).collect(), ..row }
    }

    /// The words of a question.
    pub(super) async fn asked(&self, digest: &Digest) -> Result<Question, OpError> {
        let bytes = self.blobs.get(digest).await?;
        agora_core::canon::from_bytes_with_floats(&bytes).map_err(|error| internal(&error))
    }

    async fn diagnose(&self, caller: &Caller, args: &StatusArgs) -> Result<StatusReply, OpError> {
        let given = args.run_id.as_deref().ok_or_else(|| Self::needs(args, "run_id"))?;
        let run = self.find_run(caller, given, false).await?;
        let (now, capacity) = (self.host.now(), self.capacity().await);
        let driven = self.driven();
        let key = run.key;
        let (diagnosis, counts) = self
            .with_run(&run.id, move |ledger, id| {
                let counts = ledger.item_counts(key, now)?;
                let found = ledger.board_ref().run(id).ok_or_else(|| StoreError::NoRun(id.to_string()))?;
                Ok((diagnosis::of(ledger.board_ref(), found, now, &capacity, driven), counts))
            })
            .await?;
        let run = Some(run_row(&run, counts, now));
        Ok(StatusReply { run, diagnosis: Some(diagnosis), ..StatusReply::of(View::Diagnose) })
    }

    /// What the configuration says about where items run, and which targets are down.
    pub(super) async fn capacity(&self) -> Capacity {
        let (sender, _) = tokio::sync::mpsc::unbounded_channel();
        let mut capacity = crate::driver::capacity(&self.config);
        capacity.down = crate::driver::probe(&self.config, &self.world(sender)).await;
        capacity
    }
}

/// The run and the item's index.
pub(super) fn locate<'a>(ledger: &'a Ledger, id: &RunId, item: &str) -> Result<(&'a RunState, usize), StoreError> {
    let run = ledger.board_ref().run(id).ok_or_else(|| StoreError::NoRun(id.to_string()))?;
    let ix = ItemId::new(item).ok().and_then(|item| run.index_of(&item));
    let ix = ix.ok_or_else(|| {
        let known = run.items.iter().take(1000).map(|item| item.id.as_str());
        let shown = item.chars().filter(|c| !c.is_control()).take(128).collect();
        Refusal::NoItem { run: id.to_string(), item: shown, nearest: nearest(item, known).map(str::to_owned) }
    })?;
    Ok((run, ix))
}

/// Reads a cursor of ours.
pub(super) fn cursor(text: &str) -> Result<i64, OpError> {
    text.parse().ok().filter(|at| *at >= 0).ok_or_else(|| no_cursor("cursor"))
}

/// A cursor that nothing of this store gave out.
pub(super) fn no_cursor(at: &str) -> OpError {
    let problem = Problem::new(Class::Caller, "cursor", "the cursor is not one that was given out").at(at);
    OpError::one(problem.hint("leave it out to start anew"))
}

/// Refuses a state that nothing can be in: an empty list would say that there is none.
fn check_state(given: Option<&str>, known: &[&str]) -> Result<(), OpError> {
    let Some(given) = given.filter(|given| !known.contains(given)) else { return Ok(()) };
    let shown: String = given.chars().filter(|c| !c.is_control()).take(128).collect();
    let problem = Problem::new(Class::Caller, "invalid-argument", format!("there is no state {shown}")).at("state");
    let all = format!("states are {}", known.join(", "));
    let hint = nearest(given, known.iter().copied()).map_or(all.clone(), |near| format!("did you mean {near}? {all}"));
    Err(OpError::one(problem.hint(hint)))
}

impl StatusReply {
    fn of(view: View) -> Self {
        Self {
            view,
            total: None,
            run: None,
            runs: Vec::new(),
            items: Vec::new(),
            attempts: Vec::new(),
            inbox: Vec::new(),
            diagnosis: None,
            cursor: None,
        }
    }
}

impl InboxRow {
    fn of(kind: &str, run: &RunSummary, next: String) -> Self {
        Self {
            run_id: run.id.to_string(),
            item_id: None,
            kind: kind.to_owned(),
            since: run.opened_at.to_string(),
            question_id: None,
            question: None,
            options: Vec::new(),
            unreadable: None,
            next,
        }
    }
}
