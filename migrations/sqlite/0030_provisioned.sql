-- What was made over HTTP: tenants, trunks, numbers, users. The configuration file's are not here.
-- `scope` is the tenant whose name `name` is, and empty where the whole switch knows it by that. `document` is JSON, as the
-- API takes it, without what is secret; that is in `secret`, sealed with the key of [secrets] key_file.
CREATE TABLE provisioned (
    kind       TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    document   TEXT    NOT NULL,
    secret     TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (kind, scope, name)
) STRICT;
-- What a key is called by people, and its own rate where it has one.
ALTER TABLE keys ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN per_minute INTEGER;
