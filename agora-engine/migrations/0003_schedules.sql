-- Recurring plans. A key is never used again, so that what was decided for a schedule that is replaced or removed meanwhile
-- finds nothing to decide.
CREATE TABLE schedules (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    name     TEXT NOT NULL UNIQUE,
    cron     TEXT NOT NULL,
    zone     TEXT NOT NULL,
    plan     BLOB NOT NULL,    -- as it was handed in: it is read anew for each slot
    place    TEXT,             -- the folder that the workspace `cwd` stands for
    added_by TEXT NOT NULL,
    added_at INTEGER NOT NULL, -- microseconds since 1970, as all times
    decided  INTEGER NOT NULL, -- slots up to here are decided
    slot     INTEGER,          -- the last slot that was decided
    run      TEXT,             -- the run that was opened for it
    problems TEXT              -- or why none was, as JSON
) STRICT;
