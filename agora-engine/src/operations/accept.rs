//! The acceptance of a plan: everything is found out first, then one transaction makes the run.

use std::collections::BTreeMap;
use std::path::Path;

use agora_core::decide;
use agora_core::error::{Class, Problem};
use agora_core::id::{Digest, Enc, RunId, Word};
use agora_core::limits::REQUEST_ID_BYTES_MAX;
use agora_core::plan::{self, Item, Parsed, Pattern, Plan, Resolved, Select, overview};
use agora_core::record::{
    AddedItem, AddedNeed, BaseRef, BudgetRef, GrowthCause, InputUse, NamedRef, RegistryRef, RunOpened, TargetRef,
};
use agora_core::seam::BlobStore;

use serde_json::Value;

use super::base::check_place;
use super::call::Call as _;
use super::facts::ProblemRow;
use super::submit::{DryRun, ResolvedRow, SubmitArgs, SubmitReply};
use super::{Caller, Extension, OpError, WatchArgs};
use crate::engine::Engine;
use crate::journal::{Decided, NewRun, RunSummary, SlotOf, Stamp};
use crate::registry::Current;

impl Engine {
    /// Checks a plan and accepts it.
    ///
    /// # Errors
    /// Every problem of the plan at once; nothing is stored then.
    pub async fn submit(&self, caller: &Caller, args: SubmitArgs) -> Result<SubmitReply, OpError> {
        let (dry_run, request_id) = (args.dry_run.unwrap_or(false), args.request_id.as_deref());
        let close = args.close.unwrap_or(false);
        match (&args.plan, &args.extend) {
            (Some(plan), None) if !close => {
                let bytes = serde_json::to_vec(plan).unwrap_or_default();
                self.submit_bytes(caller, &bytes, dry_run, request_id).await
            }
            (None, Some(extend)) => {
                let items = extend.items.as_ref().map(|items| serde_json::json!({ "items": items }).to_string());
                let (run_id, items) = (extend.run_id.as_str(), items.as_deref().map(str::as_bytes));
                self.extend(caller, Extension { run_id, items, close, dry_run, request_id }).await
            }
            (Some(_) | None, _) => {
                let what = "submit takes either a plan, or extend with the run that gets more items or is closed";
                let problem = Problem::new(Class::Caller, "submit-shape", what);
                Err(OpError::one(problem.hint(
                    r#"submit {"plan": {"items": […]}}, or submit {"extend": {"run_id": "…", "items": […]}, "close": true}"#,
                )))
            }
        }
    }

    /// The same from the bytes of a file, where members named twice are found too.
    ///
    /// # Errors
    /// Every problem of the plan at once; nothing is stored then.
    pub async fn submit_bytes(
        &self,
        caller: &Caller,
        bytes: &[u8],
        dry_run: bool,
        request_id: Option<&str>,
    ) -> Result<SubmitReply, OpError> {
        let digest = Digest::of(bytes);
        if let Some(reply) = self.earlier(caller, "submit", request_id, &digest).await? {
            return Ok(SubmitReply { deduplicated: true, ..reply });
        }
        let parsed = plan::arrange(plan::parse(bytes), &self.config.patterns());
        let current = self.hub.current().await?;
        let (resolved, place) = self.check_plan(caller, &parsed, &current).await?;
        let shape = overview(&parsed.plan);
        let mut reply = reply_to(&parsed, &shape, &current);
        reply.warnings.extend(self.target_warnings(&resolved).await);
        if dry_run {
            reply.dry_run = Some(dry(&parsed.plan, &resolved, shape)?);
            return Ok(reply);
        }
        let with = request_id.map_or(With::Nothing, |id| With::Request(id, digest));
        self.accept(caller, parsed.plan, &resolved, &current, place, reply, with).await
    }

    /// Accepts the plan of a schedule for one of its slots, which is decided in the transaction that opens the run.
    ///
    /// # Errors
    /// Every problem of the plan at once; `schedule-changed` where the slot was decided meanwhile, or the schedule is gone or
    /// replaced. Nothing is stored then.
    pub(super) async fn submit_slot(
        &self,
        caller: &Caller,
        bytes: &[u8],
        of: SlotOf,
        id: RunId,
    ) -> Result<SubmitReply, OpError> {
        let parsed = plan::arrange(plan::parse(bytes), &self.config.patterns());
        let current = self.hub.current().await?;
        let (resolved, place) = self.check_plan(caller, &parsed, &current).await?;
        let reply = reply_to(&parsed, &overview(&parsed.plan), &current);
        self.accept(caller, parsed.plan, &resolved, &current, place, reply, With::Slot(of, id)).await
    }

