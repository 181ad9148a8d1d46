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
    id              BIGINT  NOT NULL GENERATED ALWAYS AS IDENTITY,
    sid             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    parent          TEXT,
    tenant          TEXT    NOT NULL,
    trunk           TEXT,
    direction       TEXT    NOT NULL,
    from_number     TEXT    NOT NULL,
    to_number       TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    queued_at       BIGINT NOT NULL,
    sent_at         BIGINT,
    ringing_at      BIGINT,
    early_media_at  BIGINT,
    answered_at     BIGINT,
    ended_at        BIGINT,
    billable_ms     BIGINT,
    duration_ms     BIGINT,
    pdd_ms          BIGINT,
    sip_status      BIGINT,
    q850            BIGINT,
    origin          TEXT,
    retry           BOOLEAN,
    reason          TEXT,
    codec           TEXT,
    received_packets BIGINT,
    received_lost BIGINT,
    received_loss_percent DOUBLE PRECISION,
    received_jitter_ms DOUBLE PRECISION,
    received_mos DOUBLE PRECISION,
    sent_packets BIGINT,
    sent_lost BIGINT,
    sent_loss_percent DOUBLE PRECISION,
    sent_jitter_ms DOUBLE PRECISION,
    sent_mos DOUBLE PRECISION,
    carrier_call_id TEXT,
    price           DOUBLE PRECISION,
    last_seq        BIGINT NOT NULL,
    view            TEXT    NOT NULL
);

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
    queued_at BIGINT NOT NULL,
    sid       TEXT COLLATE "C" NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq  BIGINT NOT NULL,
    facts     TEXT   NOT NULL,
    PRIMARY KEY (queued_at, sid, first_seq)
);
INSERT INTO facts (queued_at, sid, first_seq, last_seq, facts)
SELECT coalesce(calls_1.queued_at, 0), events_1.sid, events_1.seq, events_1.seq,
    '{"seq":' || events_1.seq || ',"at":' || events_1.at || ',"type":"' || events_1.kind
        || CASE events_1.kind WHEN 'ended' THEN '"' ELSE '","data":' || events_1.data END || '}' || E'\n'
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
SELECT sid, head[1]::bigint AS seq, head[2]::bigint AS at, head[3] AS kind, line AS fact
FROM facts
CROSS JOIN LATERAL string_to_table(rtrim(facts, E'\n'), E'\n') AS line
CROSS JOIN LATERAL regexp_match(line, '"seq":(\d+),"at":(\d+),"type":"(\w+)"') AS head;
