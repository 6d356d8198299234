-- Where data are fetched from, and when next. Documents are the service's own.
CREATE TABLE source (
    name     text COLLATE "C" NOT NULL PRIMARY KEY,
    spec     json             NOT NULL,
    due_at   timestamptz      NOT NULL,
    failures bigint           NOT NULL,
    last     json
);
CREATE INDEX source_by_due ON source (due_at, name);

-- Who is told of events.
CREATE TABLE webhook (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    spec       json             NOT NULL,
    created_at timestamptz      NOT NULL
);

-- What is still to be told, and what could not be. What was told is gone.
CREATE TABLE delivery (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    webhook    text COLLATE "C" NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    event      text             NOT NULL,
    body       text             NOT NULL,
    created_at timestamptz      NOT NULL,
    due_at     timestamptz      NOT NULL,
    attempts   bigint           NOT NULL,
    dead       boolean          NOT NULL,
    error      text             NOT NULL
);
CREATE INDEX delivery_by_due ON delivery (dead, due_at, id);
CREATE INDEX delivery_by_webhook ON delivery (webhook);