    /// The first answer to a request, if it was made before with the same arguments.
    pub(super) async fn earlier<R: serde::de::DeserializeOwned>(
        &self,
        caller: &Caller,
        tool: &'static str,
        request_id: Option<&str>,
        digest: &Digest,
    ) -> Result<Option<R>, OpError> {
        let Some(request) = request_id else { return Ok(None) };
        if request.is_empty() || request.len() > REQUEST_ID_BYTES_MAX {
            let what = format!("a request_id has 1 to {REQUEST_ID_BYTES_MAX} bytes");
            return Err(OpError::one(Problem::new(Class::Caller, "request-id", what).at("request_id")));
        }
        let (actor, request) = (caller.actor.clone(), request.to_owned());
        let earlier = self.journal.call(move |ledger| ledger.earlier(&actor, tool, &request)).await?;
        let Some(earlier) = earlier else { return Ok(None) };
        if earlier.digest != *digest {
            return Err(request_conflict());
        }
        Ok(serde_json::from_str(&earlier.answer).ok())
    }

    /// Checks the plan against registry, configuration and workspace: every problem at once.
    async fn check_plan(
        &self,
        caller: &Caller,
        parsed: &Parsed,
        current: &Current,
    ) -> Result<(Vec<Resolved>, Option<String>), OpError> {
        let surroundings = current.surroundings(&parsed.to_look_up(), &self.config, self.blobs.as_ref()).await?;
        let (mut problems, resolved) = match plan::check(parsed, &surroundings) {
            Ok(resolved) => (Vec::new(), resolved),
            Err(problems) => (problems, Vec::new()),
        };
        let place = match &parsed.plan.workspace {
            Some(workspace) if surroundings.workspaces.contains(&workspace.name) => {
                match self.place(caller, workspace) {
                    Ok(place) => {
                        problems.extend(check_place(Path::new(&place), workspace));
                        Some(place)
                    }
                    Err(problem) => {
                        problems.push(problem);
                        None
                    }
                }
            }
            Some(_) | None => None,
        };
        if problems.is_empty() { Ok((resolved, place)) } else { Err(OpError { problems }) }
    }

    pub(super) async fn target_warnings(&self, resolved: &[Resolved]) -> Vec<ProblemRow> {
        let (sender, _) = tokio::sync::mpsc::unbounded_channel();
        let down = crate::driver::probe(&self.config, &self.world(sender)).await;
        let used: std::collections::BTreeSet<&str> = resolved.iter().map(|item| item.target.as_str()).collect();
        down.iter()
            .filter(|(target, _)| used.contains(target.as_str()))
            .map(|(target, why)| ProblemRow {
                code: "target-down".to_owned(),
                message: format!("the target {target} cannot run anything now: {why}"),
                at: None,
                hint: Some("its items wait; see `agora-admin doctor`".to_owned()),
            })
            .collect()
    }

