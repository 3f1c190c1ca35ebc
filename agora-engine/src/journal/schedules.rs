//! Recurring plans: the one table of the store that is neither record nor projection. What a schedule led to is a record: the
//! run that its slot opened.

use std::path::PathBuf;

use agora_core::error::Problem;
use agora_core::id::{Name, RunId};
use agora_core::time::Time;
use rusqlite::{OptionalExtension as _, Row, params};

use super::write::Tx;
use super::{Ledger, StoreError};

/// A schedule to keep.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Its name.
    pub(crate) name: Name,
    /// Its expression.
    pub(crate) cron: String,
    /// The IANA name of its zone.
    pub(crate) zone: String,
    /// Its plan, as it was handed in.
    pub(crate) plan: Vec<u8>,
    /// The folder that the workspace `cwd` stands for.
    pub(crate) place: Option<PathBuf>,
    /// Who adds it.
    pub(crate) by: String,
}

/// A schedule as it is kept; its plan is read apart.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// Its row, which no other schedule ever has.
    pub(crate) key: i64,
    /// Its name.
    pub(crate) name: String,
    /// Its expression.
    pub(crate) cron: String,
    /// The name of its zone.
    pub(crate) zone: String,
    /// The folder that the workspace `cwd` stands for.
    pub(crate) place: Option<PathBuf>,
    /// Who added it.
    pub(crate) added_by: String,
    /// When it was added.
    pub(crate) added_at: Time,
    /// Slots up to here are decided.
    pub(crate) decided: Time,
    /// The slot that was decided last.
    pub(crate) slot: Option<Time>,
    /// The run that it opened.
    pub(crate) run: Option<String>,
    /// Why it opened none, as JSON.
    problems: Option<String>,
}

impl Schedule {
    /// Why its last slot opened no run.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        // What cannot be read was still something.
        let unread = |_| vec![Problem::new(agora_core::error::Class::Bug, "store-damaged", "its problems are damaged")];
        self.problems.as_deref().map_or_else(Vec::new, |text| serde_json::from_str(text).unwrap_or_else(unread))
    }
}

/// A slot of a schedule, to be decided once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotOf {
    /// The schedule's row.
    pub(crate) key: i64,
    /// The slot.
    pub(crate) slot: Time,
}

/// What became of a slot.
#[derive(Debug, Clone)]
pub(crate) enum Decided {
    /// It opened this run.
    Run(RunId),
    /// It opened none.
    Refused(Vec<Problem>),
}

/// What tells one set of schedules from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    count: i64,
    last: i64,
}

const COLUMNS: &str = "key, name, cron, zone, place, added_by, added_at, decided, slot, run, problems";

fn schedule(row: &Row<'_>) -> rusqlite::Result<Schedule> {
    Ok(Schedule {
        key: row.get(0)?,
        name: row.get(1)?,
        cron: row.get(2)?,
        zone: row.get(3)?,
        place: row.get::<_, Option<String>>(4)?.map(PathBuf::from),
        added_by: row.get(5)?,
        added_at: Time::from_micros(row.get(6)?),
        decided: Time::from_micros(row.get(7)?),
        slot: row.get::<_, Option<i64>>(8)?.map(Time::from_micros),
        run: row.get(9)?,
        problems: row.get(10)?,
    })
}

impl Ledger {
    /// All schedules, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn schedules(&self) -> Result<Vec<Schedule>, StoreError> {
        let mut statement = self.conn.prepare_cached(&format!("SELECT {COLUMNS} FROM schedules ORDER BY name"))?;
        Ok(statement.query_map([], schedule)?.collect::<Result<_, _>>()?)
    }

    /// Whether schedules came or went, without reading them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn schedule_marks(&self) -> Result<Marks, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT count(*), coalesce(max(key), 0) FROM schedules")?;
        Ok(statement.query_row([], |row| Ok(Marks { count: row.get(0)?, last: row.get(1)? }))?)
    }

    /// Whether a run's id is one that a schedule of this home gives.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn is_of_schedule(&self, id: &RunId) -> Result<bool, StoreError> {
        let Some((name, _)) = id.as_str().split_once('@') else { return Ok(false) };
        let mut statement = self.conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM schedules WHERE name = ?1)")?;
        Ok(statement.query_row([name], |row| row.get(0))?)
    }

    /// The plan of a schedule; none, once it is gone or replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn schedule_plan(&self, key: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT plan FROM schedules WHERE key = ?1")?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }
}

impl Tx<'_> {
    /// Keeps a schedule; one of the same name goes, and what became of its last slot stays to be seen. Slots count from now
    /// on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn put_schedule(&mut self, wanted: &Wanted) -> Result<(), StoreError> {
        let now = self.now().micros();
        self.set_changed();
        type Last = (Option<i64>, Option<String>, Option<String>);
        let conn = &self.ledger().conn;
        let last: Option<Last> = conn
            .prepare_cached("DELETE FROM schedules WHERE name = ?1 RETURNING slot, run, problems")?
            .query_row([wanted.name.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let (slot, run, problems) = last.unwrap_or_default();
        conn.prepare_cached(
            "INSERT INTO schedules (name, cron, zone, plan, place, added_by, added_at, decided, slot, run, problems)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            wanted.name.as_str(),
            wanted.cron,
            wanted.zone,
            wanted.plan,
            wanted.place.as_ref().map(|place| place.to_string_lossy()),
            wanted.by,
            now,
            slot,
            run,
            problems,
        ])?;
        Ok(())
    }

    /// Forgets a schedule, and says whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn remove_schedule(&mut self, name: &str) -> Result<bool, StoreError> {
        self.set_changed();
        Ok(self.ledger().conn.prepare_cached("DELETE FROM schedules WHERE name = ?1")?.execute([name])? > 0)
    }

    /// Decides a slot. False, and nothing is written, where it was decided before, or the schedule is gone or replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn decide_slot(&mut self, of: SlotOf, decided: &Decided) -> Result<bool, StoreError> {
        let (run, problems) = match decided {
            Decided::Run(run) => (Some(run.as_str()), None),
            Decided::Refused(problems) => (None, serde_json::to_string(problems).ok()),
        };
        self.set_changed();
        let changed = self
            .ledger()
            .conn
            .prepare_cached(
                "UPDATE schedules SET decided = ?2, slot = ?2, run = ?3, problems = ?4 WHERE key = ?1 AND decided < ?2",
            )?
            .execute(params![of.key, of.slot.micros(), run, problems])?;
        Ok(changed > 0)
    }
}
