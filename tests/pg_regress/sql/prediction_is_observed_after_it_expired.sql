-- What came of a prediction is written down once, after it expired: the failures beside what its rate foretold, the next cost beside its interval.
BEGIN;
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, created_at)
SELECT 'acme', w, CASE WHEN nth % 2 = 0 THEN 'failed' ELSE 'completed' END, now() - interval '4 days' FROM unnest(ARRAY['fails on', 'is mended', 'rests']) w, generate_series(1, 40) nth;
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, cost_cents, created_at)
SELECT 'acme', w, 'completed', 10 * 1.1 ^ nth * (1 + 0.02 * (nth % 3)), now() - interval '4 days' + nth * interval '1 minute' FROM unnest(ARRAY['goes on', 'is cheap']) w, generate_series(1, 12) nth;
SELECT prediction_type, subject_id, is_new FROM costsim_predict('acme', as_of => now() - interval '3 days', valid_for => '4 days') ORDER BY 2;
SELECT count(*) FROM costsim_predict('acme', 'reference', now() - interval '3 days', valid_for => '4 days');
SELECT costsim_emit_prediction('acme', 't', 'run', 'r', 0.5, '{}') > 0 AS emitted;
SELECT costsim_observe_predictions();
-- they end a day ago; what ran before and after does not count
UPDATE costsim_predictions SET expires_at = now() - interval '1 day' WHERE method <> 'external';
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, created_at)
SELECT 'acme', w, CASE WHEN w = 'fails on' AND nth % 2 = 0 THEN 'crashed' ELSE 'completed' END, now() - interval '2 days' FROM unnest(ARRAY['fails on', 'is mended']) w, generate_series(1, 30) nth;
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, created_at) SELECT 'acme', 'rests', 'failed', now() - interval '1 hour' FROM generate_series(1, 30) nth;
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, cost_cents, created_at) VALUES
    ('acme', 'goes on', 'completed', 34.9, now() - interval '2 days'), ('acme', 'goes on', 'completed', 1000, now() - interval '47 hours'), ('acme', 'is cheap', 'completed', 10, now() - interval '2 days');
SELECT costsim_observe_predictions('nobody');
SELECT costsim_observe_predictions('acme', 1);
SELECT costsim_observe_predictions();
SELECT costsim_observe_predictions();
SELECT method, subject_id, observed, was_covered, round(expected_coverage::numeric, 3) AS expected, observed_at IS NULL AS unobserved FROM costsim_predictions ORDER BY method DESC, prediction_type, subject_id;
SELECT prediction_type, method, total, observed, covered, coverage_pct, expected_pct FROM costsim_prediction_stats('acme');
ROLLBACK;
