-- What is written past a table, into its partitions and children, is not lost: attach refuses them, as it does publications of any kind; the way back refuses what has come since.
SELECT p.last_value AS p, p.is_called AS pc, a.last_value AS a, a.is_called AS ac, r.last_value AS r, r.is_called AS rc, s.last_value AS s, s.is_called AS sc
  FROM costsim_provenance_id_seq p, costsim_alert_queue_id_seq a, costsim_canary_reports_id_seq r, costsim_cb_state_id_seq s \gset
\set ON_ERROR_ROLLBACK on
BEGIN;
CREATE SCHEMA old;
CREATE TABLE old.costsim_provenance (id bigint NOT NULL, run_id text, created_at timestamptz NOT NULL, PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE old.p1 PARTITION OF old.costsim_provenance FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE old.p2 PARTITION OF old.costsim_provenance DEFAULT;
INSERT INTO old.costsim_provenance VALUES (1, 'one', '2025-01-01'), (1, 'same id', '2025-03-01'), (2, 'two', '2025-03-01');
CREATE TABLE old.costsim_canary_reports (
    id bigserial PRIMARY KEY, run_id text NOT NULL UNIQUE, "timestamp" timestamptz NOT NULL DEFAULT now(), status text NOT NULL, passed boolean NOT NULL DEFAULT true);
CREATE TABLE old.archive () INHERITS (old.costsim_canary_reports);
INSERT INTO old.costsim_canary_reports (id, run_id, status) VALUES (1, 'one', 'pass'), (2, 'two', 'pass'), (3, 'three', 'pass');
-- A unique index of the parent says nothing of these.
INSERT INTO old.archive (id, run_id, status) VALUES (1, 'four', 'pass'), (5, 'two', 'pass'), (6, 'six', 'pass');
SELECT table_name, source_rows, to_copy, copied, refused, problem FROM costsim_adopt('old') WHERE source_rows > 0;
SELECT table_name, source_rows, to_copy, copied, refused, problem FROM costsim_adopt('old', false) WHERE source_rows > 0;
SELECT id, run_id FROM costsim_canary_reports ORDER BY id;
SELECT id, run_id FROM costsim_provenance ORDER BY id;
DELETE FROM old.archive;
DELETE FROM old.costsim_provenance WHERE run_id = 'same id';
SELECT table_name, refused, problem FROM costsim_adopt('old', mode => 'attach') WHERE source_rows > 0;
SELECT costsim_adopt('old', false, 'attach');
\echo :LAST_ERROR_SQLSTATE
DROP TABLE old.costsim_provenance, old.archive;

-- Publications of all tables, and of a schema's.
SET LOCAL client_min_messages = error;
CREATE PUBLICATION costsim_regress_all FOR ALL TABLES;
CREATE PUBLICATION costsim_regress_schema FOR TABLES IN SCHEMA old;
CREATE PUBLICATION costsim_regress_other FOR TABLES IN SCHEMA public;
RESET client_min_messages;
SELECT costsim_adopt('old', false, 'attach');
\echo :LAST_ERROR_SQLSTATE
DROP PUBLICATION costsim_regress_all, costsim_regress_schema;
SELECT table_name, problem FROM costsim_adopt('old', false, 'attach') WHERE source_rows > 0;

-- Children and parents that have come to the table behind the view.
CREATE TABLE old.since () INHERITS (old.costsim_canary_reports_before_costsim);
INSERT INTO old.since (id, run_id, status) VALUES (7, 'seven', 'pass');
SELECT costsim_unadopt('old');
\echo :LAST_ERROR_SQLSTATE
SELECT id, run_id FROM old.since;
DROP TABLE old.since;
CREATE TABLE old.parent (status text);
ALTER TABLE old.costsim_canary_reports_before_costsim INHERIT old.parent;
SELECT costsim_unadopt('old');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE old.costsim_canary_reports_before_costsim NO INHERIT old.parent;
SELECT * FROM costsim_unadopt('old');
SELECT id, run_id FROM old.costsim_canary_reports ORDER BY id;
ROLLBACK;
-- Sequences do not roll back.
SELECT setval('costsim_provenance_id_seq', :p, :'pc'), setval('costsim_alert_queue_id_seq', :a, :'ac'),
       setval('costsim_canary_reports_id_seq', :r, :'rc'), setval('costsim_cb_state_id_seq', :s, :'sc') \gset _
