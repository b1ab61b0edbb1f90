-- The view over the application's own table, and how each kind of column is read.
SET client_min_messages = notice;
CREATE TABLE jobs (
    job uuid PRIMARY KEY, client varchar(40) NOT NULL, kind varchar(40), state varchar(10) NOT NULL, message varchar,
    price double precision, tokens integer, repeats integer, made timestamp NOT NULL, done timestamp, finished_at text);
INSERT INTO jobs VALUES
    ('00000000-0000-0000-0000-000000000001', 'acme', 'mailer', 'succeeded', NULL, 1.25, 7, 0, '2025-06-01 12:00', '2025-06-01 12:01', 'yesterday'),
    ('00000000-0000-0000-0000-000000000002', 'acme', 'mailer', 'error', 'no route', 'NaN', NULL, 1, '2025-06-01 13:00', NULL, NULL),
    ('00000000-0000-0000-0000-000000000003', 'acme', 'mailer', 'paused', NULL, -1, NULL, NULL, '2025-06-01 14:00', NULL, NULL),
    ('00000000-0000-0000-0000-000000000004', 'globex', NULL, 'error', 'a job without a worker is no run', NULL, NULL, NULL, '2025-06-01 14:00', NULL, NULL);
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client", "worker_id": "kind", "status": "state", "error": "message", "cost_cents": "price", "is_retry": "repeats", "created_at": "made",
                                  "finished_at": "done", "time_zone": "Europe/Berlin", "status_values": {"succeeded": "completed", "error": "failed", "it''s": "crashed"}}');
SET timezone = 'UTC';
SELECT * FROM costsim_application_runs ORDER BY id;
SELECT * FROM costsim_run_source();
-- What it remembers makes the same again; with an index it is silent.
CREATE INDEX ON jobs (client, made);
SELECT costsim_use_runs(s.source, s.mapping) AS before FROM costsim_run_source() s \gset
SELECT costsim_use_runs(s.source, s.mapping) = :'before' AS is_the_same FROM costsim_run_source() s;
-- The same names need no mapping; JSON null says that a column is something else.
CREATE TABLE own (id text NOT NULL, tenant_id text NOT NULL, worker_id text NOT NULL, status text NOT NULL, attempt text, created_at timestamptz NOT NULL, PRIMARY KEY (tenant_id, id));
INSERT INTO own VALUES ('a', 'acme', 'w', 'failed', 'first', '2025-06-01 12:00+00');
SELECT costsim_use_runs('own', '{"attempt": null}');
SELECT id, attempt, is_retry, cost_cents, tokens, created_at FROM costsim_application_runs;
-- A column of text stays a column: the index of the table serves.
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM costsim_application_runs WHERE tenant_id = 'acme' AND id = 'a';
RESET enable_seqscan;
-- The table may move and change its name.
CREATE SCHEMA elsewhere;
ALTER TABLE own SET SCHEMA elsewhere;
ALTER TABLE elsewhere.own RENAME TO "Own Jobs";
SELECT source, mapping FROM costsim_run_source();
SELECT count(*) FROM costsim_application_runs;
-- It cannot be dropped unseen; by CASCADE the view goes with it, and runs are read from ours again.
DROP TABLE elsewhere."Own Jobs";
DROP TABLE elsewhere."Own Jobs" CASCADE;
SELECT * FROM costsim_run_source();
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client", "worker_id": "kind", "status": "state", "created_at": "made", "time_zone": "UTC", "finished_at": null}') IS NOT NULL AS is_made;
SELECT costsim_use_runs(NULL);
SELECT * FROM costsim_run_source();
DROP TABLE jobs;
DROP SCHEMA elsewhere;
