//! What the journals of a store tell to somebody who shares nothing with the engine.

use std::path::Path;

use agora_core::audit::verify::story::{Told, tell};
use agora_core::id::Hash;
use agora_core::record::Entry;
use rusqlite::{Connection, OpenFlags};

/// Every run of a store, open or over, tells a story without a problem.
#[track_caller]
pub(crate) fn tell_all(home: &Path) {
    let conn = Connection::open_with_flags(home.join("store.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let rows = |sql: &str| -> Vec<(i64, bool)> {
        let mut statement = conn.prepare(sql).unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let mut entries = conn.prepare("SELECT bytes, leaf FROM entries WHERE run = ?1 ORDER BY seq").unwrap();
    for (run, sealed) in rows("SELECT key, sealed FROM runs ORDER BY key") {
        let told = |row: &rusqlite::Row<'_>| {
            let (bytes, leaf): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
            Ok(Told { entry: Entry::from_bytes(&bytes).unwrap(), leaf: Hash(leaf.try_into().unwrap()) })
        };
        let told: Vec<Told> = entries.query_map([run], told).unwrap().map(Result::unwrap).collect();
        let mut story = tell(&told);
        if sealed {
            story.judge_seal();
        }
        let about = |seq: u64| usize::try_from(seq).ok().and_then(|seq| told.get(seq)).map(|told| &told.entry.record);
        let wrong: Vec<_> = story.problems.iter().map(|problem| (problem, about(problem.seq))).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
