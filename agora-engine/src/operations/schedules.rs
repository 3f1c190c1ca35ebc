//! Recurring plans: adding, listing and removing them, and what becomes of a slot. For the operator alone: no tool leads here.

use agora_core::cron::{Cron, run_id};
use agora_core::error::{Class, Coded as _, Problem, nearest};
use agora_core::id::{Actor, Enc, Name, RunId, Word};
use agora_core::limits::{CLOCK_JUMP_MS_MIN, SCHEDULES_MAX};
use agora_core::plan;
use agora_core::record::CancelVia;
use agora_core::time::Time;
use serde::Serialize;

use super::accept::internal;
use super::facts::ProblemRow;
use super::{Caller, OpError};
use crate::engine::Engine;
use crate::journal::{Decided, Ledger, Schedule, SlotOf, StoreError, Wanted};

/// How many slots a new schedule shows.
const SLOTS_SHOWN: usize = 3;

/// A schedule to add.
#[derive(Debug, Clone)]
pub struct ScheduleArgs<'a> {
    /// Its name.
    pub name: Name,
    /// Five fields of cron.
    pub cron: &'a str,
    /// The IANA name of the zone whose wall clock counts.
    pub zone: &'a str,
    /// The bytes of its plan.
    pub plan: &'a [u8],
    /// Whether it may take the place of one that has the name.
    pub replace: bool,
}

/// A schedule that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleReply {
    /// Its name.
    pub name: String,
    /// Its expression.
    pub cron: String,
    /// Its zone.
    pub zone: String,
    /// Whether it took the place of another.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
    /// How many items its plan has.
    pub items: u64,
    /// The first slots, in UTC.
    pub slots: Vec<String>,
    /// What its plan has that does nothing, and targets that are down now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ProblemRow>,
}

/// The schedules of a home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchedulesReply {
    /// By name.
    pub schedules: Vec<ScheduleRow>,
}

/// A schedule in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleRow {
    /// Its name.
    pub name: String,
    /// Its expression.
    pub cron: String,
    /// Its zone.
    pub zone: String,
    /// The first slot that is still to come, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// A slot that has come and is not decided: nobody serves this home, or it is being decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// The slot that was decided last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastSlot>,
    /// Who added it.
    pub added_by: String,
    /// When.
    pub added: String,
    /// The folder that the workspace `cwd` stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Why it has no next slot, or not the one that it seems to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemRow>,
}

/// What became of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastSlot {
    /// When it was, in UTC.
    pub slot: String,
    /// The run that it opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Where the run stands, as long as it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why it opened none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ProblemRow>,
}

/// How firing a slot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fired {
    /// The slot is decided.
    Decided,
    /// The schedule is not what it was.
    Changed,
    /// Nothing is wrong with it; it may work later.
    Later,
}

impl Engine {
    /// Adds a schedule. Its first slot is the first after now.
    ///
    /// # Errors
    /// Everything that is wrong with expression, zone and plan at once; `schedule-exists`.
    pub async fn add_schedule(&self, caller: &Caller, args: ScheduleArgs<'_>) -> Result<ScheduleReply, OpError> {
        let mut problems = Vec::new();
        let cron = Cron::new(args.cron, args.zone).map_err(|errors| {
            problems.extend(errors.iter().map(|error| error.problem()));
        });
        let parsed = plan::parse(args.plan);
        if parsed.plan.id.is_some() {
            let what = "a plan with an id is one run, and each slot opens a run of its own";
            let hint = format!("leave the id out: the runs are named {}@SLOT", args.name);
            problems.push(Problem::new(Class::Caller, "schedule-plan-id", what).at("/id").hint(hint));
        }
        let checked = self.submit_bytes(caller, args.plan, true, None).await.map_err(|error| {
            problems.extend(error.problems);
        });
        let (Ok(cron), Ok(checked), true) = (cron, checked, problems.is_empty()) else {
            return Err(OpError { problems });
        };
        let stays = |name: &Name| self.config.workspaces.contains_key(name);
        let moves = parsed.plan.workspace.is_some_and(|workspace| !stays(&workspace.name));
        let wanted = Wanted {
            name: args.name.clone(),
            cron: cron.text().to_owned(),
            zone: cron.zone().to_owned(),
            plan: args.plan.to_vec(),
            place: caller.cwd.clone().filter(|_| moves),
            by: caller.actor.to_string(),
        };
        let replace = args.replace;
        let kept = self.journal.call(move |ledger| keep(ledger, &wanted, replace)).await?;
        let slots = std::iter::successors(cron.next(self.host.now()), |slot| cron.next(*slot));
        Ok(ScheduleReply {
            name: args.name.to_string(),
            cron: cron.text().to_owned(),
            zone: cron.zone().to_owned(),
            replaced: kept.map_err(OpError::one)?,
            items: checked.items,
            slots: slots.take(SLOTS_SHOWN).map(|slot| slot.to_string()).collect(),
            warnings: checked.warnings,
        })
    }

    /// Forgets a schedule. Runs that it opened go on.
    ///
    /// # Errors
    /// `schedule-unknown`.
    pub async fn remove_schedule(&self, name: &str) -> Result<(), OpError> {
        let wanted = name.to_owned();
        let names = self
            .journal
            .call(move |ledger| {
                if ledger.transact(|tx| tx.remove_schedule(&wanted))? {
                    return Ok(None);
                }
                Ok(Some(ledger.schedules()?.into_iter().map(|row| row.name).collect::<Vec<_>>()))
            })
            .await?;
        let Some(names) = names else { return Ok(()) };
        let shown: String = name.chars().take(64).collect();
        let problem = Problem::new(Class::Missing, "schedule-unknown", format!("there is no schedule {shown:?}"));
        let hint = nearest(name, names.iter().map(String::as_str));
        let hint =
            hint.map_or_else(|| "see `agora-admin schedule list`".to_owned(), |near| format!("did you mean {near}?"));
        Err(OpError::one(problem.hint(hint)))
    }

