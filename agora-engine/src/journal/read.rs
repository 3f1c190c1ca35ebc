//! Reading what is stored, without changing anything.

use std::collections::{BTreeMap, BTreeSet};

use agora_core::audit::history::KeyHistory;
use agora_core::id::{Digest, RunId};
use agora_core::limits::STOP_SECONDS_MAX;
use agora_core::record::LogEntry;
use agora_core::time::Time;
use rusqlite::{OptionalExtension, Row, params};

use super::ledger::run_id;
use super::write::int;
use super::{Ledger, StoreError};

/// A run as its row shows it.
#[derive(Debug, Clone)]
pub(crate) struct RunSummary {
    /// Its row.
    pub(crate) key: i64,
    /// Its id.
    pub(crate) id: RunId,
    /// Who opened it.
    pub(crate) actor: String,
    /// The queue.
    pub(crate) queue: String,
    /// `open`, or how it ended.
    pub(crate) state: String,
    /// Whether it is held.
    pub(crate) held: bool,
    /// Whether it is sealed.
    pub(crate) sealed: bool,
    /// When it was opened.
    pub(crate) opened_at: Time,
    /// When it was completed.
    pub(crate) completed_at: Option<Time>,
    /// What it cost, in millionths of a US dollar.
    pub(crate) cost_microusd: u64,
    /// The digest of its plan.
    pub(crate) plan_digest: String,
    /// Where its opening is in the log of runs.
    pub(crate) log_seq: u64,
    /// Whether a log checkpoint vouches for its opening.
    pub(crate) logged: bool,
    /// How many entries it has.
    pub(crate) entries: u64,
    /// The signed checkpoint.
    pub(crate) checkpoint: Option<Vec<u8>>,
    /// Since when the bytes of its results are removed.
    pub(crate) collected: Option<Time>,
}

/// An item as its row shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Projected {
    /// Its id.
    pub(crate) id: String,
    /// Its place in the run.
    pub(crate) ix: u64,
    /// Where it stands.
    pub(crate) status: String,
    /// Attempts so far.
    pub(crate) attempts: u64,
    /// Since when it stands there.
    pub(crate) since: Time,
}

/// The bytes of an entry, and those of the leaf that is stored beside them, which may be of any length in a damaged store.
pub(crate) type Stored = (Vec<u8>, Vec<u8>);

/// How many items of a run stand where.
pub(crate) type ItemCounts = BTreeMap<String, u64>;

/// An entry of a run, with its position in the store.
#[derive(Debug, Clone)]
pub(crate) struct EntryRow {
    /// Its position in the store: the cursor of `watch`.
    pub(crate) pos: i64,
    /// The run.
    pub(crate) run: RunId,
    /// Its exact bytes.
    pub(crate) bytes: Vec<u8>,
}

const COLUMNS: &str = "key, id, actor, queue, state, held, sealed, opened_at, completed_at, cost_microusd, plan_digest, \
                       log_seq, logged, entries, checkpoint, (SELECT c.at FROM collected c WHERE c.run = runs.key)";

type Raw = (
    i64,
    String,
    String,
    String,
    String,
    bool,
    bool,
    i64,
    Option<i64>,
    i64,
    String,
    i64,
    bool,
    i64,
    Option<Vec<u8>>,
    Option<i64>,
);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
        row.get(7)?,
        row.get(8)?,
        row.get(9)?,
        row.get(10)?,
        row.get(11)?,
        row.get(12)?,
        row.get(13)?,
        row.get(14)?,
        row.get(15)?,
    ))
}

fn summary(raw: Raw) -> Result<RunSummary, StoreError> {
    let (
        key,
        id,
        actor,
        queue,
        state,
        held,
        sealed,
        opened,
        completed,
        cost,
        plan_digest,
        log_seq,
        logged,
        entries,
        note,
        collected,
    ) = raw;
    Ok(RunSummary {
        key,
        id: run_id(&id)?,
        actor,
        queue,
        state,
        held,
        sealed,
        opened_at: Time::from_micros(opened),
        completed_at: completed.map(Time::from_micros),
        cost_microusd: count(cost, "cost_microusd")?,
        plan_digest,
        log_seq: count(log_seq, "log_seq")?,
        logged,
        entries: count(entries, "entries")?,
        checkpoint: note,
        collected: collected.map(Time::from_micros),
    })
}

/// A number that cannot be negative.
fn count(value: i64, column: &str) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt(format!("the column {column} has {value}")))
}

