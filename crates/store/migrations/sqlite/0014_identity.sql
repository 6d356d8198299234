-- Which store this is: caches that outlive it keep its answers apart from those of others. A restored copy gets a new
-- one, for its revisions go on from where the backup was made and name other data than before.
CREATE TABLE identity (
    id TEXT NOT NULL
) STRICT;
INSERT INTO identity (id) VALUES (lower(hex(randomblob(16))));
