-- Asked again by its node a lease goes on: the same token, one row, a later end. Another node is told so by NULL.
\pset null '<null>'
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
SELECT :token = (1::bigint << 32) + 1 AS token_is_timeline_and_epoch;
SELECT mode, node_id, epoch, token = :token AS same_token, lease, lease_until - renewed_at = lease AS ends_one_lease_after_the_renewal, released_at FROM costsim_leaders;
CREATE TEMP TABLE earlier AS SELECT * FROM costsim_leaders;
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') = :token AS same_token;
SELECT n.lease_until > e.lease_until AS ends_later, n.acquired_at = e.acquired_at AS same_begin, n.epoch FROM costsim_leaders n, earlier e;
TRUNCATE earlier;
INSERT INTO earlier SELECT * FROM costsim_leaders;
BEGIN;
SELECT costsim_try_lease(7001, 'replica-b', '1 hour');
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory' AND objsubid IN (1, 3);
COMMIT;
SELECT n = e AS as_it_was FROM costsim_leaders n, earlier e;
-- 15 seconds where nothing is said, and no advisory lock that a session would keep
SELECT costsim_release_lease(7001, :token);
SELECT costsim_try_lease(7001, 'replica-b') - :token AS further;
SELECT lease, costsim_lock_held(7001), costsim_is_leader(7001) FROM costsim_leaders;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
SELECT costsim_release_lease(7001, :token + 1);
DROP TABLE earlier;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