impl Ledger {
    /// The row of a run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn summary(&self, id: &RunId) -> Result<Option<RunSummary>, StoreError> {
        let found = self
            .conn
            .prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE id = ?1"))?
            .query_row([id.as_str()], raw)
            .optional()?;
        found.map(summary).transpose()
    }

    /// The runs whose id starts with this text, at most two: enough to tell whether it is unique.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn by_prefix(&self, prefix: &str, actor: Option<&str>) -> Result<Vec<RunId>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT id FROM runs WHERE substr(id, 1, length(?1)) = ?1 AND (?2 IS NULL OR actor = ?2)
             ORDER BY (id = ?1) DESC, key LIMIT 2",
        )?;
        let ids = statement.query_map(params![prefix, actor], |row| row.get::<_, String>(0))?;
        ids.map(|id| run_id(&id?)).collect()
    }

    /// Runs, newest first, before this row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn list(
        &self,
        actor: Option<&str>,
        state: Option<&str>,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<RunSummary>, StoreError> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM runs
             WHERE (?1 IS NULL OR actor = ?1) AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR key < ?3)
             ORDER BY key DESC LIMIT ?4"
        ))?;
        let rows =
            statement.query_map(params![actor, state, before, int(limit)], raw)?.collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().map(summary).collect()
    }

    /// How many runs there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn count(&self, actor: Option<&str>, state: Option<&str>) -> Result<u64, StoreError> {
        let count: i64 = self
            .conn
            .prepare_cached(
                "SELECT count(*) FROM runs WHERE (?1 IS NULL OR actor = ?1) AND (?2 IS NULL OR state = ?2)",
            )?
            .query_row(params![actor, state], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// How many items of a run stand where.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn item_counts(&self, key: i64, now: Time) -> Result<ItemCounts, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT CASE WHEN status = 'stopping' AND since <= ?2 THEN 'stopping_unverified' ELSE status END AS word,
             count(*) FROM items WHERE run = ?1 GROUP BY word",
        )?;
        // As `ItemState::is_stop_unverified` says, in whole milliseconds.
        let since = now.minus_ms(STOP_SECONDS_MAX * 1000 + 1).micros();
        let rows = statement.query_map([key, since], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        rows.map(|row| row.map(|(status, count)| (status, u64::try_from(count).unwrap_or(0))).map_err(Into::into))
            .collect()
    }

    /// The items of a run as the projection has them, in the order of the run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn projected(&self, key: i64) -> Result<Vec<Projected>, StoreError> {
        let mut statement =
            self.conn.prepare_cached("SELECT id, ix, status, attempts, since FROM items WHERE run = ?1 ORDER BY ix")?;
        let rows = statement
            .query_map([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?
            .collect::<Result<Vec<_>, _>>()?;
        let item = |(id, ix, status, attempts, since)| {
            Ok(Projected {
                id,
                ix: count(ix, "ix")?,
                status,
                attempts: count(attempts, "attempts")?,
                since: Time::from_micros(since),
            })
        };
        rows.into_iter().map(item).collect()
    }

    /// The keys of all runs, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn run_keys(&self) -> Result<Vec<i64>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT key FROM runs ORDER BY key")?;
        let keys = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(keys)
    }

    /// The row with this key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn summary_at(&self, key: i64) -> Result<Option<RunSummary>, StoreError> {
        let found = self
            .conn
            .prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE key = ?1"))?
            .query_row([key], raw)
            .optional()?;
        found.map(summary).transpose()
    }

    /// The ids of all runs, as they stand in the rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn run_ids(&self) -> Result<BTreeSet<String>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT id FROM runs")?;
        let ids = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(ids)
    }

    /// The digest of the stored bytes of a run's plan; none: there are none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn plan_found(&self, key: i64) -> Result<Option<Digest>, StoreError> {
        let digest = |row: &Row<'_>| row.get::<_, Vec<u8>>(0).map(|bytes| Digest::of(&bytes));
        let mut statement = self.conn.prepare_cached("SELECT bytes FROM plans WHERE run = ?1")?;
        Ok(statement.query_row([key], digest).optional()?)
    }

    /// Whether any run is not sealed yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn any_unsealed(&self) -> Result<bool, StoreError> {
        Ok(self
            .conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM runs WHERE sealed = 0)")?
            .query_row([], |row| row.get(0))?)
    }

    /// Whether a log checkpoint vouches for any run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn any_logged(&self) -> Result<bool, StoreError> {
        Ok(self
            .conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM runs WHERE logged = 1)")?
            .query_row([], |row| row.get(0))?)
    }

    /// The position of the newest entry in the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn newest(&self) -> Result<i64, StoreError> {
        Ok(self.conn.prepare_cached("SELECT coalesce(max(pos), 0) FROM entries")?.query_row([], |row| row.get(0))?)
    }

    /// Entries of all runs after a position, in the order of their commit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn entries_after(&self, after: i64, limit: u64) -> Result<Vec<EntryRow>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT e.pos, r.id, e.bytes FROM entries e JOIN runs r ON r.key = e.run WHERE e.pos > ?1 ORDER BY e.pos LIMIT ?2",
        )?;
        let rows = statement
            .query_map(params![after, int(limit)], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
        rows.map(|row| {
            let (pos, id, bytes) = row?;
            Ok(EntryRow { pos, run: run_id(&id)?, bytes })
        })
        .collect()
    }

    /// All entries of a run: bytes and leaf.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn journal_of(&self, key: i64) -> Result<Vec<Stored>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT bytes, leaf FROM entries WHERE run = ?1 ORDER BY seq")?;
        let rows = statement.query_map([key], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| row.map_err(Into::into)).collect()
    }

    /// The entries of the log from this position on, and the position after them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn log_from(&self, from: i64) -> Result<(Vec<Stored>, i64), StoreError> {
        let mut statement =
            self.conn.prepare_cached("SELECT bytes, leaf, seq FROM log WHERE seq >= ?1 ORDER BY seq")?;
        let mut next = from;
        let rows = statement.query_map([from], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?)))?;
        let mut found = Vec::new();
        for row in rows {
            let (bytes, leaf, seq) = row?;
            next = seq.saturating_add(1);
            found.push((bytes, leaf));
        }
        Ok((found, next))
    }

    /// What the log says of keys. An entry that cannot be read or believed says nothing; `doctor` tells of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn key_history(&self) -> Result<KeyHistory, StoreError> {
        let mut history = KeyHistory::new(self.origin.as_str());
        // In a canonical entry a quote within a string is escaped, so these bytes stand for the type alone.
        let mut statement = self.conn.prepare_cached(
            "SELECT bytes FROM log WHERE seq = 0 OR instr(bytes, ?1) > 0 OR instr(bytes, ?2) > 0 ORDER BY seq",
        )?;
        let mut rows = statement.query([&b"\"type\":\"key."[..], &b"\"type\":\"registry.accepted"[..]])?;
        while let Some(row) = rows.next()? {
            if let Ok(entry) = LogEntry::from_bytes(&row.get::<_, Vec<u8>>(0)?) {
                let _ = history.learn(entry.seq, &entry.record);
            }
        }
        Ok(history)
    }

    /// Whether the log of runs was opened: its end is kept, and it has entries.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where only one of the two is there.
    pub(crate) fn log_opened(&mut self) -> Result<bool, StoreError> {
        // Both at one moment: another process may open it meanwhile. Within a transaction they are at one already.
        let both = |ledger: &mut Self| {
            let entries: bool = ledger.conn.query_row("SELECT EXISTS (SELECT 1 FROM log)", [], |row| row.get(0))?;
            Ok((ledger.log_head()?, entries))
        };
        let (head, entries) = match self.conn.is_autocommit() {
            true => self.at_one_moment(both)?,
            false => both(self)?,
        };
        match (head, entries) {
            (Some(_), true) => Ok(true),
            (None, false) => Ok(false),
            (Some(head), false) => Err(StoreError::Corrupt(format!(
                "the log of runs is empty, and its end is kept as that of {}",
                head.size
            ))),
            (None, true) => Err(StoreError::Corrupt("the log of runs has entries, and its end is not kept".to_owned())),
        }
    }

    /// Refuses a run whose row says that it is not sealed, and whose seal is in the log, after its opening there.
    ///
    /// # Errors
    /// [`StoreError::CorruptRun`], naming the run.
    pub(crate) fn refuse_second_seal(&self, id: &RunId, opened: u64) -> Result<(), StoreError> {
        if self.seal_in_log(id, opened)?.is_some() {
            let what = format!("the log has the seal of the run {id}, and its row says that it is not sealed");
            return Err(StoreError::CorruptRun(what));
        }
        Ok(())
    }

    /// The pack of a base tree: its digest and size in bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn pack_of(&self, tree: &Digest) -> Result<Option<(Digest, u64)>, StoreError> {
        let row: Option<(String, i64)> = self
            .conn
            .prepare_cached("SELECT pack, pack_bytes FROM trees WHERE tree = ?1")?
            .query_row([tree.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        row.map(|(pack, bytes)| {
            let pack = pack.parse().map_err(|error| StoreError::Corrupt(format!("{error}")))?;
            Ok((pack, u64::try_from(bytes).unwrap_or(0)))
        })
        .transpose()
    }

    /// The base tree that was read from a git tree.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn tree_of_git(&self, git_tree: &str) -> Result<Option<Digest>, StoreError> {
        let row: Option<String> = self
            .conn
            .prepare_cached("SELECT tree FROM trees WHERE git_tree = ?1")?
            .query_row([git_tree], |row| row.get(0))
            .optional()?;
        row.map(|tree| tree.parse().map_err(|error| StoreError::Corrupt(format!("{error}")))).transpose()
    }

    /// Looks at the store as it is at one moment, whatever other processes commit meanwhile.
    ///
    /// # Errors
    /// What the closure says, or the store.
    pub(crate) fn at_one_moment<R>(
        &mut self,
        look: impl FnOnce(&mut Self) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        self.conn.execute_batch("BEGIN DEFERRED")?;
        let result = look(self);
        // Nothing was written: there is nothing that could be lost here.
        let _ = self.conn.execute_batch("ROLLBACK");
        result
    }

    /// Runs SQLite's own check of the file, and whether every row belongs to a run.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with its first finding.
    pub(crate) fn integrity(&self) -> Result<(), StoreError> {
        let found: String = self.conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(StoreError::Corrupt(found));
        }
        let stray = self.conn.query_row("PRAGMA foreign_key_check", [], |row| row.get::<_, String>(0)).optional()?;
        stray.map_or(Ok(()), |table| Err(StoreError::Corrupt(format!("the table {table} has rows of no run"))))
    }
}
