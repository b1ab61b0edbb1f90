-- Every misuse of adoption: its SQLSTATE, what it says, and nothing done. ON_ERROR_ROLLBACK puts a savepoint before each statement.
SELECT p.last_value AS p, p.is_called AS pc, a.last_value AS a, a.is_called AS ac, r.last_value AS r, r.is_called AS rc, s.last_value AS s, s.is_called AS sc
  FROM costsim_provenance_id_seq p, costsim_alert_queue_id_seq a, costsim_canary_reports_id_seq r, costsim_cb_state_id_seq s \gset
\set ON_ERROR_ROLLBACK on
BEGIN;
CREATE SCHEMA old;
CREATE SCHEMA empty;
SELECT costsim_adopt(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_adopt('old', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_adopt('old', mode => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_adopt('old', deliver_within => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_unadopt(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_adopt('old', mode => 'move');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_adopt('old', deliver_within => '-1 second');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_adopt('public');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_adopt('nowhere');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_adopt('empty', false);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_adopt('');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_unadopt('empty');
\echo :LAST_ERROR_SQLSTATE

-- Somebody else's tables, and somebody who is not the extension's owner.
CREATE ROLE costsim_regress_app;
CREATE TABLE old.costsim_provenance (id bigint PRIMARY KEY, created_at timestamptz NOT NULL);
GRANT USAGE ON SCHEMA old TO costsim_regress_app;
GRANT EXECUTE ON FUNCTION costsim_adopt(text, boolean, text, interval), costsim_unadopt(text) TO costsim_regress_app;
SET ROLE costsim_regress_app;
SELECT costsim_adopt('old');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_unadopt('old');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
COMMIT;

BEGIN READ ONLY;
SELECT table_name, problem FROM costsim_adopt('old');
SELECT costsim_adopt('old', false);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_unadopt('old');
\echo :LAST_ERROR_SQLSTATE
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM costsim_adopt('old');
SELECT costsim_adopt('old', false);
\echo :LAST_ERROR_SQLSTATE
COMMIT;

-- What is in the way of views is named, and refused.
BEGIN;
CREATE TABLE old.costsim_cb_state (id integer, name text, updated_at timestamp, note text, disabled text);
CREATE VIEW old.costsim_alert_queue AS SELECT 1 AS id;
CREATE VIEW old.runs AS SELECT run_id FROM (SELECT id::text AS run_id FROM old.costsim_provenance) p;
CREATE TABLE old.parts (provenance_id bigint CONSTRAINT parts_of REFERENCES old.costsim_provenance);
CREATE TABLE old.costsim_provenance_before_costsim ();
CREATE FUNCTION old.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER stamp BEFORE INSERT ON old.costsim_provenance FOR EACH ROW EXECUTE FUNCTION old.nothing();
CREATE FUNCTION old.how_many() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM old.costsim_provenance; END;
SET LOCAL client_min_messages = error;
CREATE PUBLICATION costsim_regress_all FOR TABLE old.costsim_provenance;
RESET client_min_messages;
ALTER TABLE old.costsim_provenance ENABLE ROW LEVEL SECURITY;
INSERT INTO old.costsim_cb_state VALUES (1, 'a', now(), NULL, 'yes');
SELECT table_name, refused, regexp_split_to_table(problem, '; ') AS problem FROM costsim_adopt('old', mode => 'attach');
SELECT costsim_adopt('old', false, 'attach');
\echo :LAST_ERROR_SQLSTATE
-- A copy minds none of it.
SELECT table_name, copied, problem FROM costsim_adopt('old', false);
ROLLBACK;

-- Rows that a policy hides are not left behind in silence.
BEGIN;
CREATE ROLE costsim_regress_owner;
DO $$ BEGIN EXECUTE format('GRANT %I TO costsim_regress_owner', current_user); END $$;
GRANT USAGE, CREATE ON SCHEMA old TO costsim_regress_owner;
INSERT INTO old.costsim_provenance VALUES (1, '2025-01-01');
ALTER TABLE old.costsim_provenance OWNER TO costsim_regress_owner;
SET LOCAL ROLE costsim_regress_owner;
SELECT sum(to_copy) FROM costsim_adopt('old');
ALTER TABLE old.costsim_provenance ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT sum(to_copy) FROM costsim_adopt('old');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE old.costsim_provenance NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
SELECT sum(copied) FROM costsim_adopt('old', false, 'attach');
SELECT sum(written) FROM costsim_unadopt('old');
ROLLBACK;
SET client_min_messages = error;
DROP SCHEMA old CASCADE;
RESET client_min_messages;
DROP SCHEMA empty;
REVOKE ALL ON FUNCTION costsim_adopt(text, boolean, text, interval), costsim_unadopt(text) FROM costsim_regress_app;
DROP ROLE costsim_regress_app;
-- Sequences do not roll back.
SELECT setval('costsim_provenance_id_seq', :p, :'pc'), setval('costsim_alert_queue_id_seq', :a, :'ac'),
       setval('costsim_canary_reports_id_seq', :r, :'rc'), setval('costsim_cb_state_id_seq', :s, :'sc') \gset _
