-- Who may reach Tenet: accounts, their clients, operators, and what makes a token invalid before its
-- time. Platform tables: they are read before an account is known, to find out which it is.

-- A customer whose data is kept apart. Names are unique, compared as they are written.
CREATE TABLE account (
    id {blob} NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at {int} NOT NULL,
    -- Set while suspended: nothing of the account authenticates.
    suspended_at {int}
){strict};

-- A customer's application, in one account for good. It has either a secret or a public key.
CREATE TABLE client (
    id {blob} NOT NULL PRIMARY KEY,
    account {blob} NOT NULL REFERENCES account (id),
    name TEXT NOT NULL,
    -- The scopes that it may ask for, separated by spaces.
    scopes TEXT NOT NULL,
    -- The highest classification that it may touch; null for the highest of the scheme.
    clearance TEXT,
    -- SHA-256 of its secret of 256 random bits.
    secret_hash {blob},
    -- Its Ed25519 public key, 32 bytes.
    public_key {blob},
    created_at {int} NOT NULL,
    created_by {blob} NOT NULL,
    revoked_at {int},
    CHECK ((secret_hash IS NULL) <> (public_key IS NULL))
){strict};
CREATE INDEX client_account ON client (account, id);

-- A person who operates Tenet. No account, ever.
CREATE TABLE operator (
    id {blob} NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('administrator', 'auditor')),
    public_key {blob} NOT NULL UNIQUE,
    enrolled_at {int} NOT NULL,
    revoked_at {int}
){strict};

-- An invitation to become an operator: used once, for half an hour.
CREATE TABLE enrolment_link (
    secret_hash {blob} NOT NULL PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('administrator', 'auditor')),
    created_at {int} NOT NULL,
    -- Null for the link of the first start.
    created_by {blob},
    expires_at {int} NOT NULL,
    used_at {int},
    used_by {blob}
){strict};

-- Tokens that are invalid before their time. Rows go when the token would have ended anyway.
CREATE TABLE token_revocation (
    token {blob} NOT NULL PRIMARY KEY,
    revoked_at {int} NOT NULL,
    expires_at {int} NOT NULL
){strict};
CREATE INDEX token_revocation_expiry ON token_revocation (expires_at);

-- Assertions that were used, so that none is used twice. Rows go when the assertion has ended.
CREATE TABLE assertion_use (
    id {blob} NOT NULL PRIMARY KEY,
    expires_at {int} NOT NULL
){strict};
CREATE INDEX assertion_use_expiry ON assertion_use (expires_at);
