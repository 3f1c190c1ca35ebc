-- What is known once: the highest registry version seen, the log's right edge and last signed checkpoint.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per run: a projection of where it stands.
CREATE TABLE runs (
    key          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    actor        TEXT NOT NULL,
    queue        TEXT NOT NULL,
    plan_digest  TEXT NOT NULL,
    place        TEXT,             -- the folder of its workspace, for `apply`
    opened_at    INTEGER NOT NULL, -- microseconds since 1970
    log_seq      INTEGER NOT NULL,
    state        TEXT NOT NULL,
    logged       INTEGER NOT NULL DEFAULT 0,
    held         INTEGER NOT NULL DEFAULT 0,
    completed_at INTEGER,
    cost_microusd INTEGER NOT NULL DEFAULT 0,
    entries      INTEGER NOT NULL DEFAULT 0,
    sealed       INTEGER NOT NULL DEFAULT 0,
    checkpoint   BLOB              -- the signed note, once it is sealed
) STRICT;
-- The normalised plans, apart from the rows that every commit writes: a plan may have megabytes.
CREATE TABLE plans (
    run   INTEGER PRIMARY KEY REFERENCES runs (key),
    bytes BLOB NOT NULL
) STRICT;

CREATE INDEX runs_open ON runs (key) WHERE sealed = 0;
CREATE INDEX runs_actor ON runs (actor, key);

-- The journals of all runs: exact bytes, in the order in which they were committed.
CREATE TABLE entries (
    pos   INTEGER PRIMARY KEY,
    run   INTEGER NOT NULL REFERENCES runs (key),
    seq   INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    leaf  BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX entries_run ON entries (run, seq);

-- The log of runs: exact bytes.
CREATE TABLE log (
    seq   INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL,
    leaf  BLOB NOT NULL
) STRICT;

-- A projection of where items stand; `doctor` compares it with a replay.
CREATE TABLE items (
    run      INTEGER NOT NULL REFERENCES runs (key),
    ix       INTEGER NOT NULL,
    id       TEXT NOT NULL,
    status   TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    PRIMARY KEY (run, ix)
) STRICT, WITHOUT ROWID;
CREATE INDEX items_waiting ON items (run) WHERE status = 'waiting';

-- First answers, so that a repeated request changes nothing.
CREATE TABLE requests (
    actor   TEXT NOT NULL,
    tool    TEXT NOT NULL,
    request TEXT NOT NULL,
    digest  TEXT NOT NULL,
    answer  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (actor, tool, request)
) STRICT, WITHOUT ROWID;

-- Base trees: the pack that carries a tree's bytes, and the git tree it was read from.
CREATE TABLE trees (
    tree       TEXT PRIMARY KEY,
    pack       TEXT NOT NULL,
    pack_bytes INTEGER NOT NULL,
    git_tree   TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX trees_git ON trees (git_tree) WHERE git_tree IS NOT NULL;
