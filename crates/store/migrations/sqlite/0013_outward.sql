-- Where data are fetched from, and when next. Documents are the service's own.
CREATE TABLE source (
    name     TEXT    NOT NULL PRIMARY KEY,
    spec     TEXT    NOT NULL CHECK (json_valid(spec)),
    due_at   INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    last     TEXT CHECK (last IS NULL OR json_valid(last))
) STRICT;
CREATE INDEX source_by_due ON source (due_at, name);

-- Who is told of events.
CREATE TABLE webhook (
    id         TEXT    NOT NULL PRIMARY KEY,
    spec       TEXT    NOT NULL CHECK (json_valid(spec)),
    created_at INTEGER NOT NULL
) STRICT;

-- What is still to be told, and what could not be. What was told is gone.
CREATE TABLE delivery (
    id         TEXT    NOT NULL PRIMARY KEY,
    webhook    TEXT    NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    event      TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    dead       INTEGER NOT NULL CHECK (dead IN (0, 1)),
    error      TEXT    NOT NULL
) STRICT;
CREATE INDEX delivery_by_due ON delivery (dead, due_at, id);
CREATE INDEX delivery_by_webhook ON delivery (webhook);