    #[expect(clippy::too_many_arguments, reason = "everything that was found out about one plan, used once")]
    async fn accept(
        &self,
        caller: &Caller,
        plan: Plan,
        resolved: &[Resolved],
        current: &Current,
        place: Option<String>,
        mut reply: SubmitReply,
        with: With<'_>,
    ) -> Result<SubmitReply, OpError> {
        let plan_bytes = plan.to_bytes()?;
        let plan_digest = Digest::of(&plan_bytes);
        let id = match (&with, &plan.id) {
            (With::Slot(_, id), _) | (_, Some(id)) => id.clone(),
            (_, None) => RunId::new(uuid::Uuid::now_v7().simple().to_string()).map_err(|error| internal(&error))?,
        };
        if let Some(known) = self.same_run(caller, &id, &plan_digest).await?
            // Of a slot it is still to be decided.
            && !matches!(with, With::Slot(..))
        {
            return Ok(SubmitReply {
                run_id: Some(id.to_string()),
                state: known,
                deduplicated: true,
                next: next(&id),
                ..reply
            });
        }
        let base = match (&plan.workspace, &place) {
            (Some(workspace), Some(place)) => Some(self.read_base(Path::new(place), workspace).await?),
            _ => None,
        };
        self.blobs.put(&plan_bytes).await?;
        put_questions(&plan.items, self.blobs.as_ref()).await?;
        let opened = self.opening(caller, &plan, plan_digest, resolved, current, base)?;
        let items = added_items(&plan, resolved)?;
        let mut records = decide::submit(opened.clone(), decide::added(GrowthCause::Plan, None, items));
        // The opening is entry 0, written with its place in the log.
        records.remove(0);
        reply.run_id = Some(id.to_string());
        reply.state = "open".to_owned();
        reply.next = next(&id);
        let new = NewRun { id: id.clone(), plan, plan_bytes, place, opened, records };
        let beside = match with {
            With::Nothing => Beside::Nothing,
            With::Request(request, digest) => {
                let answer = serde_json::to_string(&reply).map_err(|error| internal(&error))?;
                Beside::Request(request.to_owned(), digest, answer)
            }
            With::Slot(of, _) => Beside::Slot(of),
        };
        match self.open_run(caller, new, beside).await? {
            None => Ok(reply),
            Some(Raced::Slot) => Err(slot_decided()),
            Some(Raced::Request(answer)) => {
                let first: SubmitReply = serde_json::from_str(&answer).map_err(|error| internal(&error))?;
                Ok(SubmitReply { deduplicated: true, ..first })
            }
            Some(Raced::Run(state)) => Ok(SubmitReply { state, deduplicated: true, ..reply }),
        }
    }

    async fn open_run(&self, caller: &Caller, new: NewRun, beside: Beside) -> Result<Option<Raced>, OpError> {
        let stamp = self.stamp(caller);
        let plan = new.opened.plan;
        let actor = caller.actor.clone();
        let raced = self
            .journal
            .call(move |ledger| {
                let id = new.id.clone();
                let raced = ledger.transact(|tx| {
                    // Looked up again where nobody can come between: an equal call may have been faster.
                    if let Beside::Request(request, digest, _) = &beside
                        && let Some(earlier) = tx.ledger().earlier(&actor, "submit", request)?
                    {
                        return Ok(Some(match earlier.digest == *digest {
                            true => Ok(Raced::Request(earlier.answer)),
                            false => Err(request_conflict()),
                        }));
                    }
                    let found = tx.ledger().summary(&new.id)?;
                    let same = |row: &RunSummary| row.plan_digest == plan.to_string() && row.actor == actor.as_str();
                    if found.as_ref().is_some_and(|row| !same(row)) {
                        return Ok(Some(Err(conflict(&new.id))));
                    }
                    if let Beside::Slot(of) = &beside
                        && !tx.decide_slot(*of, &Decided::Run(new.id.clone()))?
                    {
                        return Ok(Some(Ok(Raced::Slot)));
                    }
                    if let Some(row) = found {
                        return Ok(Some(Ok(Raced::Run(row.state))));
                    }
                    // Nobody takes the place of a run that a schedule is yet to open.
                    if !matches!(beside, Beside::Slot(_)) && tx.ledger().is_of_schedule(&new.id)? {
                        return Ok(Some(Err(conflict(&new.id))));
                    }
                    let id = new.id.clone();
                    tx.open_run(&stamp, new)?;
                    tx.ledger().touch([id]);
                    if let Beside::Request(request, digest, answer) = beside {
                        tx.remember(&actor, "submit", &request, &digest, &answer)?;
                    }
                    Ok(None)
                })?;
                // Where nobody drives, nobody needs it in memory any more.
                ledger.release(&id);
                Ok(raced)
            })
            .await?;
        raced.transpose()
    }

    /// The state of a run that is this very plan by this very actor.
    async fn same_run(&self, caller: &Caller, id: &RunId, plan: &Digest) -> Result<Option<String>, OpError> {
        let wanted = id.clone();
        let Some(row) = self.journal.call(move |ledger| ledger.summary(&wanted)).await? else { return Ok(None) };
        if row.plan_digest == plan.to_string() && row.actor == caller.actor.as_str() {
            Ok(Some(row.state))
        } else {
            Err(conflict(id))
        }
    }

    /// Who appends on behalf of this caller.
    pub(super) fn stamp(&self, caller: &Caller) -> Stamp {
        let policy = self.config.digest();
        let auth = agora_core::record::Auth { how: caller.how.clone(), policy, rule: caller.rule.clone() };
        Stamp { actor: caller.actor.clone(), auth: Some(auth) }
    }

