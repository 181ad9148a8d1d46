-- Where users were registered last, as far as it hangs on no connection: what a restart takes up. `bindings` is JSON.
CREATE TABLE locations (
    tenant   TEXT NOT NULL,
    name     TEXT NOT NULL,
    bindings TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT;
