-- What a hot standby allows: the answer, and no write; an open breaker whose end has passed included.
SELECT changed FROM costsim_disable_v2('a', 'ann');
BEGIN READ ONLY;
SELECT costsim_is_open();
SELECT is_open, state, reason FROM costsim_cb_get_state();
SELECT count(*) FROM costsim_incidents();
COMMIT;
UPDATE costsim_cb_state SET disabled_until = now() - interval '1 hour';
BEGIN READ ONLY;
SELECT costsim_is_open();
SELECT is_open, state, reason FROM costsim_cb_get_state();
COMMIT;
-- in a parallel worker too
UPDATE costsim_cb_state SET disabled_until = NULL;
SET max_parallel_workers_per_gather = 2;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
CREATE TABLE costs AS SELECT i FROM generate_series(1, 10000) i;
EXPLAIN (COSTS OFF) SELECT count(*) FROM costs WHERE costsim_is_open(CASE WHEN i > 0 THEN 'costsim_v2' END);
SELECT count(*) FROM costs WHERE costsim_is_open(CASE WHEN i > 0 THEN 'costsim_v2' END);
DROP TABLE costs;
DELETE FROM costsim_cb_incidents;
DELETE FROM costsim_cb_state;
DELETE FROM costsim_alerts;
