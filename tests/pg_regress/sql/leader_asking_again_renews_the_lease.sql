-- Asking again with a lease moves its end: one row, one lock, the same token. Asking again without one writes nothing, so the end stays.
SELECT costsim_try_leader(7001, 'replica-a', '1 hour');
SELECT mode, epoch, lease, lease_until - renewed_at = lease AS ends_one_lease_after_the_renewal, lease_until > clock_timestamp() AS runs FROM costsim_leaders;
CREATE TEMP TABLE earlier AS SELECT * FROM costsim_leaders;
SELECT costsim_try_leader(7001, 'replica-a', '1 hour') AS again;
SELECT n.renewed_at > e.renewed_at AS renewed, n.lease_until > e.lease_until AS ends_later, n.token = e.token AS same_token,
       n.acquired_at = e.acquired_at AS same_begin, n.lease_until - n.renewed_at AS lease
  FROM costsim_leaders n, earlier e;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1;

TRUNCATE earlier;
INSERT INTO earlier SELECT * FROM costsim_leaders;
BEGIN;
SELECT costsim_try_leader(7001, 'replica-a') AS again, costsim_try_leader(7001) AS without_a_name;
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
COMMIT;
SELECT n = e AS as_it_was FROM costsim_leaders n, earlier e;

-- the length last asked for counts, also where there was no lease
SELECT costsim_try_leader(7001, 'replica-a', '2 hours') AS again;
SELECT lease, lease_until - renewed_at AS lasts FROM costsim_leaders;
SELECT costsim_try_leader(7002), costsim_try_leader(7002, lease => '3 hours') AS again;
SELECT epoch, lease, lease_until - renewed_at AS lasts FROM costsim_leaders WHERE lock_id = 7002;
SELECT costsim_release_leader(7002);
DELETE FROM costsim_leaders WHERE lock_id = 7002;

-- a renewal that rolls back did not happen
TRUNCATE earlier;
INSERT INTO earlier SELECT * FROM costsim_leaders;
BEGIN;
SELECT costsim_try_leader(7001, 'replica-a', '1 hour') AS again;
ROLLBACK;
SELECT n = e AS as_it_was FROM costsim_leaders n, earlier e;
SELECT costsim_is_leader(7001), costsim_release_leader(7001), count(*) AS terms FROM costsim_leaders;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DROP TABLE earlier;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
