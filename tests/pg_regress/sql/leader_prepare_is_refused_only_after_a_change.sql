-- A prepared transaction would keep a term from everybody. So one that changed a term cannot be prepared, whatever became of the term
-- since; one that only asked in vain can.
SELECT costsim_try_lease(7001, 'other', '1 hour') IS NOT NULL AS other_leads;
BEGIN;
SELECT costsim_try_leader(7001), costsim_wait_leader(7001, '10 ms'), costsim_try_lease(7001, 'mine');
PREPARE TRANSACTION 'asked_in_vain';
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
COMMIT PREPARED 'asked_in_vain';
-- taken, and lost by hand
\set VERBOSITY terse
BEGIN;
SELECT costsim_try_leader(7002);
SELECT pg_advisory_unlock_all();
SELECT costsim_is_leader(7002);
PREPARE TRANSACTION 'taken_and_lost';
\echo :LAST_ERROR_SQLSTATE
-- renewed
BEGIN;
SELECT costsim_renew_lease(7001, token) > now() AS renewed FROM costsim_leader(7001);
PREPARE TRANSACTION 'renewed';
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
