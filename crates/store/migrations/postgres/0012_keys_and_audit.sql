-- Keys of the API. The key itself is nowhere: only the SHA-256 of its text.
CREATE TABLE api_key (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    name       text             NOT NULL,
    sha256     text             NOT NULL,
    scopes     json             NOT NULL,
    series     json             NOT NULL,
    created_at timestamptz      NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    successor  text
);

-- What was changed and what was refused. It only grows: the trigger refuses everything else, also from its owner.
CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    actor      text        NOT NULL,
    action     text        NOT NULL,
    outcome    text        NOT NULL,
    series     text,
    before     text,
    after      text,
    request_id text        NOT NULL,
    count      bigint      NOT NULL CHECK (count > 0)
);
CREATE INDEX audit_by_time ON audit (at, id);
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();
