-- Administrators of customers' accounts. They are people as operators are, with passkeys and sessions, and each has one account
-- for good. Platform tables: they are read before an account is known, to find out which it is.

-- A person: an operator with a role, or a customer's administrator with an account. Rebuilt: another word, and the account.
CREATE TABLE operator_of_0034 (
    id {blob} NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('administrator', 'security', 'engineer', 'employee', 'auditor', 'customer')),
    -- Null for who signs in by passkey alone.
    public_key {blob} UNIQUE,
    enrolled_at {int} NOT NULL,
    -- When access ends by itself; null if it does not.
    ends_at {int},
    -- The account that a customer's administrator governs; null for an operator.
    account {blob},
    revoked_at {int},
    CHECK ((role = 'customer') = (account IS NOT NULL))
){strict};

INSERT INTO operator_of_0034 (id, name, role, public_key, enrolled_at, ends_at, account, revoked_at)
    SELECT id, name, role, public_key, enrolled_at, ends_at, NULL, revoked_at FROM operator;

DROP TABLE operator;

ALTER TABLE operator_of_0034 RENAME TO operator;

CREATE INDEX operator_account ON operator (account, id);

CREATE TABLE enrolment_link_of_0034 (
    secret_hash {blob} NOT NULL PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('administrator', 'security', 'engineer', 'employee', 'auditor', 'customer')),
    created_at {int} NOT NULL,
    created_by {blob},
    expires_at {int} NOT NULL,
    -- When the access of whoever uses it ends.
    access_ends_at {int},
    -- The account that whoever uses it governs.
    account {blob},
    used_at {int},
    used_by {blob},
    CHECK ((role = 'customer') = (account IS NOT NULL))
){strict};

INSERT INTO enrolment_link_of_0034 (secret_hash, role, created_at, created_by, expires_at, access_ends_at, account, used_at, used_by)
    SELECT secret_hash, role, created_at, created_by, expires_at, access_ends_at, NULL, used_at, used_by FROM enrolment_link;

DROP TABLE enrolment_link;

ALTER TABLE enrolment_link_of_0034 RENAME TO enrolment_link;
