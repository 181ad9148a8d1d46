-- Where users were registered last, as far as it hangs on no connection: what a restart takes up. `bindings` is JSON.
CREATE TABLE locations (
    tenant   TEXT COLLATE "C" NOT NULL,
    name     TEXT COLLATE "C" NOT NULL,
    bindings TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
);
