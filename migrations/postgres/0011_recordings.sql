-- Recordings, as the journal's facts of their calls have them. `ended_at` is null while one is being made; `deleted_at` is
-- set where somebody has deleted it: the row goes when its time has come, so that the journal cannot bring it back.
CREATE TABLE recordings (
    sid         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    call_sid    TEXT   NOT NULL,
    tenant      TEXT   NOT NULL,
    channels    BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,
    ended_at    BIGINT,
    duration_ms BIGINT,
    octets      BIGINT,
    reason      TEXT,
    deleted_at  BIGINT
);
CREATE INDEX recordings_by_time ON recordings (tenant, started_at, sid);
CREATE INDEX recordings_by_call ON recordings (call_sid, started_at);
CREATE INDEX recordings_by_age  ON recordings (started_at);
