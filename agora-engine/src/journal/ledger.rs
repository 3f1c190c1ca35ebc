//! What one process knows of the store: the open runs it needs, in step with the database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use agora_core::audit::merkle::Frontier;
use agora_core::choose::Board;
use agora_core::error::Coded as _;
use agora_core::id::{Digest, Enc, Hash, ItemId, RunId};
use agora_core::plan::{Item, Plan};
use agora_core::record::{Entry, Record};
use agora_core::state::{Knobs, Rule, RunState};
use rusqlite::{Connection, OptionalExtension};

use super::growth::grown;
use super::write::Tx;
use super::{StoreError, schema};
use crate::host::{Host, Step};

/// What the ledger keeps of a run beside its state.
#[derive(Debug, Clone)]
pub(crate) struct RunMeta {
    /// Its row.
    pub(crate) key: i64,
    /// Its normalised plan, with what was added since.
    pub(crate) plan: Arc<Plan>,
    /// The place of each item in the plan, by the item's index in the state, which is in topological order.
    pub(crate) places: Arc<Vec<usize>>,
    /// The right edge of its tree.
    pub(crate) frontier: Frontier,
    /// The leaf of its last entry.
    pub(crate) leaf: Hash,
    /// The folder of its workspace.
    pub(crate) place: Option<String>,
}

impl RunMeta {
    pub(super) fn new(
        key: i64,
        plan: Plan,
        state: &RunState,
        frontier: Frontier,
        leaf: Hash,
        place: Option<String>,
    ) -> Self {
        let mut meta = Self { key, plan: Arc::new(plan), places: Arc::default(), frontier, leaf, place };
        meta.find_places(state);
        meta
    }

    /// Finds the state's items in the plan again, once items were added.
    pub(super) fn find_places(&mut self, state: &RunState) {
        let mut places = vec![usize::MAX; state.items.len()];
        for (at, item) in self.plan.items.iter().enumerate() {
            if let Some(place) = state.index_of(&item.id).and_then(|ix| places.get_mut(ix)) {
                *place = at;
            }
        }
        self.places = Arc::new(places);
    }

    /// What the plan says of the item with this index in the state.
    pub(crate) fn plan_item(&self, ix: usize) -> Option<&agora_core::plan::Item> {
        self.plan.items.get(*self.places.get(ix)?)
    }
}

/// The connection and the runs in memory.
pub(crate) struct Ledger {
    pub(super) conn: Connection,
    path: std::path::PathBuf,
    pub(super) origin: String,
    pub(super) host: Arc<dyn Host>,
    pub(super) board: Board,
    pub(super) metas: BTreeMap<RunId, RunMeta>,
    pub(super) keys: BTreeMap<i64, RunId>,
    /// The last position of `entries` that is applied here.
    pub(super) seen: i64,
    /// SQLite's `data_version` when it was last caught up; it changes with every commit of another connection.
    version: Option<i64>,
    /// Whether all open runs are kept: the driver's ledger.
    follow: bool,
    /// Runs that other processes appended to, or that were loaded, since the driver last took them.
    touched: BTreeSet<RunId>,
    /// Runs that were let go because what the store has of them is damaged. The next driver tries them again.
    aside: BTreeSet<RunId>,
}

impl Ledger {
    pub(super) fn open(path: &Path, origin: String, host: Arc<dyn Host>) -> Result<Self, StoreError> {
        let conn = schema::open(path)?;
        Ok(Self {
            conn,
            path: path.to_owned(),
            origin,
            host,
            board: Board::default(),
            metas: BTreeMap::new(),
            keys: BTreeMap::new(),
            seen: 0,
            version: None,
            follow: false,
            touched: BTreeSet::new(),
            aside: BTreeSet::new(),
        })
    }

    /// The open runs that are loaded, and who may start next.
    pub(crate) fn board(&mut self) -> &mut Board {
        &mut self.board
    }

    /// The same, to look at.
    pub(crate) fn board_ref(&self) -> &Board {
        &self.board
    }

    /// What is kept of a loaded run.
    pub(crate) fn meta(&self, id: &RunId) -> Option<&RunMeta> {
        self.metas.get(id)
    }

    /// Keeps all open runs from now on.
    pub(crate) fn follow(&mut self) -> Result<(), StoreError> {
        self.follow = true;
        self.aside.clear();
        self.forget();
        self.catch_up()
    }

