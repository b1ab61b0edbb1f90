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
\a
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client", "worker_id": "kind", "status": "state", "error": "message", "cost_cents": "price", "is_retry": "repeats", "created_at": "made",
                                  "finished_at": "done", "time_zone": "Europe/Berlin", "status_values": {"succeeded": "completed", "error": "failed", "it''s": "crashed"}}');
\a
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
\a
SELECT costsim_use_runs('own', '{"attempt": null}');
\a
SELECT id, attempt, is_retry, cost_cents, tokens, created_at FROM costsim_application_runs;
-- A column of text stays a column: the index of the table serves.
SET enable_seqscan = off;
\a
EXPLAIN (COSTS OFF) SELECT * FROM costsim_application_runs WHERE tenant_id = 'acme' AND id = 'a';
\a
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
-- What is remembered follows a column that is renamed: the mapping makes the same view again.
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client", "worker_id": "kind", "status": "state", "created_at": "made", "time_zone": "UTC", "finished_at": null,
                                  "status_values": {"error": "failed"}}') AS before \gset
ALTER TABLE jobs RENAME COLUMN client TO "the customer";
ALTER TABLE jobs RENAME COLUMN made TO client;
SELECT s.mapping ->> 'tenant_id' AS tenant_id, s.mapping ->> 'created_at' AS created_at, s.mapping -> 'error' AS error, s.mapping -> 'status_values' AS words FROM costsim_run_source() s;
SELECT replace(replace(costsim_use_runs(s.source, s.mapping), 'jobs.client', 'jobs.made'), '"the customer"', 'client') = :'before' AS is_the_same FROM costsim_run_source() s;
COMMENT ON VIEW costsim_application_runs IS 'by hand';
SELECT source, mapping IS NULL AS is_unknown, is_ours FROM costsim_run_source();
-- Somebody else's view is refused here as it is wherever runs are read.
CREATE ROLE run_planter;
SELECT costsim_use_runs(NULL);
CREATE VIEW costsim_application_runs AS SELECT 1 AS one;
ALTER VIEW costsim_application_runs OWNER TO run_planter;
SELECT * FROM costsim_run_source();
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns('acme');
\echo :LAST_ERROR_SQLSTATE
DROP VIEW costsim_application_runs;
DROP ROLE run_planter;
-- An index counts where it serves what the view asks of it.
CREATE TABLE led (id text NOT NULL, tenant_id uuid NOT NULL, code varchar NOT NULL, worker_id text NOT NULL, status text NOT NULL, made timestamp NOT NULL, day date NOT NULL, created_at timestamptz NOT NULL);
CREATE FUNCTION use_led(mapping jsonb) RETURNS boolean LANGUAGE sql AS $$ SELECT costsim_use_runs('led', mapping) IS NOT NULL $$;
CREATE INDEX led_one ON led (tenant_id, made);
CREATE INDEX led_two ON led (made);
SELECT use_led('{"created_at": "made", "time_zone": "UTC"}');
CREATE INDEX led_three ON led ((made AT TIME ZONE 'UTC'));
SELECT use_led('{"created_at": "made", "time_zone": "UTC"}');
SELECT use_led('{"created_at": "made", "time_zone": "Asia/Tokyo"}');
CREATE INDEX led_four ON led (timezone('Asia/Tokyo', made), id);
SELECT use_led('{"created_at": "made", "time_zone": "Asia/Tokyo"}');
SELECT use_led('{"created_at": "day", "time_zone": "UTC"}');
CREATE INDEX led_five ON led ((day::timestamp AT TIME ZONE 'UTC'));
SELECT use_led('{"created_at": "day", "time_zone": "UTC"}');
CREATE INDEX led_six ON led USING brin (created_at);
CREATE INDEX led_seven ON led USING hash (code);
CREATE INDEX led_eight ON led (code COLLATE "C");
CREATE INDEX led_nine ON led (created_at) WHERE id <> '';
SELECT use_led('{"tenant_id": "code"}');
CREATE INDEX led_ten ON led (code);
SELECT use_led('{"tenant_id": "code"}');
CREATE INDEX led_eleven ON led ((tenant_id::text), id);
SELECT use_led('{"time_zone": "UTC"}');
SET enable_seqscan = off;
SET enable_bitmapscan = off;
DROP INDEX led_nine;
\a
EXPLAIN (COSTS OFF) SELECT FROM costsim_application_runs WHERE tenant_id = 'x';
\a
RESET enable_seqscan;
RESET enable_bitmapscan;
-- One odd row is no run, or one whose cost is not known, and in nobody's way.
CREATE TABLE odd (id text, tenant_id text, worker_id text, status text, error text, cost_cents double precision, created_at timestamp);
INSERT INTO odd SELECT 'r' || n, 'acme', 'w', 'failed', 'broken', 1e13, now() AT TIME ZONE 'UTC' FROM generate_series(1, 4) n;
INSERT INTO odd SELECT 'c' || n, 'acme', 'w', 'completed', NULL, CASE n WHEN 1 THEN 1e200 WHEN 2 THEN 'NaN' WHEN 3 THEN 'Infinity' WHEN 4 THEN 1e-200 ELSE 2 END, now() AT TIME ZONE 'UTC' FROM generate_series(1, 12) n;
INSERT INTO odd SELECT coalesce(id, 'x'), coalesce(tenant_id, 'acme'), coalesce(worker_id, 'w'), 'failed', 'broken', 1, coalesce(created_at, now() AT TIME ZONE 'UTC')
  FROM (VALUES ('', NULL, NULL, NULL::timestamp), (NULL, '', NULL, NULL), (NULL, NULL, '', NULL), (repeat('x', 513), NULL, NULL, NULL), (NULL, repeat('x', 513), NULL, NULL),
               (NULL, NULL, repeat('x', 513), NULL), (NULL, NULL, NULL, 'infinity'), (NULL, NULL, NULL, '-infinity'), (NULL, NULL, NULL, '4713-01-01 00:00 BC'), (NULL, NULL, NULL, '200000-01-01 00:00')) v (id, tenant_id, worker_id, created_at);
