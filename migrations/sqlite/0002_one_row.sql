-- A call is one row from its admission to its end and after, its CDR in the same row; its facts are chunks of lines, one
-- chunk a transaction, and not a row each. What was a table before is a view over these: `cdrs`, `events`.

ALTER TABLE calls RENAME TO calls_1;
ALTER TABLE cdrs RENAME TO cdrs_1;
ALTER TABLE events RENAME TO events_1;
DROP INDEX calls_by_time;
DROP INDEX calls_by_from;
DROP INDEX calls_by_to;
DROP INDEX cdrs_by_time;

-- One row a call. From `ended_at` on, and in `sent_*` and `received_*`, it is the CDR: null while the call lives, written
-- once, never changed after; `origin` is null as long as it has not ended. `view` is JSON: the whole of a call that
-- lives, and {"answer", "cdr"} of one that has ended. The columns are what lists filter and order by, and for reports.
CREATE TABLE calls (
    id              INTEGER NOT NULL PRIMARY KEY,
    sid             TEXT NOT NULL UNIQUE,
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
    billable_ms     INTEGER,
    duration_ms     INTEGER,
    pdd_ms          INTEGER,
    sip_status      INTEGER,
    q850            INTEGER,
    origin          TEXT,
    retry           INTEGER,
    reason          TEXT,
    codec           TEXT,
    received_packets INTEGER,
    received_lost INTEGER,
    received_loss_percent REAL,
    received_jitter_ms REAL,
    received_mos REAL,
    sent_packets INTEGER,
    sent_lost INTEGER,
    sent_loss_percent REAL,
    sent_jitter_ms REAL,
    sent_mos REAL,
    carrier_call_id TEXT,
    price           REAL,
    last_seq        INTEGER NOT NULL,
    view            TEXT    NOT NULL
) STRICT;

INSERT INTO calls (sid, parent, tenant, trunk, direction, from_number, to_number, status, queued_at, last_seq, view,
    sent_at, ringing_at, early_media_at, answered_at, ended_at, billable_ms, duration_ms, pdd_ms, sip_status,
    q850, origin, retry, reason, codec, received_packets, received_lost, received_loss_percent,
    received_jitter_ms, received_mos, sent_packets, sent_lost, sent_loss_percent, sent_jitter_ms, sent_mos,
    carrier_call_id, price)
SELECT calls_1.sid, cdrs_1.parent, calls_1.tenant, calls_1.trunk, calls_1.direction, calls_1.from_number,
    calls_1.to_number, calls_1.status, calls_1.queued_at, calls_1.last_seq, calls_1.view,
    cdrs_1.sent_at, cdrs_1.ringing_at, cdrs_1.early_media_at, cdrs_1.answered_at, cdrs_1.ended_at,
    cdrs_1.billable_ms, cdrs_1.duration_ms, cdrs_1.pdd_ms, cdrs_1.sip_status, cdrs_1.q850, cdrs_1.origin,
    cdrs_1.retry, cdrs_1.reason, cdrs_1.codec, cdrs_1.received_packets, cdrs_1.received_lost,
    cdrs_1.received_loss_percent, cdrs_1.received_jitter_ms, cdrs_1.received_mos, cdrs_1.sent_packets,
    cdrs_1.sent_lost, cdrs_1.sent_loss_percent, cdrs_1.sent_jitter_ms, cdrs_1.sent_mos,
    cdrs_1.carrier_call_id, cdrs_1.price
FROM calls_1 LEFT JOIN cdrs_1 ON cdrs_1.sid = calls_1.sid
ORDER BY calls_1.queued_at;

-- Each for a query of the API: all calls of a tenant, those from a number, those to a number.
CREATE INDEX calls_by_time ON calls (tenant, queued_at);
CREATE INDEX calls_by_from ON calls (tenant, from_number, queued_at);
CREATE INDEX calls_by_to   ON calls (tenant, to_number, queued_at);

-- The facts of a call that one transaction brought, numbers `first_seq` to `last_seq`, a line of JSON each:
-- {"seq", "at", "type", "data"}. By time before sid, so that what is written together lies together.
CREATE TABLE facts (
    queued_at INTEGER NOT NULL,
    sid       TEXT    NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    facts     TEXT    NOT NULL,
    UNIQUE (queued_at, sid, first_seq)
) STRICT;
INSERT INTO facts (queued_at, sid, first_seq, last_seq, facts)
SELECT coalesce(calls_1.queued_at, 0), events_1.sid, events_1.seq, events_1.seq,
    '{"seq":' || events_1.seq || ',"at":' || events_1.at || ',"type":"' || events_1.kind
        || CASE events_1.kind WHEN 'ended' THEN '"' ELSE '","data":' || events_1.data END || '}' || char(10)
FROM events_1 LEFT JOIN calls_1 ON calls_1.sid = events_1.sid;

DROP TABLE events_1;
DROP TABLE cdrs_1;
DROP TABLE calls_1;

-- One row a call that has ended.
CREATE VIEW cdrs AS
SELECT sid, parent, tenant, trunk, direction, from_number, to_number, status, queued_at,
    sent_at, ringing_at, early_media_at, answered_at, ended_at, billable_ms, duration_ms, pdd_ms, sip_status,
    q850, origin, retry, reason, codec, received_packets, received_lost, received_loss_percent,
    received_jitter_ms, received_mos, sent_packets, sent_lost, sent_loss_percent, sent_jitter_ms, sent_mos,
    carrier_call_id, price, view
FROM calls WHERE origin IS NOT NULL;

-- One row a fact.
CREATE VIEW events AS
SELECT sid, line.value ->> 'seq' AS seq, line.value ->> 'at' AS at, line.value ->> 'type' AS kind, line.value AS fact
FROM facts, json_each('[' || replace(rtrim(facts, char(10)), char(10), ',') || ']') AS line;