    /// Keeps only what is asked for.
    pub(crate) fn unfollow(&mut self) {
        self.follow = false;
        self.forget();
    }

    /// Drops everything in memory; it is read again from the store.
    pub(super) fn forget(&mut self) {
        self.board = Board::default();
        self.metas.clear();
        self.keys.clear();
        self.version = None;
        self.seen = 0;
    }

    /// Reads what other processes committed since the last look.
    pub(crate) fn catch_up(&mut self) -> Result<(), StoreError> {
        let version: i64 = self.conn.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if self.version == Some(version) {
            return Ok(());
        }
        if self.version.is_none() {
            self.seen = self.conn.query_row("SELECT coalesce(max(pos), 0) FROM entries", [], |row| row.get(0))?;
            if self.follow {
                for id in self.unsealed()? {
                    let loaded = self.load_owed(&id);
                    self.unless_damaged(&id, loaded)?;
                }
            }
        } else {
            self.read_tail()?;
        }
        self.version = Some(version);
        Ok(())
    }

    /// Loads a run that is not sealed, as its row says.
    fn load_owed(&mut self, id: &RunId) -> Result<(), StoreError> {
        self.load(id)?;
        // What was completed before this driver may have been sealed too; then its row is not to be believed.
        match self.board.run(id).filter(|run| run.completed.is_some()) {
            Some(run) => self.refuse_second_seal(id, run.opened.log_seq),
            None => Ok(()),
        }
    }

    /// Sets a run aside that is damaged: it stands still, and nothing else does.
    fn unless_damaged(&mut self, id: &RunId, done: Result<(), StoreError>) -> Result<(), StoreError> {
        let Err(error @ StoreError::CorruptRun(_)) = done else { return done };
        self.drop_run(id);
        self.touched.remove(id);
        if self.aside.insert(id.clone()) && self.follow {
            tracing::error!(run = %id, %error, code = error.code(), "this run stands still, the others go on");
        }
        Ok(())
    }

    /// The runs that are set aside since they are damaged.
    pub(crate) fn aside(&self) -> &BTreeSet<RunId> {
        &self.aside
    }

