//! What is kept signed beside a run's own checkpoint: the statements of its items, and checkpoints of the log of runs.

use agora_core::id::{Hash, RunId};
use agora_core::record::{LogEntry, LogRecord};
use rusqlite::{OptionalExtension as _, params};

use super::write::{Tx, int};
use super::{Ledger, StoreError};

/// The seal of a run in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SealAt {
    /// Its position.
    pub(crate) seq: u64,
    /// How many entries the run has.
    pub(crate) size: u64,
    /// The root over them.
    pub(crate) root: Hash,
}

/// Envelopes, each with the position of the `item.done` that it is about, ascending.
pub(crate) type Envelopes = Vec<(u64, Vec<u8>)>;

impl Ledger {
    /// Up to this many entries of a run, from this position on: their exact bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn entries_from(&self, key: i64, from: u64, limit: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut statement =
            self.conn.prepare_cached("SELECT bytes FROM entries WHERE run = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3")?;
        let rows = statement.query_map(params![key, int(from), int(limit)], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The stored statements of a run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn statements(&self, key: i64) -> Result<Envelopes, StoreError> {
        let mut statement =
            self.conn.prepare_cached("SELECT seq, envelope FROM statement WHERE run = ?1 ORDER BY seq")?;
        let rows = statement.query_map([key], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (seq, envelope) = row?;
            let seq = u64::try_from(seq).map_err(|_| StoreError::Corrupt(format!("a statement at {seq}")))?;
            Ok((seq, envelope))
        })
        .collect()
    }

    /// The sealed runs that have no stored statement: of an earlier version, or because nothing that they accepted made any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn without_statements(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT id FROM runs WHERE sealed = 1 AND key NOT IN (SELECT run FROM statement) ORDER BY key",
        )?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The seal of a run in the log, which comes after its opening there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn seal_in_log(&self, id: &RunId, opened: u64) -> Result<Option<SealAt>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT bytes FROM log WHERE seq > ?1 AND instr(bytes, CAST(?2 AS BLOB)) > 0 ORDER BY seq",
        )?;
        let rows = statement.query_map(params![int(opened), id.as_str()], |row| row.get::<_, Vec<u8>>(0))?;
        for bytes in rows {
            // What cannot be read says nothing of any run.
            let Ok(entry) = LogEntry::from_bytes(&bytes?) else { continue };
            match entry.record {
                LogRecord::RunSealed { run, size, root, .. } if run == *id => {
                    return Ok(Some(SealAt { seq: entry.seq, size, root }));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// The smallest kept checkpoint of the log of at least this size: its size and signed note.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn log_note_covering(&self, size: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        // A number that no row has would stand for the greatest one.
        let Ok(size) = i64::try_from(size) else { return Ok(None) };
        let mut statement =
            self.conn.prepare_cached("SELECT size, note FROM log_note WHERE size >= ?1 ORDER BY size LIMIT 1")?;
        let row = statement.query_row([size], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).optional()?;
        row.map(|(size, note)| {
            let size = u64::try_from(size).map_err(|_| StoreError::Corrupt(format!("a checkpoint of size {size}")))?;
            Ok((size, note))
        })
        .transpose()
    }

    /// Whether a checkpoint of this size covers a seal, a key or a version of the registry that no kept one covers.
    fn is_worth_keeping(&self, size: u64) -> Result<bool, StoreError> {
        let kept: i64 = self.conn.query_row("SELECT coalesce(max(size), 0) FROM log_note", [], |row| row.get(0))?;
        let mut statement =
            self.conn.prepare_cached("SELECT bytes FROM log WHERE seq >= ?1 AND seq < ?2 ORDER BY seq")?;
        let mut rows = statement.query(params![kept, int(size)])?;
        while let Some(row) = rows.next()? {
            // One that cannot be read may be any of them; that it cannot be is for `doctor` to say.
            let Ok(entry) = LogEntry::from_bytes(&row.get::<_, Vec<u8>>(0)?) else { return Ok(true) };
            match entry.record {
                LogRecord::RunSealed { .. }
                | LogRecord::KeyAdded(_)
                | LogRecord::KeyRotated { .. }
                | LogRecord::KeyRevoked { .. }
                | LogRecord::RegistryAccepted { .. }
                | LogRecord::RegistryRefused { .. } => return Ok(true),
                LogRecord::LogOpened { .. }
                | LogRecord::RunOpened { .. }
                | LogRecord::AnchorReceipt { .. }
                | LogRecord::ClockJump { .. } => {}
            }
        }
        Ok(false)
    }
}

impl Tx<'_> {
    /// Keeps the statements of a run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn put_statements(&mut self, key: i64, envelopes: &[(u64, Vec<u8>)]) -> Result<(), StoreError> {
        self.set_changed();
        let mut put =
            self.ledger().conn.prepare_cached("INSERT INTO statement (run, seq, envelope) VALUES (?1, ?2, ?3)")?;
        envelopes.iter().try_for_each(|(seq, envelope)| put.execute(params![key, int(*seq), envelope]).map(|_| ()))?;
        Ok(())
    }

    /// Keeps a signed checkpoint of the log if it is the first to cover something that evidence needs it for. None that is
    /// kept is replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn keep_log_note(&mut self, size: u64, note: &[u8]) -> Result<(), StoreError> {
        if self.ledger().is_worth_keeping(size)? {
            self.set_changed();
            let mut put = self.ledger().conn.prepare_cached("INSERT INTO log_note (size, note) VALUES (?1, ?2)")?;
            put.execute(params![int(size), note])?;
        }
        Ok(())
    }
}
