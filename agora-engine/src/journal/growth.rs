//! The items that a run was given after its plan. A record names them by digest; the items themselves stand beside the
//! journal, and are believed only where the digests agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use agora_core::id::{ItemId, RunId};
use agora_core::plan::{Item, items_from_bytes, items_to_bytes};
use agora_core::record::{Added, Entry, GrowthCause, Record};
use rusqlite::{OptionalExtension, params};

use super::ledger::knobs;
use super::write::{Tx, int};
use super::{Ledger, StoreError};

/// What an entry adds that its run's plan does not have.
pub(super) fn grown(record: &Record) -> Option<&Added> {
    match record {
        Record::ItemsAdded(added) if added.cause != GrowthCause::Plan => Some(added),
        _ => None,
    }
}

/// Reads stored items, and compares them with the record that added them.
///
/// # Errors
/// What is wrong with them, in words.
pub(crate) fn read_grown(added: &Added, bytes: Option<&[u8]>) -> Result<Vec<Item>, String> {
    let bytes = bytes.ok_or("the items that it adds are gone")?;
    let items = items_from_bytes(bytes).map_err(|error| error.to_string())?;
    let same = |(item, added): (&Item, &agora_core::record::AddedItem)| {
        item.id == added.id && item.digest().is_ok_and(|digest| digest == added.digest)
    };
    if items.len() == added.items.len() && items.iter().zip(&added.items).all(same) {
        Ok(items)
    } else {
        Err("the stored items are not those that it adds".to_owned())
    }
}

impl Tx<'_> {
    /// Keeps the items that a record is about to add, and has the run know them.
    pub(super) fn keep_grown(
        &mut self,
        id: &RunId,
        (key, seq): (i64, u64),
        added: &Added,
        items: &BTreeMap<&ItemId, &Item>,
    ) -> Result<(), StoreError> {
        let chosen: Option<Vec<Item>> = added.items.iter().map(|item| items.get(&item.id).copied().cloned()).collect();
        let chosen = chosen.ok_or_else(|| StoreError::Corrupt(format!("the run {id} grows by items nobody has")))?;
        let bytes = items_to_bytes(&chosen).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        self.ledger()
            .conn
            .prepare_cached("INSERT INTO growth (run, seq, bytes) VALUES (?1, ?2, ?3)")?
            .execute(params![key, int(seq), bytes])?;
        self.ledger().learn(id, chosen);
        Ok(())
    }
}

impl Ledger {
    /// Has a loaded run know the items that the next entry adds.
    pub(super) fn learn(&mut self, id: &RunId, items: Vec<Item>) {
        self.board.learn(id, knobs(&items));
        if let Some(meta) = self.metas.get_mut(id) {
            Arc::make_mut(&mut meta.plan).items.extend(items);
        }
    }

    /// The same for an entry that another process appended.
    pub(super) fn learn_stored(&mut self, id: &RunId, entry: &Entry) -> Result<(), StoreError> {
        let Some(added) = grown(&entry.record) else { return Ok(()) };
        let key = self.metas.get(id).map(|meta| meta.key).ok_or_else(|| StoreError::NoRun(id.to_string()))?;
        let items = self.read_growth(id, key, entry.seq, added)?;
        self.learn(id, items);
        Ok(())
    }

    /// The items that the entry of a run at this position adds, as far as they are stored and what it says.
    pub(super) fn read_growth(&self, id: &RunId, key: i64, seq: u64, added: &Added) -> Result<Vec<Item>, StoreError> {
        read_grown(added, self.growth_at(key, seq)?.as_deref())
            .map_err(|why| StoreError::CorruptRun(format!("entry {seq} of the run {id}: {why}")))
    }

    fn growth_at(&self, key: i64, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT bytes FROM growth WHERE run = ?1 AND seq = ?2")?;
        Ok(statement.query_row(params![key, int(seq)], |row| row.get(0)).optional()?)
    }

    /// The stored items of a run by the position of the entry that added them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn growth(&self, key: i64) -> Result<BTreeMap<u64, Vec<u8>>, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT seq, bytes FROM growth WHERE run = ?1")?;
        let rows = statement.query_map([key], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (seq, bytes) = row?;
            let seq = u64::try_from(seq).map_err(|_| StoreError::Corrupt(format!("items added at {seq}")))?;
            Ok((seq, bytes))
        })
        .collect()
    }
}
