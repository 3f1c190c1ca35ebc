//! The exact bytes of a store, read beside the engine.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

fn rows(home: &Path, sql: &str) -> Vec<Vec<u8>> {
    let conn = Connection::open_with_flags(home.join("store.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = conn.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

/// Every entry of every run, in the order of their commit.
pub(crate) fn entries(home: &Path) -> Vec<Vec<u8>> {
    rows(home, "SELECT bytes FROM entries ORDER BY pos")
}

/// Every entry of the log of runs.
pub(crate) fn log(home: &Path) -> Vec<Value> {
    rows(home, "SELECT bytes FROM log ORDER BY seq")
        .iter()
        .map(|bytes| serde_json::from_slice(bytes).unwrap())
        .collect()
}

/// The bodies of the entries of this type.
pub(crate) fn bodies(home: &Path, kind: &str) -> Vec<Value> {
    let entries = entries(home).into_iter().map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
    entries.filter(|entry| entry["type"] == kind).map(|entry| entry["body"].clone()).collect()
}

/// Manifest and pack of every base tree, as digests.
pub(crate) fn base_trees(home: &Path) -> Vec<(String, String)> {
    let text = |sql| rows(home, sql).into_iter().map(|bytes| String::from_utf8(bytes).unwrap());
    let trees = text("SELECT CAST(tree AS BLOB) FROM trees ORDER BY tree");
    trees.zip(text("SELECT CAST(pack AS BLOB) FROM trees ORDER BY tree")).collect()
}
