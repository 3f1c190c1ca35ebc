-- The items that runs were given after their plans, one row for each `items.added` that does not come from the plan: the
-- canonical JSON of the normalised items, whose digests the entry at that position has.
CREATE TABLE growth (
    run   INTEGER NOT NULL REFERENCES runs (key),
    seq   INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX growth_run ON growth (run, seq);
