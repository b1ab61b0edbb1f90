-- Whoever may lead may lead anything: a hundred locks without a name have series, led ones first, and every lock that has a name. So with breakers.
BEGIN;
INSERT INTO costsim_locks (lock_id, name) SELECT 99000 + n, 'bounded ' || n FROM generate_series(1, 3) n;
INSERT INTO costsim_leaders (lock_id, node_id, mode, pid, backend_start, epoch, token, acquired_at) SELECT 50000 + n, 'a', 'session', 0, now(), 7, 1, now() FROM generate_series(1, 500) n;
INSERT INTO costsim_leader_events (lock_id, event) SELECT 99001, 'acquired' FROM generate_series(1, 2);
SELECT token > 0 AS leads FROM costsim_try_lease(59999, 'a', '1 h') token;
CREATE TEMP TABLE leader AS SELECT * FROM _costsim_metrics_leader();
SELECT count(DISTINCT labels) FILTER (WHERE name = 'costsim_leader_terms_total' AND labels ->> 'lock' = '') AS nameless,
       count(DISTINCT labels) FILTER (WHERE name = 'costsim_leader_terms_total' AND labels ->> 'lock' LIKE 'bounded%') AS named,
       count(*) FILTER (WHERE name = 'costsim_leader_held' AND labels ->> 'lock_id' = '59999' AND value = 1) AS led FROM leader;
SELECT labels, value BETWEEN 400 AND 450 AS the_rest FROM leader WHERE name = 'costsim_metrics_left_out';
-- What is deleted makes no room for more.
DELETE FROM costsim_leaders WHERE lock_id BETWEEN 50001 AND 50500;
SELECT count(DISTINCT labels) FROM _costsim_metrics_leader() WHERE name = 'costsim_leader_terms_total' AND labels ->> 'lock' = '';
INSERT INTO costsim_cb_state (name) SELECT 'bounded ' || n FROM generate_series(1, 300) n;
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity, resolved) SELECT 'g' || n, 'gone ' || n, 'r', 'P1', true FROM generate_series(1, 300) n;
SELECT changed FROM costsim_disable_v2('by hand', 'ann', name => 'bounded 99');
CREATE TEMP TABLE breaker AS SELECT * FROM _costsim_metrics_breaker();
SELECT count(*) FILTER (WHERE name = 'costsim_v2_circuit_breaker_state') AS breakers, sum(value) FILTER (WHERE name = 'costsim_v2_circuit_breaker_state') AS open,
       count(DISTINCT labels ->> 'name') FILTER (WHERE name = 'costsim_cb_incidents_total') AS counted,
       count(*) FILTER (WHERE name = 'costsim_cb_failure_threshold' AND labels ->> 'name' = 'costsim_v2') AS first FROM breaker;
SELECT labels, value BETWEEN 400 AND 450 AS the_rest FROM breaker WHERE name = 'costsim_metrics_left_out';
SELECT value FROM breaker WHERE name = 'costsim_cb_disabled_1h' AND labels ->> 'name' = 'bounded 99';
ROLLBACK;
