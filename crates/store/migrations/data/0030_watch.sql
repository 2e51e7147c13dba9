-- The policy's versions and what is observed of it. The log says what holds; these rows find it again. Platform tables.

-- Files and document of a version that was put up, by the hash that its event names.
CREATE TABLE policy_content (
    sha256 TEXT NOT NULL PRIMARY KEY,
    content TEXT NOT NULL,
    at {int} NOT NULL
){strict};

-- Which event is an observation of which check. What it saw is in the event.
CREATE TABLE observation (
    check_id TEXT NOT NULL,
    -- 1: it could tell.
    definite {int} NOT NULL,
    effective {int} NOT NULL,
    received {int} NOT NULL,
    event {blob} NOT NULL,
    PRIMARY KEY (check_id, definite, effective, received, event)
){strict};

CREATE INDEX observation_received ON observation (check_id, received);

-- Checks whose newest observation failed.
CREATE TABLE open_finding (
    check_id TEXT NOT NULL PRIMARY KEY,
    event {blob} NOT NULL,
    at {int} NOT NULL
){strict};
