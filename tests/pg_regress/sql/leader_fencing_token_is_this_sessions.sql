-- The token of the term this session leads, NULL otherwise; inside the transaction that takes it, too.
\pset null '<null>'
SELECT costsim_fencing_token(7001), costsim_fencing_token(NULL);
BEGIN;
SELECT costsim_try_leader(7001), costsim_fencing_token(7001) = (1::bigint << 32) + 1 AS is_the_first;
ROLLBACK;
SELECT costsim_fencing_token(7001);
SELECT costsim_try_leader(7001);
SELECT costsim_fencing_token(7001) = l.token AS is_the_leaders, costsim_fencing_token(7002) FROM costsim_leader(7001) l;
BEGIN READ ONLY;
SELECT costsim_fencing_token(7001) = (1::bigint << 32) + 1 AS is_the_first;
COMMIT;
BEGIN;
SELECT costsim_release_leader(7001), costsim_fencing_token(7001);
ROLLBACK;
SELECT costsim_fencing_token(7001) = (1::bigint << 32) + 1 AS is_the_first;
-- gone with the lock
SELECT pg_advisory_unlock_all();
SELECT costsim_fencing_token(7001);
SELECT pg_advisory_lock(7001), costsim_fencing_token(7001), pg_advisory_unlock(7001);
-- a lease is nobody's session
SELECT costsim_try_lease(7001, 'replica-a') & 4294967295 AS epoch, costsim_fencing_token(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