INSERT INTO odd VALUES (NULL, 'acme', 'w', 'failed', 'broken', 1, now()), ('x', NULL, 'w', 'failed', 'broken', 1, now()), ('x', 'acme', NULL, 'failed', 'broken', 1, now()),
                       ('x', 'acme', 'w', NULL, 'broken', 1, now()), ('x', 'acme', 'w', 'failed', 'broken', 1, NULL);
SET client_min_messages = warning;
SELECT costsim_use_runs('odd', '{"time_zone": "UTC"}') IS NOT NULL AS is_made;
SET client_min_messages = notice;
SELECT count(*), count(cost_cents), max(cost_cents) FROM costsim_application_runs;
SELECT tenant_id, pattern_type, occurrence_count FROM costsim_detect_patterns() WHERE pattern_type = 'failure_pattern';
SELECT (SELECT count(*) FROM costsim_predict()) AS standard, (SELECT count(*) FROM costsim_predict(method => 'reference')) AS reference;
SELECT costsim_use_runs(NULL);
DROP TABLE odd;
TRUNCATE costsim_pattern_feedback, costsim_predictions RESTART IDENTITY;
-- Names that the table takes for one, and we for two.
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
ALTER TABLE led ADD customer text COLLATE any_case, ADD message text COLLATE any_case;
SELECT use_led('{"tenant_id": "customer"}');
\echo :LAST_ERROR_SQLSTATE
SELECT use_led('{"worker_id": "customer"}');
SELECT use_led('{"status": "customer"}');
SELECT use_led('{"parent_run_id": "customer"}');
SELECT use_led('{"error": "message", "parent_run_id": "worker_id"}');
CREATE VIEW exact AS SELECT id, customer COLLATE "C" AS tenant_id, worker_id, status, created_at FROM led;
SELECT costsim_use_runs('exact') IS NOT NULL AS is_made;
SELECT costsim_use_runs(NULL);
-- Words of a type of the table's owner are read by no cast of his: it would run as whoever looks.
CREATE TYPE state AS ENUM ('failed', 'completed');
CREATE DOMAIN narrow AS state;
CREATE FUNCTION spell(state) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'code of the owner runs'; RETURN 'spelled'; END $$;
CREATE CAST (state AS text) WITH FUNCTION spell(state) AS IMPLICIT;
CREATE TABLE words (id text NOT NULL, tenant_id narrow NOT NULL, worker_id narrow, status state NOT NULL, error state, created_at timestamptz NOT NULL);
INSERT INTO words VALUES ('a', 'completed', 'failed', 'failed', NULL, '2025-06-01 12:00+00'), ('b', 'completed', 'failed', 'completed', 'failed', '2025-06-01 13:00+00'),
                         ('c', 'completed', NULL, 'completed', NULL, '2025-06-01 14:00+00');
SET client_min_messages = warning;
\a
SELECT costsim_use_runs('words', '{"status_values": {"failed": "crashed"}}');
\a
SELECT id, tenant_id, worker_id, status, error FROM costsim_application_runs ORDER BY id;
SELECT costsim_use_runs(s.source, s.mapping) IS NOT NULL AS is_made FROM costsim_run_source() s;
SELECT count(*) FROM costsim_detect_patterns('completed');
SELECT costsim_use_runs(NULL);
TRUNCATE costsim_pattern_feedback RESTART IDENTITY;
DROP TABLE words;
DROP CAST (state AS text);
DROP FUNCTION spell(state);
DROP DOMAIN narrow;
DROP TYPE state;
SET client_min_messages = notice;
DROP FUNCTION use_led(jsonb);
DROP VIEW exact;
DROP TABLE led;
DROP COLLATION any_case;
DROP TABLE jobs;
DROP SCHEMA elsewhere;
