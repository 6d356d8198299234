-- What people hang on a series and its versions: tags, descriptions, stages, names of their own for a version.
-- `version` is a version's id, or empty for the series itself.
CREATE TABLE label (
    series_id INTEGER NOT NULL REFERENCES series (id),
    version   TEXT    NOT NULL,
    kind      TEXT    NOT NULL CHECK (kind IN ('tag', 'description', 'stage', 'alias')),
    name      TEXT    NOT NULL,
    value     TEXT    NOT NULL,
    PRIMARY KEY (series_id, version, kind, name)
) STRICT, WITHOUT ROWID;
