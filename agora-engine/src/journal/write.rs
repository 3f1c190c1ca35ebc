//! Appending: records become entries, entries become rows, projections follow, all in the caller's transaction.

use std::collections::{BTreeMap, BTreeSet};

use agora_core::audit::chain::genesis;
use agora_core::audit::merkle::{Frontier, leaf_hash};
use agora_core::id::{Actor, Digest, Hash, ItemId, RunId, engine_actor};
use agora_core::plan::{Item, Plan};
use agora_core::record::{Auth, Entry, LogEntry, LogRecord, Record, RegistryRef, RunOpened};
use agora_core::state::{Applied, RunState};
use agora_core::time::Time;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::growth;
use super::ledger::{Ledger, RunMeta, knobs};

/// Who appends.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    /// The actor.
    pub(crate) actor: Actor,
    /// How that is known; for everybody but the engine.
    pub(crate) auth: Option<Auth>,
}

impl Stamp {
    /// The engine itself.
    pub(crate) fn engine() -> Self {
        Self { actor: engine_actor(), auth: None }
    }
}

/// A run to open.
#[derive(Debug, Clone)]
pub(crate) struct NewRun {
    /// Its id.
    pub(crate) id: RunId,
    /// Its normalised plan.
    pub(crate) plan: Plan,
    /// The plan's canonical bytes.
    pub(crate) plan_bytes: Vec<u8>,
    /// The folder of its workspace.
    pub(crate) place: Option<String>,
    /// Its opening; `log_seq` is filled in here.
    pub(crate) opened: RunOpened,
    /// What comes after the opening.
    pub(crate) records: Vec<Record>,
}

/// The right end of the log of runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LogHead {
    /// How many entries.
    pub(crate) size: u64,
    /// The last entry's leaf.
    pub(crate) leaf: Hash,
    /// When it was written.
    pub(crate) at: Time,
    /// The right edge of its tree.
    pub(crate) frontier: Frontier,
}

/// A transaction in the making.
pub(crate) struct Tx<'a> {
    ledger: &'a mut Ledger,
    changed: bool,
}

impl<'a> Tx<'a> {
    pub(super) fn new(ledger: &'a mut Ledger) -> Self {
        Self { ledger, changed: false }
    }

    pub(super) fn changed(&self) -> bool {
        self.changed
    }

    /// Says that something was written.
    pub(super) fn set_changed(&mut self) {
        self.changed = true;
    }

    /// The ledger, to read.
    pub(crate) fn ledger(&mut self) -> &mut Ledger {
        self.ledger
    }

    /// The run, loaded if it was not.
    ///
    /// # Errors
    /// [`StoreError::NoRun`].
    pub(crate) fn run(&mut self, id: &RunId) -> Result<&RunState, StoreError> {
        self.ledger.load(id)?;
        self.ledger.board_ref().run(id).ok_or_else(|| StoreError::NoRun(id.to_string()))
    }

    /// Now, as this process's clock says.
    pub(crate) fn now(&self) -> Time {
        self.ledger.host.now()
    }

