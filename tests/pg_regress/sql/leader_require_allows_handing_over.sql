-- A transaction may give back the term that it required and begin the next one: to its commit the one before counts as well, in both modes.
CREATE TABLE work (done text);
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
BEGIN;
SELECT costsim_require_leader(7001, :token);
SELECT costsim_release_lease(7001, :token);
SELECT costsim_try_lease(7001, 'replica-b', '1 hour') AS next \gset
SELECT costsim_require_leader(7001, :next);
INSERT INTO work VALUES ('lease');
COMMIT;
SELECT node_id, epoch FROM costsim_leader(7001);
SELECT costsim_try_leader(7002, 'replica-a');
BEGIN;
SELECT costsim_require_leader(7002);
SELECT costsim_release_leader(7002);
SELECT costsim_try_leader(7002, 'replica-b');
SELECT costsim_require_leader(7002);
INSERT INTO work VALUES ('session');
COMMIT;
SELECT node_id, epoch FROM costsim_leader(7002);
SELECT done FROM work;
SELECT costsim_release_lease(7001, token) FROM costsim_leaders WHERE lock_id = 7001;
SELECT costsim_release_leader(7002);
DROP TABLE work;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
