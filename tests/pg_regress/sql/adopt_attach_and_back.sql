-- Views stand for the old tables, by their names, columns and rights, until it is taken back; then the tables have what the views showed.
SELECT p.last_value AS p, p.is_called AS pc, a.last_value AS a, a.is_called AS ac, r.last_value AS r, r.is_called AS rc, s.last_value AS s, s.is_called AS sc
  FROM costsim_provenance_id_seq p, costsim_alert_queue_id_seq a, costsim_canary_reports_id_seq r, costsim_cb_state_id_seq s \gset
BEGIN;
CREATE ROLE costsim_regress_app;
CREATE ROLE costsim_regress_reader;
CREATE SCHEMA old AUTHORIZATION costsim_regress_app;
GRANT USAGE ON SCHEMA old TO costsim_regress_reader;
SET LOCAL ROLE costsim_regress_app;
CREATE TABLE old.costsim_canary_reports (
    created_at timestamptz NOT NULL DEFAULT now(), id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id varchar(20) NOT NULL UNIQUE,
    "timestamp" timestamptz NOT NULL DEFAULT now(), status varchar(20) NOT NULL, passed boolean NOT NULL DEFAULT true, total_samples smallint NOT NULL DEFAULT 0,
    kl_divergence real, failure_reasons_json text);
CREATE TABLE old.costsim_provenance (
    id bigint NOT NULL, v1_cost numeric(12,4), payload json, created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, created_at));
GRANT SELECT (run_id), UPDATE (status) ON old.costsim_canary_reports TO costsim_regress_reader;
GRANT SELECT ON old.costsim_provenance TO PUBLIC;
INSERT INTO old.costsim_canary_reports (run_id, status, kl_divergence) VALUES ('one', 'pass', 0.25), ('two', 'fail', NULL), ('three', 'error', 'NaN');
INSERT INTO old.costsim_provenance VALUES (7, 1.2345, '{"b": 1, "a": 2}', '2025-01-01');
RESET ROLE;
SELECT table_name, copied, problem FROM costsim_adopt('old', false, 'attach');
SELECT c.relname, c.relkind, c.relowner::regrole = current_user::regrole AS is_ours FROM pg_class c
 WHERE c.relnamespace = 'old'::regnamespace AND c.relkind IN ('r', 'v', 'p', 'S') ORDER BY c.relname COLLATE "C";
SELECT attname FROM pg_attribute WHERE attrelid = 'old.costsim_canary_reports'::regclass AND attnum > 0 ORDER BY attnum;
SELECT table_name, grantee, privilege_type, is_grantable FROM information_schema.table_privileges
 WHERE table_schema = 'old' AND table_name IN ('costsim_canary_reports', 'costsim_provenance') AND grantee IN ('PUBLIC', 'costsim_regress_reader') ORDER BY 1, 2, 3;

-- As the application.
SET LOCAL ROLE costsim_regress_app;
INSERT INTO old.costsim_canary_reports (run_id, status) VALUES ('four', 'pass'), ('one', 'fail')
    ON CONFLICT (run_id) DO UPDATE SET status = excluded.status RETURNING id, run_id, status, passed;
UPDATE old.costsim_canary_reports SET total_samples = 9 WHERE run_id = 'two';
DELETE FROM old.costsim_canary_reports WHERE run_id = 'three';
INSERT INTO old.costsim_provenance (id, v1_cost, payload) VALUES (8, 2, '[1]') RETURNING id;
SELECT id, v1_cost, payload FROM old.costsim_provenance ORDER BY id FOR UPDATE SKIP LOCKED;
RESET ROLE;
SET LOCAL ROLE costsim_regress_reader;
SELECT count(run_id) FROM old.costsim_canary_reports;
RESET ROLE;

SELECT * FROM costsim_unadopt('old');
SET LOCAL ROLE costsim_regress_app;
SELECT id, run_id, status, total_samples, kl_divergence FROM old.costsim_canary_reports ORDER BY id;
SELECT id, v1_cost, payload FROM old.costsim_provenance ORDER BY id;
INSERT INTO old.costsim_canary_reports (run_id, status) VALUES ('five', 'pass') RETURNING id;
RESET ROLE;
SELECT c.relname, c.relkind FROM pg_class c WHERE c.relnamespace = 'old'::regnamespace AND c.relkind IN ('r', 'v', 'p', 'S') ORDER BY c.relname COLLATE "C";
SELECT id, run_id FROM costsim_canary_reports ORDER BY id;
ROLLBACK;
-- Sequences do not roll back.
SELECT setval('costsim_provenance_id_seq', :p, :'pc'), setval('costsim_alert_queue_id_seq', :a, :'ac'),
       setval('costsim_canary_reports_id_seq', :r, :'rc'), setval('costsim_cb_state_id_seq', :s, :'sc') \gset _