    /// Opens a run: its opening in the log of runs and its first records, at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn open_run(&mut self, stamp: &Stamp, new: NewRun) -> Result<(), StoreError> {
        self.changed = true;
        let at = self.now();
        let mut opened = new.opened;
        opened.log_seq = self.log_head()?.map_or(0, |head| head.size);
        let (registry, plan_digest) = (opened.registry.clone(), opened.plan);
        let origin = format!("{}/run/{}", self.ledger.origin, new.id);
        let entry = Entry {
            run: new.id.clone(),
            seq: 0,
            prev: genesis(&origin, &plan_digest.to_string()),
            at,
            actor: stamp.actor.clone(),
            auth: stamp.auth.clone(),
            record: Record::RunOpened(Box::new(opened.clone())),
        };
        let bytes = entry.to_bytes()?;
        let first = leaf_hash(&bytes);
        self.insert_run(&new.id, stamp, new.place.as_deref(), &opened, at)?;
        let key = self.ledger.conn.last_insert_rowid();
        self.ledger
            .conn
            .prepare_cached("INSERT INTO plans (run, bytes) VALUES (?1, ?2)")?
            .execute(params![key, new.plan_bytes])?;
        self.insert_entry(key, 0, &bytes, first)?;
        let mut frontier = Frontier::default();
        frontier.push(first);
        let state = RunState::open(new.id.clone(), stamp.actor.clone(), at, opened, knobs(&new.plan.items));
        let meta = RunMeta::new(key, new.plan, &state, frontier, first, new.place);
        self.ledger.metas.insert(new.id.clone(), meta);
        self.ledger.keys.insert(key, new.id.clone());
        self.ledger.board.insert(state);
        self.append(stamp, &new.id, new.records)?;
        self.open_in_log(stamp, new.id, plan_digest, registry, first)
    }

    fn open_in_log(
        &mut self,
        stamp: &Stamp,
        run: RunId,
        plan: Digest,
        registry: RegistryRef,
        first: Hash,
    ) -> Result<(), StoreError> {
        self.log(stamp, LogRecord::RunOpened { run, plan, registry, first })
    }

    fn insert_run(
        &self,
        id: &RunId,
        stamp: &Stamp,
        place: Option<&str>,
        opened: &RunOpened,
        at: Time,
    ) -> Result<(), StoreError> {
        self.ledger
            .conn
            .prepare_cached(
                "INSERT INTO runs (id, actor, queue, plan_digest, place, opened_at, log_seq, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'open')",
            )?
            .execute(params![
                id.as_str(),
                stamp.actor.as_str(),
                opened.queue.as_str(),
                opened.plan.to_string(),
                place,
                at.micros(),
                int(opened.log_seq),
            ])?;
        Ok(())
    }

    fn insert_entry(&mut self, key: i64, seq: u64, bytes: &[u8], leaf: Hash) -> Result<(), StoreError> {
        self.ledger
            .conn
            .prepare_cached("INSERT INTO entries (run, seq, bytes, leaf) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![key, int(seq), bytes, leaf.0])?;
        self.ledger.seen = self.ledger.conn.last_insert_rowid();
        Ok(())
    }

    /// Appends records to a loaded run. The transition table is asked first, so nothing illegal is ever stored.
    ///
    /// # Errors
    /// [`StoreError::Illegal`], or what the store says.
    pub(crate) fn append(&mut self, stamp: &Stamp, id: &RunId, records: Vec<Record>) -> Result<(), StoreError> {
        self.append_grown(stamp, id, records, &[])
    }

    /// The same for a run that grows: `items` are those that the records add.
    ///
    /// # Errors
    /// As [`Tx::append`].
    pub(crate) fn append_grown(
        &mut self,
        stamp: &Stamp,
        id: &RunId,
        records: Vec<Record>,
        items: &[Item],
    ) -> Result<(), StoreError> {
        let items: BTreeMap<&ItemId, &Item> = items.iter().map(|item| (&item.id, item)).collect();
        if records.is_empty() {
            return Ok(());
        }
        self.changed = true;
        let now = self.now();
        let mut moved = BTreeSet::new();
        let mut grown = None;
        for record in records {
            let run = self.ledger.board_ref().run(id).ok_or_else(|| StoreError::NoRun(id.to_string()))?;
            let meta = self.ledger.metas.get(id).ok_or_else(|| StoreError::NoRun(id.to_string()))?;
            let (key, seq) = (meta.key, run.next_seq);
            let entry = Entry {
                run: id.clone(),
                seq,
                prev: meta.leaf,
                at: now.max(run.last_at),
                actor: stamp.actor.clone(),
                auth: stamp.auth.clone(),
                record,
            };
            let bytes = entry.to_bytes()?;
            let leaf = leaf_hash(&bytes);
            if let Some(added) = growth::grown(&entry.record) {
                self.keep_grown(id, (key, seq), added, &items)?;
            }
            let stops = matches!(entry.record, Record::CancelRequested(_) | Record::HoldSet { .. });
            match self.ledger.apply(id, &entry, leaf)? {
                Applied::Moved { item, .. } => {
                    moved.insert(item);
                }
                Applied::Grew { from } => {
                    grown.get_or_insert(from);
                }
                Applied::Run if stops => moved.extend(self.stopping(id)),
                Applied::Run => {}
            }
            self.insert_entry(key, seq, &bytes, leaf)?;
        }
        self.project(id, &moved, grown)
    }

    /// The items of a loaded run whose attempts are to stop.
    fn stopping(&self, id: &RunId) -> Vec<usize> {
        let items = self.ledger.board.run(id).map(|run| run.items.as_slice()).unwrap_or_default();
        items.iter().enumerate().filter(|(_, item)| item.is_stopping()).map(|(ix, _)| ix).collect()
    }

    /// Writes where the items and the run stand now.
    fn project(&mut self, id: &RunId, moved: &BTreeSet<usize>, grown: Option<usize>) -> Result<(), StoreError> {
        let (Some(run), Some(meta)) = (self.ledger.board.run(id), self.ledger.metas.get(id)) else {
            return Err(StoreError::NoRun(id.to_string()));
        };
        let conn = &self.ledger.conn;
        let mut put = conn.prepare_cached(
            "INSERT INTO items (run, ix, id, status, attempts, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (run, ix) DO UPDATE SET status = ?4, attempts = ?5, since = ?6",
        )?;
        let grown = grown.map_or(0..0, |from| from..run.items.len());
        for ix in moved.iter().copied().filter(|ix| !grown.contains(ix)).chain(grown.clone()) {
            let item = &run.items[ix];
            let (word, since) = item.standing();
            put.execute(
                params![meta.key, int(ix as u64), item.id.as_str(), word, int(item.attempts), since.micros(),],
            )?;
        }
        conn.prepare_cached(
            "UPDATE runs SET state = ?2, logged = ?3, held = ?4, completed_at = ?5, cost_microusd = ?6, entries = ?7
             WHERE key = ?1",
        )?
        .execute(params![
            meta.key,
            run.word(),
            run.logged,
            run.hold.is_some(),
            run.completed.map(|(_, at)| at.micros()),
            int(run.cost_microusd),
            int(run.next_seq),
        ])?;
        Ok(())
    }

    /// The right end of the log, if the log was opened.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn log_head(&self) -> Result<Option<LogHead>, StoreError> {
        self.ledger.log_head()
    }

    /// Appends a record to the log of runs.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn log(&mut self, stamp: &Stamp, record: LogRecord) -> Result<(), StoreError> {
        self.changed = true;
        let head = self.log_head()?;
        let now = self.now();
        let (seq, prev, at, mut frontier) = match head {
            Some(head) => (head.size, head.leaf, now.max(head.at), head.frontier),
            None => (0, genesis(&self.ledger.origin, "log"), now, Frontier::default()),
        };
        let entry = LogEntry { seq, prev, at, actor: stamp.actor.clone(), auth: stamp.auth.clone(), record };
        let bytes = entry.to_bytes()?;
        let leaf = leaf_hash(&bytes);
        self.ledger.conn.prepare_cached("INSERT INTO log (seq, bytes, leaf) VALUES (?1, ?2, ?3)")?.execute(params![
            int(seq),
            bytes,
            leaf.0
        ])?;
        frontier.push(leaf);
        self.put_meta("log.head", &LogHead { size: seq + 1, leaf, at, frontier })
    }

    /// Marks a completed run as sealed, with its signed checkpoint. The record is in the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn seal(&mut self, id: &RunId, note: &[u8]) -> Result<(), StoreError> {
        self.changed = true;
        self.ledger
            .conn
            .prepare_cached("UPDATE runs SET sealed = 1, checkpoint = ?2 WHERE id = ?1 AND sealed = 0")?
            .execute(params![id.as_str(), note])?;
        Ok(())
    }

    /// Keeps a value of what is known once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn put_meta<T: Serialize>(&mut self, key: &str, value: &T) -> Result<(), StoreError> {
        let text = serde_json::to_string(value).map_err(|error| StoreError::Sqlite(error.to_string()))?;
        self.ledger
            .conn
            .prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2")?
            .execute([key, &text])?;
        Ok(())
    }

    /// Remembers the pack of a base tree.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn put_tree(
        &mut self,
        tree: &Digest,
        pack: &Digest,
        pack_bytes: u64,
        git_tree: Option<&str>,
    ) -> Result<(), StoreError> {
        self.ledger
            .conn
            .prepare_cached("INSERT OR REPLACE INTO trees (tree, pack, pack_bytes, git_tree) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![tree.to_string(), pack.to_string(), int(pack_bytes), git_tree])?;
        Ok(())
    }
}

impl Ledger {
    /// The right end of the log, if the log was opened.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn log_head(&self) -> Result<Option<LogHead>, StoreError> {
        self.get_meta("log.head")
    }

    /// A value of what is known once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn get_meta<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self
            .conn
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| StoreError::Corrupt(error.to_string()))).transpose()
    }
}

/// A number as SQLite holds it.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
