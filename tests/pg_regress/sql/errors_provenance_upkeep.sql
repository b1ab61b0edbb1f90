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
CREATE TABLE mine (LIKE costsim_provenance INCLUDING DEFAULTS);
CREATE TRIGGER mine BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION _costsim_provenance_digest();
INSERT INTO mine (id) VALUES (1);
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER mine ON mine;
CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION _costsim_provenance_changed();
INSERT INTO mine (id) VALUES (1);
\echo :LAST_ERROR_SQLSTATE
SELECT _costsim_provenance_changed();
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
