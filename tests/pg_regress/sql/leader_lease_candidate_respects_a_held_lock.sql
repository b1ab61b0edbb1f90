-- While a session holds the advisory lock, as a leader of ours or as a client of the plain one, nobody gets a lease: not from the same
-- session either, nor under the same name.
\pset null '<null>'
SELECT costsim_try_leader(7001, 'replica-a');
SELECT costsim_try_lease(7001, 'replica-a'), costsim_try_lease(7001, 'replica-b');
SELECT costsim_is_leader(7001), mode, node_id, epoch FROM costsim_leader(7001);
SELECT costsim_release_leader(7001);

SELECT pg_advisory_lock(7001);
SELECT costsim_try_lease(7001, 'replica-a');
SELECT pg_advisory_unlock(7001);
-- for a transaction only
BEGIN;
SELECT pg_advisory_xact_lock(7001);
SELECT costsim_try_lease(7001, 'replica-a');
COMMIT;
-- by a prepared transaction, which is no session at all; shared or not
BEGIN;
SELECT pg_advisory_xact_lock(7001);
PREPARE TRANSACTION 'holds the key';
SELECT costsim_try_lease(7001, 'replica-a'), costsim_try_leader(7001, 'replica-a'), costsim_lock_held(7001);
COMMIT PREPARED 'holds the key';
BEGIN;
SELECT pg_advisory_xact_lock_shared(7001);
PREPARE TRANSACTION 'shares the key';
SELECT costsim_try_lease(7001, 'replica-a'), costsim_try_leader(7001, 'replica-a'), costsim_lock_held(7001);
COMMIT PREPARED 'shares the key';
-- in the transaction that gives the lock back it is still held
SELECT costsim_try_leader(7001, 'replica-a');
BEGIN;
SELECT costsim_release_leader(7001), costsim_try_lease(7001, 'replica-a');
COMMIT;

SELECT epoch, released_at IS NOT NULL AS is_over FROM costsim_leaders;
-- the plain lock of somebody who knows nothing of leases ends no lease
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
SELECT pg_try_advisory_lock(7001);
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') = :token AS same_token, costsim_renew_lease(7001, :token) IS NOT NULL AS renewed;
SELECT costsim_require_leader(7001, :token);
SELECT pg_advisory_unlock(7001), costsim_release_lease(7001, :token);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
