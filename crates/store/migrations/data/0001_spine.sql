-- The spine: events, the log they become, and jobs. Platform tables, all of them.

-- Every event, in the order it was committed. Rows are never changed and never deleted.
CREATE TABLE event (
    seq {serial},
    id {blob} NOT NULL UNIQUE,
    account_id {blob},
    at {int} NOT NULL,
    activity TEXT NOT NULL,
    leaf {blob} NOT NULL,
    sealed {blob}
){strict};

-- Events that are not in the log yet.
CREATE TABLE outbox (
    seq {int} PRIMARY KEY,
    -- A keyed digest of the leaf, by the server that recorded it; null for what a first start records before it has the key.
    seal {blob}
){strict};

-- Events that no server recorded: taken out of the way, to be looked at by a person.
CREATE TABLE outbox_refused (
    seq {int} PRIMARY KEY,
    at {int} NOT NULL
){strict};

-- The log's order: entry number to event. Rows are never changed and never deleted.
CREATE TABLE log_entry (
    idx {int} PRIMARY KEY,
    seq {int} NOT NULL UNIQUE
){strict};

-- Hash tiles (C2SP tlog-tiles): `width` hashes of 32 bytes.
CREATE TABLE log_tile (
    level {int} NOT NULL,
    idx {int} NOT NULL,
    width {int} NOT NULL,
    data {blob} NOT NULL,
    PRIMARY KEY (level, idx)
){strict};

-- One row: the newest signed checkpoint, and which server sequences until when.
CREATE TABLE log_head (
    id {int} PRIMARY KEY,
    size {int} NOT NULL,
    checkpoint TEXT NOT NULL,
    holder {blob},
    held_until {int} NOT NULL
){strict};
INSERT INTO log_head (id, size, checkpoint, holder, held_until) VALUES (0, 0, '', NULL, 0);

-- Checkpoints that the quorum of witnesses cosigned: when first, and when last, with the note of each.
CREATE TABLE log_witnessed (
    size {int} PRIMARY KEY,
    first_at {int} NOT NULL,
    first_note TEXT NOT NULL,
    at {int} NOT NULL,
    note TEXT NOT NULL
){strict};

-- The index of the log, for searches: derived from it, and built anew if its rows are dropped. A small segment
-- (level 0) has 4,096 entries, a large one (level 1) 65,536. `times`: of each 256 entries the earliest and the latest
-- time, 8 bytes each.
CREATE TABLE log_segment (
    level {int} NOT NULL,
    segment {int} NOT NULL,
    times {blob} NOT NULL,
    PRIMARY KEY (level, segment)
){strict};
CREATE TABLE log_segment_page (
    level {int} NOT NULL,
    segment {int} NOT NULL,
    -- The first of the terms in it.
    first {int} NOT NULL,
    data {blob} NOT NULL,
    PRIMARY KEY (level, segment, first)
){strict};
-- One row: how many entries are in segments.
CREATE TABLE log_indexed (
    id {int} PRIMARY KEY,
    size {int} NOT NULL
){strict};
INSERT INTO log_indexed (id, size) VALUES (0, 0);

CREATE TABLE job (
    id {blob} PRIMARY KEY,
    kind TEXT NOT NULL,
    account_id {blob},
    payload TEXT NOT NULL,
    run_at {int} NOT NULL,
    dedupe TEXT UNIQUE,
    attempts {int} NOT NULL,
    max_attempts {int} NOT NULL,
    lease_holder {blob},
    lease_until {int} NOT NULL,
    failure TEXT
){strict};
CREATE INDEX job_due ON job (run_at, id);

-- Privileged acts that a second person reviews: added with the act itself, never deleted.
CREATE TABLE review (
    event {blob} PRIMARY KEY,
    activity TEXT NOT NULL,
    actor TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object TEXT NOT NULL,
    at {int} NOT NULL,
    due_at {int} NOT NULL,
    -- When it was said that it is overdue.
    overdue_at {int},
    reviewed_at {int},
    reviewed_by {blob},
    verdict TEXT CHECK (verdict IN ('in-order', 'objection')),
    note TEXT
){strict};
CREATE INDEX review_open ON review (due_at, event) WHERE reviewed_at IS NULL;
CREATE INDEX review_order ON review (at, event);

-- One row per server that runs or ran: what a start finds of the stop before it.
CREATE TABLE server (
    id {blob} PRIMARY KEY,
    started_at {int} NOT NULL,
    seen_at {int} NOT NULL,
    stopped_at {int}
){strict};

-- @sqlite
CREATE TRIGGER event_no_update BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'events are not changed'); END;
CREATE TRIGGER event_no_delete BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'events are not deleted'); END;
CREATE TRIGGER log_entry_no_update BEFORE UPDATE ON log_entry BEGIN SELECT RAISE(ABORT, 'the log is not changed'); END;
CREATE TRIGGER log_entry_no_delete BEFORE DELETE ON log_entry BEGIN SELECT RAISE(ABORT, 'the log is not shortened'); END;
-- @end
