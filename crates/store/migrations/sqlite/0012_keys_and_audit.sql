-- Keys of the API. The key itself is nowhere: only the SHA-256 of its text.
CREATE TABLE api_key (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    sha256     TEXT    NOT NULL,
    scopes     TEXT    NOT NULL CHECK (json_valid(scopes)),
    series     TEXT    NOT NULL CHECK (json_valid(series)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    successor  TEXT
) STRICT;

-- What was changed and what was refused. It only grows: the triggers refuse everything else.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    series     TEXT,
    before     TEXT,
    after      TEXT,
    request_id TEXT    NOT NULL,
    count      INTEGER NOT NULL CHECK (count > 0)
) STRICT;
CREATE INDEX audit_by_time ON audit (at, id);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
