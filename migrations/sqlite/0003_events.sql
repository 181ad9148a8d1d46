-- For whoever reads events on from where it stopped (`GET /v1/events`): whose a chunk is, and where in the journal the
-- transaction ended that brought it. Each line names its own place as "id". What was written before has neither, and is
-- not given out that way.
ALTER TABLE facts ADD COLUMN tenant TEXT    NOT NULL DEFAULT '';
ALTER TABLE facts ADD COLUMN batch  INTEGER NOT NULL DEFAULT 0;
CREATE INDEX facts_by_batch ON facts (tenant, batch);
