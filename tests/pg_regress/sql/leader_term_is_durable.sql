-- A term survives a crash even if the session does not wait for its other commits: no token is given out twice.
SET synchronous_commit = off;
BEGIN;
SELECT costsim_try_leader(7001);
SHOW synchronous_commit;
COMMIT;
SHOW synchronous_commit;
BEGIN;
SELECT costsim_release_leader(7001);
SHOW synchronous_commit;
COMMIT;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
