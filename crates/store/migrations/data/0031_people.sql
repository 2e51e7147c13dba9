-- People: more roles, access that ends by itself, passkeys and sessions of the console. Platform tables.

-- A person who works with Tenet. Rebuilt: more roles, a key that may be missing, an end.
CREATE TABLE operator_of_0031 (
    id {blob} NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('administrator', 'security', 'engineer', 'employee', 'auditor')),
    -- Null for who signs in by passkey alone.
    public_key {blob} UNIQUE,
    enrolled_at {int} NOT NULL,
    -- When access ends by itself; null if it does not.
    ends_at {int},
    revoked_at {int}
){strict};

INSERT INTO operator_of_0031 (id, name, role, public_key, enrolled_at, ends_at, revoked_at)
    SELECT id, name, role, public_key, enrolled_at, NULL, revoked_at FROM operator;

DROP TABLE operator;

ALTER TABLE operator_of_0031 RENAME TO operator;

CREATE TABLE enrolment_link_of_0031 (
    secret_hash {blob} NOT NULL PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('administrator', 'security', 'engineer', 'employee', 'auditor')),
    created_at {int} NOT NULL,
    created_by {blob},
    expires_at {int} NOT NULL,
    -- When the access of whoever uses it ends.
    access_ends_at {int},
    used_at {int},
    used_by {blob}
){strict};

INSERT INTO enrolment_link_of_0031 (secret_hash, role, created_at, created_by, expires_at, access_ends_at, used_at, used_by)
    SELECT secret_hash, role, created_at, created_by, expires_at, NULL, used_at, used_by FROM enrolment_link;

DROP TABLE enrolment_link;

ALTER TABLE enrolment_link_of_0031 RENAME TO enrolment_link;

-- A WebAuthn credential of an operator.
CREATE TABLE passkey (
    id {blob} NOT NULL PRIMARY KEY,
    operator {blob} NOT NULL,
    name TEXT NOT NULL,
    -- The authenticator's own id of it.
    credential {blob} NOT NULL UNIQUE,
    -- COSE_Key, as the authenticator gave it.
    public_key {blob} NOT NULL,
    sign_count {int} NOT NULL,
    added_at {int} NOT NULL,
    removed_at {int}
){strict};

CREATE INDEX passkey_operator ON passkey (operator);

-- A session of the console. `seal` binds what it allows to a key of the keys' realm: a planted row is none.
CREATE TABLE console_session (
    id {blob} NOT NULL PRIMARY KEY,
    secret_hash {blob} NOT NULL UNIQUE,
    operator {blob} NOT NULL,
    method TEXT NOT NULL,
    began_at {int} NOT NULL,
    -- When its operator last proved who it is.
    proved_at {int} NOT NULL,
    ends_at {int} NOT NULL,
    seen_at {int} NOT NULL,
    ended_at {int},
    seal {blob} NOT NULL
){strict};

CREATE INDEX console_session_operator ON console_session (operator);
CREATE INDEX console_session_ends ON console_session (ends_at);
