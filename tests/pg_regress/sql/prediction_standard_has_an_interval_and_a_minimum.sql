-- [B-84] [B-85] What is said follows from ended runs alone, of each tenant for itself, from five on (six that cost anything), with an interval and a probability.
BEGIN;
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, cost_cents, created_at)
SELECT w.worker || nth, 'acme', w.worker, CASE WHEN nth <= w.failures THEN 'failed' ELSE 'completed' END, CASE WHEN nth <= w.failures THEN 'no ' || nth % 2 END, NULL,
       now() - interval '1 hour' + nth * interval '10 seconds'
  FROM (VALUES ('once', 1, 1), ('four of four', 4, 4), ('three of five', 3, 5), ('one of five', 1, 5), ('half of 200', 100, 200), ('all', 20, 20)) w (worker, failures, runs), generate_series(1, w.runs) nth;
-- what is still under way counts for nothing
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, created_at) SELECT 'acme', 'three of five', 'running', now() FROM generate_series(1, 50);
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, cost_cents, created_at)
SELECT 'acme', w.worker, 'completed', w.start * power(w.growth, nth) * (1 + 0.02 * (nth % 3)), now() - interval '1 hour' + nth * interval '1 minute'
  FROM (VALUES ('dearer', 10.0, 1.10, 12), ('five alone', 10.0, 1.30, 5), ('the same', 10.0, 1.0, 12), ('cheaper', 10.0, 0.9, 12)) w (worker, start, growth, runs), generate_series(1, w.runs) nth;
SELECT subject_id, prediction_type, confidence_score, prediction_value FROM costsim_predict('acme') ORDER BY 2, 1;
-- a minimum of one's own, a wider interval
SELECT subject_id, confidence_score, prediction_value ->> 'lower' AS lower, prediction_value ->> 'upper' AS upper FROM costsim_predict('acme', min_runs => 4, interval_level => 0.95) WHERE prediction_type = 'failure_likelihood';
-- the factors: errors in a fixed order, patterns that name the worker
INSERT INTO costsim_pattern_feedback (tenant_id, pattern_type, description, signature, metadata, last_seen) VALUES
    ('acme', 'failure_pattern', 'd', 's', '{"workers": ["all", "half of 200"]}', now()), ('rival', 'failure_pattern', 'd', 's', '{"workers": ["all"]}', now());
SELECT subject_id, is_new FROM costsim_predict('acme', interval_level => 0.9) WHERE prediction_type = 'failure_likelihood';
SELECT contributing_factors FROM costsim_query_predictions('acme', 'failure_likelihood') WHERE subject_id IN ('all', 'three of five') ORDER BY subject_id;
-- ten times the cost, ten times the answer
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, cost_cents, created_at) SELECT 'tenfold', worker_id, status, 10 * cost_cents, created_at FROM costsim_worker_runs WHERE worker_id = 'dearer';
SELECT tenant_id, prediction_value ->> 'projected_cost_cents' AS projected, prediction_value ->> 'lower_cents' AS lower, prediction_value ->> 'upper_cents' AS upper, prediction_value ->> 'overrun_percent' AS percent FROM costsim_predict() WHERE subject_id = 'dearer';
ROLLBACK;
