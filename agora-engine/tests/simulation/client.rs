//! What a client does at random, and what it holds the engine to.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use agora_core::decide::Verdict;
use agora_core::id::Enc;
use agora_core::record::CancelVia;
use agora_engine::Engine;
use agora_engine::operations::{
    AnswerArgs, ApproveArgs, Caller, CancelArgs, CancelMode, ExtendArg, ForceArgs, InboxRow, OpError, RunRow,
    StatusArgs, SubmitArgs, Until, View, WatchArgs,
};
use agora_testkit::simulation::Chaos;
use serde_json::{Value, json};

use super::common::caller;
use super::machine::World;
use super::plans::Plan;

/// Why a run may take nothing: it is not there, not open any more, or being stopped.
const GROWS_NO_MORE: [&str; 4] = ["run-unknown", "run-over", "run-closed", "run-stopping"];

fn extension(plan: &Plan, items: Option<Vec<Value>>) -> SubmitArgs {
    SubmitArgs { extend: Some(ExtendArg { run_id: plan.id.clone(), items }), ..SubmitArgs::default() }
}

/// The runs of a schedule and which of them were acknowledged.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) plans: Arc<Vec<Plan>>,
    pub(crate) acknowledged: Arc<Mutex<BTreeSet<String>>>,
    pub(crate) world: World,
}

impl Desk {
    fn chaos(&self) -> &Chaos {
        &self.world.chaos
    }

    fn any(&self) -> &Plan {
        &self.plans[self.chaos().below(u32::try_from(self.plans.len()).unwrap()) as usize]
    }

    /// Does one thing after another until the process ends.
    pub(crate) async fn work(self, engine: Arc<Engine>) {
        loop {
            tokio::time::sleep(self.chaos().pause(3_000)).await;
            if self.chaos().is_calm() {
                // What is left to do is done by one client alone.
                std::future::pending::<()>().await;
            }
            match self.chaos().below(17) {
                0..4 => self.submit(&engine, self.any()).await,
                4..6 => self.answer_one(&engine).await,
                6 => self.cancel(&engine).await,
                7 => self.hold(&engine).await,
                8 => self.stale_answer(&engine).await,
                9 => self.conflict(&engine).await,
                10..12 => self.extend_one(&engine).await,
                12 => self.close_one(&engine).await,
                13 => self.extend_otherwise(&engine).await,
                14 => self.force_one(&engine).await,
                _ => self.watch(&engine).await,
            }
        }
    }

    /// Submits a plan, again and again the same: acknowledged once, it is there for ever.
    pub(crate) async fn submit(&self, engine: &Engine, plan: &Plan) {
        let args =
            SubmitArgs { plan: Some(plan.json.clone()), request_id: Some(plan.id.clone()), ..SubmitArgs::default() };
        let known = self.acknowledged.lock().unwrap().contains(&plan.id);
        match engine.submit(&caller(), args).await {
            Ok(reply) => {
                if !known {
                    self.chaos().step(format!("submitted {}", plan.id));
                }
                if reply.run_id.as_ref() != Some(&plan.id) || (known && !reply.deduplicated) {
                    self.world.checker.fail(format!("C03: {} was submitted anew: {reply:?}", plan.id));
                }
                if !self.world.checker.has(&plan.id) {
                    self.world.checker.fail(format!("I1: {} is acknowledged and not there", plan.id));
                }
                self.acknowledged.lock().unwrap().insert(plan.id.clone());
            }
            Err(error) => self.refused("submit", &error, &[]),
        }
    }

