-- What a call's `status_callback` is told, one row an event, written in the transaction that writes the fact. `id` is the
-- webhook-id: of the call and the number of the fact, so that the same fact is never two deliveries.
CREATE TABLE deliveries (
    id         TEXT    NOT NULL PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    sid        TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    type       TEXT    NOT NULL,
    url        TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    status     TEXT    NOT NULL,
    attempts   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    outcome    TEXT    NOT NULL
) STRICT;
-- For the sender; in order within a call; for the tenant's list.
CREATE INDEX deliveries_due     ON deliveries (due_at) WHERE status = 'pending';
CREATE INDEX deliveries_of_call ON deliveries (sid, seq) WHERE status = 'pending';
CREATE INDEX deliveries_by_time ON deliveries (tenant, created_at, id);
