-- Two names on one session are a pooler's doing: the second is refused each time and told once per term and name.
SELECT costsim_try_leader(7107, 'replica-a', '1 hour');
SELECT costsim_try_leader(7107, 'replica-b'), costsim_try_leader(7107, 'replica-b', '1 hour'), costsim_wait_leader(7107, '0', 'replica-b');
SELECT costsim_try_leader(7107, 'replica-c'), costsim_try_leader(7107, 'replica-b');
SELECT event, node_id, token & 4294967295 AS epoch FROM costsim_leader_events WHERE lock_id = 7107 ORDER BY id;
SELECT node_id, epoch FROM costsim_leader(7107);
-- in the next term once more
SELECT costsim_release_leader(7107), costsim_try_leader(7107, 'replica-a');
SELECT costsim_try_leader(7107, 'replica-b'), costsim_try_leader(7107, 'replica-b');
SELECT event, node_id, token & 4294967295 AS epoch FROM costsim_leader_events WHERE lock_id = 7107 AND event = 'refused_pooler' ORDER BY id;
-- rolled back, it was not told
SELECT costsim_release_leader(7107), costsim_try_leader(7107, 'replica-a');
BEGIN;
SELECT costsim_try_leader(7107, 'replica-b');
ROLLBACK;
SELECT costsim_try_leader(7107, 'replica-b');
SELECT count(*) AS told FROM costsim_leader_events WHERE lock_id = 7107 AND event = 'refused_pooler' AND token & 4294967295 = 3;
-- and in a read-only transaction nobody can be told
BEGIN READ ONLY;
SELECT costsim_try_leader(7107, 'replica-c');
COMMIT;
SELECT costsim_release_leader(7107);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
