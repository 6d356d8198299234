-- Times are microseconds since 1970-01-01T00:00:00Z. Lists of numbers are BLOBs of little-endian doubles.

-- What a series is, and how far its data reach (kept up to date by the transaction that writes observations).
CREATE TABLE series (
    id                 INTEGER PRIMARY KEY,
    name               TEXT    NOT NULL UNIQUE,
    kind               TEXT    NOT NULL,
    unit               TEXT    NOT NULL,
    resolution_seconds INTEGER NOT NULL,
    time_zone          TEXT    NOT NULL,
    latitude           REAL,
    longitude          REAL,
    holiday_region     TEXT,
    parent             TEXT,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    revision           INTEGER NOT NULL DEFAULT 1,
    observations       INTEGER NOT NULL DEFAULT 0,
    first_valid_time   INTEGER,
    last_valid_time    INTEGER,
    last_available_at  INTEGER,
    CHECK ((latitude IS NULL) = (longitude IS NULL))
) STRICT;

-- The key is the whole access path: an as-of read is one range of it. No foreign key: the writing
-- transaction has just read the series' row, and series are never deleted.
CREATE TABLE observation (
    series_id    INTEGER NOT NULL,
    valid_time   INTEGER NOT NULL,
    available_at INTEGER NOT NULL,
    value        REAL    NOT NULL,
    PRIMARY KEY (series_id, valid_time, available_at)
) STRICT, WITHOUT ROWID;

-- A forecast as issued.
CREATE TABLE forecast (
    id             INTEGER PRIMARY KEY,
    series_id      INTEGER NOT NULL REFERENCES series (id),
    forecast_start INTEGER NOT NULL,
    issued_at      INTEGER NOT NULL,
    model_version  TEXT    NOT NULL,
    data_watermark INTEGER NOT NULL,
    unit           TEXT    NOT NULL,
    quality        REAL    NOT NULL,
    degraded       TEXT,
    levels         BLOB    NOT NULL,
    UNIQUE (series_id, forecast_start, issued_at, model_version)
) STRICT;

-- Its points. series_id, forecast_start and issued_at repeat the forecast's, so that "as of" and
-- "fixed lead" seek their answer for one valid time in one index.
CREATE TABLE forecast_point (
    forecast_id    INTEGER NOT NULL REFERENCES forecast (id),
    valid_time     INTEGER NOT NULL,
    series_id      INTEGER NOT NULL,
    forecast_start INTEGER NOT NULL,
    issued_at      INTEGER NOT NULL,
    mean           REAL    NOT NULL,
    quantiles      BLOB    NOT NULL,
    PRIMARY KEY (forecast_id, valid_time)
) STRICT, WITHOUT ROWID;
CREATE INDEX forecast_point_by_issue
    ON forecast_point (series_id, valid_time, issued_at, forecast_start, forecast_id);
CREATE INDEX forecast_point_by_start
    ON forecast_point (series_id, valid_time, forecast_start, issued_at, forecast_id);

-- Model versions; `id` rises in the order of registration over all series.
CREATE TABLE version (
    id              INTEGER PRIMARY KEY,
    series_id       INTEGER NOT NULL REFERENCES series (id),
    number          INTEGER NOT NULL CHECK (number > 0),
    name            TEXT    NOT NULL UNIQUE,
    recipe          TEXT    NOT NULL CHECK (json_valid(recipe)),
    recipe_id       TEXT    NOT NULL,
    parent          TEXT REFERENCES version (name),
    created_at      INTEGER NOT NULL,
    trained_from    INTEGER NOT NULL,
    trained_to      INTEGER NOT NULL,
    as_of           INTEGER NOT NULL,
    metrics         TEXT    NOT NULL CHECK (json_valid(metrics)),
    notes           TEXT    NOT NULL CHECK (json_valid(notes)),
    artifact_sha256 TEXT    NOT NULL,
    artifact_bytes  INTEGER NOT NULL,
    UNIQUE (series_id, number)
) STRICT;

-- Where each alias points now, and every move that led there.
CREATE TABLE alias (
    series_id  INTEGER NOT NULL REFERENCES series (id),
    alias      TEXT    NOT NULL,
    version_id INTEGER NOT NULL REFERENCES version (id),
    PRIMARY KEY (series_id, alias)
) STRICT, WITHOUT ROWID;
CREATE TABLE alias_history (
    id          INTEGER PRIMARY KEY,
    series_id   INTEGER NOT NULL REFERENCES series (id),
    alias       TEXT    NOT NULL,
    version_id  INTEGER NOT NULL REFERENCES version (id),
    previous_id INTEGER REFERENCES version (id),
    moved_at    INTEGER NOT NULL,
    reason      TEXT    NOT NULL
) STRICT;
CREATE INDEX alias_history_by_series ON alias_history (series_id, id);

-- Results of quality checks.
CREATE TABLE quality (
    series_id  INTEGER NOT NULL REFERENCES series (id),
    checked_at INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    score      REAL    NOT NULL,
    findings   TEXT    NOT NULL CHECK (json_valid(findings)),
    PRIMARY KEY (series_id, checked_at)
) STRICT, WITHOUT ROWID;

-- Background jobs.
CREATE TABLE job (
    id         TEXT    NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL,
    payload    TEXT    NOT NULL CHECK (json_valid(payload)),
    state      TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed')),
    progress   REAL    NOT NULL,
    message    TEXT    NOT NULL,
    result     TEXT CHECK (result IS NULL OR json_valid(result)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX job_by_age ON job (created_at, id);
-- Finds what a stopped process left behind without reading every job ever done.
CREATE INDEX job_unfinished ON job (state) WHERE state IN ('queued', 'running');
