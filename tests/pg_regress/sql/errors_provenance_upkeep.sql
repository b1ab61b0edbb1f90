-- Every misuse of refresh and purge: its SQLSTATE, what it says, and nothing changed.
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, '2025-03-01 10:00 UTC');
SELECT costsim_refresh_drift(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_refresh_drift(0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_refresh_drift(1001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_refresh_drift(rebuild => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_provenance(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_provenance('-1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_provenance(max_rows => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_provenance(max_rows => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT total FROM costsim_drift_series(bucket => '1 month');
\echo :LAST_ERROR_SQLSTATE
SELECT total FROM costsim_drift_series(bucket => '0');
\echo :LAST_ERROR_SQLSTATE
-- the same where there are no rows
SELECT total FROM costsim_drift_series('2020-01-01', '2020-01-02', '1 month');
\echo :LAST_ERROR_SQLSTATE
SELECT total FROM costsim_drift_series('2020-01-01', '2020-01-02', '-1 hour');
\echo :LAST_ERROR_SQLSTATE
-- the trigger functions where they do not belong
CREATE TABLE mine (LIKE costsim_provenance INCLUDING DEFAULTS);
CREATE TRIGGER mine BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION _costsim_provenance_row();
INSERT INTO mine (id) VALUES (1);
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER mine ON mine;
CREATE TRIGGER mine AFTER TRUNCATE ON mine FOR EACH STATEMENT EXECUTE FUNCTION _costsim_provenance_truncated();
TRUNCATE mine;
\echo :LAST_ERROR_SQLSTATE
SELECT _costsim_provenance_row();
\echo :LAST_ERROR_SQLSTATE
CREATE TRIGGER mine BEFORE INSERT ON costsim_provenance FOR EACH STATEMENT EXECUTE FUNCTION _costsim_provenance_row();
INSERT INTO costsim_provenance DEFAULT VALUES;
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER mine ON costsim_provenance;
CREATE TRIGGER mine AFTER INSERT ON costsim_provenance FOR EACH ROW EXECUTE FUNCTION _costsim_provenance_row();
INSERT INTO costsim_provenance DEFAULT VALUES;
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER mine ON costsim_provenance;
CREATE TRIGGER mine BEFORE INSERT ON costsim_provenance FOR EACH ROW EXECUTE FUNCTION _costsim_provenance_truncated();
INSERT INTO costsim_provenance DEFAULT VALUES;
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER mine ON costsim_provenance;
-- columns that are no longer what they were
ALTER TABLE costsim_provenance ALTER COLUMN commit_sha TYPE varchar(40);
INSERT INTO costsim_provenance (commit_sha) VALUES ('c0ffee');
SELECT count(*) FROM costsim_provenance p WHERE content_digest = costsim_provenance_digest(p) AND commit_sha = 'c0ffee';
ALTER TABLE costsim_provenance ALTER COLUMN commit_sha TYPE bigint USING 1;
INSERT INTO costsim_provenance DEFAULT VALUES;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_provenance_digest(p) FROM costsim_provenance p LIMIT 1;
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_provenance;
ROLLBACK;
\set ON_ERROR_ROLLBACK off
BEGIN READ ONLY;
SELECT costsim_refresh_drift();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT costsim_purge_provenance();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT costsim_refresh_drift();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT costsim_refresh_drift();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