    /// The same id with other content is refused, whenever it comes after the first.
    async fn conflict(&self, engine: &Engine) {
        let plan = self.any();
        if !self.acknowledged.lock().unwrap().contains(&plan.id) {
            return;
        }
        let mut other = plan.json.clone();
        other["items"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "id": "one-more", "inputs": { "subagent": "noop", "workerInput": { "prompt": "more" } } }));
        match engine.submit(&caller(), SubmitArgs { plan: Some(other), ..SubmitArgs::default() }).await {
            Ok(reply) => self.world.checker.fail(format!("C03: other content under one id: {reply:?}")),
            Err(error) => self.refused("submit", &error, &["run-conflict"]),
        }
    }

    /// Gives an open-ended run some of its growth.
    async fn extend_one(&self, engine: &Engine) {
        let plan = self.any();
        if !plan.is_open_ended() || !self.chaos().wants("extend", 1000) {
            return;
        }
        let at = self.chaos().below(u32::try_from(plan.growth.len()).unwrap());
        self.extend(engine, plan, at as usize).await;
    }

    /// Extends, again and again the same: acknowledged once, it is there for ever.
    pub(crate) async fn extend(&self, engine: &Engine, plan: &Plan, at: usize) {
        let name = format!("{}+{at}", plan.id);
        let known = self.acknowledged.lock().unwrap().contains(&name);
        let items = plan.growth[at].clone();
        let args = SubmitArgs { request_id: Some(name.clone()), ..extension(plan, Some(items)) };
        match engine.submit(&caller(), args).await {
            Ok(reply) => {
                if !known {
                    self.chaos().step(format!("extended {name}"));
                }
                if known && !reply.deduplicated {
                    self.world.checker.fail(format!("C03: {name} was added anew: {reply:?}"));
                }
                let mut ids = plan.growth[at].iter().filter_map(|item| item["id"].as_str());
                if !self.world.checker.has_items(&plan.id, &mut ids) {
                    self.world.checker.fail(format!("I1: {name} is acknowledged and not there"));
                }
                self.acknowledged.lock().unwrap().insert(name);
            }
            Err(error) => self.refused("extend", &error, &GROWS_NO_MORE),
        }
    }

    async fn close_one(&self, engine: &Engine) {
        let plan = self.any();
        if plan.is_open_ended() && self.chaos().wants("close", 300) {
            self.close(engine, plan).await;
        }
    }

    pub(crate) async fn close(&self, engine: &Engine, plan: &Plan) {
        let args = SubmitArgs { close: Some(true), ..extension(plan, None) };
        match engine.submit(&caller(), args).await {
            // Once it is calm this is said again and again.
            Ok(_) if self.chaos().is_calm() => {}
            Ok(_) => self.chaos().step(format!("closed {}", plan.id)),
            Err(error) => self.refused("close", &error, &GROWS_NO_MORE),
        }
    }

    /// An item of the run with other content, and any item for a run that takes none, are refused.
    async fn extend_otherwise(&self, engine: &Engine) {
        if !self.chaos().wants("extend-otherwise", 1000) {
            return;
        }
        let plan = self.any();
        let mut other = plan.json["items"][0].clone();
        other["subagentShape"] = json!("another");
        match engine.submit(&caller(), extension(plan, Some(vec![other]))).await {
            Ok(reply) => self.world.checker.fail(format!("an item became another: {reply:?}")),
            Err(error) => {
                let codes = [&GROWS_NO_MORE[..], &["item-conflict", "run-not-open-ended"]].concat();
                self.refused("extend", &error, &codes);
            }
        }
    }

    async fn inbox(&self, engine: &Engine) -> Vec<InboxRow> {
        let args = StatusArgs { view: Some(View::Inbox), limit: Some(100), ..StatusArgs::default() };
        match engine.status(&caller(), args).await {
            Ok(reply) => reply.inbox,
            Err(error) => {
                self.refused("status", &error, &[]);
                Vec::new()
            }
        }
    }

    async fn answer_one(&self, engine: &Engine) {
        let rows = self.inbox(engine).await;
        if rows.is_empty() {
            return;
        }
        let at = self.chaos().below(u32::try_from(rows.len()).unwrap()) as usize;
        self.answer(engine, &rows[at]).await;
    }

    /// Answers a question, releases a hold, or says that what cannot be stopped is gone.
    async fn answer(&self, engine: &Engine, row: &InboxRow) {
        if row.kind == "approval" {
            self.decide(engine, row).await;
            return;
        }
        if let ("stopping_unverified", Some(item)) = (row.kind.as_str(), &row.item_id) {
            return self.force(engine, &row.run_id, item, true).await;
        }
        let question_id = row.question_id.map(|id| u32::try_from(id).unwrap());
        let text = question_id.is_some().then(|| "yes".to_owned());
        let (run_id, item_id) = (row.run_id.clone(), row.item_id.clone().filter(|_| question_id.is_some()));
        let args = AnswerArgs { run_id, item_id, question_id, text, ..AnswerArgs::default() };
        // Somebody else may have been faster, or the item or run ended.
        if let Err(error) = engine.answer(&caller(), args).await {
            self.refused("answer", &error, &["question-unknown", "not-held", "run-over"]);
        }
    }

    /// Approves or rejects as a person; what an agent says to it changes nothing.
    async fn decide(&self, engine: &Engine, row: &InboxRow) {
        let (run_id, item_id) = (row.run_id.clone(), row.item_id.clone().unwrap_or_default());
        let reject = self.chaos().wants("reject", 300);
        let verdict = if reject { Verdict::Rejected } else { Verdict::Approved };
        let args = ApproveArgs { run_id, item_id, verdict, note: reject.then(|| "no".to_owned()), request_id: None };
        if self.chaos().wants("agent-approves", 300) {
            let agent = Caller { actor: Enc::encode("agent:mallory"), via: CancelVia::Mcp, ..caller() };
            match engine.approve(&agent, args.clone()).await {
                Ok(reply) => self.world.checker.fail(format!("an agent approves: {reply:?}")),
                Err(error) => self.refused("approve", &error, &["approval-for-people"]),
            }
        }
        if self.chaos().wants("answer-approval", 300) {
            let question_id = row.question_id.map(|id| u32::try_from(id).unwrap());
            let (run_id, text) = (row.run_id.clone(), Some("yes".to_owned()));
            let answer =
                AnswerArgs { run_id, item_id: row.item_id.clone(), question_id, text, ..AnswerArgs::default() };
            match engine.answer(&caller(), answer).await {
                Ok(reply) => self.world.checker.fail(format!("words approve: {reply:?}")),
                Err(error) => self.refused("answer", &error, &["approval-wanted", "question-unknown", "run-over"]),
            }
        }
        match engine.approve(&caller(), args).await {
            Ok(reply) => self.chaos().step(format!("{} {} {:?}", reply.state, reply.run_id, reply.item_id)),
            // Somebody else may have been faster, or the item or run ended.
            Err(error) => self.refused("approve", &error, &["approval-unknown", "run-over"]),
        }
    }

    /// Says of any item that it is gone, which counts only where its stop is unverified.
    async fn force_one(&self, engine: &Engine) {
        let plan = self.any();
        let names: Vec<&String> = plan.items.keys().collect();
        let item = names[self.chaos().below(u32::try_from(names.len()).unwrap()) as usize];
        self.force(engine, &plan.id, item, false).await;
    }

    async fn force(&self, engine: &Engine, run: &str, item: &str, shown: bool) {
        let (run_id, item_id) = (run.to_owned(), item.to_owned());
        match engine.force_resolve(&caller(), ForceArgs { run_id, item_id, reason: "it is gone".to_owned() }).await {
            Ok(reply) => {
                self.chaos().fired_too("forced");
                self.chaos().step(format!("forced {run} {item}: {}", reply.state));
            }
            // The clock may have been turned back, its absence proven, or somebody else have been faster.
            Err(error) if shown => {
                self.refused("force", &error, &["stop-not-unverified", "item-over", "run-over"]);
            }
            Err(error) => {
                self.chaos().fired_too("force-too-early");
                let expected = ["stop-not-unverified", "item-over", "item-unknown", "run-over", "run-unknown"];
                self.refused("force", &error, &expected);
            }
        }
    }

    /// Answers what is not asked.
    async fn stale_answer(&self, engine: &Engine) {
        if !self.chaos().wants("answer-stale", 1000) {
            return;
        }
        let plan = self.any();
        let args = AnswerArgs {
            run_id: plan.id.clone(),
            item_id: plan.items.keys().next().cloned(),
            question_id: Some(self.chaos().below(40)),
            text: Some("yes".to_owned()),
            ..AnswerArgs::default()
        };
        if let Err(error) = engine.answer(&caller(), args).await {
            let expected = ["question-unknown", "approval-wanted", "run-unknown", "run-over"];
            self.refused("answer", &error, &expected);
        }
    }

    async fn cancel(&self, engine: &Engine) {
        if !self.chaos().wants("cancel", 300) {
            return;
        }
        let plan = self.any();
        let names: Vec<&String> = plan.items.keys().collect();
        let item = names[self.chaos().below(u32::try_from(names.len()).unwrap()) as usize];
        let item_id = (self.chaos().below(3) > 0).then(|| item.clone());
        let args = CancelArgs {
            run_id: plan.id.clone(),
            item_id,
            mode: Some(CancelMode::Stop),
            drain: None,
            reason: "no more".to_owned(),
        };
        match engine.cancel(&caller(), args).await {
            Ok(reply) => self.chaos().step(format!("cancelled {} {:?}: {}", plan.id, reply.item_id, reply.state)),
            Err(error) => self.refused("cancel", &error, &["run-unknown", "run-over", "item-over", "item-unknown"]),
        }
    }

    async fn hold(&self, engine: &Engine) {
        if !self.chaos().wants("hold", 500) {
            return;
        }
        let run_id = self.any().id.clone();
        let drain = self.chaos().strikes("park", 500).then_some(false);
        let args = CancelArgs { run_id, item_id: None, mode: Some(CancelMode::Hold), drain, reason: "wait".to_owned() };
        if let Err(error) = engine.cancel(&caller(), args).await {
            self.refused("cancel", &error, &["run-unknown", "run-over", "held-already"]);
        }
    }

    async fn watch(&self, engine: &Engine) {
        let wait_seconds = Some(self.chaos().below(20));
        let until = if self.chaos().below(2) == 0 { Until::Terminal } else { Until::Change };
        let args = WatchArgs { until: Some(until), wait_seconds, ..WatchArgs::default() };
        if let Err(error) = engine.watch(&caller(), args, &|_| {}).await {
            self.refused("watch", &error, &[]);
        }
    }

    /// All runs as one client sees them.
    pub(crate) async fn runs(&self, engine: &Engine) -> Vec<RunRow> {
        let args = StatusArgs { view: Some(View::Runs), limit: Some(100), ..StatusArgs::default() };
        engine.status(&caller(), args).await.map_or_else(|_| Vec::new(), |reply| reply.runs)
    }

    /// Why runs have not ended: for a person who reads a violation.
    pub(crate) async fn why(&self, engine: &Engine) -> String {
        let mut why = String::new();
        for run in self.runs(engine).await.iter().filter(|run| !run.sealed) {
            let args =
                StatusArgs { view: Some(View::Diagnose), run_id: Some(run.run_id.clone()), ..StatusArgs::default() };
            let diagnosis = engine.status(&caller(), args).await.map(|reply| reply.diagnosis);
            let _ = writeln!(why, "{run:?}\n  {diagnosis:?}");
        }
        why
    }

    /// Releases and answers all that waits for somebody.
    pub(crate) async fn settle(&self, engine: &Engine) {
        for row in self.inbox(engine).await {
            self.answer(engine, &row).await;
        }
    }

    /// What is refused is refused for a fault or for one of these reasons.
    fn refused(&self, tool: &str, error: &OpError, codes: &[&str]) {
        let faults = ["store-busy", "store-failed", "store-closed", "disk-full", "blob-io", "home-not-writable"];
        let code = error.first().code;
        self.chaos().step(format!("{tool}: {code}"));
        if !codes.contains(&code.as_str()) && !faults.contains(&code.as_str()) {
            self.world.checker.fail(format!("{tool} is refused with {error:?}"));
        }
    }
}
