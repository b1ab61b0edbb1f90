-- A lock bears its id and its name; terms and events go on counting when their rows are gone.
BEGIN;
INSERT INTO costsim_locks (lock_id, name) VALUES (99001, 'metered');
SELECT token > 0 AS leads FROM costsim_try_lease(99001, 'a', '1 h') token;
SELECT name, labels, value FROM _costsim_metrics_leader()
 WHERE labels ->> 'lock_id' = '99001' AND name <> 'costsim_leader_lease_left_seconds' AND (value > 0 OR name NOT LIKE '%events%')
 ORDER BY name COLLATE "C", labels;
SELECT value BETWEEN 3500 AND 3600 AS an_hour FROM _costsim_metrics_leader() WHERE labels ->> 'lock_id' = '99001' AND name = 'costsim_leader_lease_left_seconds';
UPDATE costsim_leaders SET epoch = 5 WHERE lock_id = 99001;
DELETE FROM costsim_leaders WHERE lock_id = 99001;
DELETE FROM costsim_leader_events WHERE lock_id = 99001;
DELETE FROM costsim_locks WHERE lock_id = 99001;
SELECT token > 0 AS leads FROM costsim_try_lease(99001, 'a', '1 h') token;
SELECT name, labels, value FROM _costsim_metrics_leader()
 WHERE labels ->> 'lock_id' = '99001' AND name <> 'costsim_leader_lease_left_seconds' AND (value > 0 OR name NOT LIKE '%events%')
 ORDER BY name COLLATE "C", labels;
ROLLBACK;
