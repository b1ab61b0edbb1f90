-- A lease that is taken or given back in a transaction that does not commit is as it was before, and so is the history.
\pset null '<null>'
BEGIN;
SELECT costsim_try_lease(7105, 'replica-a') & 4294967295 AS epoch;
SELECT costsim_lock_held(7105);
ROLLBACK;
SELECT costsim_lock_held(7105), (SELECT count(*) FROM costsim_leaders) AS terms, (SELECT count(*) FROM costsim_leader_events WHERE lock_id = 7105) AS events;

BEGIN;
SAVEPOINT s;
SELECT costsim_try_lease(7105, 'replica-a') & 4294967295 AS epoch;
ROLLBACK TO s;
SELECT costsim_lock_held(7105);
SELECT costsim_try_lease(7105, 'replica-b', '1 hour') AS token \gset
SELECT 1 / 0;
ROLLBACK;
SELECT costsim_lock_held(7105), (SELECT count(*) FROM costsim_leaders) AS terms;

BEGIN;
SELECT costsim_try_lease(7105, 'replica-b', '1 hour') AS token \gset
SAVEPOINT s;
SELECT costsim_release_lease(7105, :token);
SELECT costsim_lock_held(7105), costsim_release_lease(7105, :token) AS second_release;
-- another node begins in the same transaction, and is undone
SELECT costsim_try_lease(7105, 'replica-c') - :token AS further;
ROLLBACK TO s;
COMMIT;
SELECT node_id, epoch FROM costsim_leader(7105);
BEGIN;
SELECT costsim_release_lease(7105, :token);
ROLLBACK;
SELECT node_id, epoch FROM costsim_leader(7105);
SELECT event, node_id FROM costsim_leader_events WHERE lock_id = 7105 ORDER BY id;
SELECT costsim_release_lease(7105, :token), costsim_release_lease(7105, :token) AS second_release;
SELECT event, node_id FROM costsim_leader_events WHERE lock_id = 7105 ORDER BY id;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