    fn unsealed(&self) -> Result<Vec<RunId>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT id FROM runs WHERE sealed = 0 ORDER BY key")?;
        let ids = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        ids.into_iter().map(|id| run_id(&id)).collect()
    }

    fn read_tail(&mut self) -> Result<(), StoreError> {
        let mut statement =
            self.conn.prepare_cached("SELECT pos, run, seq, bytes, leaf FROM entries WHERE pos > ?1 ORDER BY pos")?;
        let rows = statement
            .query_map([self.seen], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, Vec<u8>>(3)?, row.get(4)?))
            })?
            .collect::<Result<Vec<(i64, i64, i64, Vec<u8>, Vec<u8>)>, _>>()?;
        drop(statement);
        for (pos, key, seq, bytes, leaf) in rows {
            match self.keys.get(&key).cloned() {
                Some(id) => {
                    let known = self.board.run(&id).map_or(0, |run| run.next_seq);
                    if u64::try_from(seq).unwrap_or(0) >= known {
                        self.touched.insert(id.clone());
                        let applied = self.apply_read(&id, seq, &bytes, &leaf);
                        self.unless_damaged(&id, applied)?;
                    }
                }
                None if self.follow => {
                    let id: String =
                        self.conn.query_row("SELECT id FROM runs WHERE key = ?1", [key], |row| row.get(0))?;
                    let id = run_id(&id)?;
                    let loaded = self.load_owed(&id);
                    self.unless_damaged(&id, loaded)?;
                }
                None => {}
            }
            self.seen = pos;
        }
        Ok(())
    }

    /// Applies an entry that another process appended, as the store has it.
    fn apply_read(&mut self, id: &RunId, seq: i64, bytes: &[u8], leaf: &[u8]) -> Result<(), StoreError> {
        let entry = Entry::from_bytes(bytes).map_err(|error| damaged(id, seq, &error))?;
        let leaf = leaf.try_into().map_err(|error| damaged(id, seq, &error))?;
        self.learn_stored(id, &entry)?;
        self.apply(id, &entry, Hash(leaf)).map_err(|error| damaged(id, seq, &error))?;
        Ok(())
    }

    /// Applies an entry to a loaded run: the state, the right edge of its tree, and its last leaf.
    pub(super) fn apply(
        &mut self,
        id: &RunId,
        entry: &Entry,
        leaf: Hash,
    ) -> Result<agora_core::state::Applied, StoreError> {
        let applied = self.board.apply(id, entry.at, leaf, &entry.record)?;
        if let Some(meta) = self.metas.get_mut(id) {
            meta.frontier.push(leaf);
            meta.leaf = leaf;
        }
        if let Record::ItemsAdded(_) = &entry.record
            && let (Some(meta), Some(state)) = (self.metas.get_mut(id), self.board.run(id))
        {
            meta.find_places(state);
        }
        Ok(applied)
    }

    /// Loads a run by replaying its journal, unless it is loaded.
    ///
    /// # Errors
    /// [`StoreError::NoRun`] when there is none; anything a damaged journal leads to.
    pub(crate) fn load(&mut self, id: &RunId) -> Result<(), StoreError> {
        if self.metas.contains_key(id) {
            return Ok(());
        }
        type Row = (i64, Option<Vec<u8>>, Option<String>, i64);
        let row: Option<Row> = self
            .conn
            .prepare_cached(
                "SELECT r.key, p.bytes, r.place, r.entries
                 FROM runs r LEFT JOIN plans p ON p.run = r.key WHERE r.id = ?1",
            )?
            .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .optional()?;
        let (key, plan, place, entries) = row.ok_or_else(|| StoreError::NoRun(id.to_string()))?;
        let plan = plan.ok_or_else(|| StoreError::CorruptRun(format!("the plan of the run {id} is not kept")))?;
        let mut plan = Plan::from_bytes(&plan)
            .map_err(|error| StoreError::CorruptRun(format!("the stored plan of the run {id}: {error}")))?;
        let (state, frontier, leaf) = self.replay(id, key, &mut plan)?;
        // Somebody may have appended since the row was read; nobody takes entries away. What follows a cut would hide it.
        if state.next_seq < u64::try_from(entries).unwrap_or(u64::MAX) {
            let what = format!("the run {id} has {} of its {entries} entries", state.next_seq);
            return Err(StoreError::CorruptRun(what));
        }
        self.metas.insert(id.clone(), RunMeta::new(key, plan, &state, frontier, leaf, place));
        self.keys.insert(key, id.clone());
        self.board.insert(state);
        self.touched.insert(id.clone());
        Ok(())
    }

    /// The runs that changed without the driver's doing since the last call.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<RunId> {
        std::mem::take(&mut self.touched)
    }

    /// Says that these runs changed without the driver's doing.
    pub(crate) fn touch(&mut self, runs: impl IntoIterator<Item = RunId>) {
        self.touched.extend(runs);
    }

    /// Replays a run's journal; its plan is given what was added since.
    fn replay(&self, id: &RunId, key: i64, plan: &mut Plan) -> Result<(RunState, Frontier, Hash), StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT bytes, leaf FROM entries WHERE run = ?1 ORDER BY seq")?;
        let mut rows = statement.query([key])?;
        let mut frontier = Frontier::default();
        let mut state: Option<RunState> = None;
        let mut last = Hash([0; 32]);
        let mut seq = 0_i64;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(0)?.as_blob().map_err(|error| damaged(id, seq, &error))?;
            let entry = Entry::from_bytes(bytes).map_err(|error| damaged(id, seq, &error))?;
            let leaf = Hash(row.get(1).map_err(|error| damaged(id, seq, &error))?);
            match (&mut state, entry.record) {
                (None, Record::RunOpened(opened)) => {
                    state = Some(RunState::open(id.clone(), entry.actor, entry.at, *opened, knobs(&plan.items)));
                }
                (None, other) => {
                    return Err(StoreError::CorruptRun(format!("the run {id} starts with {}", other.kind())));
                }
                (Some(state), record) => {
                    if let Some(added) = grown(&record) {
                        let items = self.read_growth(id, key, entry.seq, added)?;
                        state.learn(knobs(&items));
                        plan.items.extend(items);
                    }
                    state.apply(entry.at, leaf, &record).map_err(|error| damaged(id, seq, &error))?;
                }
            }
            frontier.push(leaf);
            last = leaf;
            seq += 1;
        }
        let state = state.ok_or_else(|| StoreError::CorruptRun(format!("the run {id} has no entries")))?;
        Ok((state, frontier, last))
    }

    /// Lets a run go from memory if nobody needs it any more. A driver keeps what is not sealed yet: it owes the seal.
    pub(crate) fn release(&mut self, id: &RunId) {
        let owed = self.follow
            && !self.aside.contains(id)
            && self.metas.get(id).is_some_and(|meta| self.is_unsealed(meta.key));
        if !owed {
            self.drop_run(id);
        }
    }

    /// Whether a run is not sealed; a store that cannot tell counts as one that owes the seal.
    fn is_unsealed(&self, key: i64) -> bool {
        let unsealed = self.conn.query_row("SELECT sealed = 0 FROM runs WHERE key = ?1", [key], |row| row.get(0));
        unsealed.unwrap_or(true)
    }

    /// Lets a run go from memory.
    pub(crate) fn drop_run(&mut self, id: &RunId) {
        self.board.remove(id);
        if let Some(meta) = self.metas.remove(id) {
            self.keys.remove(&meta.key);
        }
    }

    /// Reads that all see the same store: what another process commits between them is seen by none.
    ///
    /// # Errors
    /// As the work.
    pub(crate) fn look<R>(&mut self, work: impl FnOnce(&mut Self) -> Result<R, StoreError>) -> Result<R, StoreError> {
        self.conn.execute_batch("BEGIN")?;
        let result = work(self);
        // Nothing was written. Where even this fails, the connection is of no use and the next call says so.
        let _ = self.conn.execute_batch("ROLLBACK");
        result
    }

    /// Runs a closure in one transaction, in step with what other processes committed. Either all of it is committed, and
    /// memory agrees, or none of it, and memory is read again.
    ///
    /// # Errors
    /// What the closure says, or what the commit says.
    ///
    /// # Durability
    /// When it returns, what was appended outlives a crash of the machine.
    pub(crate) fn transact<R>(
        &mut self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        self.host.at(Step::Begin)?;
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        let mut changed = false;
        let result = self.catch_up().and_then(|()| {
            let mut tx = Tx::new(self);
            let result = work(&mut tx);
            changed = tx.changed();
            result
        });
        let result = result.and_then(|value| match self.commit() {
            Ok(()) => {
                if changed {
                    self.host.tell(&self.path);
                }
                Ok(value)
            }
            Err(error) => {
                // Also where nothing was written: what was taken from memory, as the runs that were touched, comes again.
                changed = true;
                Err(error)
            }
        });
        if result.is_err() {
            if !self.conn.is_autocommit() {
                // Where even this fails, the connection is of no use and the next call says so.
                let _ = self.conn.execute_batch("ROLLBACK");
            }
            if changed {
                self.forget();
            }
        }
        result
    }

    fn commit(&self) -> Result<(), StoreError> {
        self.host.at(Step::Commit)?;
        self.conn.execute_batch("COMMIT")?;
        self.host.at(Step::Committed)?;
        Ok(())
    }
}

