-- What each tenant is called and what it proves itself by. `auth_token` and `webhook_secret` are sealed with the key of
-- [secrets] key_file: without that file nobody reads them.
CREATE TABLE accounts (
    tenant         TEXT NOT NULL PRIMARY KEY,
    account_sid    TEXT NOT NULL,
    auth_token     TEXT NOT NULL,
    webhook_secret TEXT NOT NULL
) STRICT;
