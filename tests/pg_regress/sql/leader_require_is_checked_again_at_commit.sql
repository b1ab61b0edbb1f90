-- A transaction that required a leader who leads no more cannot commit: 55000, and nothing of it stays.
\set VERBOSITY terse
CREATE TABLE work (done text);
SELECT costsim_try_leader(7001);
BEGIN;
SELECT costsim_require_leader(7001);
INSERT INTO work VALUES ('lock lost');
SELECT pg_advisory_unlock_all();
COMMIT;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_leader(7001);
SELECT costsim_fencing_token(7001) AS token \gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT costsim_require_leader(7001, :token);
INSERT INTO work VALUES ('lock lost, by token');
SELECT pg_advisory_unlock_all();
COMMIT;
\echo :LAST_ERROR_SQLSTATE
-- the bare lock, taken again, is no term
SELECT costsim_try_leader(7001);
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT costsim_require_leader(7001);
INSERT INTO work VALUES ('lock taken again by hand');
SELECT pg_advisory_unlock_all();
SELECT pg_advisory_lock(7001);
COMMIT;
\echo :LAST_ERROR_SQLSTATE
SELECT pg_advisory_unlock_all();
-- nor is the next term the one that was required
SELECT costsim_try_leader(7001);
BEGIN;
SELECT costsim_require_leader(7001);
INSERT INTO work VALUES ('the next term');
SELECT pg_advisory_unlock_all();
SELECT costsim_try_leader(7001);
COMMIT;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
-- one of two
SELECT costsim_try_leader(7001), costsim_try_leader(7002);
BEGIN;
SELECT costsim_require_leader(7001), costsim_require_leader(7002);
INSERT INTO work VALUES ('one of two');
SELECT pg_advisory_unlock(7002);
COMMIT;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_leader(7001), costsim_is_leader(7002);
SELECT costsim_release_leader(7001);
-- a statement of its own is a transaction too, and the next one is free of it
SELECT costsim_try_leader(7001);
SELECT costsim_require_leader(7001), pg_advisory_unlock_all();
\echo :LAST_ERROR_SQLSTATE
SELECT done FROM work;
INSERT INTO work VALUES ('without a requirement');
SELECT done FROM work;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DROP TABLE work;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
