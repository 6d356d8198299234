-- What people hang on a series and its versions: tags, descriptions, stages, names of their own for a version.
-- `version` is a version's id, or empty for the series itself.
CREATE TABLE label (
    series_id bigint NOT NULL REFERENCES series (id),
    version   text   NOT NULL,
    kind      text   NOT NULL CHECK (kind IN ('tag', 'description', 'stage', 'alias')),
    name      text   NOT NULL,
    value     text   NOT NULL,
    PRIMARY KEY (series_id, version, kind, name)
);
