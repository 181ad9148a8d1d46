-- Recordings, as the journal's facts of their calls have them. `ended_at` is null while one is being made; `deleted_at` is
-- set where somebody has deleted it: the row goes when its time has come, so that the journal cannot bring it back.
CREATE TABLE recordings (
    sid         TEXT NOT NULL PRIMARY KEY,
    call_sid    TEXT   NOT NULL,
    tenant      TEXT   NOT NULL,
    channels    INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    duration_ms INTEGER,
    octets      INTEGER,
    reason      TEXT,
    deleted_at  INTEGER
) STRICT;
CREATE INDEX recordings_by_time ON recordings (tenant, started_at, sid);
CREATE INDEX recordings_by_call ON recordings (call_sid, started_at);
CREATE INDEX recordings_by_age  ON recordings (started_at);
