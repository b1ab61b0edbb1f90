-- What cannot be run is refused; the command's errors come out with their own SQLSTATE; the transaction is as it was, and nobody leads by it.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT * FROM costsim_run_as_leader(NULL, 'SELECT 1');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_run_as_leader(7001, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_run_as_leader(7001, 'SELECT 1', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_run_as_leader(7001, 'SELECT 1', '-1 second');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_run_as_leader(7001, '');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_run_as_leader(7001, E' \n');
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE work (n int CONSTRAINT positive CHECK (n > 0));
\set VERBOSITY sqlstate
SELECT * FROM costsim_run_as_leader(7001, 'SELECT 1 / 0');
SELECT * FROM costsim_run_as_leader(7001, 'SELEKT 1');
SELECT * FROM costsim_run_as_leader(7001, 'SELECT * FROM there_is_none');
-- its own second statement fails: the first is undone
SELECT * FROM costsim_run_as_leader(7001, 'INSERT INTO work VALUES (1); INSERT INTO work VALUES (-1)');
SELECT count(*) FROM work;
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
ROLLBACK;

-- a command does not end its caller's transaction, and does not talk to the client
\set VERBOSITY terse
SELECT * FROM costsim_run_as_leader(7001, 'COMMIT');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_run_as_leader(7001, 'ROLLBACK');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_run_as_leader(7001, 'SAVEPOINT s');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_run_as_leader(7001, 'SELECT 1; COMMIT');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_run_as_leader(7001, 'DO $d$ BEGIN COMMIT; END $d$');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_run_as_leader(7001, 'COPY costsim_leaders TO STDOUT');
\echo :LAST_ERROR_SQLSTATE
BEGIN;
SELECT * FROM costsim_run_as_leader(7001, 'COMMIT');
\echo :LAST_ERROR_SQLSTATE
COMMIT;
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