/// An entry that was stored well and cannot be read, or does not fit what comes before it.
fn damaged(id: &RunId, seq: i64, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::CorruptRun(format!("entry {seq} of the run {id}: {why}"))
}

/// Reads an id that the store holds.
pub(super) fn run_id(text: &str) -> Result<RunId, StoreError> {
    RunId::new(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// What the plan says of its items beside the graph.
pub(super) fn knobs(items: &[Item]) -> BTreeMap<ItemId, Knobs> {
    items
        .iter()
        .map(|item| {
            let inputs = item.inputs();
            let refs = inputs.into_iter().flat_map(|inputs| &inputs.input_refs);
            let question = item.approval().and_then(|approval| approval.to_bytes().ok());
            let knobs = Knobs {
                priority: item.priority,
                attempts_max: item.retry.max_attempts,
                backoff_ms: item.retry.backoff_seconds.saturating_mul(1000),
                model: inputs.and_then(|inputs| inputs.model.as_ref()).map(|model| Enc::encode(&model.0)),
                refs: refs.map(|(key, digest)| (key.clone(), *digest)).collect(),
                question: question.map(|bytes| Digest::of(&bytes)),
                rule: item.pattern().map(Rule::of),
            };
            (item.id.clone(), knobs)
        })
        .collect()
}
