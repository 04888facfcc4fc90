PRAGMA user_version = 1;
BEGIN TRANSACTION;
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
INSERT INTO "commands" VALUES(1,'c7htpgpk824ewav2','cancel','rrnmn5nm','{"reason":"enough"}','{"by":"a test"}',1.79544481369388723374e+09,1.79544481370069098475e+09,1.79544481374403500561e+09,'{"changed":true,"stopped":{"processes":2,"signals":["SIGTERM"],"tookSeconds":0.032},"outcome":"cancelled","reason":"cancelled by a test: enough"}');
INSERT INTO "commands" VALUES(2,'qhks43x4sphapvf4','configure',NULL,'{"scope":"*","values":{"monitoring.level":"passive"}}','{"by":"a test"}',1.79544481378470420834e+09,1.79544481378788542752e+09,1.79544481378788542752e+09,'{"changed":true}');
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
INSERT INTO "events" VALUES(1,1.79544481202087831493e+09,'task:queued',0,'4rhyc6v5',NULL,'succeeds (4rhyc6v5) was queued with priority P1','{"taskId":"4rhyc6v5","priority":"P1"}','[]');
INSERT INTO "events" VALUES(2,1.79544481204857110981e+09,'task:queued',0,'gqrf3tw8',NULL,'fails (gqrf3tw8) was queued with priority P1','{"taskId":"gqrf3tw8","priority":"P1"}','[]');
INSERT INTO "events" VALUES(3,1.795444812490418911e+09,'supervisor:started',1,NULL,NULL,'supervisor 1 started','{"epoch":1,"runs":0}','[]');
INSERT INTO "events" VALUES(4,1.79544481259890866282e+09,'task:started',1,'4rhyc6v5','4rhyc6v5.1','succeeds (4rhyc6v5) started','{"taskId":"4rhyc6v5","run":1}','[]');
INSERT INTO "events" VALUES(5,1.79544481260403299333e+09,'task:started',1,'gqrf3tw8','gqrf3tw8.1','fails (gqrf3tw8) started','{"taskId":"gqrf3tw8","run":1}','[]');
INSERT INTO "events" VALUES(6,1.79544481261841535569e+09,'task:ended',3,'gqrf3tw8','gqrf3tw8.1','fails (gqrf3tw8) failed: exit code 3','{"taskId":"gqrf3tw8","outcome":"failed","reason":"exit code 3","exitCode":3,"signal":null}','[]');
INSERT INTO "events" VALUES(7,1.79544481262234854697e+09,'task:ended',1,'4rhyc6v5','4rhyc6v5.1','succeeds (4rhyc6v5) succeeded: exit code 0','{"taskId":"4rhyc6v5","outcome":"succeeded","reason":"exit code 0","exitCode":0,"signal":null}','[]');
INSERT INTO "events" VALUES(8,1.79544481263194632527e+09,'task:queued',0,'qzvnn9j5',NULL,'waits (qzvnn9j5) was queued with priority P1','{"taskId":"qzvnn9j5","priority":"P1"}','[]');
INSERT INTO "events" VALUES(9,1.79544481266295099259e+09,'task:queued',0,'w30f1jc9',NULL,'is skipped (w30f1jc9) was queued with priority P1','{"taskId":"w30f1jc9","priority":"P1"}','[]');
INSERT INTO "events" VALUES(10,1.79544481268023490908e+09,'task:ended',3,'w30f1jc9',NULL,'is skipped (w30f1jc9) skipped: task gqrf3tw8, which it depends on, ended as failed','{"taskId":"w30f1jc9","outcome":"skipped","reason":"task gqrf3tw8, which it depends on, ended as failed","exitCode":null,"signal":null}','[]');
INSERT INTO "events" VALUES(11,1.79544481268890857702e+09,'task:queued',0,'rrnmn5nm',NULL,'is cancelled (rrnmn5nm) was queued with priority P1','{"taskId":"rrnmn5nm","priority":"P1"}','[]');
INSERT INTO "events" VALUES(12,1.7954448128118488788e+09,'task:started',1,'rrnmn5nm','rrnmn5nm.1','is cancelled (rrnmn5nm) started','{"taskId":"rrnmn5nm","run":1}','[]');
INSERT INTO "events" VALUES(13,1.79544481373950314526e+09,'task:ended',2,'rrnmn5nm','rrnmn5nm.1','is cancelled (rrnmn5nm) cancelled: cancelled by a test: enough','{"taskId":"rrnmn5nm","outcome":"cancelled","reason":"cancelled by a test: enough","exitCode":null,"signal":15}','[]');
INSERT INTO "events" VALUES(14,1.79544481378765773777e+09,'monitoring:configured',2,NULL,NULL,'monitoring was configured: monitoring.level','{"values":{"monitoring.level":"passive"}}','[]');
CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    holder TEXT,
    version TEXT,
    taken_at REAL
) STRICT;
INSERT INTO "lease" VALUES(1,1,'11111111-2222-3333-4444-555555555555 pid:[4026531836] 1218 1322527','0.1.0',1.7954448124709730148e+09);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('min_writer_version','1');
CREATE TABLE overrides (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
INSERT INTO "overrides" VALUES('*','monitoring.level','"passive"',1.79544481378740239147e+09);
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
INSERT INTO "runs" VALUES('4rhyc6v5',1,1.79544481249629044525e+09,'11111111-2222-3333-4444-555555555555 pid:[4026531836] 1221 1322573','11111111-2222-3333-4444-555555555555 pid:[4026531836] 1223 1322578',1.79544481259890866282e+09,1.79544481261852335927e+09,1.79544481267804193497e+09,NULL,0,NULL,'succeeded','exit code 0',NULL);
INSERT INTO "runs" VALUES('gqrf3tw8',1,1.79544481249674797058e+09,'11111111-2222-3333-4444-555555555555 pid:[4026531836] 1222 1322573','11111111-2222-3333-4444-555555555555 pid:[4026531836] 1224 1322580',1.79544481260403299333e+09,1.79544481261338448527e+09,1.79544481262615537647e+09,NULL,3,NULL,'failed','exit code 3',NULL);
INSERT INTO "runs" VALUES('rrnmn5nm',1,1.7954448127080407143e+09,'11111111-2222-3333-4444-555555555555 pid:[4026531836] 1226 1322594','11111111-2222-3333-4444-555555555555 pid:[4026531836] 1227 1322600',1.7954448128118488788e+09,1795444813.72069,1.79544481373950314526e+09,NULL,NULL,15,'cancelled','cancelled by a test: enough',NULL);
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
INSERT INTO "tasks" VALUES(1,'4rhyc6v5','command','succeeds','/home/someone/work','{"command":"echo done","umask":18}','["kept"]','[]','{"by":"a test"}',1,'ended','succeeded','exit code 0',0,NULL,0,1.79544481202087831493e+09,1.79544481202087831493e+09,1.79544481259890866282e+09,1.79544481261852335927e+09,NULL,1,NULL,1,0,NULL,NULL);
INSERT INTO "tasks" VALUES(2,'gqrf3tw8','command','fails','/home/someone/work','{"command":"exit 3","umask":18}','[]','[]','{"by":"a test"}',1,'ended','failed','exit code 3',3,NULL,0,1.79544481204857110981e+09,1.79544481204857110981e+09,1.79544481260403299333e+09,1.79544481261338448527e+09,NULL,1,NULL,1,0,NULL,NULL);
INSERT INTO "tasks" VALUES(3,'qzvnn9j5','command','waits','/home/someone/work','{"command":"true","umask":18}','[]','[["4rhyc6v5","success"]]','{"by":"a test"}',1,'queued',NULL,NULL,NULL,NULL,0,1.79544481263194632527e+09,1.79544481263194632527e+09,NULL,NULL,32472144000.0,0,'{"rule":"notBefore","until":32472144000.0}',1,0,NULL,NULL);
INSERT INTO "tasks" VALUES(4,'w30f1jc9','command','is skipped','/home/someone/work','{"command":"true","umask":18}','[]','[["gqrf3tw8","success"]]','{"by":"a test"}',1,'ended','skipped','task gqrf3tw8, which it depends on, ended as failed',NULL,NULL,0,1.79544481266295099259e+09,1.79544481266295099259e+09,NULL,1.79544481268023490908e+09,NULL,0,NULL,1,0,NULL,NULL);
INSERT INTO "tasks" VALUES(5,'rrnmn5nm','command','is cancelled','/home/someone/work','{"command":"sleep 100","umask":18}','[]','[]','{"by":"a test"}',1,'ended','cancelled','cancelled by a test: enough',NULL,15,0,1.79544481268890857702e+09,1.79544481268890857702e+09,1.7954448128118488788e+09,1795444813.72069,NULL,1,NULL,1,0,NULL,NULL);
CREATE INDEX tasks_by_state ON tasks (state, priority, queued_at, seq);
CREATE INDEX tasks_by_session ON tasks (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX tasks_by_end ON tasks (ended_at) WHERE state = 'ended';
CREATE INDEX runs_not_gone ON runs (task_id, n) WHERE gone_at IS NULL;
CREATE INDEX events_by_task ON events (task_id, seq);
CREATE INDEX commands_open ON commands (seq) WHERE done_at IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tasks',5);
INSERT INTO "sqlite_sequence" VALUES('events',14);
INSERT INTO "sqlite_sequence" VALUES('commands',2);
COMMIT;
