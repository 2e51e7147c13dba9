-- The vault: repositories, records with their versions and blind index, objects, holds, certificates
-- of deletion. Accounts' tables, all of them: each key starts with the account. Names of a customer's
-- own choosing stand here; contents, object names and reasons are sealed.

CREATE TABLE repository (
    account_id {blob} NOT NULL,
    id {blob} NOT NULL,
    name TEXT NOT NULL,
    classification TEXT NOT NULL,
    -- Field classifications, retention, schema and searchable fields, as JSON.
    declaration TEXT NOT NULL,
    -- Goes up with each change, so that a cached declaration is known to be stale.
    revision {int} NOT NULL,
    -- Legal holds in force on the repository as a whole.
    holds {int} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, name)
){strict};

-- The current version of each record. Ids are in order of creation, so that the primary key serves
-- listing and the retention schedule as well.
CREATE TABLE record (
    account_id {blob} NOT NULL,
    repository_id {blob} NOT NULL,
    id {blob} NOT NULL,
    -- The label that the current version is sealed under.
    classification TEXT NOT NULL,
    key_id {blob} NOT NULL,
    version {int} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    deleted_at {int},
    -- Set once its erasure is decided: from then on it is gone for everybody.
    erasing_at {int},
    -- Why, from then on.
    erasing_cause TEXT CHECK (erasing_cause IN ('request', 'retention', 'deleted')),
    -- Legal holds in force on this record.
    holds {int} NOT NULL,
    -- Bytes of the body before sealing.
    bytes {int} NOT NULL,
    commitment {blob} NOT NULL,
    -- Its digests in record_term, 16 bytes each.
    terms {blob} NOT NULL,
    sealed {blob} NOT NULL,
    PRIMARY KEY (account_id, repository_id, id)
){strict};
CREATE INDEX record_deleted ON record (account_id, deleted_at, id) WHERE deleted_at IS NOT NULL;

-- The versions before the current one.
CREATE TABLE record_version (
    account_id {blob} NOT NULL,
    repository_id {blob} NOT NULL,
    record_id {blob} NOT NULL,
    version {int} NOT NULL,
    classification TEXT NOT NULL,
    created_at {int} NOT NULL,
    bytes {int} NOT NULL,
    commitment {blob} NOT NULL,
    sealed {blob} NOT NULL,
    PRIMARY KEY (account_id, repository_id, record_id, version)
){strict};

-- The blind index: digests of searchable fields' values under a key of account, repository and field.
CREATE TABLE record_term (
    account_id {blob} NOT NULL,
    repository_id {blob} NOT NULL,
    digest {blob} NOT NULL,
    record_id {blob} NOT NULL,
    PRIMARY KEY (account_id, repository_id, digest, record_id)
-- @sqlite
) STRICT, WITHOUT ROWID;
-- @end
-- @postgres
);
-- @end

-- Objects: their content is in blobs, in parts under `blob`.
CREATE TABLE object (
    account_id {blob} NOT NULL,
    repository_id {blob} NOT NULL,
    id {blob} NOT NULL,
    classification TEXT NOT NULL,
    key_id {blob} NOT NULL,
    created_at {int} NOT NULL,
    deleted_at {int},
    erasing_at {int},
    erasing_cause TEXT CHECK (erasing_cause IN ('request', 'retention', 'deleted')),
    holds {int} NOT NULL,
    -- Bytes of the content before sealing.
    bytes {int} NOT NULL,
    commitment {blob} NOT NULL,
    blob TEXT NOT NULL,
    -- Name, content type and digest, sealed.
    sealed {blob} NOT NULL,
    PRIMARY KEY (account_id, repository_id, id),
    UNIQUE (account_id, blob)
){strict};
CREATE INDEX object_deleted ON object (account_id, deleted_at, id) WHERE deleted_at IS NOT NULL;

-- Uploads under way, each with what it reserved of the account's room. The transaction that adds the
-- object takes its row away; so does whoever settles an upload that came to nothing.
CREATE TABLE object_upload (
    account_id {blob} NOT NULL,
    id {blob} NOT NULL,
    repository_id {blob} NOT NULL,
    blob TEXT NOT NULL,
    -- Bytes before sealing that are reserved.
    bytes {int} NOT NULL,
    started_at {int} NOT NULL,
    PRIMARY KEY (account_id, id)
){strict};
CREATE INDEX object_upload_started ON object_upload (account_id, started_at);

-- What an account's objects take, and what uploads under way reserved.
CREATE TABLE object_usage (
    account_id {blob} NOT NULL PRIMARY KEY,
    objects {int} NOT NULL,
    bytes {int} NOT NULL
){strict};

-- Legal holds, those lifted as well.
CREATE TABLE hold (
    account_id {blob} NOT NULL,
    id {blob} NOT NULL,
    repository_id {blob} NOT NULL,
    target_kind TEXT NOT NULL CHECK (target_kind IN ('repository', 'record', 'object')),
    target_id {blob} NOT NULL,
    key_id {blob} NOT NULL,
    -- Why it was set and which person decided it, and the same of its lifting, sealed.
    reason {blob} NOT NULL,
    person {blob} NOT NULL,
    lift_reason {blob},
    lift_person {blob},
    set_at {int} NOT NULL,
    set_by TEXT NOT NULL,
    lifted_at {int},
    lifted_by TEXT,
    PRIMARY KEY (account_id, id)
){strict};
CREATE INDEX hold_target ON hold (account_id, target_id, id);
CREATE INDEX hold_repository ON hold (account_id, repository_id, id);

-- Signed certificates of deletion. Rows are only added.
CREATE TABLE deletion_certificate (
    account_id {blob} NOT NULL,
    id {blob} NOT NULL,
    repository_id {blob} NOT NULL,
    object_kind TEXT NOT NULL,
    object_id {blob} NOT NULL,
    issued_at {int} NOT NULL,
    statement TEXT NOT NULL,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, object_id)
){strict};

-- Answers to requests that carried an Idempotency-Key, for 24 hours. No content: ids and versions.
CREATE TABLE idempotency (
    account_id {blob} NOT NULL,
    -- Keyed digest of client and key.
    digest {blob} NOT NULL,
    -- Keyed digest of route and body.
    fingerprint {blob} NOT NULL,
    response TEXT NOT NULL,
    expires_at {int} NOT NULL,
    PRIMARY KEY (account_id, digest)
){strict};
CREATE INDEX idempotency_expiry ON idempotency (account_id, expires_at);

-- What an answer is about, so that nothing of it outlives the erasure of what it names.
CREATE TABLE idempotency_target (
    account_id {blob} NOT NULL,
    digest {blob} NOT NULL,
    target_id {blob} NOT NULL,
    PRIMARY KEY (account_id, digest, target_id)
){strict};
CREATE INDEX idempotency_by_target ON idempotency_target (account_id, target_id);
