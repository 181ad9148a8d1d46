-- Everything here is a projection of the journal (DESIGN.md §5, "Database"), but for `keys`.
-- Times are milliseconds since the Unix epoch, UTC.

-- How far each journal has been projected. Written in the transaction that writes the rows.
CREATE TABLE projection (
    journal        TEXT    NOT NULL PRIMARY KEY,
    segment        BIGINT  NOT NULL,
    segment_offset BIGINT  NOT NULL
);

-- One row a call; `view` is the whole of it as JSON, the columns beside it are what lists filter and order by.
CREATE TABLE calls (
    sid         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant      TEXT    NOT NULL,
    direction   TEXT    NOT NULL,
    from_number TEXT    NOT NULL,
    to_number   TEXT    NOT NULL,
    trunk       TEXT,
    status      TEXT    NOT NULL,
    queued_at   BIGINT  NOT NULL,
    last_seq    BIGINT  NOT NULL,
    view        TEXT    NOT NULL
);
CREATE INDEX calls_by_time ON calls (tenant, queued_at DESC, sid DESC);
CREATE INDEX calls_by_from ON calls (tenant, from_number, queued_at DESC, sid DESC);
CREATE INDEX calls_by_to   ON calls (tenant, to_number, queued_at DESC, sid DESC);

-- One row a fact.
CREATE TABLE events (
    sid  TEXT    NOT NULL,
    seq  BIGINT  NOT NULL,
    at   BIGINT  NOT NULL,
    kind TEXT    NOT NULL,
    data TEXT    NOT NULL,
    PRIMARY KEY (sid, seq)
);

-- One row a call that has ended, never changed after. `cdr` is the whole of it as JSON (metadata, recordings and
-- Call-IDs among it), the columns beside it are for reports.
CREATE TABLE cdrs (
    sid             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    parent          TEXT,
    tenant          TEXT    NOT NULL,
    trunk           TEXT,
    direction       TEXT    NOT NULL,
    from_number     TEXT    NOT NULL,
    to_number       TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    queued_at       BIGINT  NOT NULL,
    sent_at         BIGINT,
    ringing_at      BIGINT,
    early_media_at  BIGINT,
    answered_at     BIGINT,
    ended_at        BIGINT,
    billable_ms     BIGINT  NOT NULL,
    duration_ms     BIGINT  NOT NULL,
    pdd_ms          BIGINT,
    sip_status      BIGINT,
    q850            BIGINT  NOT NULL,
    origin          TEXT    NOT NULL,
    retry           BOOLEAN NOT NULL,
    reason          TEXT    NOT NULL,
    codec           TEXT,
    received_packets      BIGINT  NOT NULL,
    received_lost         BIGINT  NOT NULL,
    received_loss_percent DOUBLE PRECISION NOT NULL,
    received_jitter_ms    DOUBLE PRECISION NOT NULL,
    received_mos          DOUBLE PRECISION,
    sent_packets          BIGINT  NOT NULL,
    sent_lost             BIGINT  NOT NULL,
    sent_loss_percent     DOUBLE PRECISION NOT NULL,
    sent_jitter_ms        DOUBLE PRECISION NOT NULL,
    sent_mos              DOUBLE PRECISION,
    carrier_call_id TEXT,
    price           DOUBLE PRECISION,
    cdr             TEXT    NOT NULL
);
CREATE INDEX cdrs_by_time ON cdrs (tenant, queued_at DESC, sid DESC);

-- API keys, by the SHA-256 of the key: the key itself is nowhere.
CREATE TABLE keys (
    hash       TEXT    NOT NULL PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    scopes     TEXT    NOT NULL,
    created_at BIGINT  NOT NULL
);