    /// The schedules, with what is next and what became of the last.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn schedules(&self) -> Result<SchedulesReply, OpError> {
        let now = self.host.now();
        let rows = self.journal.call(move |ledger| {
            let schedules = ledger.look(|ledger| ledger.schedules())?;
            schedules.into_iter().map(|schedule| row(ledger, schedule, now)).collect::<Result<Vec<_>, _>>()
        });
        Ok(SchedulesReply { schedules: rows.await? })
    }

    /// Opens the run of a slot, or keeps why it opens none. What is wrong with this one is nobody else's trouble.
    pub(crate) async fn fire(&self, schedule: &Schedule, slot: Time) -> Fired {
        let (name, of) = (&schedule.name, SlotOf { key: schedule.key, slot });
        let error = match self.try_fire(schedule, of).await {
            Ok(run) => {
                tracing::info!(schedule = %name, %slot, %run, "a slot is due");
                return Fired::Decided;
            }
            Err(error) => error,
        };
        let first = error.first();
        if first.code == "schedule-changed" {
            return Fired::Changed;
        }
        // Trouble with the store is none of the plan's, whoever's it is.
        if first.class == Class::Later || first.code.starts_with("store-") {
            tracing::warn!(schedule = %name, %slot, code = first.code, %error, "a slot is tried again");
            return Fired::Later;
        }
        tracing::error!(schedule = %name, %slot, code = first.code, %error, "a slot opens no run");
        let refused = Decided::Refused(error.problems);
        let kept = self.journal.call(move |ledger| ledger.transact(|tx| tx.decide_slot(of, &refused))).await;
        match kept {
            Ok(true) => Fired::Decided,
            Ok(false) => Fired::Changed,
            Err(error) => {
                tracing::error!(schedule = %name, %slot, %error, "that cannot be kept; the slot is tried again");
                Fired::Later
            }
        }
    }

    async fn try_fire(&self, schedule: &Schedule, of: SlotOf) -> Result<String, OpError> {
        let words = (Name::new(&schedule.name), Word::new("schedule"), Enc::new("owner"));
        let (Ok(name), Ok(how), Ok(rule)) = words else { return Err(internal(&"a schedule without a name")) };
        let caller = Caller {
            actor: Actor::encode(&format!("schedule:{name}")),
            how,
            rule,
            via: CancelVia::Schedule,
            cwd: schedule.place.clone(),
            tools: None,
            all_runs: false,
        };
        let id = run_id(&name, of.slot).map_err(|error| internal(&error))?;
        let plan = self.journal.call(move |ledger| ledger.schedule_plan(of.key)).await?.unwrap_or_default();
        self.submit_slot(&caller, &plan, of, id.clone()).await?;
        Ok(id.to_string())
    }
}

/// Keeps a schedule in one transaction, and says whether it took the place of another.
fn keep(ledger: &mut Ledger, wanted: &Wanted, replace: bool) -> Result<Result<bool, Problem>, StoreError> {
    ledger.transact(|tx| {
        let all = tx.ledger().schedules()?;
        let there = all.iter().any(|row| row.name == wanted.name.as_str());
        if there && !replace {
            let problem =
                Problem::new(Class::Caller, "schedule-exists", format!("there is a schedule {}", wanted.name));
            return Ok(Err(problem.hint("choose another name, or put it in its place with --replace")));
        }
        if !there && all.len() >= SCHEDULES_MAX {
            let what = format!("a home has at most {SCHEDULES_MAX} schedules");
            let problem = Problem::new(Class::Caller, "limit-exceeded", what);
            return Ok(Err(problem.hint("remove one: see `agora-admin schedule list`")));
        }
        tx.put_schedule(wanted)?;
        Ok(Ok(there))
    })
}

fn row(ledger: &Ledger, schedule: Schedule, now: Time) -> Result<ScheduleRow, StoreError> {
    let problems = schedule.problems();
    let (next, due, problem) = match Cron::new(&schedule.cron, &schedule.zone) {
        Ok(cron) => {
            let ahead = schedule.decided > now.plus_ms(CLOCK_JUMP_MS_MIN);
            (
                cron.next(schedule.decided.max(now)),
                cron.due(schedule.decided, now),
                ahead.then(|| clock_was_ahead(&schedule)),
            )
        }
        Err(errors) => (None, None, errors.first().map(|error| error.problem())),
    };
    let last = match schedule.slot {
        Some(slot) => {
            let run = schedule.run.as_deref().and_then(|run| RunId::new(run).ok());
            let state = match &run {
                Some(run) => ledger.summary(run)?.map(|run| run.state),
                None => None,
            };
            let problems = problems.iter().map(ProblemRow::from).collect();
            Some(LastSlot { slot: slot.to_string(), run_id: schedule.run, state, problems })
        }
        None => None,
    };
    Ok(ScheduleRow {
        name: schedule.name,
        cron: schedule.cron,
        zone: schedule.zone,
        next: next.map(|slot| slot.to_string()),
        due: due.map(|slot| slot.to_string()),
        last,
        added_by: schedule.added_by,
        added: schedule.added_at.to_string(),
        folder: schedule.place.map(|place| place.to_string_lossy().into_owned()),
        problem: problem.as_ref().map(ProblemRow::from),
    })
}

fn clock_was_ahead(schedule: &Schedule) -> Problem {
    let what = format!("its slots up to {} were decided while the clock was ahead", schedule.decided);
    let problem = Problem::new(Class::Operator, "schedule-ahead", what);
    problem.hint(format!("to begin again from now, add {} again with --replace", schedule.name))
}
