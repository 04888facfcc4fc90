"""The tables, and how an older database becomes today's.

`PRAGMA user_version` is the schema's version. `meta.min_writer_version` is the oldest schema version whose
programs may still write: each write checks it, so that an old server that is left open cannot damage what a
newer one has migrated.
"""

from __future__ import annotations

VERSION = 2

V1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('min_writer_version', '1');

CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    cwd TEXT NOT NULL,
    spec TEXT NOT NULL,
    labels TEXT NOT NULL DEFAULT '[]',
    depends_on TEXT NOT NULL DEFAULT '[]',
    submitter TEXT NOT NULL DEFAULT '{}',
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 2),
    state TEXT NOT NULL,
    outcome TEXT,
    reason TEXT,
    exit_code INTEGER,
    signal INTEGER,
    killed_for_memory INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    queued_at REAL NOT NULL,
    started_at REAL,
    ended_at REAL,
    not_before REAL,
    run INTEGER NOT NULL DEFAULT 0,
    hold TEXT,
    supervised INTEGER NOT NULL DEFAULT 1,
    leftovers INTEGER NOT NULL DEFAULT 0,
    session_id TEXT,
    seen TEXT,
    CHECK ((state = 'ended') = (outcome IS NOT NULL))
) STRICT;
CREATE INDEX tasks_by_state ON tasks (state, priority, queued_at, seq);
CREATE INDEX tasks_by_session ON tasks (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX tasks_by_end ON tasks (ended_at) WHERE state = 'ended';

CREATE TABLE runs (
    task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    admitted_at REAL NOT NULL,
    keeper TEXT,
    main TEXT,
    started_at REAL,
    exited_at REAL,
    gone_at REAL,
    overdue_at REAL,
    exit_code INTEGER,
    signal INTEGER,
    outcome TEXT,
    reason TEXT,
    seen TEXT,
    PRIMARY KEY (task_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_not_gone ON runs (task_id, n) WHERE gone_at IS NULL;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    type TEXT NOT NULL,
    severity INTEGER NOT NULL,
    task_id TEXT,
    run_id TEXT,
    message TEXT NOT NULL,
    data TEXT NOT NULL DEFAULT '{}',
    suggestions TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX events_by_task ON events (task_id, seq);

CREATE TABLE commands (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    task_id TEXT,
    args TEXT NOT NULL,
    origin TEXT NOT NULL,
    created_at REAL NOT NULL,
    taken_at REAL,
    done_at REAL,
    result TEXT,
    CHECK ((done_at IS NULL) = (result IS NULL))
) STRICT;
CREATE INDEX commands_open ON commands (seq) WHERE done_at IS NULL;

CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    holder TEXT,
    version TEXT,
    taken_at REAL
) STRICT;
INSERT INTO lease VALUES (1, 0, NULL, NULL, NULL);

CREATE TABLE overrides (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
"""

V2 = """
CREATE TABLE alerts (
    seq INTEGER PRIMARY KEY REFERENCES events (seq) ON DELETE CASCADE,
    task_id TEXT REFERENCES tasks (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    cleared_at REAL,
    answered_at REAL,
    answer TEXT,
    snoozed_at REAL,
    snoozed_until REAL
) STRICT;
CREATE INDEX alerts_open ON alerts (seq) WHERE cleared_at IS NULL;
CREATE INDEX alerts_by_task ON alerts (task_id);

CREATE TABLE handed (
    seq INTEGER NOT NULL REFERENCES alerts (seq) ON DELETE CASCADE,
    session TEXT NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (seq, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE judgements (
    subject TEXT PRIMARY KEY,
    boot_id TEXT NOT NULL,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE tasks ADD COLUMN stopped TEXT;
ALTER TABLE tasks ADD COLUMN resumes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN worktree TEXT;
ALTER TABLE tasks ADD COLUMN class_key TEXT;
CREATE INDEX tasks_with_worktree ON tasks (seq) WHERE state = 'ended' AND worktree IS NOT NULL;
ALTER TABLE runs ADD COLUMN suspended_s REAL NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN resumed_at REAL;
ALTER TABLE runs ADD COLUMN granted_bytes INTEGER;
CREATE INDEX runs_by_admission ON runs (admitted_at);

CREATE TABLE spending (
    day TEXT NOT NULL,
    task_id TEXT NOT NULL,
    run INTEGER NOT NULL,
    usd REAL NOT NULL,
    PRIMARY KEY (task_id, run, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX spending_by_day ON spending (day);

CREATE TABLE demand (
    class_key TEXT PRIMARY KEY,
    seen_at REAL NOT NULL,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    run INTEGER NOT NULL,
    at REAL NOT NULL,
    cause TEXT NOT NULL,
    label TEXT,
    state TEXT NOT NULL,
    session_id TEXT,
    repository TEXT,
    ref TEXT,
    commit_id TEXT,
    details TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX checkpoints_by_task ON checkpoints (task_id, seq);

CREATE TABLE reservations (
    id TEXT PRIMARY KEY,
    memory_bytes INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    task_id TEXT UNIQUE REFERENCES tasks (id) ON DELETE CASCADE,
    until REAL NOT NULL,
    at REAL NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

DROP INDEX events_by_task;
CREATE INDEX events_by_task ON events (task_id, seq, severity, type);
CREATE INDEX events_by_type ON events (type, severity, seq, task_id);

CREATE TRIGGER tasks_removed AFTER DELETE ON tasks BEGIN
    DELETE FROM overrides WHERE scope = old.id;
END;

UPDATE meta SET value = '2' WHERE key = 'min_writer_version';
"""

MIGRATIONS: tuple[str, ...] = (V1, V2)
"""`MIGRATIONS[v]` makes version v + 1 of version v; applied in one transaction each."""
