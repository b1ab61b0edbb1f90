-- A term by lease survives a crash as one of a session does: no token is given out twice.
SET synchronous_commit = off;
BEGIN;
SELECT costsim_try_lease(7001, 'replica-a') AS token \gset
SHOW synchronous_commit;
COMMIT;
SHOW synchronous_commit;
BEGIN;
SELECT costsim_release_lease(7001, :token);
SHOW synchronous_commit;
COMMIT;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
