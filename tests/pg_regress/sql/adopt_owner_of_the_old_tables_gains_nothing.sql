-- What the application's owner puts on the old tables never runs as whoever adopts, and what he makes in the place of a view is not given our rows.
SELECT p.last_value AS p, p.is_called AS pc, a.last_value AS a, a.is_called AS ac, r.last_value AS r, r.is_called AS rc, s.last_value AS s, s.is_called AS sc
  FROM costsim_provenance_id_seq p, costsim_alert_queue_id_seq a, costsim_canary_reports_id_seq r, costsim_cb_state_id_seq s \gset
\set ON_ERROR_ROLLBACK on
BEGIN;
CREATE ROLE costsim_regress_app;
CREATE SCHEMA old AUTHORIZATION costsim_regress_app;
CREATE TABLE ran (who text, what text);
GRANT INSERT ON ran TO PUBLIC;
SET ROLE costsim_regress_app;
CREATE TABLE old.costsim_canary_reports (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id text NOT NULL UNIQUE, "timestamp" timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL, passed boolean NOT NULL DEFAULT true, created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO old.costsim_canary_reports (run_id, status) VALUES ('one', 'pass');
CREATE FUNCTION old.ran(what text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.ran VALUES (current_user, what); RETURN true; END $$;
CREATE FUNCTION old.pure() RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN old.ran(''index''); END';
CREATE FUNCTION old.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM old.ran(''trigger''); RETURN NULL; END';
-- The planner computes the predicate.
CREATE INDEX planted ON old.costsim_canary_reports (status) WHERE old.pure();
RESET ROLE;
TRUNCATE ran;
SELECT source_rows, problem FROM costsim_adopt('old') WHERE table_name = 'costsim_canary_reports';
SELECT copied, problem FROM costsim_adopt('old', false) WHERE table_name = 'costsim_canary_reports';
SELECT costsim_adopt('old', false, 'attach');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM ran;
DROP INDEX old.planted;
SELECT copied FROM costsim_adopt('old', false, 'attach') WHERE table_name = 'costsim_canary_reports';

SET ROLE costsim_regress_app;
CREATE TRIGGER planted BEFORE DELETE OR INSERT ON old.costsim_canary_reports_before_costsim FOR EACH STATEMENT EXECUTE FUNCTION old.nothing();
CREATE RULE planted AS ON INSERT TO old.costsim_canary_reports_before_costsim DO INSTEAD NOTHING;
RESET ROLE;
INSERT INTO costsim_canary_reports (run_id, status, passed) VALUES ('ours', 'pass', true);
SELECT * FROM costsim_unadopt('old');
\echo :LAST_ERROR_SQLSTATE
SET ROLE costsim_regress_app;
DROP TRIGGER planted ON old.costsim_canary_reports_before_costsim;
DROP RULE planted ON old.costsim_canary_reports_before_costsim;
ALTER TABLE old.costsim_canary_reports_before_costsim ADD CHECK (old.ran('check'));
-- Another table's place, made to look like one that is attached.
CREATE VIEW old.costsim_provenance AS SELECT 1 AS id;
CREATE TABLE old.costsim_provenance_before_costsim (id bigint, run_id text, tenant_id text, created_at timestamptz);
RESET ROLE;
TRUNCATE ran;
SELECT FROM costsim_write_provenance('secret', 'zebra');
SELECT * FROM costsim_unadopt('old');
SELECT DISTINCT who, what FROM ran;
SELECT run_id FROM old.costsim_canary_reports ORDER BY run_id;
SELECT count(*) FROM old.costsim_provenance_before_costsim;

-- Nor does a cast of a type of his, by which words are read.
CREATE SCHEMA cast_away AUTHORIZATION costsim_regress_app;
SET ROLE costsim_regress_app;
CREATE TYPE cast_away.word AS ENUM ('pass', 'fail');
CREATE DOMAIN cast_away.narrow AS cast_away.word;
CREATE DOMAIN cast_away.narrower AS cast_away.narrow NOT NULL;
CREATE DOMAIN cast_away.document AS text;
CREATE FUNCTION cast_away.spell(cast_away.word) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM old.ran('cast of an enum'); RETURN 'fail'; END $$;
CREATE FUNCTION cast_away.spell(cast_away.document) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM old.ran('cast of a domain'); RETURN '{}'; END $$;
CREATE CAST (cast_away.word AS text) WITH FUNCTION cast_away.spell(cast_away.word) AS IMPLICIT;
CREATE CAST (cast_away.document AS jsonb) WITH FUNCTION cast_away.spell(cast_away.document) AS IMPLICIT;
CREATE TABLE cast_away.costsim_canary_reports (id bigint PRIMARY KEY, run_id cast_away.narrow NOT NULL, "timestamp" timestamptz NOT NULL, status cast_away.word NOT NULL, passed boolean NOT NULL);
CREATE TABLE cast_away.costsim_provenance (
    id bigint PRIMARY KEY, tenant_id cast_away.narrower, source cast_away.word, payload cast_away.document, created_at timestamptz NOT NULL);
CREATE TABLE cast_away.costsim_cb_state (id bigint, name cast_away.narrow, disabled_by cast_away.narrower);
INSERT INTO cast_away.costsim_cb_state VALUES (501, 'pass', 'fail'), (502, 'pass', 'fail');
INSERT INTO cast_away.costsim_canary_reports VALUES (501, 'fail', '2025-01-01 00:00+00', 'pass', true);
INSERT INTO cast_away.costsim_provenance VALUES (501, 'pass', 'fail', '{"a": 1}', '2025-01-01 00:00+00'), (502, 'fail', NULL, NULL, '2025-01-01 00:00+00');
RESET ROLE;
TRUNCATE ran;
SELECT table_name, to_copy, problem FROM costsim_adopt('cast_away') WHERE source_rows > 0;
SELECT table_name, copied, problem FROM costsim_adopt('cast_away', false) WHERE source_rows > 0;
SELECT * FROM ran;
SELECT name, disabled_by FROM costsim_cb_state WHERE id > 500;
SELECT run_id, status FROM costsim_canary_reports WHERE id > 500;
SELECT id, tenant_id, source, payload FROM costsim_provenance WHERE id > 500 ORDER BY id;

-- A name that is cut off would be another schema's.
SELECT rpad('old', 63, 'd') AS long \gset
CREATE SCHEMA :long;
CREATE TABLE :long.costsim_provenance (id bigint PRIMARY KEY, created_at timestamptz NOT NULL);
SELECT problem FROM costsim_adopt(:'long') WHERE table_name = 'costsim_provenance';
SELECT costsim_adopt(:'long' || 'd');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- Sequences do not roll back.
SELECT setval('costsim_provenance_id_seq', :p, :'pc'), setval('costsim_alert_queue_id_seq', :a, :'ac'),
       setval('costsim_canary_reports_id_seq', :r, :'rc'), setval('costsim_cb_state_id_seq', :s, :'sc') \gset _
