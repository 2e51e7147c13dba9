-- Alarms, and what is to be delivered of them. Platform tables.

-- How far whoever acts on what happened has read the log.
CREATE TABLE log_reader (
    name TEXT NOT NULL PRIMARY KEY,
    next_idx {int} NOT NULL
){strict};

-- One row for what is wrong and what it is about: repeats raise its count.
CREATE TABLE alarm (
    id {blob} NOT NULL PRIMARY KEY,
    rule TEXT NOT NULL,
    about TEXT NOT NULL,
    -- counting, open, acknowledged, resolved, test
    state TEXT NOT NULL,
    severity TEXT NOT NULL,
    count {int} NOT NULL,
    -- The first entry of the log that raised it; none if no entry did.
    entry {int},
    first_at {int} NOT NULL,
    last_at {int} NOT NULL,
    -- The step that was sent last, and when the next one is due; none if none is.
    step {int} NOT NULL,
    next_at {int},
    by_operator TEXT,
    reason TEXT,
    until {int},
    resolved_at {int}
){strict};

CREATE UNIQUE INDEX alarm_about ON alarm (rule, about) WHERE state <> 'resolved';
CREATE INDEX alarm_state ON alarm (state, id);

-- A message for a route. Its id is the same in every attempt, so that a receiver can tell that it has it already.
CREATE TABLE alarm_delivery (
    id {blob} NOT NULL PRIMARY KEY,
    alarm {blob} NOT NULL,
    route TEXT NOT NULL,
    -- raise, again, escalate, acknowledge, resolve, test
    kind TEXT NOT NULL,
    step {int} NOT NULL,
    -- waiting, done, failed, dropped
    state TEXT NOT NULL,
    attempts {int} NOT NULL,
    due_at {int} NOT NULL,
    lease_until {int} NOT NULL,
    failure TEXT,
    made_at {int} NOT NULL,
    -- When it was done or given up; before that, when it was made.
    at {int} NOT NULL
){strict};

CREATE INDEX alarm_delivery_due ON alarm_delivery (route, state, due_at);
CREATE INDEX alarm_delivery_alarm ON alarm_delivery (alarm);
