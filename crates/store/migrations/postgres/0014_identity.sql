-- Which store this is: caches that outlive it keep its answers apart from those of others. After a restore give it a new
-- one (docs/caching.md), for its revisions go on from where the backup was made and name other data than before.
CREATE TABLE identity (
    id text NOT NULL
);
INSERT INTO identity (id) VALUES (replace(gen_random_uuid()::text, '-', ''));