    fn opening(
        &self,
        caller: &Caller,
        plan: &Plan,
        plan_digest: Digest,
        resolved: &[Resolved],
        current: &Current,
        base: Option<BaseRef>,
    ) -> Result<RunOpened, OpError> {
        let mut used: std::collections::BTreeSet<_> = resolved.iter().map(|item| item.target.clone()).collect();
        // What patterns will add was resolved with the rest, and its executors are configured.
        let of_patterns = plan.items.iter().filter_map(Item::pattern).flat_map(Pattern::templates);
        let of_patterns = of_patterns.filter_map(|(_, template)| self.config.target_of(&template.executor));
        used.extend(of_patterns.map(|(target, _)| target.clone()));
        if plan.open_ended {
            // What will be added may run on any of them.
            used.extend(self.config.targets.keys().cloned());
        }
        let mut targets = Vec::new();
        for name in used {
            let target = self.config.targets.get(&name).ok_or_else(|| internal(&"a target without configuration"))?;
            targets.push(TargetRef {
                provider: Word::new(target.provider.as_str()).map_err(|error| internal(&error))?,
                digest: self.config.target_digest(&name).ok_or_else(|| internal(&"a target without a digest"))?,
                name: Enc::encode(name.as_str()),
                image: None,
            });
        }
        Ok(RunOpened {
            log: Enc::encode(self.keys.origin().as_str()),
            log_seq: 0,
            plan: plan_digest,
            queue: Enc::encode(plan.queue.as_str()),
            registry: RegistryRef {
                version: current.snapshot.version,
                digest: current.digest,
                note: current.note_digest,
            },
            targets,
            tools: caller.tools,
            agora: Enc::encode(env!("CARGO_PKG_VERSION")),
            open_ended: plan.open_ended,
            base,
            budget: plan.budget.map(|budget| BudgetRef {
                microusd: budget.microusd,
                tokens: budget.tokens,
                wall_ms: budget.wall_ms,
            }),
            retain_days: self.config.retain_days,
        })
    }
}

/// Puts what people will be asked where they and the log's readers find it.
pub(crate) async fn put_questions(items: &[Item], blobs: &dyn BlobStore) -> Result<(), OpError> {
    for approval in items.iter().filter_map(Item::approval) {
        blobs.put(&approval.to_bytes()?).await?;
    }
    Ok(())
}

/// What a plan is accepted with.
enum With<'a> {
    /// Nothing else.
    Nothing,
    /// A request that may be repeated, and the digest of its arguments.
    Request(&'a str, Digest),
    /// A slot of a schedule, and its run's id.
    Slot(SlotOf, RunId),
}

/// What is kept in the transaction that opens a run.
enum Beside {
    /// Nothing else.
    Nothing,
    /// A request, the digest of its arguments, and its answer as JSON.
    Request(String, Digest, String),
    /// That the slot is decided.
    Slot(SlotOf),
}

/// What was there already when a run was to be opened.
enum Raced {
    /// The slot is decided, or its schedule is not there any more.
    Slot,
    /// The answer to an equal request, as JSON.
    Request(String),
    /// The very run, and where it stands.
    Run(String),
}

pub(super) fn request_conflict() -> OpError {
    let what = "this request_id was used before with other arguments";
    let problem = Problem::new(Class::Caller, "idempotency-conflict", what).at("request_id");
    OpError::one(problem.hint("use a new request_id"))
}

fn slot_decided() -> OpError {
    let what = "the slot was decided meanwhile, or its schedule is gone or replaced";
    OpError::one(Problem::new(Class::Later, "schedule-changed", what).hint("see `agora-admin schedule list`"))
}

fn reply_to(parsed: &Parsed, shape: &plan::Overview, current: &Current) -> SubmitReply {
    SubmitReply {
        run_id: None,
        state: "valid".to_owned(),
        deduplicated: false,
        items: parsed.plan.items.len() as u64,
        layers: shape.layers.len() as u64,
        added: None,
        closed: false,
        warnings: parsed.warnings.iter().map(ProblemRow::from).collect(),
        registry_version: current.snapshot.version,
        dry_run: None,
        next: "submit the same plan without dry_run".to_owned(),
    }
}

pub(super) fn next(id: &RunId) -> String {
    // Until it needs somebody: a run that asks does not end by itself.
    WatchArgs { run_ids: Some(vec![id.to_string()]), ..WatchArgs::default() }.call()
}

