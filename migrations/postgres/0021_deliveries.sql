-- What a call's `status_callback` is told, one row an event, written in the transaction that writes the fact. `id` is the
-- webhook-id: of the call and the number of the fact, so that the same fact is never two deliveries.
CREATE TABLE deliveries (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    sid        TEXT    NOT NULL,
    seq        BIGINT  NOT NULL,
    type       TEXT    NOT NULL,
    url        TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    status     TEXT    NOT NULL,
    attempts   BIGINT  NOT NULL,
    due_at     BIGINT  NOT NULL,
    outcome    TEXT    NOT NULL
);
-- For the sender; in order within a call; for the tenant's list.
CREATE INDEX deliveries_due     ON deliveries (due_at) WHERE status = 'pending';
CREATE INDEX deliveries_of_call ON deliveries (sid, seq) WHERE status = 'pending';
CREATE INDEX deliveries_by_time ON deliveries (tenant, created_at, id);
