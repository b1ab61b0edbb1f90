-- What was covered stands beside what was to be covered, by the predictions themselves: near each other where runs go on as before, though both lie far above the
-- level of the intervals, and far apart where every worker has become another.
BEGIN;
SELECT setseed(0.37);
CREATE TEMP TABLE workers AS SELECT 'w' || n AS worker, random() AS rate, 5 + (random() * 100)::integer AS runs FROM generate_series(1, 3000) n;
CREATE FUNCTION pg_temp.run(share double precision, part integer, ago interval) RETURNS void LANGUAGE sql AS $$
    INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, created_at)
    SELECT 'acme', w.worker, CASE WHEN random() < share * w.rate THEN 'failed' ELSE 'completed' END, now() - ago FROM workers w, generate_series(1, greatest(1, w.runs / part)) $$;
CREATE TEMP VIEW stats AS
    SELECT observed > 1500 AS are_many, abs(coverage_pct - expected_pct) < 3 AS is_as_expected, expected_pct > 85 AS is_above_the_level, coverage_pct < expected_pct - 10 AS is_far_below FROM costsim_prediction_stats('acme');
SELECT pg_temp.run(1, 1, '3 days');
SELECT count(*) > 1500 AS many FROM costsim_predict('acme', as_of => now() - interval '2 days', valid_for => '3 days');
UPDATE costsim_predictions SET expires_at = now();
SAVEPOINT s;
SELECT pg_temp.run(1, 7, '1 day');
SELECT costsim_observe_predictions() > 1500 AS many;
SELECT * FROM stats;
SELECT count(*) FROM costsim_predictions WHERE expected_coverage < prediction_value ['interval_level']::double precision;
ROLLBACK TO s;
SELECT pg_temp.run(0.6, 7, '1 day');
SELECT costsim_observe_predictions() > 1500 AS many;
SELECT * FROM stats;
ROLLBACK;
