//! The runs whose bytes are removed to make room, and which blobs only they name.
//!
//! A digest is found in stored bytes wherever they have it, without reading what they say: what is damaged, or was written by
//! a later version, protects what it names like everything else.

use std::collections::{BTreeMap, BTreeSet};

use agora_core::id::{Digest, RunId};
use agora_core::record::{Entry, Record};
use agora_core::time::Time;
use rusqlite::params;

use super::ledger::run_id;
use super::write::Tx;
use super::{Ledger, StoreError};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Sealed runs that are old enough.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Due {
    /// Their rows.
    pub(crate) keys: Vec<i64>,
    /// Their ids, in the same order.
    pub(crate) ids: Vec<RunId>,
    /// How many others are old enough and were promised a longer time when they were opened, or cannot be asked.
    pub(crate) retained: u64,
}

/// Every digest that some bytes name: 64 hex digits with something else, or nothing, before and after them.
pub(crate) fn named(bytes: &[u8]) -> impl Iterator<Item = Digest> + '_ {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    bytes
        .split(move |byte| !is_hex(byte))
        .filter(|run| run.len() == 64)
        .filter_map(|run| Digest::from_hex(std::str::from_utf8(run).ok()?).ok())
}

impl Ledger {
    /// The sealed runs that were completed this long ago, and as long as they were promised, and are not collected yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn due(&self, now: Time, older_than_ms: u64) -> Result<Due, StoreError> {
        let mut statement = self.conn.prepare(
            "SELECT r.key, r.id, r.completed_at, e.bytes FROM runs r LEFT JOIN entries e ON e.run = r.key AND e.seq = 0
             WHERE r.sealed = 1 AND r.completed_at <= ?1 AND NOT EXISTS (SELECT 1 FROM collected c WHERE c.run = r.key)
             ORDER BY r.key",
        )?;
        let rows = statement.query_map([now.minus_ms(older_than_ms).micros()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
        let mut due = Due::default();
        for row in rows {
            let (key, id, completed, opening): (i64, String, i64, Option<Vec<u8>>) = row?;
            let until = opening.and_then(|bytes| promised(&bytes)).map(|ms| Time::from_micros(completed).plus_ms(ms));
            if until.is_some_and(|until| until <= now) {
                due.keys.push(key);
                due.ids.push(run_id(&id)?);
            } else {
                due.retained += 1;
            }
        }
        Ok(due)
    }

    /// The collected runs of which something may be left to remove.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn undone(&self) -> Result<Vec<i64>, StoreError> {
        let mut statement = self.conn.prepare("SELECT run FROM collected WHERE done = 0 ORDER BY run")?;
        let keys = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(keys)
    }

