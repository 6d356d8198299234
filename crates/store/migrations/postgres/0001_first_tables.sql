-- Names sort by their bytes (COLLATE "C"), whatever the language of the database: lists page the same everywhere.
-- Documents are json and not jsonb: they come back exactly as they were written.

-- What a series is, and how far its data reach (kept up to date by the transaction that writes observations, which
-- locks the series' row first: writers of one series queue, writers of different series do not meet).
CREATE TABLE series (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name               text COLLATE "C" NOT NULL UNIQUE,
    kind               text             NOT NULL,
    unit               text             NOT NULL,
    resolution_seconds bigint           NOT NULL,
    time_zone          text             NOT NULL,
    latitude           double precision,
    longitude          double precision,
    holiday_region     text,
    parent             text,
    created_at         timestamptz      NOT NULL,
    updated_at         timestamptz      NOT NULL,
    revision           bigint           NOT NULL DEFAULT 1,
    observations       bigint           NOT NULL DEFAULT 0,
    first_valid_time   timestamptz,
    last_valid_time    timestamptz,
    last_available_at  timestamptz,
    CHECK ((latitude IS NULL) = (longitude IS NULL))
) WITH (fillfactor = 50); -- every write changes its series' row: room for the new one on the same page

-- The key is the whole access path, and it carries the value: a range of one series lies together in the index even
-- when the rows of a thousand series arrived in turn. A month a partition; the first and last catch what lies far out.
CREATE TABLE observation (
    series_id    bigint           NOT NULL,
    valid_time   timestamptz      NOT NULL,
    available_at timestamptz      NOT NULL,
    value        double precision NOT NULL,
    PRIMARY KEY (series_id, valid_time, available_at) INCLUDE (value)
) PARTITION BY RANGE (valid_time);
CREATE TABLE observation_before_1970 PARTITION OF observation
    FOR VALUES FROM (MINVALUE) TO ('1970-01-01 00:00:00+00');
CREATE TABLE observation_from_2100 PARTITION OF observation
    FOR VALUES FROM ('2100-01-01 00:00:00+00') TO (MAXVALUE);

-- A forecast as issued, and the valid times it reaches over.
CREATE TABLE forecast (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series_id        bigint             NOT NULL REFERENCES series (id),
    forecast_start   timestamptz        NOT NULL,
    issued_at        timestamptz        NOT NULL,
    model_version    text COLLATE "C"   NOT NULL,
    data_watermark   timestamptz        NOT NULL,
    unit             text               NOT NULL,
    quality          double precision   NOT NULL,
    degraded         text,
    levels           double precision[] NOT NULL,
    first_valid_time timestamptz,
    last_valid_time  timestamptz,
    UNIQUE (series_id, forecast_start, issued_at, model_version)
);
CREATE INDEX forecast_by_version ON forecast (series_id, model_version, forecast_start, issued_at);

-- Its points. series_id, forecast_start and issued_at repeat the forecast's, so that "as of" and "fixed lead" seek
-- their answer for one valid time in one index.
CREATE TABLE forecast_point (
    forecast_id    bigint             NOT NULL REFERENCES forecast (id),
    valid_time     timestamptz        NOT NULL,
    series_id      bigint             NOT NULL,
    forecast_start timestamptz        NOT NULL,
    issued_at      timestamptz        NOT NULL,
    mean           double precision   NOT NULL,
    quantiles      double precision[] NOT NULL,
    PRIMARY KEY (forecast_id, valid_time)
);
CREATE INDEX forecast_point_by_issue
    ON forecast_point (series_id, valid_time, issued_at DESC, forecast_start DESC, forecast_id DESC);
CREATE INDEX forecast_point_by_start
    ON forecast_point (series_id, valid_time, forecast_start DESC, issued_at DESC, forecast_id DESC);

-- Model versions; `id` rises in the order of registration over all series.
CREATE TABLE version (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series_id       bigint           NOT NULL REFERENCES series (id),
    number          bigint           NOT NULL CHECK (number > 0),
    name            text COLLATE "C" NOT NULL UNIQUE,
    recipe          json             NOT NULL,
    recipe_id       text             NOT NULL,
    parent          text COLLATE "C" REFERENCES version (name),
    created_at      timestamptz      NOT NULL,
    trained_from    timestamptz      NOT NULL,
    trained_to      timestamptz      NOT NULL,
    as_of           timestamptz      NOT NULL,
    metrics         json             NOT NULL,
    notes           json             NOT NULL,
    artifact_sha256 text             NOT NULL,
    artifact_bytes  bigint           NOT NULL,
    UNIQUE (series_id, number)
);

-- Where each alias points now, and every move that led there.
CREATE TABLE alias (
    series_id  bigint NOT NULL REFERENCES series (id),
    alias      text   NOT NULL,
    version_id bigint NOT NULL REFERENCES version (id),
    PRIMARY KEY (series_id, alias)
);
CREATE TABLE alias_history (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series_id   bigint      NOT NULL REFERENCES series (id),
    alias       text        NOT NULL,
    version_id  bigint      NOT NULL REFERENCES version (id),
    previous_id bigint REFERENCES version (id),
    moved_at    timestamptz NOT NULL,
    reason      text        NOT NULL
);
CREATE INDEX alias_history_by_series ON alias_history (series_id, id);

-- Results of quality checks.
CREATE TABLE quality (
    series_id  bigint           NOT NULL REFERENCES series (id),
    checked_at timestamptz      NOT NULL,
    revision   bigint           NOT NULL,
    score      double precision NOT NULL,
    findings   json             NOT NULL,
    PRIMARY KEY (series_id, checked_at)
);

-- Background jobs, and the node that works on each. A node holds an advisory lock of its number while it lives, so
-- that another one can tell its jobs from those that a stopped node left behind.
CREATE SEQUENCE node_number AS integer CYCLE;
CREATE TABLE job (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    node       integer          NOT NULL,
    kind       text             NOT NULL,
    payload    json             NOT NULL,
    state      text             NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed')),
    progress   double precision NOT NULL,
    message    text             NOT NULL,
    result     json,
    created_at timestamptz      NOT NULL,
    updated_at timestamptz      NOT NULL
);
CREATE INDEX job_by_age ON job (created_at, id);
-- Finds what a stopped node left behind without reading every job ever done.
CREATE INDEX job_unfinished ON job (state) WHERE state IN ('queued', 'running');
