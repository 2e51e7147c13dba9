-- The keys' realm: wrapped keys, apart from the data that they open. No row here holds a key in the
-- clear. A table with an account_id is an account's; the others are the platform's.

-- Versions of the provider key, which itself is in a file or a token. New keys are wrapped with the
-- active version; a draining one still unwraps; a retired one is gone.
CREATE TABLE provider_key (
    version {int} NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'draining', 'retiring', 'retired')),
    -- How often it wrapped: bounded, see docs/keys.md.
    wraps {int} NOT NULL,
    -- A known text, wrapped: shows at each start that the configured provider is the right one.
    check_value {blob},
    created_at {int} NOT NULL
){strict};

-- Account keys, wrapped by the provider. The platform's: no customer's scope reads them.
CREATE TABLE account_key (
    account {blob} NOT NULL,
    version {int} NOT NULL,
    provider_version {int} NOT NULL,
    wrapped {blob} NOT NULL,
    created_at {int} NOT NULL,
    PRIMARY KEY (account, version)
){strict};

-- One key for each actor, under which the address and tool of its requests are sealed.
CREATE TABLE subject_key (
    subject TEXT NOT NULL PRIMARY KEY,
    provider_version {int} NOT NULL,
    wrapped {blob} NOT NULL,
    created_at {int} NOT NULL
){strict};

-- Secrets that servers share: the log's signing key, the tokens' signing key and the like.
CREATE TABLE platform_secret (
    name TEXT NOT NULL PRIMARY KEY,
    provider_version {int} NOT NULL,
    wrapped {blob} NOT NULL,
    created_at {int} NOT NULL
){strict};

-- Rotations, running and finished: how far each is.
CREATE TABLE key_rotation (
    name TEXT NOT NULL PRIMARY KEY,
    from_version {int} NOT NULL,
    to_version {int} NOT NULL,
    done {int} NOT NULL,
    total {int} NOT NULL,
    -- Wrapped keys that did not open and were passed over.
    damaged {int} NOT NULL,
    started_at {int} NOT NULL,
    finished_at {int}
){strict};

-- Which version of its account key an account wraps with, how often that did, and whether the
-- account's keys may be used at all.
CREATE TABLE account_ring (
    account_id {blob} NOT NULL PRIMARY KEY,
    active_version {int} NOT NULL,
    wraps {int} NOT NULL,
    suspended_at {int}
){strict};

-- Data keys, wrapped by a version of the account key. A destroyed one keeps its row without the key,
-- so that "destroyed" can be told from "never was".
CREATE TABLE data_key (
    account_id {blob} NOT NULL,
    id {blob} NOT NULL,
    account_key_version {int} NOT NULL,
    wrapped {blob},
    destroyed_at {int},
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL)),
    PRIMARY KEY (account_id, id)
-- @sqlite
) STRICT, WITHOUT ROWID;
-- @end
-- @postgres
);
-- @end

-- Secrets of an account that outlive its account key's versions, such as that of its blind indexes.
CREATE TABLE account_secret (
    account_id {blob} NOT NULL,
    name TEXT NOT NULL,
    account_key_version {int} NOT NULL,
    wrapped {blob} NOT NULL,
    PRIMARY KEY (account_id, name)
){strict};
