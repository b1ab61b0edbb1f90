-- The token renews a term of either mode, by the length it was taken with, from any session; a session's term without a lease has no end.
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
CREATE TEMP TABLE earlier AS SELECT * FROM costsim_leaders;
SELECT costsim_renew_lease(7001, :token) AS until \gset
SELECT n.mode, n.lease_until = :'until' AS answered_the_new_end, n.lease_until > e.lease_until AS ends_later,
       n.renewed_at > e.renewed_at AS renewed, n.token = e.token AS same_token, n.lease_until - n.renewed_at AS lease
  FROM costsim_leaders n, earlier e;
SELECT costsim_release_lease(7001, :token);

SELECT costsim_try_leader(7001, 'replica-a', '2 hours');
SELECT costsim_fencing_token(7001) AS token \gset
TRUNCATE earlier;
INSERT INTO earlier SELECT * FROM costsim_leaders;
SELECT costsim_renew_lease(7001, :token) AS until \gset
SELECT n.mode, n.lease_until = :'until' AS answered_the_new_end, n.lease_until > e.lease_until AS ends_later,
       n.renewed_at > e.renewed_at AS renewed, n.token = e.token AS same_token, n.lease_until - n.renewed_at AS lease
  FROM costsim_leaders n, earlier e;
SELECT costsim_is_leader(7001), costsim_release_leader(7001);

SELECT costsim_try_leader(7001);
SELECT costsim_fencing_token(7001) AS token \gset
BEGIN;
SELECT costsim_renew_lease(7001, :token);
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
COMMIT;
SELECT mode, lease, lease_until FROM costsim_leaders;
SELECT costsim_release_leader(7001);
DROP TABLE earlier;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
