-- The moment a lease runs out its term is over for everybody, its own node included; the next leader has a greater token and writes down
-- how the term before it ended.
\set ON_ERROR_ROLLBACK on
\set VERBOSITY terse
\pset null '<null>'
SELECT costsim_try_lease(7104, 'replica-a', '1 microsecond') AS token \gset
SELECT costsim_lock_held(7104), costsim_renew_lease(7104, :token), costsim_release_lease(7104, :token);
SELECT costsim_require_leader(7104, :token);
\echo :LAST_ERROR_SQLSTATE
SELECT released_at FROM costsim_leaders;
SELECT costsim_try_lease(7104, 'replica-b', '1 microsecond') > :token AS is_greater;
-- the same node, late, begins a term like anybody else
SELECT costsim_try_lease(7104, 'replica-b', '1 microsecond') & 4294967295 AS epoch;
-- and so does a session
SELECT costsim_try_leader(7104, 'replica-c');
SELECT mode, node_id, epoch FROM costsim_leader(7104);
SELECT event, node_id, token & 4294967295 AS epoch, mode FROM costsim_leader_events WHERE lock_id = 7104 ORDER BY id;
SELECT costsim_release_leader(7104);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