    /// The blobs that the records of these runs name, and nothing of any run that is not collected.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn only_named_by(&mut self, keys: &[i64]) -> Result<BTreeSet<Digest>, StoreError> {
        self.at_one_moment(|ledger| {
            let packs = ledger.packs()?;
            let mut found = BTreeSet::new();
            for key in keys {
                ledger.each_entry(*key, |bytes| found.extend(named(bytes)))?;
            }
            found.extend(found.iter().filter_map(|tree| packs.get(tree)).copied().collect::<Vec<_>>());
            let gone: BTreeSet<i64> = keys.iter().copied().collect();
            // A plan that runs again and again pins what it hands to its items.
            let mut schedules = ledger.conn.prepare("SELECT plan FROM schedules")?;
            for plan in schedules.query_map([], |row| row.get::<_, Vec<u8>>(0))? {
                // It is kept as it was handed in: a digest may be written with escapes.
                let plan = plan?;
                let plain =
                    serde_json::from_slice::<serde_json::Value>(&plan).map(|plan| plan.to_string().into_bytes());
                named(&plain.unwrap_or(plan)).for_each(|digest| {
                    found.remove(&digest);
                });
            }
            drop(schedules);
            for key in ledger.uncollected()?.into_iter().filter(|key| !gone.contains(key)) {
                if found.is_empty() {
                    break;
                }
                let mut keep = |bytes: &[u8]| {
                    for digest in named(bytes) {
                        found.remove(&digest);
                        packs.get(&digest).map(|pack| found.remove(pack));
                    }
                };
                ledger.each_entry(key, &mut keep)?;
                ledger.each_plan(key, &mut keep)?;
            }
            Ok(found)
        })
    }

    fn uncollected(&self) -> Result<Vec<i64>, StoreError> {
        let mut statement = self.conn.prepare(
            "SELECT key FROM runs r WHERE NOT EXISTS (SELECT 1 FROM collected c WHERE c.run = r.key) ORDER BY key",
        )?;
        let keys = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(keys)
    }

    /// Base tree to pack.
    fn packs(&self) -> Result<BTreeMap<Digest, Digest>, StoreError> {
        let mut statement = self.conn.prepare("SELECT tree, pack FROM trees")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| {
            let (tree, pack) = row?;
            let digest = |text: String| text.parse().map_err(|error| StoreError::Corrupt(format!("{error}")));
            Ok((digest(tree)?, digest(pack)?))
        })
        .collect()
    }

    fn each_entry(&self, key: i64, look: impl FnMut(&[u8])) -> Result<(), StoreError> {
        self.each("SELECT bytes FROM entries WHERE run = ?1", key, look)
    }

    /// The stored plan, and what was added to it: they pin content that no record may name yet.
    fn each_plan(&self, key: i64, mut look: impl FnMut(&[u8])) -> Result<(), StoreError> {
        self.each("SELECT bytes FROM plans WHERE run = ?1", key, &mut look)?;
        self.each("SELECT bytes FROM growth WHERE run = ?1", key, &mut look)
    }

    fn each(&self, sql: &str, key: i64, mut look: impl FnMut(&[u8])) -> Result<(), StoreError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query([key])?;
        while let Some(row) = rows.next()? {
            look(row.get_ref(0)?.as_bytes().map_err(|error| StoreError::Corrupt(error.to_string()))?);
        }
        Ok(())
    }
}

/// For how long a run's bytes are kept after its end, in milliseconds, as was promised when it was opened. `None` where its
/// opening cannot be read.
fn promised(opening: &[u8]) -> Option<u64> {
    match Entry::from_bytes(opening).ok()?.record {
        Record::RunOpened(opened) => Some(opened.retain_days.unwrap_or(0).saturating_mul(DAY_MS)),
        _ => None,
    }
}

impl Tx<'_> {
    /// Says of sealed runs that their bytes are being removed. From then on they protect nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn collect(&mut self, keys: &[i64]) -> Result<(), StoreError> {
        let at = self.now().micros();
        let mut put = self.ledger().conn.prepare("INSERT OR IGNORE INTO collected (run, at) VALUES (?1, ?2)")?;
        keys.iter().try_for_each(|key| put.execute(params![key, at]).map(|_| ()))?;
        Ok(())
    }

    /// Says of collected runs that nothing of them is left to remove.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn collected(&mut self, keys: &[i64]) -> Result<(), StoreError> {
        let mut done = self.ledger().conn.prepare("UPDATE collected SET done = 1 WHERE run = ?1")?;
        keys.iter().try_for_each(|key| done.execute([key]).map(|_| ()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_wherever_they_stand() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let text = format!("{{\"x\":\"{a}\",\"sha256\":\"{}\"}}", b.hex());
        assert_eq!(named(text.as_bytes()).collect::<Vec<_>>(), [a, b]);
        assert_eq!(named(a.hex().as_bytes()).collect::<Vec<_>>(), [a]);
        let others = format!("{}0 {} {}", a.hex(), &a.hex()[1..], a.hex().to_uppercase());
        assert_eq!(named(others.as_bytes()).count(), 0);
    }
}
