-- Ways in besides passkeys: a password with codes of an authenticator app, and a company's own provider of identities.

-- A password of an operator, with the authenticator app that goes with it. The app's secret is not here: it is derived from
-- `app` under a key of the keys' realm.
CREATE TABLE password (
    id {blob} NOT NULL PRIMARY KEY,
    operator {blob} NOT NULL,
    login TEXT NOT NULL,
    -- Argon2id over the password, keyed, with what it cost.
    hash {blob} NOT NULL,
    salt {blob} NOT NULL,
    cost TEXT NOT NULL,
    app {blob} NOT NULL,
    -- The newest period whose code was used: none is taken twice.
    last_step {int} NOT NULL,
    set_at {int} NOT NULL,
    removed_at {int}
){strict};

CREATE UNIQUE INDEX password_login ON password (login) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX password_operator ON password (operator) WHERE removed_at IS NULL;

-- Somebody at the company's provider of identities (OpenID Connect) who is an operator here. Who that is there is kept as a
-- keyed hash of issuer and subject.
CREATE TABLE identity (
    id {blob} NOT NULL PRIMARY KEY,
    operator {blob} NOT NULL,
    issuer TEXT NOT NULL,
    subject_hash {blob} NOT NULL,
    added_at {int} NOT NULL,
    removed_at {int}
){strict};

CREATE UNIQUE INDEX identity_subject ON identity (subject_hash) WHERE removed_at IS NULL;
CREATE INDEX identity_operator ON identity (operator);
