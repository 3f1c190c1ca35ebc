-- The signed statements of sealed runs, by the position of the `item.done` that each is about. One of their two signatures is
-- made with random numbers, so that the envelopes are kept and not made again.
CREATE TABLE statement (
    run      INTEGER NOT NULL REFERENCES runs (key),
    seq      INTEGER NOT NULL,
    envelope BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX statement_run ON statement (run, seq);

-- Signed checkpoints of the log of runs that are kept for ever: each was the first to cover a seal, a key or a version of the
-- registry.
CREATE TABLE log_note (
    size INTEGER PRIMARY KEY,
    note BLOB NOT NULL
) STRICT;