fn conflict(id: &RunId) -> OpError {
    // The same whoever has it: others' runs are not to be told from one's own.
    let problem = Problem::new(Class::Caller, "run-conflict", format!("the id {id} is not free for this plan"));
    OpError::one(problem.at("/id").hint("choose another id, or leave it out and one is made"))
}

pub(crate) fn internal(error: &dyn std::fmt::Display) -> OpError {
    OpError::one(Problem::new(Class::Bug, "internal", error.to_string()).hint("run `agora-admin doctor`"))
}

pub(super) fn disk(error: &std::io::Error) -> OpError {
    use std::io::ErrorKind;
    let problem = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Problem::new(Class::Later, "disk-full", error.to_string())
            .hint("free some disk space; what was accepted is kept"),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            Problem::new(Class::Operator, "home-not-writable", error.to_string())
                .hint("check who owns the home, and that its file system is mounted for writing")
        }
        _ => Problem::new(Class::Later, "home-io", error.to_string())
            .hint("see that the home can be written; what was accepted is kept"),
    };
    OpError::one(problem)
}

pub(super) fn dry(plan: &Plan, resolved: &[Resolved], shape: plan::Overview) -> Result<DryRun, OpError> {
    let text = |ids: &[agora_core::id::ItemId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let row = |item: &Resolved| ResolvedRow {
        item_id: item.item.to_string(),
        target: item.target.to_string(),
        model: item.model.0.clone(),
        uses: uses(item).map(|used| (format!("{}/{}", used.kind, used.name), used.digest.to_string())).collect(),
    };
    let canonical = match plan.to_value() {
        Value::Object(members) => members.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    Ok(DryRun {
        plan_digest: plan.digest()?.to_string(),
        plan: canonical,
        layers: shape.layers.iter().map(|layer| text(layer)).collect(),
        critical_path: text(&shape.critical_path),
        contention: shape.contention.iter().map(|(lock, items)| (lock.clone(), text(items))).collect(),
        resolved: resolved.iter().map(row).collect(),
    })
}

/// What an item uses from the registry, in the order in which it is laid over.
fn uses(item: &Resolved) -> impl Iterator<Item = NamedRef> + '_ {
    let named = |kind: &str, name: &agora_core::id::Name, digest: &Digest| {
        let kind = Word::new(kind).ok()?;
        Some(NamedRef { kind, name: Enc::encode(name.as_str()), digest: *digest })
    };
    std::iter::once(named("subagent", &item.subagent.0, &item.subagent.1))
        .chain(item.capabilities.iter().map(move |(name, digest)| named("capability", name, digest)))
        .chain(item.envs.iter().map(move |(name, digest)| named("env", name, digest)))
        .chain(item.pipeline.iter().map(move |(name, digest)| named("pipeline", name, digest)))
        .flatten()
}

/// The items as records have them, in topological order with ties in plan order, each with what it uses.
pub(crate) fn added_items(plan: &Plan, resolved: &[Resolved]) -> Result<Vec<(AddedItem, Vec<NamedRef>)>, OpError> {
    let order = plan.graph().order().map_err(|_| internal(&"a cycle in an accepted plan"))?;
    let resolved: BTreeMap<_, _> = resolved.iter().map(|of_item| (&of_item.item, of_item)).collect();
    order
        .into_iter()
        .map(|ix| {
            let item = plan.items.get(ix).ok_or_else(|| internal(&"a plan that shrank"))?;
            // A person's decision uses nothing.
            let uses = resolved.get(&item.id).map(|resolved| uses(resolved).collect());
            let needs = item.needs.iter().map(|(key, need)| {
                let (usage, path) = match &need.select {
                    Select::Patch => (InputUse::Patch, None),
                    Select::Output { path } => (InputUse::Output, Some(Enc::encode(path))),
                };
                AddedNeed { key: Enc::encode(key), item: need.from.clone(), usage, path }
            });
            let added = AddedItem {
                id: item.id.clone(),
                digest: item.digest()?,
                executor: Enc::encode(item.executor.as_str()),
                depends_on: item.depends_on.clone(),
                needs: needs.collect(),
                locks: item.locks.iter().map(|lock| Enc::encode(lock)).collect(),
                uses: Vec::new(),
            };
            Ok((added, uses.unwrap_or_default()))
        })
        .collect()
}
