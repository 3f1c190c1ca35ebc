-- The sealed runs whose bytes were removed to make room, or are being removed. Their journals, plans and seals stay.
CREATE TABLE collected (
    run  INTEGER PRIMARY KEY REFERENCES runs (key),
    at   INTEGER NOT NULL,           -- microseconds since 1970
    done INTEGER NOT NULL DEFAULT 0  -- whether nothing of it is left to remove
) STRICT;
CREATE INDEX collected_undone ON collected (run) WHERE done = 0;
