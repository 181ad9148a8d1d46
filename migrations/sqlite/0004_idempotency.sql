-- Each Idempotency-Key of the last day, the body it came with (SHA-256) and the call it led to.
CREATE TABLE idempotency (
    tenant TEXT    NOT NULL,
    key    TEXT    NOT NULL,
    body   TEXT    NOT NULL,
    sid    TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
-- For what is older than a day to go.
CREATE INDEX idempotency_by_time ON idempotency (at);
