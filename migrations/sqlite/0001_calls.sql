-- Everything here is a projection of the journal (DESIGN.md §5, "Database"), but for `keys`.
-- Times are milliseconds since the Unix epoch, UTC.

-- How far each journal has been projected. Written in the transaction that writes the rows.
CREATE TABLE projection (
    journal        TEXT    NOT NULL PRIMARY KEY,
    segment        INTEGER NOT NULL,
    segment_offset INTEGER NOT NULL
) STRICT;

-- One row a call; `view` is the whole of it as JSON, the columns beside it are what lists filter and order by.
CREATE TABLE calls (
    sid         TEXT    NOT NULL PRIMARY KEY,
    tenant      TEXT    NOT NULL,
    direction   TEXT    NOT NULL,
    from_number TEXT    NOT NULL,
    to_number   TEXT    NOT NULL,
    trunk       TEXT,
    status      TEXT    NOT NULL,
    queued_at   INTEGER NOT NULL,
    last_seq    INTEGER NOT NULL,
    view        TEXT    NOT NULL
) STRICT;
CREATE INDEX calls_by_time ON calls (tenant, queued_at DESC, sid DESC);
CREATE INDEX calls_by_from ON calls (tenant, from_number, queued_at DESC, sid DESC);
CREATE INDEX calls_by_to   ON calls (tenant, to_number, queued_at DESC, sid DESC);

-- One row a fact.
CREATE TABLE events (
    sid  TEXT    NOT NULL,
    seq  INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    kind TEXT    NOT NULL,
    data TEXT    NOT NULL,
    PRIMARY KEY (sid, seq)
) STRICT, WITHOUT ROWID;

-- One row a call that has ended, never changed after. `cdr` is the whole of it as JSON (metadata, recordings and
-- Call-IDs among it), the columns beside it are for reports.
CREATE TABLE cdrs (
    sid             TEXT    NOT NULL PRIMARY KEY,
    parent          TEXT,
    tenant          TEXT    NOT NULL,
    trunk           TEXT,
    direction       TEXT    NOT NULL,
    from_number     TEXT    NOT NULL,
    to_number       TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    queued_at       INTEGER NOT NULL,
    sent_at         INTEGER,
    ringing_at      INTEGER,
    early_media_at  INTEGER,
    answered_at     INTEGER,
    ended_at        INTEGER,
    billable_ms     INTEGER NOT NULL,
    duration_ms     INTEGER NOT NULL,
    pdd_ms          INTEGER,
    sip_status      INTEGER,
    q850            INTEGER NOT NULL,
    origin          TEXT    NOT NULL,
    retry           INTEGER NOT NULL,
    reason          TEXT    NOT NULL,
    codec           TEXT,
    received_packets      INTEGER NOT NULL,
    received_lost         INTEGER NOT NULL,
    received_loss_percent REAL    NOT NULL,
    received_jitter_ms    REAL    NOT NULL,
    received_mos          REAL,
    sent_packets          INTEGER NOT NULL,
    sent_lost             INTEGER NOT NULL,
    sent_loss_percent     REAL    NOT NULL,
    sent_jitter_ms        REAL    NOT NULL,
    sent_mos              REAL,
    carrier_call_id TEXT,
    price           REAL,
    cdr             TEXT    NOT NULL
) STRICT;
CREATE INDEX cdrs_by_time ON cdrs (tenant, queued_at DESC, sid DESC);

-- API keys, by the SHA-256 of the key: the key itself is nowhere.
CREATE TABLE keys (
    hash       TEXT    NOT NULL PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    scopes     TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
