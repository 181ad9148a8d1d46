-- Flows that the API was given, the newest version of each: a call that runs an older one has it already.
CREATE TABLE flows (
    tenant     TEXT   NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    digest     TEXT   NOT NULL,
    updated_at BIGINT NOT NULL,
    document   TEXT   NOT NULL,
    PRIMARY KEY (tenant, name)
);
