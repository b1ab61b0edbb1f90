-- Asking, and asking again while leading, writes nothing; null answers null.
\pset null '<null>'
SELECT costsim_try_leader(7001);
BEGIN READ ONLY;
SELECT costsim_is_leader(7001), costsim_lock_held(7001), costsim_try_leader(7001);
SELECT epoch FROM costsim_leader(7001);
SELECT costsim_is_leader(NULL), costsim_lock_held(NULL), (SELECT count(*) FROM costsim_leader(NULL)) AS rows;
COMMIT;
SELECT costsim_release_leader(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
