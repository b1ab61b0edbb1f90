-- False when the time is over, behind a lock that is held and behind a lease that lives. The settings of the session are as they were, no lock and
-- no place in the queue is left, and the transaction goes on.
SET lock_timeout = '1h';
-- a prepared transaction holds the key: nobody in this session does
BEGIN;
SELECT pg_advisory_xact_lock(7001);
PREPARE TRANSACTION 'holds the key';
SELECT costsim_wait_leader(7001, '0');
BEGIN;
SELECT costsim_wait_leader(7001, '20 milliseconds');
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid IN (1, 3);
SHOW lock_timeout;
COMMIT;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
-- canceled, it is an error like any other
SET statement_timeout = '20ms';
SELECT costsim_wait_leader(7001, '1 hour');
\echo :LAST_ERROR_SQLSTATE
RESET statement_timeout;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SHOW lock_timeout;
-- how long to wait is what the call says: a lock_timeout, shorter than that, makes no error of it
SET lock_timeout = '1ms';
SELECT costsim_wait_leader(7001, '20 milliseconds');
RESET lock_timeout;
COMMIT PREPARED 'holds the key';

SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
BEGIN;
SELECT costsim_wait_leader(7001, '0'), costsim_wait_leader(7001, '20 milliseconds', 'replica-b');
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory' AND objsubid IN (1, 3);
COMMIT;
SET statement_timeout = '20ms';
SELECT costsim_wait_leader(7001, '1 hour');
\echo :LAST_ERROR_SQLSTATE
RESET statement_timeout;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
SELECT costsim_release_lease(7001, :token);
SELECT costsim_wait_leader(7001, '0');
SELECT costsim_release_leader(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
