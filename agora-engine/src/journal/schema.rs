//! The tables of `store.db`, and how a store is opened, made and refused.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agora_core::record::LogEntry;
use agora_core::registry::Seen;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::StoreError;

/// "agor", so that `file` and a reader can tell whose database it is.
const APPLICATION_ID: i32 = 0x6167_6f72;
/// The oldest SQLite whose WAL handling this journal relies on (3.51.3), as `sqlite3_libversion_number` gives it.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How every connection is opened. Nothing is made by the way.
const FLAGS: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX).union(OpenFlags::SQLITE_OPEN_NOFOLLOW);

/// Forward-only; the position is the version it leads to, from 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_growth.sql"),
    include_str!("../../migrations/0003_schedules.sql"),
    include_str!("../../migrations/0004_collected.sql"),
    include_str!("../../migrations/0005_statements.sql"),
];

/// Opens the store of a home, and makes it if it is not there.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(StoreError::Sqlite(format!(
            "this build has SQLite {}, too old for the journal",
            rusqlite::version()
        )));
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() == 0 => {
            return Err(StoreError::Corrupt("the file is empty".to_owned()));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => make(path)?,
        // What else there is, SQLite finds out.
        _ => {}
    }
    connect(path, OpenFlags::empty())
}

/// How many stores this process made, for names that differ.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Makes the store under another name and gives it its own when it is whole: neither a crash nor another process ever
/// leaves an empty store behind, so an empty one is one whose content was lost.
///
/// A write-ahead log that was left alone is what a lost store held last, and would be read into the new one.
fn make(path: &Path) -> Result<(), StoreError> {
    let written = std::fs::symlink_metadata(path.with_extension("db-wal")).is_ok_and(|found| found.len() > 0);
    // Looked at again: another process may have made it meanwhile, and written to it.
    if written && std::fs::symlink_metadata(path).is_err() {
        return Err(StoreError::Corrupt("the file is gone, and its write-ahead log is there".to_owned()));
    }
    let unique = format!("new-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let making = path.with_extension(unique);
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::ReadOnly,
    };
    let made = connect(&making, OpenFlags::SQLITE_OPEN_CREATE)
        .and_then(|conn| conn.close().map_err(|(_, error)| error.into()))
        // A link, unlike a renaming, takes no store's place that another process made meanwhile.
        .and_then(|()| match std::fs::hard_link(&making, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked.map_err(failed),
        });
    // What is left behind is no store, and nobody looks at it.
    let _ = std::fs::remove_file(&making);
    made?;
    match path.parent() {
        Some(folder) => File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed),
        None => Ok(()),
    }
}

fn connect(path: &Path, more: OpenFlags) -> Result<Connection, StoreError> {
    let mut conn = Connection::open_with_flags(path, FLAGS | more)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(64);
    check_owner(&conn)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", "ON")?;
    conn.pragma_update(None, "trusted_schema", "OFF")?;
    migrate(&mut conn)?;
    Ok(conn)
}

/// What a store says of whose it is, without its keys: the first entry of its log and those about keys, and the registry that
/// was accepted last.
///
/// # Errors
/// [`StoreError`] for what is there and is no store that can be read.
pub(crate) fn recorded(path: &Path) -> Result<(Vec<LogEntry>, Option<Seen>), StoreError> {
    let conn = Connection::open_with_flags(path, FLAGS)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    check_owner(&conn)?;
    // In a canonical entry a quote within a string is escaped, so these bytes stand for the type alone.
    let mut about = conn.prepare("SELECT bytes FROM log WHERE seq = 0 OR instr(bytes, ?1) > 0 ORDER BY seq")?;
    let about =
        about.query_map([&b"\"type\":\"key."[..]], |row| row.get::<_, Vec<u8>>(0))?.collect::<Result<Vec<_>, _>>()?;
    let about: Result<Vec<_>, _> = about.iter().map(|bytes| LogEntry::from_bytes(bytes)).collect();
    let seen = "SELECT value FROM meta WHERE key = 'registry.seen'";
    let seen = conn.query_row(seen, [], |row| row.get::<_, String>(0)).optional()?;
    let seen = seen.map(|text| serde_json::from_str(&text)).transpose();
    Ok((
        about.map_err(|error| StoreError::Corrupt(error.to_string()))?,
        seen.map_err(|error| StoreError::Corrupt(error.to_string()))?,
    ))
}

fn check_owner(conn: &Connection) -> Result<(), StoreError> {
    let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if id != APPLICATION_ID && (id != 0 || tables > 0) {
        return Err(StoreError::Foreign);
    }
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(StoreError::Newer { found: version, known });
    }
    Ok(())
}

fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    // Most often there is nothing to do, and then nobody who writes is waited for.
    if conn.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? == MIGRATIONS.len() as i64 {
        return Ok(());
    }
    loop {
        let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let Some(step) = usize::try_from(version).ok().and_then(|at| MIGRATIONS.get(at)) else {
            return Ok(());
        };
        tx.execute_batch(step)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", version + 1)?;
        tx.commit()?;
    }
}
