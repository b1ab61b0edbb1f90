-- A fresh install, ten nights: nothing to compare, nothing said of the model, and the breaker is as it was.
BEGIN;
SELECT status, passed, total_samples, failure_reasons_json, is_reported, count(*)
  FROM generate_series(1, 10) AS night CROSS JOIN LATERAL costsim_run_canary(run_id => 'night ' || night) AS r
 GROUP BY 1, 2, 3, 4, 5;
SELECT is_open, consecutive_failures, last_failure_at FROM costsim_cb_get_state();
SELECT (SELECT count(*) FROM costsim_cb_state) AS rows, (SELECT count(*) FROM costsim_cb_incidents) AS incidents, (SELECT count(*) FROM costsim_cb_events WHERE happened_at >= now()) AS events;
-- The golden sets were asked all the same.
SELECT count(*), bool_and(verdict = 'acceptable') FROM costsim_golden_results WHERE run_id = 'night 10';
-- Too few are no verdict either, however far they are apart; those of another week do not count.
INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) SELECT 1, 100, now() FROM generate_series(1, 9);
INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) SELECT 1, 100, now() - interval '8 days' FROM generate_series(1, 9);
SELECT status, compared_samples, failure_reasons_json FROM costsim_run_canary();
SELECT status, compared_samples, failure_reasons_json FROM costsim_run_canary(min_samples => 9);
ROLLBACK;
