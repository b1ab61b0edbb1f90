-- Every misuse of the backfill: its SQLSTATE, what it says, and nothing stored.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT costsim_backfill_v1_baseline(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_v1_baseline('[]', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_v1_baseline('[]', 10, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_v1_baseline('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_v1_baseline('[]', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_v1_baseline('[]', 10001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_v1_baseline(('[1' || repeat(',1', 100000) || ']')::json);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT costsim_backfill_v1_baseline(('[{"run_id": "' || repeat('x', 70000000) || '"}]')::json);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT costsim_backfill_staged(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_staged(0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_staged(1, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_staged(1, -1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_staged(1, 1, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_provenance;
ROLLBACK;
BEGIN READ ONLY;
SELECT costsim_backfill_v1_baseline('[]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_staged();
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_query_provenance();
SELECT staged FROM costsim_backfill_verify();
ROLLBACK;
-- a lease of lock 7004 refuses everybody
SELECT costsim_try_lease(7004, 'pooled', '1 h') IS NOT NULL AS leased \gset
SELECT costsim_backfill_v1_baseline('[]');
\echo :LAST_ERROR_SQLSTATE
SELECT token FROM costsim_leader(7004) \gset
SELECT costsim_release_lease(7004, :token);
SELECT * FROM costsim_backfill_v1_baseline('[]');
-- the session that leads it may do the work, and leads on
SELECT costsim_try_leader(7004, 'me');
SELECT * FROM costsim_backfill_v1_baseline('[]');
SELECT costsim_is_leader(7004), costsim_release_leader(7004);
SELECT costsim_lock_held(7004);
-- the lock lasts as long as the transaction
BEGIN;
SELECT * FROM costsim_backfill_v1_baseline('[]');
SELECT costsim_lock_held(7004);
COMMIT;
SELECT costsim_lock_held(7004);
DELETE FROM costsim_leader_events WHERE lock_id = 7004;
DELETE FROM costsim_leaders WHERE lock_id = 7004;
